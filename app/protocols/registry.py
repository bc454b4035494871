"""Finds the adapters: every package beside this file that defines `ADAPTER`. Nothing is skipped in silence."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import app.protocols
from app.errors import Fatal
from app.protocols.base import Adapter


@cache
def adapters() -> dict[str, Adapter]:
    """Every adapter by slug.

    Raises:
        Fatal: a protocol package cannot be imported, defines no ADAPTER, or takes a slug already taken.
    """
    found: dict[str, Adapter] = {}
    for module in pkgutil.iter_modules(app.protocols.__path__):
        if not module.ispkg:
            continue
        name = f"app.protocols.{module.name}"
        try:
            adapter = importlib.import_module(name).ADAPTER
        except Exception as error:
            raise Fatal(f"protocol package {name} cannot be loaded: {error}") from error
        if not isinstance(adapter, Adapter):
            raise Fatal(f"{name}.ADAPTER is not an Adapter")
        if adapter.slug in found:
            raise Fatal(f"two protocol packages claim the slug {adapter.slug!r}")
        found[adapter.slug] = adapter
    return found


def adapter_for(protocol: str) -> Adapter:
    """The adapter of one protocol slug.

    Raises:
        Fatal: no adapter has that slug; the message lists those there are.
    """
    try:
        return adapters()[protocol]
    except KeyError:
        raise Fatal(f"no adapter for protocol {protocol!r}; there are: {', '.join(sorted(adapters()))}") from None

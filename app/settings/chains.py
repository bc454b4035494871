"""How chains are reached: the settings whose names carry a chain id, collected into one value a chain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.settings.urls import SecretUrl, is_url

_CHAIN_SETTING = re.compile(r"(RPC_URL|WS_URL|FROM_BLOCK)_(.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """One endpoint of a chain."""

    url: SecretUrl
    """Where it is read: http(s), or ws(s)."""
    ws_url: SecretUrl | None = None
    """Where it announces new blocks; None: it is asked."""


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """How one chain is reached."""

    chain_id: int
    endpoints: tuple[EndpointSettings, ...]
    """At least one, the preferred ones first."""
    from_block: int | None = None
    """First block to search for accounts; None: each deployment's own start block."""


def chain_settings(values: Mapping[str, str], faults: list[str]) -> dict[int, ChainSettings]:
    """By chain id; what is wrong is added to `faults`, without the values: they may be secrets."""
    by_chain: dict[int, dict[str, str]] = {}
    for name, value in values.items():
        match = _CHAIN_SETTING.fullmatch(name)
        if match and match[2].isdecimal():
            by_chain.setdefault(int(match[2]), {})[match[1].upper()] = value
        elif match:
            faults.append(f"{name.upper()}: must end in a chain id, as RPC_URL_1 does for Ethereum")
    chains: dict[int, ChainSettings] = {}
    for chain_id, given in sorted(by_chain.items()):
        rpc_urls = _urls(given.get("RPC_URL"), f"RPC_URL_{chain_id}", ("http", "https", "ws", "wss"), faults)
        ws_urls = _urls(given.get("WS_URL"), f"WS_URL_{chain_id}", ("ws", "wss"), faults)
        from_block = given.get("FROM_BLOCK")
        if from_block is not None and not from_block.isdecimal():
            faults.append(f"FROM_BLOCK_{chain_id}: must be a block number")
        elif "RPC_URL" not in given:
            faults.append(f"RPC_URL_{chain_id}: is missing, though another setting of chain {chain_id} is given")
        elif rpc_urls:
            first = None if from_block is None else int(from_block)
            chains[chain_id] = ChainSettings(chain_id, _endpoints(rpc_urls, ws_urls), first)
    return chains


def _endpoints(rpc_urls: tuple[SecretUrl, ...], ws_urls: tuple[SecretUrl, ...]) -> tuple[EndpointSettings, ...]:
    """Each socket belongs to the first endpoint on its host that has none; one left over is an endpoint of its own."""
    left = list(ws_urls)
    endpoints: list[EndpointSettings] = []
    for url in rpc_urls:
        parts = urlsplit(url.reveal())
        if parts.scheme in ("ws", "wss"):
            socket: SecretUrl | None = url
        else:
            same_host = (one for one in left if urlsplit(one.reveal()).hostname == parts.hostname)
            socket = next(same_host, None)
            if socket is not None:
                left.remove(socket)
        endpoints.append(EndpointSettings(url, socket))
    return (*endpoints, *(EndpointSettings(url, url) for url in left))


def _urls(value: str | None, name: str, schemes: tuple[str, ...], faults: list[str]) -> tuple[SecretUrl, ...]:
    """The URLs of a setting, which commas or white space part; none where it is not given or has a fault."""
    parts = [part for part in re.split(r"[,\s]+", value or "") if part]
    if len(set(parts)) < len(parts):
        faults.append(f"{name}: names an endpoint twice")
        return ()
    if not all(is_url(part, schemes) for part in parts):
        wanted = " or ".join(scheme + "://" for scheme in schemes)
        faults.append(f"{name}: must be a URL that starts with {wanted}, or several with commas between them")
        return ()
    return tuple(map(SecretUrl, parts))

"""What `waterline demo` watches: its own wallets, under the rules the pages offer, told on standard output."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console

from app.api.frame.keys import new_key
from app.commands.delivery import add_channel, opened
from app.commands.list_rules import add_rule, set_route
from app.commands.lists import add_list, add_wallets
from app.settings import Settings
from app.store.watch.change_log import CLI, changing
from app.store.watch.keys import Scope, store_key
from app.web.presets import PRESETS

NAME = "demo"


async def watch(settings: Settings, wallets: Sequence[tuple[str, str]]) -> str:
    """Put wallets (address, what is special about it) on a list of their own; the key to see it with.

    Only `deliver` on the same machine is told of: nothing leaves it.
    """
    quiet, now = Console(quiet=True), int(time.time())
    await add_list(settings, NAME, "Wallets worth looking at", quiet)
    for address, why in wallets:
        await add_wallets(settings, NAME, [address], {"label": why}, quiet)
    for preset in PRESETS:
        await add_rule(settings, NAME, preset.rule.model_dump(exclude_none=True), quiet)
    await add_channel(settings, "terminal", "stdout", {"format": "text"}, quiet, now)
    await set_route(settings, NAME, "terminal", {"min_severity": "critical"})
    made = new_key()
    async with opened(settings, "waterline demo") as database, changing(database, CLI, "key.create", now) as change:
        await store_key(change.session, made.id, NAME, made.secret_hash, frozenset(Scope), now)
        change.note(f"key:{made.id}", name=NAME)
    return made.text

"""The commands that set watchlists up: lists and their members. What they change is in the log."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.api.frame.names import NameResolver
from app.api.schemas.watchlists import MemberIn, WatchlistIn
from app.api.watch.alert_routes import route_view
from app.api.watch.member_forms import CSV_HEADER, ReadMembers, csv_lines, member_view, read_csv, read_members
from app.api.watch.rule_forms import rule_view
from app.commands.delivery import opened
from app.commands.upkeep import parse_wallets
from app.errors import Refused
from app.settings import Settings
from app.store.postgres.engine import Database
from app.store.postgres.session import ReadSession
from app.store.watch.change_log import CLI, Changing, changing
from app.store.watch.channels import load_channels, load_list_routes
from app.store.watch.members import add_members, load_members, remove_member
from app.store.watch.rules import load_rules
from app.store.watch.watchlists import (
    StoredList,
    create_list,
    delete_list,
    find_list,
    hold_list,
    load_lists,
    update_list,
)

Model = TypeVar("Model", bound=BaseModel)

_ROLE = "waterline watchlist"
_AT_ONCE = 2_000
_SHOWN_MEMBERS = 20
_CHUNK_BYTES = 65_536
_MOST_LISTED = 1_000


async def print_lists(settings: Settings, console: Console) -> None:
    """Every list, with how much is in it."""
    async with opened(settings, _ROLE) as database, database.read() as session:
        found = await load_lists(session, _MOST_LISTED)
    table = Table(header_style="bold")
    for column in ("name", "members", "rules", "open", "worst", "state", "note"):
        table.add_column(column, justify="right" if column in ("members", "rules", "open") else "left", overflow="fold")
    for one in found:
        counts = (f"{one.members:,}", f"{one.rules:,}", f"{one.open_episodes:,}")
        worst = "-" if one.severity is None else one.severity.name.lower()
        table.add_row(escape(one.name), *counts, worst, "paused" if one.is_paused else "watched", escape(one.note))
    console.print(table)


async def print_list(settings: Settings, name: str, console: Console) -> None:
    """One list with its rules, its routes and the first of its members."""
    async with opened(settings, _ROLE) as database, database.read() as session:
        found = await named_list(session, name)
        members = await load_members(session, found.id, _SHOWN_MEMBERS)
        rules = await load_rules(session, found.id)
        routes = await load_list_routes(session, found.id)
        channels = {one.id: one.name for one in await load_channels(session)}
    state = "paused" if found.is_paused else "watched"
    console.print(f"{found.name}: {state}, {found.members:,} members", highlight=False, markup=False)
    for stored in members:
        one = member_view(stored)
        where = "every chain" if one.chain_id is None else f"chain {one.chain_id}"
        words = (one.address, where, one.label, " ".join(f"#{tag}" for tag in one.tags), one.given)
        console.print("  " + "  ".join(word for word in words if word), highlight=False, markup=False, soft_wrap=True)
    if found.members > len(members):
        console.print(f"  … and {found.members - len(members):,} more: waterline watchlist export", highlight=False)
    for rule in map(rule_view, rules):
        levels = ", ".join(f"{name} {level}" for name, level in rule.levels.model_dump().items() if level is not None)
        off = "" if rule.is_enabled else " (off)"
        text = f"rule {rule.name}{off}: {rule.metric} {rule.bad_when.replace('_', ' ')} {levels}; clear {rule.clear_at}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    for route in map(route_view, routes):
        text = f"tells {channels.get(route.channel_id, '?')} from {route.min_severity} on"
        quiet = f", quiet {route.quiet_from}-{route.quiet_to} {route.timezone}" if route.quiet_from else ""
        console.print(text + quiet, highlight=False, markup=False, soft_wrap=True)


async def add_list(settings: Settings, name: str, note: str, console: Console) -> None:
    """A new, empty list."""
    given = checked(WatchlistIn, name=name, note=note)
    async with changing_lists(settings, "watchlist.create") as (change, now):
        list_id = await create_list(change.session, given.name, given.note, now)
        change.note(f"watchlist:{list_id}", name=given.name)
    console.print(f"{name} is made (id {list_id})", highlight=False, markup=False)


async def drop_list(settings: Settings, name: str) -> None:
    """Delete a list with everything of it."""
    async with changing_lists(settings, "watchlist.delete") as (change, _):
        held = await held_list(change, name)
        await delete_list(change.session, held.id)
        change.note(f"watchlist:{held.id}", name=name)


async def pause_list(settings: Settings, name: str, *, is_paused: bool) -> None:
    """Have a list evaluated no more, or again."""
    async with changing_lists(settings, "watchlist.update") as (change, _):
        held = await held_list(change, name)
        await update_list(change.session, held.id, held.name, held.note, is_paused=is_paused)
        change.note(f"watchlist:{held.id}", name=name, is_paused=is_paused)


async def add_wallets(
    settings: Settings, name: str, addresses: Sequence[str], given: Mapping[str, object], console: Console
) -> None:
    """Put wallets on a list, all with one label and the same tags; all or none."""

    async def lines() -> AsyncIterator[tuple[int, MemberIn]]:
        for number, address in enumerate(addresses, 1):
            yield number, checked(MemberIn, address=address, **given)

    async with _names(settings) as resolver:
        read = await read_members(lines(), resolver)
    if read.faults:
        raise Refused("\n".join(f"{addresses[fault.line - 1][:60]!r}: {fault.fault}" for fault in read.faults))
    await _store_members(settings, name, read, "members.add", console)


async def remove_wallets(
    settings: Settings, name: str, addresses: Sequence[str], chain_id: int | None, console: Console
) -> None:
    """Take wallets off a list: their entries of one chain, or every one."""
    wallets = parse_wallets(addresses)
    async with changing_lists(settings, "members.remove") as (change, _):
        held = await held_list(change, name)
        removed = [await remove_member(change.session, held.id, wallet, chain_id) for wallet in wallets]
        if not any(removed):
            raise Refused(f"none of them is on {name!r}")
        change.note(f"watchlist:{held.id}", removed=sum(removed), chain_id=chain_id)
    console.print(f"{sum(removed)} entries are taken off", highlight=False)


async def import_csv(settings: Settings, name: str, file: Path, console: Console, *, partial: bool) -> int:
    """Put the wallets of a file on a list; 1 when lines were left out."""
    async with _names(settings) as resolver:
        read = await read_members(read_csv(_chunks(file)), resolver)
    for fault in read.faults:
        console.print(f"line {fault.line}: {fault.fault}", highlight=False, markup=False, soft_wrap=True)
    if read.faulty and not partial:
        raise Refused(f"{read.faulty} lines are not members; nothing was stored (--partial stores the others)")
    await _store_members(settings, name, read, "members.import", console)
    return 1 if read.faulty else 0


async def export_csv(settings: Settings, name: str, file: Path | None) -> None:
    """Write the wallets of a list to a file, or to standard output."""
    async with opened(settings, _ROLE) as database:
        if file is None:
            await _export(database, name, sys.stdout.write)
            return
        try:
            with file.open("w", encoding="utf-8", newline="") as target:
                await _export(database, name, target.write)
        except OSError as error:
            raise Refused(f"{file}: {error.strerror}") from None


def checked(model: type[Model], **given: object) -> Model:
    """What was given, as the API takes it.

    Raises:
        Refused: something of it is wrong.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        said = [f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}" for one in faults]
        raise Refused("; ".join(said)) from None


@asynccontextmanager
async def changing_lists(settings: Settings, action: str) -> AsyncIterator[tuple[Changing, int]]:
    """One transaction by command, with its line in the log; and the moment."""
    now = int(time.time())
    async with opened(settings, _ROLE) as database, changing(database, CLI, action, now) as change:
        yield change, now


async def held_list(change: Changing, name: str) -> StoredList:
    """The list of a name, which nobody else changes before this transaction ends.

    Raises:
        Refused: there is none such.
    """
    found = await named_list(change.session, name)
    held = await hold_list(change.session, found.id)
    if held is None or held.name != name:
        raise Refused(f"there is no watchlist {name!r} any more")
    return held


async def named_list(session: ReadSession, name: str) -> StoredList:
    """The list of a name.

    Raises:
        Refused: there is none such; the message names those there are.
    """
    found = await find_list(session, name)
    if found is None:
        there = ", ".join(one.name for one in await load_lists(session, _SHOWN_MEMBERS)) or "none yet"
        raise Refused(f"there is no watchlist {name!r}; there are: {there}")
    return found


@asynccontextmanager
async def _names(settings: Settings) -> AsyncIterator[NameResolver | None]:
    """What names are resolved with. Where they are not, nothing that speaks with nodes is imported: that takes long."""
    if settings.ens_chain not in settings.chains:
        yield None
        return
    from app.naming import ens_names

    async with ens_names(settings) as resolver:
        yield resolver


async def _store_members(settings: Settings, name: str, read: ReadMembers, action: str, console: Console) -> None:
    async with changing_lists(settings, action) as (change, now):
        held = await held_list(change, name)
        done = await add_members(change.session, held.id, read.members, now)
        change.note(f"watchlist:{held.id}", added=done.added, updated=done.updated, left_out=read.faulty)
    console.print(f"{done.added:,} added, {done.updated:,} updated", highlight=False)


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    """The bytes of a file; of standard input where it is called -."""
    try:
        if str(file) == "-":
            while chunk := sys.stdin.buffer.read(_CHUNK_BYTES):
                yield chunk
            return
        with file.open("rb") as source:
            while chunk := source.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise Refused(f"{file}: {error.strerror}") from None


async def _export(database: Database, name: str, write: Callable[[str], object]) -> None:
    async with database.read() as session:
        found = await named_list(session, name)
        write(CSV_HEADER)
        after = 0
        while part := await load_members(session, found.id, _AT_ONCE, after=after):
            write(csv_lines(part))
            after = part[-1].id

"""The commands that tend a store by hand: have wallets looked up, drop old history, bring the tables up to date."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from app.api.frame.addresses import BadAddress, parse_wallet
from app.commands.terminal import database_named
from app.domain.chain import Address
from app.domain.specs import chain_spec
from app.errors import Refused
from app.settings import Settings
from app.store.chains import load_chains
from app.store.deployments import load_deployments
from app.store.postgres.engine import Database
from app.store.postgres.migrate import upgrade
from app.store.postgres.schema import verify_schema
from app.store.thin import Place, find_limit, note_limit, thin_once
from app.store.tracked import TrackList

DAY_SECONDS = 86_400
_PAUSE_SECONDS = 0.02
"""Between two transactions of a pass: whoever indexes has the database to himself meanwhile."""


async def track(
    settings: Settings, given: Sequence[str], file: Path | None, chain_id: int | None, console: Console
) -> int:
    """Put wallets on the list of those to look up at the next block; 1 when some found no room there.

    Raises:
        Refused: something is not an address, or no chain is followed.
    """
    wallets = parse_wallets([*given, *(read_lines(file) if file is not None else [])])
    database = Database(settings.require_database_url().reveal(), role="waterline track")
    try:
        async with database.read() as session:
            await verify_schema(session)
            stored = {deployment.chain_id for deployment in await load_deployments(session)}
        chains = sorted(stored if chain_id is None else stored & {chain_id})
        if not chains:
            raise Refused("no chain is followed yet" if chain_id is None else f"chain {chain_id} is not followed")
        tracked, now = TrackList(database), int(time.time())
        listed = [await tracked.add(wallet, chains, now) for wallet in wallets]
    finally:
        await database.dispose()
    full = sum(len({one.chain_id for one in found} & set(chains)) < len(chains) for found in listed)
    names = ", ".join(chain_spec(one).name for one in chains)
    console.print(f"{len(wallets) - full} of {len(wallets)} wallets are looked up at the next block of: {names}")
    if full:
        console.print(f"{full} found no room on the list: ask again after the next block")
    return 1 if full else 0


def read_lines(file: Path) -> list[str]:
    """The addresses of a file: one a line; what follows a # is a remark.

    Raises:
        Refused: the file cannot be read.
    """
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"--file: {file}: {error}") from None
    return [text for line in lines if (text := line.partition("#")[0].strip())]


def parse_wallets(texts: Sequence[str]) -> list[Address]:
    """The wallets named, each once.

    Raises:
        Refused: there is none, or one is not an address; all that are not are named.
    """
    wallets: dict[Address, None] = {}
    faults = []
    for text in texts:
        try:
            wallets[parse_wallet(text).address] = None
        except BadAddress as error:
            faults.append(f"{text[:60]!r}: {error}")
    if faults:
        raise Refused("these are not addresses:\n" + "\n".join(f"  {fault}" for fault in faults))
    if not wallets:
        raise Refused("name wallets, or a file of them with --file")
    return list(wallets)


async def thin(settings: Settings, days: int | None, chain_id: int | None, console: Console) -> None:
    """Drop the history older than `days` (or RETENTION_DAYS) of one chain or all, keeping what later blocks need.

    Raises:
        Refused: nothing says how long history is kept.
    """
    kept = days if days is not None else settings.retention_days
    if kept is None:
        raise Refused("say how many days of history to keep: --days, or RETENTION_DAYS")
    database = Database(settings.require_database_url().reveal(), role="waterline thin")
    try:
        async with database.read() as session:
            await verify_schema(session)
            known = [one.chain_id for one in await load_chains(session)]
        for one in known:
            if chain_id in (None, one):
                await _thin_chain(database, one, kept * DAY_SECONDS, console)
    finally:
        await database.dispose()


async def _thin_chain(database: Database, chain_id: int, retention_seconds: int, console: Console) -> None:
    spec = chain_spec(chain_id)
    before = int(time.time()) - retention_seconds
    async with database.read() as session:
        limit = await find_limit(session, chain_id, before, spec.finality_depth)
    if limit is None:
        console.print(f"{spec.name}: nothing is old enough")
        return
    async with database.write() as session:
        await note_limit(session, limit)
    place: Place | None = Place()
    total = 0
    while place is not None:
        async with database.write() as session:
            place, dropped = await thin_once(session, limit, place)
        total += dropped
        await asyncio.sleep(_PAUSE_SECONDS)
    console.print(f"{spec.name}: {total:,} rows dropped; history begins at block {limit.ref.number:,} now")


async def migrate(settings: Settings) -> None:
    """Bring the database schema to this version."""
    with database_named():
        await asyncio.to_thread(upgrade, settings.require_database_url().reveal())

"""Watchlists over a real database, with the pages in front: wallets, a rule, an episode, messages, a key."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx
from sqlalchemy import insert, update

from app.api.frame.addresses import to_checksum
from app.api.frame.keys import COOKIE, NewKey
from app.api.source import ReadPath
from app.api.watch.desk import Desk
from app.domain.account import AccountKey
from app.domain.chain import Address
from app.domain.units import WAD
from app.domain.watch import EpisodeEvent, EpisodeState, EventKind, Metric, Severity
from app.store.blocks import StoredBlock
from app.store.postgres.engine import Database
from app.store.tables.chain import risk_snapshots
from app.store.tables.watch import outbox, watch_progress
from app.store.watch.channels import NewChannel, store_channel
from app.store.watch.episode_writes import Entry, NewEpisode, write_entries
from app.store.watch.keys import Scope
from app.store.watch.outbox import NewMessage, new_message_id, store_messages
from app.web.routes import mount_pages
from tests.api.keyed import make_key
from tests.fakes.pond import DOLLAR, ETHER, USD8, pond_account, pond_records
from tests.fakes.site import DEVNET, EPOCH, Site, open_site, wallet

ALICE, BOB, CAROL = wallet(1), wallet(2), wallet(3)
ORIGIN = "http://waterline.test"


@dataclass
class Watching:
    """A site with pages of watchlists."""

    site: Site
    key: NewKey
    block: StoredBlock

    @property
    def client(self) -> httpx.AsyncClient:
        """Whoever asks; logged in after `log_in`."""
        return self.site.client

    async def log_in(self, *scopes: Scope) -> None:
        """Show a key as a browser does."""
        if scopes:
            self.key = await make_key(self.site.database, *scopes)
        self.client.cookies.set(COOKIE, self.key.text)
        self.client.headers["Origin"] = str(self.client.base_url).rstrip("/")

    async def post(self, path: str, page: str | None = None, **fields: str) -> httpx.Response:
        """Send a form as the page at `page` (or `path`) has it, with its token."""
        source = (await self.client.get(page or path)).text
        token = re.search(r'name="form" value="([0-9a-f]+)"', source)
        return await self.client.post(path, data={"form": token[1] if token else "", **fields})

    async def make_list(self, name: str = "treasury", *wallets: Address) -> int:
        """A list with wallets, by the forms."""
        made = await self.post("/watchlists", name=name)
        assert made.status_code == 303, made.text
        found = re.fullmatch(r"/watchlists/(\d+)/edit\?done=created", made.headers["location"])
        assert found is not None
        if wallets:
            lines = "\n".join(f"{to_checksum(one)}, wallet {number}" for number, one in enumerate(wallets, 1))
            added = await self.post(f"/watchlists/{found[1]}", f"/watchlists/{found[1]}/edit", do="add", wallets=lines)
            assert added.status_code == 303, added.text
        return int(found[1])

    async def find(self, list_id: int, who: Address = ALICE, severity: Severity = Severity.CRITICAL) -> int:
        """An open episode of a wallet's health factor at the newest block; its id."""
        key, event = AccountKey("pond-devnet", who), EpisodeEvent(
            EventKind.OPENED, severity, self.site.now, self.block.ref, 1_042_300_000_000_000_000, 105 * WAD // 100,
            {"price <b>": "x"},
        )  # fmt: skip
        new = NewEpisode(list_id, None, "health", Metric.HEALTH_FACTOR, key)
        entry = Entry(new, DEVNET, event, self.block.id, EpisodeState.OPEN, severity, self.site.now)
        async with self.site.database.write() as session:
            ((episode_id, event_id),) = await write_entries(session, [entry])
            channel = await store_channel(session, NewChannel(f"log {episode_id}", "stdout", {}), self.site.now)
            message = NewMessage(
                new_message_id(), channel, event_id, "episode.opened", f"{event_id}:1", severity, {}, self.site.now
            )
            await store_messages(session, [message], self.site.now)
        return episode_id

    async def give_up(self) -> None:
        """Every message is dead."""
        async with self.site.database.write() as session:
            await session.connection.execute(
                update(outbox).values(state="dead", attempts=9, last_error="the receiver answered 503")
            )


async def begin(database: Database) -> Watching:
    """Alice is close to the line, Bob is safe, Carol was never seen; everything is current."""
    site = open_site(database)
    context = site.app.state.read_context
    mount_pages(site.app, ReadPath(context), Desk(context, site.app.state.doorkeeper))
    await site.register()
    accounts = [
        pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR),
        pond_account(BOB, weth=9 * ETHER, usdc_debt=2000 * DOLLAR),
    ]
    await site.commit(5, accounts)
    block = await site.commit(8, [], pond_records(weth=2600 * USD8))
    site.now = EPOCH + 9
    async with database.write() as session:
        await session.connection.execute(
            insert(watch_progress).values(
                chain_id=DEVNET, block_id=block.id, block_number=8, block_hash=bytes(block.ref.hash), version=1,
                trail=[], evaluated_at=site.now,
            )
        )  # fmt: skip
        for account_id, block_id, health in ((1, block.id - 1, 1.3), (1, block.id, 1.05)):
            await session.connection.execute(
                insert(risk_snapshots).values(
                    account_id=account_id, block_id=block_id, collateral=1.0, requirement=1.0, health=health
                )
            )
    return Watching(site, await make_key(database), block)

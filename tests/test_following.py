"""What is said of a chain that is not followed because its settings cannot be used."""

from __future__ import annotations

import pytest

from app.api.app import create_app
from app.api.status import load_status_view
from app.following import note_refused
from app.store.chains import ChainStatus, load_chains, observe
from app.store.postgres.engine import Database

pytestmark = pytest.mark.database

REASON = "RPC_URL_1: endpoint 1 serves chain 56"


async def test_the_status_of_a_chain_says_why_nobody_follows_it(database: Database) -> None:
    await note_refused(database, 1, REASON)
    app = create_app(database)
    view = await load_status_view(app.state.read_context)
    await app.state.read_context.aclose()
    (chain,) = view.chains
    assert (chain.chain_id, chain.ready) == (1, False)
    async with database.read() as session:
        (status,) = await load_chains(session)
    assert status.trouble == REASON


async def test_what_was_last_seen_of_it_stays(database: Database) -> None:
    seen = ChainStatus(1, 77, None, 1_700_000_000, 70, 60, 1_700_000_001)
    async with database.write() as session:
        await observe(session, seen)
    await note_refused(database, 1, REASON)
    async with database.read() as session:
        (status,) = await load_chains(session)
    assert (status.head_number, status.finalized_number, status.trouble) == (77, 60, REASON)
    assert status.observed_at > seen.observed_at

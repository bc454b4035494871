"""Deployments that are set aside: at which blocks, and forgotten with them."""

from __future__ import annotations

import pytest

from app.store.blocks import StoredBlock, drop_blocks_above, load_recent
from app.store.deployments import (
    DeploymentTrouble,
    load_troubles,
    load_troubles_at,
    note_trouble,
    register_deployments,
)
from app.store.postgres.engine import Database
from tests.store.actions import begin, commit
from tests.store.builders import CHAIN, SLUG, batch, deployment

pytestmark = pytest.mark.database

FIRST = DeploymentTrouble("its pool does not answer", 2)
CHANGED = DeploymentTrouble("its oracle does not answer", 2)


async def four_blocks(database: Database) -> list[StoredBlock]:
    """Blocks 1 to 4: read at 1, set aside from 2 on, for another reason from 3 on, read again at 4."""
    await begin(database)
    async with database.write() as session:
        await register_deployments(session, [deployment("other"), deployment("far", chain_id=7)])
    for number in range(2, 5):
        await commit(database, batch(number))
    async with database.write() as session:
        blocks = (await load_recent(session, CHAIN, 10))[::-1]
        for block, trouble in zip(blocks[1:], (FIRST, CHANGED, None), strict=True):
            await note_trouble(session, SLUG, block.id, trouble)
    return blocks


async def test_a_trouble_holds_from_its_block_until_the_next_word(database: Database) -> None:
    blocks = await four_blocks(database)
    async with database.read() as session:
        found = [await load_troubles_at(session, {CHAIN: block.id}) for block in blocks]
        assert found == [{}, {SLUG: FIRST}, {SLUG: CHANGED}, {}]
        assert await load_troubles(session, [CHAIN, 7]) == {}


async def test_a_reorg_takes_back_what_its_blocks_said(database: Database) -> None:
    await four_blocks(database)
    for kept, expected in ((3, {SLUG: CHANGED.text}), (2, {SLUG: FIRST.text}), (1, {})):
        async with database.write() as session:
            await drop_blocks_above(session, CHAIN, kept)
        async with database.read() as session:
            assert await load_troubles(session, [CHAIN]) == expected
            assert await load_troubles(session, [7]) == {}
            assert await load_troubles(session, []) == {}


async def test_one_that_is_not_followed_is_told_apart_and_has_no_trouble(database: Database) -> None:
    blocks = await four_blocks(database)
    left = DeploymentTrouble("not followed", 3, is_followed=False)
    async with database.write() as session:
        await note_trouble(session, "other", blocks[2].id, left)
    async with database.read() as session:
        assert await load_troubles_at(session, {CHAIN: blocks[1].id}) == {SLUG: FIRST}
        assert await load_troubles_at(session, {CHAIN: blocks[3].id}) == {"other": left}
        assert await load_troubles(session, [CHAIN]) == {}

"""What is kept between requests, and that it is never served past its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.api.frame.deps import Overtaken, ReadContext
from app.api.frame.problems import ApiProblem
from app.api.wallets import load_wallet_view
from app.domain.account import AccountKey
from app.domain.batch import DueAccount
from tests.fakes.pond import DOLLAR, ETHER, USD8, pond_account, pond_deployment, pond_records
from tests.fakes.site import Site, block_ref, wallet

ALICE = wallet(1)

pytestmark = pytest.mark.database


@asynccontextmanager
async def _listening(site: Site) -> AsyncIterator[ReadContext]:
    """The site's context with block notifications coming in."""
    context: ReadContext = site.app.state.read_context
    running = asyncio.create_task(context.stream.run())
    while context.stream.generation is None:
        await asyncio.sleep(0.01)
    yield context
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _hear(context: ReadContext, generation: int | None) -> None:
    while context.stream.generation == generation:
        await asyncio.sleep(0.01)


async def test_the_same_question_in_the_same_second_has_one_answer_until_the_next_block(site: Site) -> None:
    await site.register()
    await site.commit(1, [pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR)])
    async with _listening(site) as context:
        first = await load_wallet_view(context, ALICE)
        assert await load_wallet_view(context, ALICE) is first
        assert await load_wallet_view(context, wallet(2)) is not first
        assert await load_wallet_view(context, ALICE, target_health_wad=2 * 10**18) is not first
        site.now += 1
        assert (await load_wallet_view(context, ALICE)).as_of.lag_seconds == 1
        before = context.stream.generation
        await site.commit(2, records=pond_records(weth=1000 * USD8))
        await _hear(context, before)
        assert (await load_wallet_view(context, ALICE)).accounts[0].status == "liquidatable"


async def test_an_answer_is_the_same_whether_chains_and_deployments_were_read_with_it_or_before(site: Site) -> None:
    await site.register()
    await site.commit(1, [pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR)])
    async with _listening(site) as context:
        await load_wallet_view(context, wallet(2))
        assert context.kept_following() is not None
        kept = await load_wallet_view(context, ALICE)
        context._following.clear()
        assert context.kept_following() is None
        assert await load_wallet_view(context, ALICE, chain_id=kept.as_of.chain_id) == kept
        assert [account.read_at_block for account in kept.accounts] == [1]
        assert context.kept_following() is not None
        with pytest.raises(ApiProblem, match="not followed"):
            await load_wallet_view(context, ALICE, chain_id=99)


async def test_a_rollback_is_news_too(site: Site) -> None:
    await site.register()
    await site.commit(1, [pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR)])
    await site.commit(2, records=pond_records(weth=1000 * USD8))
    async with _listening(site) as context:
        assert (await load_wallet_view(context, ALICE)).accounts[0].status == "liquidatable"
        before = context.stream.generation
        await site.drop_above(1)
        await _hear(context, before)
        assert (await load_wallet_view(context, ALICE)).as_of.block_number == 1


async def test_without_notifications_nothing_is_taken_on_trust(site: Site) -> None:
    await site.register()
    await site.commit(1)
    context = site.app.state.read_context
    assert context.stream.generation is None
    assert (await load_wallet_view(context, ALICE)).accounts == []
    await site.queue([DueAccount(AccountKey("pond-devnet", ALICE), frozenset())])
    assert (await load_wallet_view(context, ALICE)).accounts[0].status == "unknown"


async def test_a_deployment_added_a_moment_ago_is_found(site: Site) -> None:
    await site.register()
    await site.commit(1)
    async with _listening(site) as context:
        await load_wallet_view(context, ALICE)
        before = context.stream.generation
        await site.register(pond_deployment(id="pond-new"))
        account = pond_account(ALICE, weth=ETHER, deployment_id="pond-new")
        await site.commit(2, [account], deployment_id="pond-new")
        await _hear(context, before)
        assert (await load_wallet_view(context, ALICE)).accounts[0].deployment_id == "pond-new"


async def test_a_state_is_never_made_of_rows_of_another_fork(site: Site) -> None:
    await site.register()
    await site.commit(1)
    gone = await site.commit(2, records=pond_records(weth=1000 * USD8))
    await site.drop_above(1)
    context = site.app.state.read_context
    with pytest.raises(Overtaken):
        await context.state_at(pond_deployment(), gone)
    await site.commit(2, fork=1)
    with pytest.raises(Overtaken):
        await context.state_at(pond_deployment(), gone)


async def test_a_request_that_a_reorg_overtakes_starts_over(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await site.register()
    await site.commit(1, [pond_account(ALICE, weth=ETHER, usdc_debt=2000 * DOLLAR)])
    await site.commit(2, records=pond_records(weth=1000 * USD8))
    context: ReadContext = site.app.state.read_context
    original, forks = ReadContext.state_at, [1]

    async def overtaken(self: ReadContext, deployment: object, block: object) -> object:
        for fork in [forks.pop()] if forks else []:
            await site.drop_above(1)
            await site.commit(2, fork=fork)
        return await original(self, deployment, block)  # type: ignore[arg-type]

    monkeypatch.setattr(ReadContext, "state_at", overtaken)
    view = await load_wallet_view(context, ALICE)
    assert view.as_of.block_hash == str(block_ref(2, fork=1).hash)
    assert view.accounts[0].status == "healthy"
    assert not forks

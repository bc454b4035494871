"""Markets as a whole: debt at risk after a move, and the longs' share of a perp exchange."""

from __future__ import annotations

import random

import pytest

from app.book import Keeper
from app.domain.account import AccountKey, Unreadable
from app.domain.risk import RiskStatus
from app.domain.units import WAD
from app.domain.watch import ChainSubject, MarketSubject, Measured, Metric
from app.protocols.base import Adapter
from app.store.postgres.engine import Database
from app.watch.measures import Found, Measures
from tests.book.lake import find_lake
from tests.fakes.perp import LOT, USD6, TideAdapter, tide_account, tide_deployment
from tests.fakes.pond import DOLLAR, ETHER, WETH, pond_account
from tests.fakes.site import DEVNET, Site, open_site, wallet
from tests.watch.measures.test_health import LISTED, start
from tests.watch.measures.world import assess_all, measure, only, rule

pytestmark = pytest.mark.database

POOL = MarketSubject("pond-devnet")
TIDE = MarketSubject("tide-devnet")
RISK = Metric.DEBT_AT_RISK


def find_any(slug: str) -> Adapter:
    return TideAdapter() if slug == "tide" else find_lake(slug)


async def crowd(site: Site, keeper: Keeper, number: int = 40) -> None:
    """Accounts with 1 WETH worth 3000 and debts between 0 and 2900 dollars."""
    dice = random.Random(4)
    wallets = [one for one in (wallet(place) for place in range(3 * number)) if one[0] >= 40][:number]
    debts = [dice.randrange(1, 2900) * DOLLAR for _ in wallets]
    accounts = [pond_account(one, weth=ETHER, usdc_debt=debt) for one, debt in zip(wallets, debts, strict=True)]
    await keeper.load(await site.commit(1, accounts))


async def test_debt_at_risk_is_what_falls_below_the_line_after_the_move(database: Database) -> None:
    """Worked out account by account with the moved oracle price; to nine digits, because it is a sum of floats."""
    site, keeper, measures = await start(database)
    await crowd(site, keeper)
    assert keeper.at is not None
    exacts = await assess_all(database, keeper.at, find_lake)
    seen = set()
    for move in (-60, -30, -10, 0, 50):
        at_risk = total = 0
        for _, snapshot, state in exacts.values():
            assert snapshot is not None
            assert state is not None
            moved = state.priced.with_price(WETH.code, 3000 * 10**8 * (100 + move) // 100).health(snapshot)
            total += moved.debt_value or 0
            at_risk += (moved.debt_value or 0) * (moved.status is RiskStatus.LIQUIDATABLE)
        given = rule(RISK, 0, deployment_id=POOL.deployment_id, group="eth", move_wad=move * WAD // 100)
        found = only(await measure(measures, keeper, given))
        assert found.value == pytest.approx(at_risk * WAD / total, abs=2e9)
        assert found.inputs["debt_usd"] == f"{total / 1e8:.2f}"
        seen.add(found.value)
        chain = rule(RISK, 0, chain_id=DEVNET, group="volatile", move_wad=move * WAD // 100)
        assert only(await measure(measures, keeper, chain)) == Measured(
            ChainSubject(DEVNET), found.value, only(await measure(measures, keeper, chain)).inputs
        )
    assert len(seen) >= 4
    assert found.value is not None
    exactly = rule(RISK, found.value, deployment_id=POOL.deployment_id, group="eth", move_wad=WAD // 2)
    assert only(await measure(measures, keeper, exactly)).value == found.value
    calm = rule(RISK, found.value + 1, deployment_id=POOL.deployment_id, group="eth", move_wad=WAD // 2)
    assert await measure(measures, keeper, calm) == Found(1, (), 1, 0)
    assert only(await measure(measures, keeper, calm, must=[POOL])).value == found.value


async def test_a_market_nothing_is_known_of_is_unknown_and_a_chain_with_one_is_never_calm(database: Database) -> None:
    site, keeper, measures = await start(database)
    await site.register(tide_deployment(id="other", protocol="pond"))
    await crowd(site, keeper)
    high = rule(RISK, WAD, chain_id=DEVNET, group="eth", move_wad=-WAD // 10)
    low = rule(RISK, 1, chain_id=DEVNET, group="eth", move_wad=-WAD // 10)
    one = rule(RISK, 1, deployment_id="other", group="eth", move_wad=-WAD // 10)
    found = await measure(measures, keeper, high)
    assert (found.measured, found.subjects, found.unknown) == ((), 1, 1)
    found = await measure(measures, keeper, high, must=[ChainSubject(DEVNET)])
    assert only(found).value is None
    assert only(found).inputs["deployments_unknown"] == "other"
    assert only(await measure(measures, keeper, low)).value is not None
    found = await measure(measures, keeper, one, must=[MarketSubject("other")])
    assert (only(found).value, found.unknown) == (None, 1)
    elsewhere = rule(RISK, 1, deployment_id="nowhere", group="eth", move_wad=-WAD // 10)
    found = await measure(measures, keeper, elsewhere, must=[MarketSubject("nowhere")])
    assert (only(found).value, found.subjects) == (None, 0)
    assert await measure(measures, keeper, rule(RISK, 1, chain_id=1, group="eth", move_wad=0)) == Found(1, (), 0, 0)


async def test_the_longs_share_is_by_notional_to_the_last_digit(database: Database) -> None:
    site = open_site(database)
    await site.register(tide_deployment())
    keeper, measures = Keeper(database, DEVNET, adapters=find_any), Measures(database, adapters=find_any)
    sizes = [2 * LOT, LOT, -LOT, -LOT // 3]
    accounts = [tide_account(one, cash=10_000 * USD6, size=size) for one, size in zip(LISTED, sizes, strict=False)]
    accounts.append(tide_account(LISTED[5], cash=USD6))
    await keeper.load(await site.commit_tide(1, accounts))
    exacts = await assess_all(database, keeper.at, find_any)  # type: ignore[arg-type]
    held = [perp for one, _, _ in exacts.values() for perp in one.assessment.perps]
    longs = sum(perp.notional_value for perp in held if perp.size_raw > 0)
    value = longs * WAD // sum(perp.notional_value for perp in held)
    assert value == pytest.approx(3 / (3 + 4 / 3) * WAD, rel=1e-6)
    given = rule(Metric.LONG_SHARE, value, deployment_id="tide-devnet")
    assert only(await measure(measures, keeper, given)).value == value
    assert only(await measure(measures, keeper, given)).inputs["long_notional_value"] == longs
    above = rule(Metric.LONG_SHARE, value + 1, deployment_id="tide-devnet")
    assert await measure(measures, keeper, above) == Found(1, (), 1, 0)


async def test_of_an_exchange_without_any_known_position_the_share_is_unknown_only_where_there_may_be_some(
    database: Database,
) -> None:
    site = open_site(database)
    await site.register(tide_deployment())
    keeper, measures = Keeper(database, DEVNET, adapters=find_any), Measures(database, adapters=find_any)
    given = rule(Metric.LONG_SHARE, WAD, deployment_id="tide-devnet")
    await keeper.load(await site.commit_tide(1, [tide_account(LISTED[0], cash=USD6)]))
    assert only(await measure(measures, keeper, given, must=[TIDE])).value == 0
    lost = Unreadable(AccountKey("tide-devnet", LISTED[1]), 2, "it reverted")
    await keeper.advance(await site.commit_tide(2, [lost]))
    found = await measure(measures, keeper, given, must=[TIDE])
    assert (only(found).value, found.unknown) == (None, 1)

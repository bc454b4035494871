"""The real Perpetual Protocol v2 on the devnet: deployed, populated, alive, and its mark price where it is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from app.domain.chain import Address, ContractCall, Hash32
from app.errors import Fatal
from devnet import curie_calls
from devnet.assets import ADMIN
from devnet.codec import address_in, call_data, words
from devnet.curie import COLLATERAL_RATIO, TWAP_SECONDS, Curie
from devnet.curie_life import CurieLife
from devnet.curie_mark import wait
from devnet.curie_population import KINDS
from devnet.curie_truth import MarginView
from devnet.world import World
from tests.fixtures.devnet import WorldFactory

pytestmark = pytest.mark.devnet

WAD = 10**18
CENT = 10**16
FEED_UNIT = 10**10
MAINTENANCE, MILLION = 62_500, 10**6
WALLETS = 4 * len(KINDS)


@pytest.fixture(scope="module")
def shared(make_world: WorldFactory) -> World:
    return make_world(wallets=WALLETS, seed=4, protocols=("perp-curie",))


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    """The module's world, put back when the test is done with it."""
    snapshot = shared.snapshot()
    yield shared
    shared.revert(snapshot)


@pytest.fixture
def life(world: World) -> CurieLife:
    return life_of(world)


def life_of(world: World) -> CurieLife:
    life = world.neighbours["perp-curie"]
    assert isinstance(life, CurieLife)
    return life


def view_of(life: CurieLife, wallet: Address) -> MarginView:
    view = life.accounts([wallet])[0]
    assert view is not None
    return view


def all_views(world: World) -> list[MarginView]:
    views = [view for view in life_of(world).accounts(world.wallets) if view is not None]
    assert len(views) == len(world.wallets)
    return views


def truncated(numerator: int, denominator: int) -> int:
    """Division towards zero, as the contracts divide signed numbers."""
    return abs(numerator) // denominator * (1 if numerator >= 0 else -1)


def collateral_value(world: World, curie: Curie, view: MarginView) -> int:
    """What the other token counts for, in dollars (18 decimals)."""
    data = call_data("getPrice(address,uint256)", curie.collateral.address, TWAP_SECONDS)
    price = words(world.chain.read([ContractCall(curie.collateral_manager, data)])[0].data)[0]
    return view.collateral_raw * price // 10**8 * COLLATERAL_RATIO // MILLION


def test_the_clearing_house_leads_to_every_other_contract(world: World, life: CurieLife) -> None:
    row = world.deployments()[-1]
    assert (row["id"], row["protocol"], row["contracts"]) == ("perp-curie-devnet", "perp-curie", {})
    curie, root = life.curie, Address.from_hex(str(row["address"]))

    def ask(contract: Address, getter: str) -> Address:
        return address_in(world.chain.call(contract, f"{getter}()"))

    exchange, vault = ask(root, "getExchange"), ask(root, "getVault")
    assert (exchange, vault, root) == (curie.exchange, curie.vault, curie.clearing_house)
    assert ask(root, "getAccountBalance") == curie.account_balance
    assert ask(root, "getOrderBook") == curie.order_book
    assert ask(root, "getClearingHouseConfig") == curie.config
    assert ask(exchange, "getMarketRegistry") == curie.market_registry
    assert ask(vault, "getCollateralManager") == curie.collateral_manager
    assert ask(vault, "getSettlementToken") == world.tokens["USDC"].address


def test_nothing_of_the_population_is_refused(life: CurieLife) -> None:
    assert life.refused_at_start == []
    assert all(len(life.plans_of_kind(kind)) == 4 for kind in KINDS)


def test_the_kinds_hold_what_they_are_named_after(life: CurieLife) -> None:
    def views(kind: str) -> list[MarginView]:
        return [view_of(life, plan.wallet) for plan in life.plans_of_kind(kind)]

    for kind, sign in (("near_long", 1), ("near_short", -1)):
        for view in views(kind):
            assert view.requirement <= view.account_value < view.requirement * 13 // 10
            assert all(position.size * sign > 0 for position in view.positions.values())
    assert all(len(view.positions) == 2 for view in views("both"))
    assert all(view.has_orders for kind in ("maker", "maker_taker") for view in views(kind))
    assert all(abs(view.positions[name].size) > WAD // 1000 for view in views("maker_taker") for name in view.positions)
    assert all(view.collateral_raw > 0 > view.balance_raw for view in views("collateral"))
    assert all(view.collateral_raw > 0 < view.balance_raw for view in views("mixed"))
    assert all(not view.positions and view.owed_realized_pnl < 0 for view in views("closed"))
    assert all(not view.positions and view.balance_raw for view in views("deposit"))
    assert all(0 < view.requirement < WAD // 1000 for view in views("dust"))
    assert all((view.positions, view.balance_raw) == ({}, 0) for view in views("empty"))


def test_a_wallet_borrows_and_trades_at_once(world: World, life: CurieLife) -> None:
    borrowers = {
        view.wallet
        for row in world.deployments()[:2]
        for view in world.accounts(str(row["id"]), world.wallets)
        if view is not None and view.has_debt
    }
    assert borrowers & life.exposed()


def test_account_values_add_up_from_what_they_are_made_of(world: World, life: CurieLife) -> None:
    world.run(5)
    marks = {name: life.prices(name).mark for name in life.curie.markets}
    for view in all_views(world):
        values = {name: truncated(p.size * marks[name], WAD) for name, p in view.positions.items()}
        unrealized = sum(values[name] + p.open_notional for name, p in view.positions.items())
        assert view.unrealized_pnl == unrealized
        assert view.requirement == sum(map(abs, values.values())) * MAINTENANCE // MILLION
        funding = sum(position.pending_funding for position in view.positions.values())
        margin = view.balance_raw * 10**12 + view.pending_fee - funding + view.owed_realized_pnl
        exact = margin + unrealized + collateral_value(world, life.curie, view)
        assert view.account_value == exact // 10**12 * 10**12


def test_the_mark_price_is_the_median_of_three(world: World, life: CurieLife) -> None:
    for _ in range(5):
        world.step()
        for name in life.curie.markets:
            prices = life.prices(name)
            assert prices.mark == sorted((prices.spot, prices.twap, prices.index + prices.premium))[1]


def test_the_verdict_agrees_with_account_value_and_requirement(world: World, life: CurieLife) -> None:
    life.move_mark("vETH", life.prices("vETH").mark * 60 // 100)
    words_by_kind: dict[str, set[str]] = {}
    for view, plan in zip(all_views(world), life.plans, strict=True):
        if view.positions:
            word = life.verdict(plan.wallet).word
            assert word == ("liquidatable" if view.is_below_requirement else "healthy")
            words_by_kind.setdefault(plan.kind, set()).add(word)
    assert "liquidatable" in words_by_kind["maker_taker"] | words_by_kind["maker"]  # orders and all
    assert {"liquidatable", "healthy"} <= words_by_kind["long"] | words_by_kind["short"]
    assert life.verdict(life.plans_of_kind("empty")[0].wallet).word == "refused"


@pytest.mark.parametrize("share", [30, 95, 104, 150])
def test_a_mark_price_comes_to_where_it_is_wanted(life: CurieLife, share: int) -> None:
    index = life.prices("vBTC").index
    wanted = index * share // 100 + 12_345 * FEED_UNIT
    assert abs(life.move_mark("vBTC", wanted) - wanted) <= FEED_UNIT
    assert abs(life.prices("vBTC").mark - wanted) <= FEED_UNIT
    assert abs(life.prices("vBTC").index - index) <= index // 100  # the feed everybody shares stays


def test_a_nudge_out_of_the_bracket_is_refused(life: CurieLife) -> None:
    mark = life.move_mark("vETH", life.prices("vETH").mark, bracket_ticks=20)
    with pytest.raises(Fatal, match="the bracket is"):
        life.nudge_mark("vETH", mark * 101 // 100)


@pytest.mark.parametrize("kind", ["near_long", "near_short"])
def test_a_liquidation_price_is_met_to_a_hundredth_of_a_cent(world: World, life: CurieLife, kind: str) -> None:
    wallet = next(p.wallet for p in life.plans_of_kind(kind) if p.market.name == "vETH" and p.margin_usd > 500)

    def liquidation_price() -> int:
        view, mark = view_of(life, wallet), life.prices("vETH").mark
        size = view.positions["vETH"].size
        slope = size * MILLION - MAINTENANCE * abs(size)
        return mark - (view.account_value - view.requirement) * MILLION * WAD // slope

    life.move_mark("vETH", liquidation_price())
    timestamp, predicted = world.timestamp, liquidation_price()
    beyond = -CENT // 100 if kind == "near_long" else CENT // 100
    life.nudge_mark("vETH", predicted + beyond)
    assert life.verdict(wallet).word == "liquidatable"
    life.nudge_mark("vETH", predicted - beyond)
    assert life.verdict(wallet).word == "healthy"
    assert life.verdict(wallet, world.block_number - 1).word == "liquidatable"
    assert world.timestamp == timestamp


def test_life_moves_marks_both_ways_and_liquidates(world: World, life: CurieLife) -> None:
    marks, succeeded, refused = [life.prices("vETH").mark], [], []
    for _ in range(60):
        step = world.step()
        marks.append(life.prices("vETH").mark)
        succeeded += [label for label in step.succeeded if label.endswith(life.curie.id)]
        refused += [label for label in step.refused if label.endswith(life.curie.id)]
    moves = [after - before for before, after in pairwise(marks)]
    assert min(moves) < 0 < max(moves)
    assert any(label.startswith("liquidate v") for label in succeeded)
    actions = {label.partition(" in ")[0] for label in succeeded}
    assert {"perp open", "perp reduce", "perp deposit", "perp withdraw", "perp add liquidity"} <= actions
    assert len(refused) < len(succeeded) // 4


def test_pools_follow_a_price_of_the_feed(world: World, life: CurieLife) -> None:
    price = world.prices()["WETH"] * 106 // 100
    world.set_price("WETH", price)
    assert life.prices("vETH").index == price * FEED_UNIT
    before = life.prices("vETH").spot
    for _ in range(12):
        world.step(jumps=False)
    assert life.prices("vETH").spot > before * 103 // 100


def test_a_premium_makes_funding(world: World, life: CurieLife) -> None:
    market = life.curie.markets["vETH"]
    life.move_mark("vETH", life.prices("vETH").index * 103 // 100)
    wait(world.chain, [market], 20)  # a round that nobody notes bends the index the more the older it is
    wallet = next(plan.wallet for plan in life.plans_of_kind("both"))
    before = view_of(life, wallet).positions["vETH"].pending_funding
    wait(world.chain, [market], 3600)
    after = view_of(life, wallet).positions["vETH"]
    hourly = after.size * life.prices("vETH").premium // WAD // 24
    assert hourly > 0
    assert abs(after.pending_funding - before - hourly) < hourly // 20


def test_life_and_verdicts_go_on_beside_a_paused_and_a_closed_market(world: World, life: CurieLife) -> None:
    market, wallet = life.curie.markets["vBTC"], life.plans_of_kind("both")[0].wallet
    life.move_mark("vETH", life.prices("vETH").mark * 60 // 100)
    world.execute(ADMIN, curie_calls.pause_market(market))
    assert life.verdict(wallet).word == "liquidatable"  # in the other market
    short = next(p for p in life.plans_of_kind("long") + life.plans_of_kind("short") if p.market == market)
    assert life.verdict(short.wallet).reason == "CH_MNO"
    assert not any(label.startswith("perp push vBTC") for step in world.run(4) for label in step.refused)
    world.execute(ADMIN, curie_calls.close_market(market, 60_000 * WAD))
    world.execute(wallet, curie_calls.quit_market(life.curie, wallet, market))
    assert list(view_of(life, wallet).positions) in ([], ["vETH"])


def after_some_life(make_world: WorldFactory) -> Hash32:
    world = make_world(wallets=26, seed=6, protocols=("perp-curie",))
    try:
        return world.run(6)[-1].hash
    finally:
        world.stop()


def test_the_same_seed_gives_the_same_chain(make_world: WorldFactory) -> None:
    assert len({after_some_life(make_world) for _ in range(2)}) == 1


def test_a_world_taken_back_lives_the_same_again(world: World, life: CurieLife) -> None:
    snapshot, state = world.snapshot(), life.state
    first = world.run(5)[-1].hash
    assert life.state != state
    world.revert(snapshot)
    assert life.state == state
    assert world.run(5)[-1].hash == first

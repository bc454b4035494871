"""The protocol's own JavaScript library on the same raw state: an independent second opinion."""

from __future__ import annotations

import pytest

from app.domain.account import AccountSnapshot
from app.domain.risk import RiskAssessment, RiskStatus
from app.domain.units import UINT256_MAX, WAD
from app.protocols.morpho_blue.raw import BlueMarket
from app.protocols.morpho_blue.solvency import ORACLE_SCALE
from app.protocols.morpho_blue.terms import holding_of
from devnet.cache import DevnetUnavailable
from devnet.morpho_sdk import evaluate
from devnet.world import World
from tests.fixtures.devnet import WorldFactory
from tests.protocols.morpho_blue.devnet_states import followed_state, keys_of, read_accounts

pytestmark = pytest.mark.devnet

SCRIPT = """(sdk, input) => input.accounts.map((account) => {
  const raw = input.markets[account.market];
  const totals = Object.fromEntries(Object.entries(raw.totals).map(([name, value]) => [name, BigInt(value)]));
  const elapsed = BigInt(input.timestamp) - totals.lastUpdate;
  const { interest, feeShares } = sdk.MarketUtils.getAccruedInterest(BigInt(raw.rate), totals, elapsed);
  const market = new sdk.Market({
    params: { ...raw.params, lltv: BigInt(raw.params.lltv) },
    ...totals,
    totalSupplyAssets: totals.totalSupplyAssets + interest,
    totalBorrowAssets: totals.totalBorrowAssets + interest,
    totalSupplyShares: totals.totalSupplyShares + feeShares,
    lastUpdate: BigInt(input.timestamp),
    price: raw.price === null ? undefined : BigInt(raw.price),
  });
  const position = new sdk.AccrualPosition({
    user: account.wallet,
    supplyShares: BigInt(account.supplyShares),
    borrowShares: BigInt(account.borrowShares),
    collateral: BigInt(account.collateral),
  }, market);
  return {
    supplied: position.supplyAssets,
    borrowed: position.borrowAssets,
    value: position.collateralValue,
    capacity: position.maxBorrowAssets,
    room: position.maxBorrowableAssets,
    factor: position.healthFactor,
    ltv: position.ltv,
    price: position.liquidationPrice,
    healthy: position.isHealthy,
  };
})"""


@pytest.fixture(scope="module")
def world(make_world: WorldFactory) -> World:
    world = make_world(wallets=60, seed=11, protocols=("morpho-blue",))
    for _ in range(6):
        world.step()
    world.set_price("WETH", world.prices()["WETH"] * 97 // 100)
    return world


def described(market: BlueMarket) -> dict[str, object]:
    """A market in the library's own words, all amounts raw."""
    totals = market.totals
    assert totals is not None
    return {
        "params": {
            "loanToken": str(market.params.loan_token),
            "collateralToken": str(market.params.collateral_token),
            "oracle": str(market.params.oracle),
            "irm": str(market.params.irm),
            "lltv": str(market.params.lltv_wad),
        },
        "totals": {
            "totalSupplyAssets": str(totals.supply_assets),
            "totalSupplyShares": str(totals.supply_shares),
            "totalBorrowAssets": str(totals.borrow_assets),
            "totalBorrowShares": str(totals.borrow_shares),
            "lastUpdate": str(totals.updated_at),
            "fee": str(totals.fee_wad),
        },
        "rate": str(market.rate_wad or 0),
        "price": None if market.price is None else str(market.price),
    }


def test_the_protocols_own_library_agrees_to_the_last_unit(world: World) -> None:
    """Exactly, but for two numbers that it defines otherwise.

    Its liquidation price is `borrowed / floor(collateral x lltv)` rounded up: it floors collateral where the contract
    floors its value. So the two differ by at most what one unit of that collateral, and one of value, make of it. What
    may be borrowed leaves out that new shares are rounded up, which takes up to three units more than they are worth.
    """
    state = followed_state(world)
    priced = state.at(world.timestamp, world.block_number)
    accounts = read_accounts(world, state, keys_of(world))
    try:
        answers = evaluate(
            SCRIPT,
            {
                "timestamp": world.timestamp,
                "markets": {unit: described(market) for unit, market in state.raw.markets.items()},
                "accounts": [asked(state.raw.markets[account.key.unit], account) for account in accounts],
            },
        )
    except DevnetUnavailable as reason:
        pytest.skip(str(reason))
    assert isinstance(answers, list)
    statuses, compared = set(), 0
    for account, answer in zip(accounts, answers, strict=True):
        assert isinstance(answer, dict)
        market = state.raw.markets[account.key.unit]
        health, risk = priced.health(account), priced.assess(account)
        holding = holding_of(market, account)
        assert holding is not None
        statuses.add(health.status)
        assert health.debt_value == number(answer["borrowed"])
        if holding.supply_shares:
            supplied = sum(one.supplied_assets for one in risk.positions if not one.is_collateral)
            assert supplied == number(answer["supplied"])
        if holding.collateral:
            assert health.collateral_value == number(answer["value"])
        if health.status is RiskStatus.NO_DEBT:
            assert answer["price"] is None
            continue
        assert (health.status is RiskStatus.HEALTHY) == answer["healthy"]
        assert health.health_factor_wad == number(answer["factor"])
        assert risk.debt_to_collateral_wad is None or risk.debt_to_collateral_wad == number(answer["ltv"])
        room = number(answer["room"])
        assert risk.available_borrows_value is not None
        assert room - 3 <= risk.available_borrows_value <= room
        compare_price(market, holding.collateral, risk, number(answer["price"]))
        compared += 1
    assert statuses == {RiskStatus.NO_DEBT, RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE}
    assert compared > 30


def compare_price(market: BlueMarket, collateral: int, risk: RiskAssessment, theirs: int) -> None:
    """Ours is the last price at which the contract calls the account unhealthy, theirs the first it is safe at."""
    power = collateral * market.params.lltv_wad // WAD
    found = next((one.liquidation_price for one in risk.positions if one.liquidation_price is not None), None)
    if found is None or not power:
        assert not power or theirs == UINT256_MAX or not market.price
        return
    assert abs(found.price + 1 - theirs) <= ORACLE_SCALE // collateral + theirs // power + 2


def asked(market: BlueMarket, account: AccountSnapshot) -> dict[str, object]:
    holding = holding_of(market, account)
    assert holding is not None
    return {
        "market": market.id,
        "wallet": str(account.key.wallet),
        "supplyShares": str(holding.supply_shares),
        "borrowShares": str(holding.borrow_shares),
        "collateral": str(holding.collateral),
    }


def number(value: object) -> int:
    assert isinstance(value, str), value
    return int(value)

"""Joint moves: where the exact rule turns, and nowhere nearer."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import pytest

from app.domain.account import AccountSnapshot
from app.domain.legs import Factor, Leg
from app.domain.market import Market, ValueUnit
from app.domain.risk import Health, RiskStatus
from app.domain.units import WAD
from app.protocols.aave_v3.priced import AavePrices
from app.protocols.aave_v3.rules import V3_0, V3_6, Rules
from app.protocols.base import PricedState
from app.protocols.registry import adapters
from app.valuation.groups import DEFAULT_GROUPS
from app.valuation.moves import HIGHEST, LOWEST, STEP_WAD, JointMove, joint_moves
from app.valuation.shocks import exponents, prices_of, scaled, with_prices
from tests.protocols.aave_v3.builders import DAI, USDC, WBTC, WETH, Listed, make_state, owed, snapshot, supplied
from tests.valuation.adapters import priced_case

WSTETH = Listed("wsteth", 3600 * 10**8, threshold=8100)
EURS = Listed("eurs", 110_000_000, decimals=2, threshold=7000)
LINK = Listed("link", 15 * 10**8, threshold=7000)
RESERVES = (WETH, WSTETH, WBTC, LINK, USDC, DAI, EURS)
USD8 = ValueUnit("USD", 8, 8)


def turns_at(
    priced: PricedState, account: AccountSnapshot, markets: Mapping[str, Market], unit: ValueUnit, move: JointMove
) -> Callable[[int], bool]:
    """Whether the account is liquidatable at so many millionths, worked out anew."""
    prices = prices_of(priced.assess(account))
    held = {code: markets[code] for code in prices}
    exponent_of = exponents(move.markets, held, unit, measure_moves=move.measure_moves)

    def liquidatable(steps: int) -> bool:
        moved = {
            code: scaled(prices[code], steps * STEP_WAD if exponent > 0 else WAD * 10**6 // steps)
            for code, exponent in exponent_of.items()
        }
        return with_prices(priced, moved).health(account).status is RiskStatus.LIQUIDATABLE

    return liquidatable


def check(
    priced: PricedState, account: AccountSnapshot, markets: Mapping[str, Market], unit: ValueUnit, move: JointMove
) -> int:
    """Hold one answer against the exact rule on a fine ladder from now outward; how many turns it states."""
    liquidatable = turns_at(priced, account, markets, unit, move)
    now = liquidatable(10**6)
    assert now == (priced.health(account).status is RiskStatus.LIQUIDATABLE)
    ends = {-1: LOWEST, 1: HIGHEST}
    for turn in move.turns:
        assert turn.multiplier_wad % STEP_WAD == 0
        steps, away = turn.multiplier_wad // STEP_WAD, 1 if turn.distance_wad > 0 else -1
        assert liquidatable(steps) != now, "turned at the move itself"
        assert liquidatable(steps - away) == now, "and not one millionth nearer"
        assert (turn.turns_to is RiskStatus.LIQUIDATABLE) != now
        ends[away] = steps - away
    for end in ends.values():
        ladder = {10**6 + (end - 10**6) * rung // 25 for rung in range(26)}
        assert all(liquidatable(steps) == now for steps in ladder), "nothing nearer turns it"
    return len(move.turns)


def moves_of(
    priced: PricedState, account: AccountSnapshot, markets: Mapping[str, Market], *, legs: bool = True
) -> tuple[JointMove, ...]:
    factors = {factor.name: factor for factor in priced.factors()} if legs else {}
    found = joint_moves(priced, factors, account, priced.assess(account), markets, USD8, DEFAULT_GROUPS)
    assert found is not None
    return found


@pytest.mark.parametrize("rules", [V3_6, V3_0], ids=["summed threshold", "truncated threshold"])
def test_on_aave_the_verdict_turns_there_and_nowhere_nearer(rules: Rules) -> None:
    chance = random.Random(7)
    state = make_state(*RESERVES, rules=rules)
    priced = state.at(1_750_000_100, 1)
    markets = {market.code: market for market in state.markets()}
    seen = {"fall": 0, "rise": 0, "none": 0, "back": 0}
    for _ in range(60):
        account = random_account(chance)
        if priced.health(account).status not in (RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE):
            continue
        moves = moves_of(priced, account, markets)
        if rules.summed_threshold:
            blind = moves_of(priced, account, markets, legs=False)
            assert blind == moves, "bisection alone finds what the closed form leads to"
        for move in moves:
            check(priced, account, markets, USD8, move)
            assert len(move.turns) <= 1
            for turn in move.turns:
                seen["fall" if turn.distance_wad < 0 else "rise"] += 1
                seen["back"] += turn.turns_to is RiskStatus.HEALTHY
            seen["none"] += not move.turns
    assert min(seen.values()) >= 5, seen


def random_account(chance: random.Random) -> AccountSnapshot:
    """One to three collaterals and one or two debts, anywhere about the line."""
    collaterals = chance.sample(RESERVES, chance.randint(1, 3))
    debts = chance.sample([one for one in RESERVES if one not in collaterals], chance.randint(1, 2))
    worth = sum(_amount(one, 10_000) * (one.price or 0) * one.threshold / 10**one.decimals for one in collaterals) / 1e4
    owing = worth * chance.uniform(0.3, 1.15) / len(debts) / 10**8
    return snapshot(
        *(supplied(one, _amount(one, 10_000)) for one in collaterals),
        *(owed(one, _amount(one, owing)) for one in debts),
    )


def _amount(listed: Listed, dollars: float) -> int:
    return int(dollars * 10**8 / (listed.price or 1) * 10**listed.decimals)


def test_what_a_group_does_is_one_quotient() -> None:
    """20 000 and 18 000 of ETH-like collateral at 83 % and 81 %, 20 000 owed: turns at 20 000 / 31 180."""
    state = make_state(*RESERVES)
    account = snapshot(supplied(WETH, 20 * 10**18 // 3), supplied(WSTETH, 5 * 10**18), owed(USDC, 20_000 * 10**6))
    priced = state.at(1_750_000_000, 1)
    moves = {move.group: move for move in moves_of(priced, account, {m.code: m for m in state.markets()})}
    assert set(moves) == {"eth", "stable", "volatile"}
    assert moves["eth"].markets == tuple(sorted((WETH.code, WSTETH.code)))
    assert moves["eth"].turns == moves["volatile"].turns
    (turn,) = moves["eth"].turns
    assert turn.multiplier_wad == 641_436 * STEP_WAD  # 20 000 / 31 180 = 0.6414368
    (up,) = moves["stable"].turns
    assert up.multiplier_wad == 1_559_000 * STEP_WAD  # 31 180 / 20 000; 20 / 3 WETH are a hair less than 20 000


def test_a_loop_in_one_group_is_not_endangered_by_that_group() -> None:
    state = make_state(*RESERVES)
    account = snapshot(supplied(WSTETH, 10 * 10**18), owed(WETH, 9 * 10**18))
    markets = {market.code: market for market in state.markets()}
    moves = {move.group: move for move in moves_of(state.at(1_750_000_000, 1), account, markets)}
    assert moves["eth"].turns == moves["volatile"].turns == ()


@pytest.mark.parametrize("slug", adapters())
def test_every_adapters_accounts_turn_where_it_is_said(slug: str) -> None:
    case = priced_case(slug)
    stated = turns = 0
    for account in case.accounts:
        assessment = case.priced.assess(account)
        unit = case.state.value_unit(account.key.unit)
        moves = joint_moves(case.priced, case.factors, account, assessment, case.markets, unit, DEFAULT_GROUPS)
        if assessment.status not in (RiskStatus.HEALTHY, RiskStatus.LIQUIDATABLE):
            assert moves is None
            continue
        for move in moves or ():
            stated += 1
            turns += check(case.priced, account, case.markets, unit, move)
    assert turns, f"{stated} moves stated, none of them turns a verdict"


def test_where_the_measure_moves_too_prices_in_it_move_the_other_way() -> None:
    """A loan token that is the measure and falls with its group makes everything outside that group dearer."""
    case = priced_case("morpho-blue")
    account = next(a for a in case.accounts if case.priced.health(a).status is RiskStatus.HEALTHY)
    unit = case.state.value_unit(account.key.unit)
    assert unit.asset is not None
    assessment = case.priced.assess(account)
    collateral = next(p.market for p in assessment.positions if p.is_collateral)
    assert unit.currency is not None
    groups = DEFAULT_GROUPS.with_overrides({"own": [case.markets[collateral].symbol], "measure": [unit.currency]})
    found = joint_moves(case.priced, case.factors, account, assessment, case.markets, unit, groups)
    assert found is not None
    moves = {move.group: move for move in found}
    fall, rise = moves["own"].turns[0], moves["measure"].turns[0]
    assert fall.distance_wad < 0 < rise.distance_wad
    assert fall.multiplier_wad * rise.multiplier_wad == pytest.approx(WAD * WAD, rel=1e-5)
    assert moves["measure"].measure_moves
    assert moves["volatile"].turns == (), "both fall: the price of the one in the other stays"


class _Wrong(PricedState):
    """The same rule, with legs that say ten times the debt."""

    def __init__(self, priced: PricedState) -> None:
        self._priced = priced
        for name in ("health", "assess", "truth", "restoration", "with_price", "factors"):
            setattr(self, name, getattr(priced, name))

    health = assess = truth = restoration = with_price = lambda *_: None  # type: ignore[assignment]

    def legs(self, snapshot: AccountSnapshot) -> tuple[Leg, ...] | None:
        legs = self._priced.legs(snapshot)
        return legs and tuple(leg._replace(requirement=leg.requirement * 10) for leg in legs)


def test_wrong_legs_cost_time_and_change_no_answer() -> None:
    state = make_state(*RESERVES)
    priced = state.at(1_750_000_000, 1)
    account = snapshot(supplied(WETH, 10**18), owed(USDC, 1_000 * 10**6))
    factors: dict[str, Factor] = {factor.name: factor for factor in priced.factors()}
    markets = {market.code: market for market in state.markets()}
    right, wrong = (
        joint_moves(one, factors, account, priced.assess(account), markets, USD8, DEFAULT_GROUPS)
        for one in (priced, _Wrong(priced))
    )
    assert right == wrong
    assert right is not None
    assert right[0].turns


def test_the_closed_form_leads_to_the_turn_in_a_few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(11)
    state = make_state(*RESERVES)
    priced = state.at(1_750_000_000, 1)
    markets = {market.code: market for market in state.markets()}
    accounts = [account for _ in range(40) if priced.legs(account := random_account(chance))]
    looks, plain = [0], AavePrices.health

    def counted(self: AavePrices, account: AccountSnapshot) -> Health:
        looks[0] += 1
        return plain(self, account)

    monkeypatch.setattr(AavePrices, "health", counted)
    turns = sum(len(move.turns) for account in accounts for move in moves_of(priced, account, markets))
    led, looks[0] = looks[0], 0
    for account in accounts:
        moves_of(priced, account, markets, legs=False)
    assert turns > 50
    assert led * 3 < looks[0], f"{led} looks with the closed form, {looks[0]} without"


def test_without_a_known_measure_nothing_is_stated() -> None:
    state = make_state(*RESERVES)
    priced = state.at(1_750_000_000, 1)
    account = snapshot(supplied(WETH, 10**18), owed(USDC, 1_000 * 10**6))
    markets = {market.code: market for market in state.markets()}
    for unit in (ValueUnit(None, 8, 8), ValueUnit("unknown", 8, 8)):
        assert joint_moves(priced, {}, account, priced.assess(account), markets, unit, DEFAULT_GROUPS) is None

"""The account's numbers under each member's rules, against the contracts' formulas written out once more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.account import AccountSnapshot
from app.domain.risk import Direction, RiskStatus
from app.domain.units import WAD
from app.protocols.base import PricedState
from app.protocols.compound_v2.accrual import MAX_RATE, Accrued
from app.protocols.compound_v2.raw import Pool, Raw
from app.protocols.compound_v2.rules import (
    ALL_RULES,
    BENQI,
    COMPOUND,
    MOONWELL,
    VENUS_CORE,
    VENUS_ISOLATED,
    VENUS_ISOLATED_SECONDS,
    Rules,
)
from tests.protocols.compound_v2.builders import (
    BLOCK,
    BTC,
    DAI,
    ETH,
    INDEX,
    NOW,
    USD,
    Listed,
    both,
    make_raw,
    make_state,
    owed,
    snapshot,
    supplied,
)

RICH = st.integers(1, 10**24)
every_rules = pytest.mark.parametrize("rules", ALL_RULES, ids=lambda rules: rules.name)


def priced_under(rules: Rules, elapsed: int = 0, raw: Raw | None = None) -> PricedState:
    return make_state(rules=rules, raw=raw).at(NOW + elapsed, BLOCK + elapsed)


def reference(rules: Rules, account: AccountSnapshot, elapsed: int) -> tuple[int, int]:
    """Collateral as weighed and debt, each market accrued: mulScalarTruncate by mulScalarTruncate."""
    raw, coll, debt = make_raw(rules=rules), 0, 0
    for position in account.positions:
        numbers, words = raw.numbers[position.market], raw.by_code[position.market].words
        price = raw.prices[position.market]
        assert numbers is not None
        assert words is not None
        assert price is not None
        factor = numbers.rate * elapsed
        interest = factor * numbers.borrows // WAD
        borrows = numbers.borrows + interest
        reserves = interest * (WAD // 10) // WAD + numbers.reserves
        index = factor * numbers.borrow_index // WAD + numbers.borrow_index
        rate = (numbers.cash + numbers.extra + borrows - reserves) * WAD // numbers.supply
        weight = words[rules.threshold_word]
        if rules in (VENUS_ISOLATED, VENUS_ISOLATED_SECONDS):
            unit = weight * ((rate * price) // WAD) // WAD
        else:
            unit = ((weight * rate) // WAD) * price // WAD
        coll += unit * position.supplied_raw // WAD
        if position.borrowed_raw:
            principal, since = position.borrowed_raw >> 128, position.borrowed_raw % 2**128
            debt += price * (principal * index // since) // WAD
    return coll, debt


@every_rules
@settings(max_examples=30, deadline=None)
@given(eth=RICH, usd=st.integers(1, 10**12), dai=RICH, since=st.integers(WAD, INDEX), elapsed=st.integers(0, 10**6))
def test_health_is_weighed_collateral_over_debt_with_interest_to_the_block(
    rules: Rules, eth: int, usd: int, dai: int, since: int, elapsed: int
) -> None:
    account = snapshot(supplied(ETH, eth), supplied(USD, usd), owed(DAI, dai, index=since))
    coll, debt = reference(rules, account, elapsed)
    health = priced_under(rules, elapsed).health(account)
    assert health.debt_value == debt
    assert health.health_factor_wad == (coll * WAD // debt if debt else None)
    assert (health.status is RiskStatus.LIQUIDATABLE) == (debt > coll)


def test_the_order_of_products_is_what_tells_isolated_pools_from_the_others() -> None:
    half, rate, price = WAD // 2, 3, WAD * 3 // 2
    weights = {
        rules: Accrued(make_raw(rules=rules), rules, NOW, BLOCK).weight(half, rate, price) for rules in ALL_RULES
    }
    assert {rules for rules, weight in weights.items() if weight == 2} == {VENUS_ISOLATED, VENUS_ISOLATED_SECONDS}
    assert set(weights.values()) == {1, 2}


@pytest.mark.parametrize("rules", [COMPOUND, VENUS_CORE, VENUS_ISOLATED], ids=lambda rules: rules.name)
def test_where_interest_runs_by_blocks_time_alone_changes_nothing(rules: Rules) -> None:
    account = snapshot(supplied(ETH, 10**18), owed(DAI, 10**20))
    state = make_state(rules=rules)
    assert state.at(NOW, BLOCK).health(account) == state.at(NOW + 10**6, BLOCK).health(account)
    assert state.at(NOW, BLOCK).health(account) != state.at(NOW, BLOCK + 10**6).health(account)


@pytest.mark.parametrize("rules", [MOONWELL, BENQI, VENUS_ISOLATED_SECONDS], ids=lambda rules: rules.name)
def test_where_it_runs_by_seconds_blocks_alone_change_nothing(rules: Rules) -> None:
    account = snapshot(supplied(ETH, 10**18), owed(DAI, 10**20))
    state = make_state(rules=rules)
    assert state.at(NOW, BLOCK).health(account) == state.at(NOW, BLOCK + 10**6).health(account)
    assert state.at(NOW, BLOCK).health(account) != state.at(NOW + 10**6, BLOCK).health(account)


def test_the_truth_is_by_stored_numbers_whatever_the_block() -> None:
    account = snapshot(supplied(ETH, 10**18), owed(DAI, 10**20))
    assert priced_under(VENUS_CORE, 10**6).truth(account) == priced_under(VENUS_CORE).truth(account)


def test_interest_is_not_accrued_back() -> None:
    with pytest.raises(ValueError, match="accrued back"):
        make_state().at(NOW, BLOCK - 1).health(snapshot(supplied(ETH, 1)))


def test_a_market_whose_rate_is_beyond_its_cap_keeps_its_stored_numbers() -> None:
    raw = make_raw(replace(DAI, rate=MAX_RATE + 1), ETH)
    account = snapshot(supplied(ETH, 10**18), owed(DAI, 10**20))
    priced = make_state(raw=raw).at(NOW, BLOCK + 10**6)
    assert priced.health(account).debt_value == 10**20
    assert ("liquidation_blocked", DAI.code) in {(r.code, r.market) for r in priced.assess(account).reasons}


def test_what_is_not_entered_is_neither_collateral_nor_can_it_fail() -> None:
    raw = make_raw()
    raw = replace(raw, prices={**raw.prices, BTC.code: None})
    account = snapshot(supplied(ETH, 10**18), supplied(BTC, 10**8, entered=False), owed(USD, 10**9))
    full = make_state(raw=raw).at(NOW, BLOCK).assess(account)
    assert full.status is RiskStatus.HEALTHY
    by_market = {position.market: position for position in full.positions}
    assert (by_market[BTC.code].price, by_market[BTC.code].liquidation_threshold_bps) == (None, 0)
    assert full.collateral_value == by_market[ETH.code].supplied_value


@pytest.mark.parametrize(("rules", "status"), [(VENUS_CORE, RiskStatus.NO_DEBT), (COMPOUND, RiskStatus.UNKNOWN)])
@pytest.mark.parametrize("price", [0, None])
def test_an_empty_entered_market_without_price_fails_all_but_venus_core(
    rules: Rules, status: RiskStatus, price: int | None
) -> None:
    raw = make_raw(rules=rules)
    raw = replace(raw, prices={**raw.prices, BTC.code: price})
    account = snapshot(supplied(ETH, 10**18), replace(supplied(BTC, 0), is_collateral=True))
    priced = make_state(rules=rules, raw=raw).at(NOW, BLOCK)
    assert priced.health(account).status is priced.assess(account).status is status
    assert (priced.truth(account) is None) == (status is RiskStatus.UNKNOWN)


def test_a_market_taken_off_the_list_counts_no_longer() -> None:
    raw = make_raw()
    listings = tuple(
        replace(one, words=(0, *one.words[1:])) if one.code == ETH.code and one.words else one for one in raw.listings
    )
    account = snapshot(supplied(ETH, 10**18), supplied(BTC, 10**8), owed(USD, 10**9))
    before, after = (make_state(raw=r).at(NOW, BLOCK).health(account) for r in (raw, replace(raw, listings=listings)))
    assert before.collateral_value is not None
    assert after.collateral_value is not None
    assert before.collateral_value - after.collateral_value == pytest.approx(3000 * WAD, rel=1e-6)


def pool(*, active: bool, falls_back: bool, listed: bool) -> Pool:
    special = (int(listed), 90 * WAD // 100, 0, 93 * WAD // 100, 0, 1, 1)
    return Pool(active, falls_back, {m.code: special if m is ETH else (0,) * 7 for m in (ETH, BTC, USD, DAI)})


@pytest.mark.parametrize(
    ("chosen", "eth", "btc"),
    [
        (pool(active=True, falls_back=True, listed=True), 9300, 7500),
        (pool(active=True, falls_back=False, listed=True), 9300, 0),
        (pool(active=True, falls_back=True, listed=False), 8000, 7500),
        (pool(active=False, falls_back=False, listed=True), 8000, 7500),
    ],
)
def test_a_pool_has_its_own_terms_and_falls_back_as_it_says(chosen: Pool, eth: int, btc: int) -> None:
    raw = make_raw(pools={1: chosen})
    account = snapshot(supplied(ETH, 10**18), supplied(BTC, 10**8), owed(USD, 10**9), pool=1)
    full = make_state(raw=raw).at(NOW, BLOCK).assess(account)
    thresholds = {position.market: position.liquidation_threshold_bps for position in full.positions}
    assert (thresholds[ETH.code], thresholds[BTC.code]) == (eth, btc)
    assert "emode" in {reason.code for reason in full.reasons}


def test_minted_vai_counts_as_debt_with_interest_on_what_was_minted() -> None:
    raw = replace(make_raw(), vai_index=WAD * 3 // 2)
    account = snapshot(supplied(ETH, 10**18), vai=(1000 * WAD, 100 * WAD, WAD))
    priced = make_state(raw=raw).at(NOW, BLOCK)
    assert priced.health(account).debt_value == 1000 * WAD + 450 * WAD
    assert "minted_debt" in {reason.code for reason in priced.assess(account).reasons}
    blind = make_state(raw=replace(raw, vai_index=None)).at(NOW, BLOCK)
    assert blind.health(account).status is blind.assess(account).status is RiskStatus.UNKNOWN
    assert blind.truth(account) is None


@every_rules
@settings(max_examples=25, deadline=None)
@given(
    market=st.sampled_from([ETH, BTC, USD, DAI]),
    amount=st.integers(10**5, 10**20),
    debt=st.integers(1, 10**12),
    same=st.booleans(),
    elapsed=st.integers(0, 10**5),
)
def test_the_verdict_turns_at_the_liquidation_price(
    rules: Rules, market: Listed, amount: int, debt: int, same: bool, elapsed: int
) -> None:
    first = both(market, amount, amount // 3 + 1) if same else supplied(market, amount)
    rest = [owed(USD if market is not USD else DAI, debt), supplied(BTC if market is not BTC else ETH, 10**6)]
    account = snapshot(first, *rest)
    priced = priced_under(rules, elapsed)
    now = priced.health(account).status
    for position in priced.assess(account).positions:
        found = position.liquidation_price
        if found is None:
            continue
        safe = found.price + (1 if found.direction is Direction.FALL else -1)
        assert priced.with_price(found.market, found.price).health(account).status is RiskStatus.LIQUIDATABLE
        if safe:
            assert priced.with_price(found.market, safe).health(account).status is not RiskStatus.LIQUIDATABLE
        assert position.price is not None
        towards = found.price < position.price
        if now is RiskStatus.HEALTHY and found.price != position.price:
            assert towards == (found.direction is Direction.FALL)


@every_rules
@settings(max_examples=25, deadline=None)
@given(amount=st.integers(10**16, 10**21), share=st.integers(1, 200), target=st.integers(WAD, 3 * WAD))
def test_a_remedy_reaches_the_target_and_one_unit_less_does_not(
    rules: Rules, amount: int, share: int, target: int
) -> None:
    debt = amount * 3000 * share // 100
    account = snapshot(supplied(ETH, amount), supplied(BTC, 1), owed(DAI, debt))
    priced = priced_under(rules, 50)
    factor = priced.health(account).health_factor_wad
    offered = priced.restoration(account, target)
    assert bool(offered.add_collateral) == (factor is not None and factor < target)
    raw = make_raw(rules=rules)
    numbers = raw.numbers[DAI.code]
    assert numbers is not None
    index = numbers.rate * 50 * numbers.borrow_index // WAD + numbers.borrow_index
    owed_now = debt * index // INDEX
    for remedy in offered.repay:
        for less, reached in ((0, True), (1, False)):
            left = owed(DAI, owed_now - remedy.assets + less, index=index)
            after = snapshot(supplied(ETH, amount), supplied(BTC, 1), left)
            health = priced.health(after).health_factor_wad
            assert (health is None or health >= target) == reached

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from app.domain.account import AccountSnapshot
from app.errors import Fatal
from app.protocols.aave_v3 import ADAPTER
from app.protocols.aave_v3.raw import EMode, Price, Raw
from app.protocols.aave_v3.rules import ALL_RULES, Rules
from tests.protocols.aave_v3.builders import DEPLOYMENT, USDC, WBTC, WETH, make_raw, make_state
from tests.protocols.aave_v3.strategies import situations


@settings(max_examples=40, deadline=None)
@given(situation=situations())
def test_a_state_comes_back_equal_from_its_records(situation: tuple[Raw, AccountSnapshot, int]) -> None:
    state = make_state(raw=situation[0])
    assert ADAPTER.restore_state(DEPLOYMENT, state.markets(), state.records()) == state


@pytest.mark.parametrize("rules", ALL_RULES, ids=lambda rules: rules.name)
@pytest.mark.parametrize(("samples", "matches"), [(None, 0), (0, 0), (20, 20), (20, 3)])
def test_the_rules_and_how_they_were_confirmed_come_back(rules: Rules, samples: int | None, matches: int) -> None:
    state = make_state(rules=rules, samples=samples, matches=matches)
    back = ADAPTER.restore_state(DEPLOYMENT, state.markets(), state.records())
    assert back == state
    assert back.confirmed_samples == (None if matches != (samples or 0) else samples)


def test_what_could_not_be_read_comes_back_as_unread() -> None:
    base = make_raw(WETH, USDC, emodes={3: EMode(None, None, None)})
    unread = replace(
        base,
        reserves=tuple(replace(reserve, word=None, source=None, grace_until=None) for reserve in base.reserves),
        indices={WETH.code: None, USDC.code: base.indices[USDC.code]},
        prices={WETH.code: Price(None, None), USDC.code: Price(1, None)},
    )
    state = make_state(raw=unread)
    assert ADAPTER.restore_state(DEPLOYMENT, state.markets(), state.records()) == state


def test_only_the_records_of_what_moved_change() -> None:
    before = make_state()
    after = make_state(replace(WETH, price=1), WBTC, USDC, raw=None)
    same = make_state(WETH, WBTC, USDC)
    changed = set(after.records()) - set(same.records())
    assert [(record.kind, record.subject) for record in changed] == [("price", WETH.code)]
    assert {record.kind for record in before.records()} >= {"roots", "listing", "rules", "config", "index", "price"}


def test_old_records_of_what_is_no_longer_listed_are_passed_over() -> None:
    before, after = make_state(WETH, WBTC, USDC), make_state(WETH, WBTC)
    newest = {(record.kind, record.subject): record for record in (*before.records(), *after.records())}
    assert ADAPTER.restore_state(DEPLOYMENT, before.markets(), list(newest.values())) == after


@pytest.mark.parametrize("kind", ["roots", "listing", "rules", "sentinel", "emodes", "index", "price"])
def test_records_with_a_part_missing_are_refused(kind: str) -> None:
    state = make_state()
    records = [record for record in state.records() if record.kind != kind]
    with pytest.raises(Fatal, match="aave-v3-test"):
        ADAPTER.restore_state(DEPLOYMENT, state.markets(), records)


def test_records_of_another_shape_are_refused() -> None:
    state = make_state()
    for position, record in enumerate(state.records()):
        if record.kind in ("emodes", "listing"):
            continue
        records = list(state.records())
        records[position] = replace(record, values=(*record.values, 1))
        with pytest.raises(Fatal, match="not complete Aave V3 records"):
            ADAPTER.restore_state(DEPLOYMENT, state.markets(), records)


def test_a_market_that_is_not_described_is_refused() -> None:
    state = make_state()
    with pytest.raises(Fatal):
        ADAPTER.restore_state(DEPLOYMENT, state.markets()[1:], state.records())


def test_rules_nobody_knows_are_refused() -> None:
    state = make_state()
    records = [replace(r, values=(999, *r.values[1:])) if r.kind == "rules" else r for r in state.records()]
    with pytest.raises(Fatal, match="no rules have the code 999"):
        ADAPTER.restore_state(DEPLOYMENT, state.markets(), records)

"""Changes no log tells of: when they are suspected, and of whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from app.domain.chain import Hash32, Log
from app.protocols.compound_v3.events import ABSORB_DEBT, SUPPLY, SUPPLY_COLLATERAL, TRANSFER, WITHDRAW
from app.protocols.compound_v3.raw import Totals
from app.protocols.compound_v3.state import CometState
from tests.protocols.compound_v3.builders import DEPLOYMENT, WETH, Listed, make_raw, snapshot

STATE = CometState(DEPLOYMENT, make_raw())


def with_totals(**changes: int) -> CometState:
    totals = STATE.raw.totals
    assert totals is not None
    return replace(STATE, raw=replace(STATE.raw, totals=replace(totals, **changes)))


def accrued() -> int:
    totals = STATE.raw.totals
    assert isinstance(totals, Totals)
    return totals.accrued_at


A, B, C = (Hash32(bytes([number]).rjust(32, b"\0")) for number in (1, 2, 3))
NOBODY = Hash32(bytes(32))


def log(kind: Hash32, *topics: Hash32, amount: int = 0, transaction: int = 1) -> Log:
    in_it = Hash32(bytes([transaction] * 32))
    return Log(DEPLOYMENT.address, (kind, *topics), amount.to_bytes(32), 1, NOBODY, in_it, 0)


SUPPLIED = (log(SUPPLY, A, B, amount=500), log(TRANSFER, NOBODY, B, amount=499))
REPAID = (log(SUPPLY, A, B, amount=500),)
WITHDRAWN = (log(WITHDRAW, A, B, amount=500), log(TRANSFER, A, NOBODY, amount=500))
ABSORBED = (log(ABSORB_DEBT, A, B), log(TRANSFER, NOBODY, B, amount=7))
BETWEEN_SUPPLIES = (log(TRANSFER, A, NOBODY, amount=500), log(TRANSFER, NOBODY, B, amount=499))
MOVED_COLLATERAL = (log(SUPPLY_COLLATERAL, A, B, C, amount=5),)


def test_an_accrual_that_no_log_explains_is_suspicious() -> None:
    logs: Sequence[Log] | None
    later = with_totals(accrued_at=accrued() + 12)
    for logs in (None, (), MOVED_COLLATERAL):
        assert later.may_have_changed_unseen(STATE, logs=logs)
    for logs in (SUPPLIED, REPAID, WITHDRAWN, ABSORBED, BETWEEN_SUPPLIES, (*SUPPLIED, *MOVED_COLLATERAL)):
        assert not later.may_have_changed_unseen(STATE, logs=logs)


@pytest.mark.parametrize(
    "logs",
    [
        pytest.param((log(TRANSFER, NOBODY, B, amount=500),), id="out of a debt"),
        pytest.param((log(TRANSFER, A, NOBODY, amount=500),), id="into a debt"),
        pytest.param((*SUPPLIED, log(TRANSFER, NOBODY, B, amount=500)), id="after a supply of the same wallet"),
        pytest.param((*REPAID, log(TRANSFER, NOBODY, B, amount=5, transaction=2)), id="beside another's repayment"),
        pytest.param(
            (log(TRANSFER, A, NOBODY, amount=500), log(TRANSFER, NOBODY, B, amount=300)), id="partly into a debt"
        ),
        pytest.param(
            (log(TRANSFER, A, NOBODY, amount=5), log(TRANSFER, NOBODY, B, amount=5, transaction=2)), id="two halves"
        ),
    ],
)
def test_half_a_transfer_is_suspicious_even_in_the_second_of_an_earlier_accrual(logs: tuple[Log, ...]) -> None:
    assert STATE.may_have_changed_unseen(STATE, logs=logs)


@pytest.mark.parametrize("logs", [None, (), SUPPLIED, BETWEEN_SUPPLIES])
def test_without_an_accrual_nothing_can_have_changed(logs: tuple[Log, ...] | None) -> None:
    assert not with_totals(pause_flags=1).may_have_changed_unseen(STATE, logs=logs)


@pytest.mark.parametrize("logs", [None, SUPPLIED])
def test_books_that_could_not_be_read_exclude_nothing(logs: tuple[Log, ...] | None) -> None:
    unread = replace(STATE, raw=replace(STATE.raw, totals=None))
    assert unread.may_have_changed_unseen(STATE, logs=logs)
    assert STATE.may_have_changed_unseen(unread, logs=logs)


@pytest.mark.parametrize(
    ("principal", "collateral", "expected"),
    [
        (-1_000, {WETH: 10**18}, True),
        (-1_000, {}, True),
        (0, {WETH: 10**18}, True),
        (5_000, {}, False),
        (5_000, {WETH: 10**18}, False),
        (0, {}, False),
    ],
)
def test_only_who_owes_or_could_borrow_can_change_unseen(
    principal: int, collateral: dict[Listed, int], expected: bool
) -> None:
    assert STATE.may_change_unseen(snapshot(principal, collateral)) is expected

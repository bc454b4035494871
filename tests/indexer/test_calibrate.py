"""When rounding rules are compared with the contract, and on which accounts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.account import AccountKey, AccountSnapshot, AccountState, LendingPosition, Unreadable
from app.indexer.block.calibrate import choose_sample, wants_calibration
from tests.fakes.protocol import ToyState, toy_deployment
from tests.indexer.model import address

UNCHECKED = ToyState(toy_deployment(), {}, {}, {})


def account(name: str, *, borrowed: int = 1) -> AccountSnapshot:
    position = LendingPosition("m", 5, borrowed, True)
    return AccountSnapshot(AccountKey("toy-devnet", address(name)), 1, (position,), ())


def wants(state: ToyState, *, rules_touched: bool = False, rhythm: bool = False, read: list[AccountState]) -> bool:
    return wants_calibration(
        state.confirmed_samples, rules_touched=rules_touched, passed_rhythm=rhythm, just_read=read, wanted=20
    )


@pytest.mark.parametrize(
    ("samples", "matches", "rules_touched", "rhythm", "borrower", "expected"),
    [
        (0, 0, False, False, False, False),
        (0, 0, False, False, True, True),
        (0, 0, False, True, False, True),
        (3, 3, False, False, True, False),
        (3, 3, False, True, False, True),
        (20, 20, False, True, True, False),
        (20, 20, True, False, False, True),
        (3, 2, False, False, True, True),
    ],
)
def test_rules_are_compared_when_new_when_few_accounts_confirm_them_and_when_they_failed(
    samples: int, matches: int, rules_touched: bool, rhythm: bool, borrower: bool, expected: bool
) -> None:
    state = replace(UNCHECKED, samples=samples, matches=matches)
    read: list[AccountState] = [account("a", borrowed=int(borrower))]
    assert wants(state, rules_touched=rules_touched, rhythm=rhythm, read=read) is expected


def test_a_sample_holds_borrowers_only() -> None:
    broken = Unreadable(AccountKey("toy-devnet", address("c")), 1, "reverted")
    assert choose_sample([account("a"), account("b", borrowed=0), broken], 5) == [account("a").key]


def test_a_sample_is_bounded_and_the_same_in_any_order() -> None:
    accounts = [account(str(number)) for number in range(50)]
    sample = choose_sample(accounts, 20)
    assert len(sample) == len(set(sample)) == 20
    assert choose_sample(accounts[::-1], 20) == sample

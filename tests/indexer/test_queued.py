"""What a search has queued it does not queue again, until it may have to."""

from __future__ import annotations

import pytest

from app.domain.account import AccountKey
from app.domain.batch import DueAccount, ScanRange
from app.domain.chain import Address
from app.indexer.between import queued
from app.indexer.between.queued import QueuedAccounts

SCAN = ScanRange("toy", 1, 100)


def due(number: int, *markets: str) -> DueAccount:
    return DueAccount(AccountKey("toy", Address(number.to_bytes(20, "big"))), frozenset(markets))


def test_an_account_is_queued_once_while_its_scan_goes_on() -> None:
    known = QueuedAccounts()
    known.note(SCAN, [due(1), due(2)])
    assert known.unknown(ScanRange("toy", 51, 100), [due(1), due(3)]) == [due(3)]


def test_a_market_it_was_not_queued_with_queues_it_again() -> None:
    known = QueuedAccounts()
    known.note(SCAN, [due(1, "one")])
    assert known.unknown(SCAN, [due(1, "two")]) == [due(1, "two")]
    known.note(SCAN, [due(1, "two")])
    assert known.unknown(SCAN, [due(1, "one", "two"), due(1)]) == []


def test_another_scan_queues_it_again() -> None:
    """It may have been read between the two: at a block below what the other one searches."""
    known = QueuedAccounts()
    known.note(SCAN, [due(1)])
    assert known.unknown(ScanRange("toy", 101, 200), [due(1)]) == [due(1)]
    assert known.unknown(ScanRange("other", 1, 100), [due(1)]) == [due(1)]


def test_nothing_is_known_after_forgetting() -> None:
    known = QueuedAccounts()
    known.note(SCAN, [due(1)])
    known.forget()
    assert known.unknown(SCAN, [due(1)]) == [due(1)]


def test_no_more_are_remembered_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queued, "_MOST", 3)
    known = QueuedAccounts()
    known.note(SCAN, [due(1), due(2)])
    known.note(ScanRange("toy", 101, 200), [due(3), due(4)])
    assert known.unknown(SCAN, [due(1)]) == [due(1)]
    assert known.unknown(ScanRange("toy", 101, 200), [due(4)]) == []

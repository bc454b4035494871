"""Who is in the book, and where: account keys to rows of buckets and back."""

from __future__ import annotations

from collections import deque
from collections.abc import ItemsView, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from app.domain.account import AccountKey
from app.domain.market import ValueUnit
from app.domain.units import BPS
from app.valuation.book.arrays import Floats, Indices, grown
from app.valuation.book.bucket import Bucket, Debt, Shape, Supply, width

WHOLE_BPS = 1e-6
"""How far from a whole number of bps a threshold may be and still be meant as that number: floats are off by 1e-11."""

REMEMBERED_ARRIVALS = 65_536
"""So many numbers given out last are known: whoever asks more rarely has to look at everybody."""


class Ledger(NamedTuple):
    """What may be added up: accounts of one deployment that are counted in the same unit."""

    deployment_id: str
    unit: ValueUnit


class StaleScreen(Exception):
    """The book's accounts have changed since this screen was made: its rows may be other accounts' by now."""


def has_one_threshold(supplies: Sequence[Supply]) -> bool:
    """Whether all collateral carries the same whole number of bps, so that truncating their average changes nothing."""
    thresholds = set()
    for _, collateral, capacity in supplies:
        if not collateral:
            if capacity:
                return False
            continue
        threshold = capacity / collateral * BPS
        if abs(threshold - round(threshold)) > WHOLE_BPS:
            return False
        thresholds.add(round(threshold))
    return len(thresholds) <= 1


def shape_of(supplies: Sequence[Supply], debts: Sequence[Debt], *, truncates: bool) -> Shape:
    """The bucket an account belongs to."""
    is_truncated = truncates and bool(debts) and not has_one_threshold(supplies)
    return Shape(width(len(supplies)), width(len(debts)), is_truncated)


class Population:
    """Accounts by number; a number is free again once its account is removed."""

    def __init__(self) -> None:
        self.buckets: list[Bucket] = []
        self.ledgers: list[Ledger] = []
        self.version = 0
        """Raised by every change of who is where."""
        self.arrivals = 0
        """How many numbers were ever given out."""
        self._bucket_by_shape: dict[Shape, int] = {}
        self._ledger_numbers: dict[Ledger, int] = {}
        self._numbers: dict[AccountKey, int] = {}
        self._keys: list[AccountKey | None] = []
        self._free: list[int] = []
        self._arrived: deque[int] = deque(maxlen=REMEMBERED_ARRIVALS)
        self._bucket_of: Indices = np.zeros(0, np.int32)
        self._row_of: Indices = np.zeros(0, np.int32)

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, key: AccountKey) -> bool:
        return key in self._numbers

    def __iter__(self) -> Iterator[AccountKey]:
        return iter(self._numbers)

    def items(self) -> ItemsView[AccountKey, int]:
        """Every account with its number."""
        return self._numbers.items()

    def arrived_since(self, arrivals: int) -> list[int] | None:
        """The numbers given out since there were so many `arrivals`; None where that is too long ago to know."""
        count = self.arrivals - arrivals
        return None if count > len(self._arrived) else list(islice(reversed(self._arrived), count))

    def holder(self, number: int) -> AccountKey | None:
        """Whose number it is now; None while it is free."""
        return self._keys[number]

    def places_of(self, numbers: Indices) -> tuple[Indices, Indices]:
        """Bucket and row of each of these numbers; row -1 of those that are free."""
        return self._bucket_of[numbers], self._row_of[numbers]

    @property
    def nbytes(self) -> int:
        """Of the arrays; keys and the dict over them are not counted."""
        return sum(bucket.nbytes for bucket in self.buckets) + self._bucket_of.nbytes + self._row_of.nbytes

    @property
    def ledger_steps(self) -> Floats:
        """By ledger: the smallest value that is counted in it."""
        return np.array([10.0**-ledger.unit.decimals for ledger in self.ledgers])

    def key(self, number: int) -> AccountKey:
        """Whose number it is."""
        key = self._keys[number]
        assert key is not None
        return key

    def place(self, key: AccountKey) -> tuple[Bucket, int]:
        """Bucket and row.

        Raises:
            KeyError: not in the book.
        """
        number = self._numbers[key]
        return self.buckets[self._bucket_of[number]], int(self._row_of[number])

    def bucket(self, shape: Shape) -> tuple[int, Bucket]:
        """The bucket of this shape, made if need be, and its number."""
        number = self._bucket_by_shape.get(shape)
        if number is None:
            number = self._bucket_by_shape[shape] = len(self.buckets)
            self.buckets.append(Bucket(shape))
        return number, self.buckets[number]

    def ledger_number(self, ledger: Ledger) -> int:
        """Its number, given out in order of appearance."""
        number = self._ledger_numbers.get(ledger)
        if number is None:
            number = self._ledger_numbers[ledger] = len(self.ledgers)
            self.ledgers.append(ledger)
        return number

    def put(
        self, key: AccountKey, shape: Shape, ledger: int, supplies: Sequence[Supply], debts: Sequence[Debt]
    ) -> None:
        """Add or overwrite one account."""
        self.version += 1
        target, bucket = self.bucket(shape)
        number = self._numbers.get(key)
        if number is not None and self._bucket_of[number] == target:
            bucket.write(int(self._row_of[number]), number, ledger, supplies, debts)
            return
        if number is None:
            number = self._new_number(key)
        else:
            self._vacate(number)
        self._bucket_of[number] = target
        self._row_of[number] = bucket.append(number, ledger, supplies, debts)

    def number_all(self, keys: Sequence[AccountKey]) -> Indices:
        """New numbers for accounts that are not in the book; `settle` says where they are.

        Raises:
            ValueError: a key twice, or in the book already. Nothing was changed then.
        """
        first = len(self._keys)
        # hashing keys is most of the time of loading, and updating a dict by a dict does not do it again
        numbers = dict(zip(keys, range(first, first + len(keys)), strict=True))
        if len(numbers) != len(keys) or (self._numbers and not self._numbers.keys().isdisjoint(numbers)):
            raise ValueError("an account twice; those that are in the book are to be set, not loaded")
        self.version += 1
        self._keys.extend(keys)
        self._numbers.update(numbers)
        self._note_arrivals(range(first, first + len(keys)))
        self._reserve(len(self._keys))
        return np.arange(first, first + len(keys), dtype=np.int32)

    def settle(self, numbers: Indices, bucket: int, first_row: int) -> None:
        """These accounts are in consecutive rows of that bucket."""
        self._bucket_of[numbers] = bucket
        self._row_of[numbers] = np.arange(first_row, first_row + numbers.size)

    def drop(self, key: AccountKey) -> bool:
        """Remove one account; whether it was there."""
        number = self._numbers.pop(key, None)
        if number is None:
            return False
        self.version += 1
        self._vacate(number)
        self._row_of[number] = -1
        self._keys[number] = None
        self._free.append(number)
        return True

    def _new_number(self, key: AccountKey) -> int:
        if self._free:
            number = self._free.pop()
            self._keys[number] = key
        else:
            number = len(self._keys)
            self._keys.append(key)
            self._reserve(number + 1)
        self._numbers[key] = number
        self._note_arrivals((number,))
        return number

    def _note_arrivals(self, numbers: Sequence[int]) -> None:
        self.arrivals += len(numbers)
        self._arrived.extend(numbers[-REMEMBERED_ARRIVALS:])

    def _reserve(self, numbers: int) -> None:
        if numbers > self._row_of.size:
            room = max(numbers, self._row_of.size * 3 // 2, 16)
            self._bucket_of, self._row_of = grown(self._bucket_of, room), grown(self._row_of, room)

    def _vacate(self, number: int) -> None:
        row = int(self._row_of[number])
        moved = self.buckets[self._bucket_of[number]].remove(row)
        if moved is not None:
            self._row_of[moved] = row

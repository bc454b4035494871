"""The accounts of the book by how they are valued: in columns, by the exact rule alone, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.book.kept import KeptDeployment, factor_steps
from app.domain.account import AccountKey, AccountSnapshot, AccountState, Unreadable
from app.domain.legs import Leg
from app.domain.market import ValueUnit
from app.valuation.assess import NO_UNIT
from app.valuation.book import Book

_WATCHED_ROUNDS = 3
"""Readings after which the state of an account that was confirmed and no longer needs to be is let go."""


@dataclass(slots=True)
class _Watched:
    snapshot: AccountSnapshot
    read_in: int


class KeptAccounts:
    """Every account of a chain, filed. Changes are not undone when one fails: then it is to be filled anew."""

    def __init__(self) -> None:
        self.book = Book()
        self.exact_only: dict[AccountKey, AccountSnapshot] = {}
        """Readable accounts without legs: the exact rule is asked about each at every block."""
        self.unreadable: set[AccountKey] = set()
        """In the book as not known."""
        self.exposed: set[AccountKey] = set()
        """In the book, with something that could be liquidated."""
        self._watched: dict[AccountKey, _Watched] = {}
        self._round = 0

    def __len__(self) -> int:
        return len(self.book) + len(self.exact_only)

    def __contains__(self, key: AccountKey) -> bool:
        return key in self.book or key in self.exact_only

    def keys_of(self, deployment_id: str) -> set[AccountKey]:
        """All accounts of one deployment."""
        found = {key for key in self.book if key.deployment_id == deployment_id}
        return found | {key for key in self.exact_only if key.deployment_id == deployment_id}

    def price(self, kept: KeptDeployment) -> None:
        """State a deployment's factors; nothing of it is known while it cannot be valued.

        Raises:
            ValueError: factors that are no finite numbers, or named twice.
        """
        name = kept.deployment.id
        if kept.state is None or kept.unvalued is not None:
            unit = NO_UNIT if kept.state is None else kept.state.state.value_unit("")
            truncates = kept.state is not None and kept.state.priced.truncates_threshold
            self.book.declare(name, unit, truncates_threshold=truncates)
            self.book.set_factors(name, ())
            return
        truncates = kept.state.priced.truncates_threshold
        self.book.declare(name, kept.state.state.value_unit(""), truncates_threshold=truncates)
        self.book.set_factors(name, kept.factors, factor_steps(kept.state, kept.factors))

    def put(self, kept: KeptDeployment, account: AccountState) -> None:
        """File one account as it is now, in place of what was filed of it. Its deployment has been priced.

        Raises:
            ValueError: its legs are no finite numbers.
        """
        key = account.key
        self._watched.pop(key, None)
        if isinstance(account, Unreadable) or kept.state is None:
            self.exact_only.pop(key, None)
            self.exposed.discard(key)
            self.unreadable.add(key)
            self.book.set_account(key, None)
            return
        self.unreadable.discard(key)
        legs = kept.state.priced.legs(account)
        if legs is None:
            self.book.remove_account(key)
            self.exposed.discard(key)
            self.exact_only[key] = account
            return
        self.exact_only.pop(key, None)
        self.book.set_account(key, legs, kept.state.state.value_unit(key.unit))
        self._note_exposure(key, legs)

    def fill(self, kept: KeptDeployment, accounts: Iterable[AccountState]) -> None:
        """File all accounts of a deployment of which none is here."""
        if kept.state is None:
            for account in accounts:
                self.put(kept, account)
            return
        by_unit: dict[ValueUnit, list[tuple[AccountKey, Sequence[Leg]]]] = {}
        for account in accounts:
            legs = None if isinstance(account, Unreadable) else kept.state.priced.legs(account)
            if legs is None:
                self.put(kept, account)
                continue
            by_unit.setdefault(kept.state.state.value_unit(account.key.unit), []).append((account.key, legs))
            self._note_exposure(account.key, legs)
        name, truncates = kept.deployment.id, kept.state.priced.truncates_threshold
        for unit, found in by_unit.items():
            self.book.declare(name, unit, truncates_threshold=truncates)
            self.book.load(name, found)
        self.book.declare(name, kept.state.state.value_unit(""), truncates_threshold=truncates)

    def remove(self, key: AccountKey) -> None:
        """Forget one account, if it is here."""
        self.book.remove_account(key)
        self.exact_only.pop(key, None)
        self.exposed.discard(key)
        self.unreadable.discard(key)
        self._watched.pop(key, None)

    def watched(self, key: AccountKey) -> AccountSnapshot | None:
        """The state of an account that is confirmed again and again."""
        found = self._watched.get(key)
        if found is None:
            return None
        found.read_in = self._round
        return found.snapshot

    def watch(self, snapshots: Iterable[AccountSnapshot]) -> None:
        """Keep these states for the readings to come."""
        for snapshot in snapshots:
            self._watched[snapshot.key] = _Watched(snapshot, self._round)

    def end_round(self) -> None:
        """A reading is done: whoever was not asked about for some of them is no longer watched."""
        self._round += 1
        oldest = self._round - _WATCHED_ROUNDS
        for key in [key for key, one in self._watched.items() if one.read_in < oldest]:
            del self._watched[key]

    def _note_exposure(self, key: AccountKey, legs: Sequence[Leg]) -> None:
        if any(leg.requirement for leg in legs):
            self.exposed.add(key)
        else:
            self.exposed.discard(key)

"""Accounts whose raw state can change with no log naming them: which they are, and when each is read again.

Everything here follows from the chain and the stored states alone, never from when a process started: a restart reads
what an uninterrupted run would have.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.protocols.base import DeploymentState


@dataclass(frozen=True, slots=True)
class Unlogged:
    """Such accounts of one deployment, by their newest stored states. Empty for protocols whose logs tell all."""

    moving: frozenset[AccountKey] = frozenset()
    """They change by themselves: read at every block that is stored."""
    suspects: frozenset[AccountKey] = frozenset()
    """They are read at once when the deployment may have changed unseen."""
    places: Mapping[int, frozenset[AccountKey]] = field(default_factory=dict)
    """Every stored account of a deployment that can change unseen, by its place in the round (`place_of`)."""

    def renewed(self, state: DeploymentState, read: Sequence[AccountState], round_blocks: int) -> Unlogged:
        """With the accounts just read, as `state` sees them. One that could not be read is left to its retry."""
        if not read or not is_watched(state):
            return self
        moving, suspects, places = set(self.moving), set(self.suspects), dict(self.places)
        for account in read:
            key = account.key
            known = account if isinstance(account, AccountSnapshot) else None
            _keep(moving, key, wanted=known is not None and state.accounts_move and state.moves_by_itself(known))
            if state.accounts_change_unseen:
                _keep(suspects, key, wanted=known is not None and state.may_change_unseen(known))
                place = place_of(key, round_blocks)
                if key not in places.get(place, ()):
                    places[place] = places.get(place, frozenset()) | {key}
        return Unlogged(frozenset(moving), frozenset(suspects), places)

    def in_turn(self, before: int, now: int, round_blocks: int) -> Iterator[AccountKey]:
        """The accounts whose turn in the slow round is in blocks (before, now], each once, always in one order."""
        for number in range(max(before + 1, now - round_blocks + 1), now + 1):
            yield from sorted(self.places.get(number % round_blocks, ()))


NOBODY = Unlogged()
"""Of a deployment whose logs tell all, or that was never read."""


def is_watched(state: DeploymentState) -> bool:
    """Whether anything in a deployment can change without a log."""
    return state.accounts_move or state.accounts_change_unseen


def place_of(key: AccountKey, round_blocks: int) -> int:
    """Where in a round of so many blocks the account is read: evenly spread, and the same for everybody."""
    return zlib.crc32(bytes(key.wallet) + key.unit.encode()) % round_blocks


def _keep(keys: set[AccountKey], key: AccountKey, *, wanted: bool) -> None:
    if wanted:
        keys.add(key)
    else:
        keys.discard(key)

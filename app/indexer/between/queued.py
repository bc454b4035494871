"""Accounts that searches have queued already: most logs of a busy deployment are about accounts seen before."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.account import AccountKey
from app.domain.batch import DueAccount, ScanRange

_MOST = 50_000
"""Accounts remembered; then it begins anew. Some 0.2 kB each."""


class QueuedAccounts:
    """What this process has queued for scans, so that it is queued once.

    Once is enough: queued accounts are read at a block above all that their scan searches, so what later logs of it
    say is in that reading too. To be forgotten when stored blocks are dropped, and after any failure.
    """

    def __init__(self) -> None:
        self._markets: dict[tuple[str, int], dict[AccountKey, frozenset[str]]] = {}
        """Markets each account was queued with, by the scan's deployment and last block."""

    def unknown(self, scan: ScanRange, found: Sequence[DueAccount]) -> list[DueAccount]:
        """Those of `found` that the scan did not queue yet with these markets."""
        queued = self._markets.get((scan.deployment_id, scan.to_block), {})
        return [one for one in found if (markets := queued.get(one.key)) is None or not one.markets <= markets]

    def note(self, scan: ScanRange, due: Sequence[DueAccount]) -> None:
        """They are queued: to be said after the commit."""
        if sum(map(len, self._markets.values())) + len(due) > _MOST:
            self.forget()
        queued = self._markets.setdefault((scan.deployment_id, scan.to_block), {})
        for one in due:
            queued[one.key] = queued.get(one.key, frozenset()) | one.markets

    def forget(self) -> None:
        """Remember nobody."""
        self._markets.clear()

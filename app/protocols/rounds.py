"""What read plans of every protocol share: asking several calls at once, and saying how one failed."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.chain import Address, CallResult, ContractCall, Returned


class Round:
    """One round of a read plan: calls are asked for, sent together, and answered by the tickets handed out."""

    __slots__ = ("_results", "calls")

    def __init__(self) -> None:
        self.calls: list[ContractCall] = []
        self._results: Sequence[CallResult] = ()

    def ask(self, target: Address, data: bytes) -> int:
        """Add a call; the number returned fetches its answer."""
        self.calls.append(ContractCall(target, data))
        return len(self.calls) - 1

    def answer(self, results: Sequence[CallResult]) -> None:
        """Take the results of `calls`, in order."""
        if len(results) != len(self.calls):
            raise ValueError(f"{len(self.calls)} calls were answered by {len(results)} results")
        self._results = results

    def __getitem__(self, ticket: int) -> CallResult:
        return self._results[ticket]


def describe(result: CallResult) -> str:
    """How a read failed, for people."""
    if isinstance(result, Returned):
        return f"answered {len(result.data)} bytes of another shape"
    return f"reverted{f' (0x{result.data[:4].hex()})' if result.data else ''}"

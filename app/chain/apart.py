"""Calls that spoil the request they are in, and what is known of them: bounded, and only as long as they do.

Multicall3 hands each call all but a 64th of the gas that is left. One contract that burns what it is given starves
every call after it, and one that answers with megabytes makes the whole answer too large. Contracts that anybody may
deploy do such things on purpose, so a call that did is asked in a request of its own from then on, with little gas.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from app.domain.chain import Address, CallResult, ContractCall, Returned, Reverted

LONE_GAS: Final = 10_000_000
"""Gas of a request about one call that is kept apart. A price costs 0.05 to 1 million, a whole account in dozens of
markets some 4; a transaction on Ethereum may not spend more than 16.8 million (EIP-7825), all its work included."""
MOST_LONE: Final = 128
"""So many calls kept apart are asked in one run; the rest are refused, so that no crowd of them stops a block."""
METER_GAS: Final = 3_037_000
"""What `METER` costs: so much gas was left when a request's calls were done, if it succeeds at their end."""
METER: Final = ContractCall(Address(bytes(19) + b"\x08"), bytes(192 * 88))
"""The pairing precompile given 88 pairs of points at infinity: a fixed price since Istanbul (EIP-1108: 45,000 and
34,000 a pair), and no work for the node."""
MAX_RESULT_BYTES: Final = 2**16
"""A longer answer of one call is refused: nothing this project reads is a tenth of it."""
MOST_APART: Final = 4096
_RELEASED_AFTER: Final = 1024
"""Good answers in a row after which a call is asked with others again."""

REFUSED: Final = Reverted(b"")
"""What a call gives that fails with the gas it is allowed, or answers with more than is taken: no answer."""


class Apart:
    """The calls asked by themselves; the one found longest ago is forgotten when there are too many."""

    def __init__(self, most: int = MOST_APART) -> None:
        self._most = most
        self._good: dict[ContractCall, int] = {}

    def __len__(self) -> int:
        return len(self._good)

    def __contains__(self, call: object) -> bool:
        return call in self._good

    def chosen(self, calls: Iterable[ContractCall], most: int) -> set[ContractCall]:
        """Those of `calls` to be asked where there is not room for all: they answered well most often in a row."""
        return set(sorted(calls, key=lambda call: -self._good.get(call, 0))[:most])

    def add(self, call: ContractCall) -> None:
        """From now on `call` is asked by itself."""
        self._good.pop(call, None)
        while len(self._good) >= self._most:
            del self._good[next(iter(self._good))]
        self._good[call] = 0

    def note(self, call: ContractCall, result: CallResult) -> None:
        """What it answered by itself. After many good answers in a row it may go with others again."""
        good = self._good.get(call)
        if good is None:
            return
        self._good[call] = 0 if is_doubtful(result) else good + 1
        if self._good[call] >= _RELEASED_AFTER:
            del self._good[call]


def is_doubtful(result: CallResult) -> bool:
    """Whether a result out of a shared request may say nothing of its call: a revert without data is also what
    running dry looks like when the calls before it used up the gas, and an answer may be too long."""
    if type(result) is Returned:
        return len(result.data) > MAX_RESULT_BYTES
    return not result.data or len(result.data) > MAX_RESULT_BYTES


def bounded(result: CallResult) -> CallResult:
    """The result, or a refusal of one that is too long."""
    return REFUSED if len(result.data) > MAX_RESULT_BYTES else result

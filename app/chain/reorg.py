"""Where a new head belongs in what is stored: the decision alone, nothing is changed here.

Everything near the head is proven by hashes: the head's ancestors are fetched by parent hash, never by number,
so answers of two backends that disagree cannot be mixed into one chain. Only blocks buried deeper than the
finality depth below the head are looked up by number.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from app.chain.wire import Header
from app.domain.chain import BlockRef, Hash32

FetchHeader: TypeAlias = Callable[[int | Hash32], Awaitable[Header | None]]


@dataclass(frozen=True, slots=True)
class Same:
    """The head is the newest stored block."""


@dataclass(frozen=True, slots=True)
class Next:
    """The head's parent is the newest stored block, or nothing is stored yet: append it."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The head descends from the newest stored block with blocks between them: `from_block` to `to_block`, inclusive.

    The head itself is not among them.
    """

    from_block: int
    to_block: int


@dataclass(frozen=True, slots=True)
class Behind:
    """This head gives no reason to act: the node lags, or could not show how the head hangs together. Wait."""


@dataclass(frozen=True, slots=True)
class Forked:
    """Stored blocks were replaced. Drop all above `ancestor`, then place the head again."""

    ancestor: BlockRef | None
    """Newest stored block that the head descends from; None if every stored block was replaced."""


@dataclass(frozen=True, slots=True)
class TooDeep:
    """More blocks were replaced than the chain's finality allows: not followed, a person has to look."""

    depth: int
    """Stored height proven to be replaced, in blocks, counted from the newest stored block."""


Placement: TypeAlias = Same | Next | Gap | Behind | Forked | TooDeep


async def locate(
    fetch_header: FetchHeader, head: BlockRef, stored: Sequence[BlockRef], finality_depth: int
) -> Placement:
    """Place `head` among the stored blocks.

    Args:
        fetch_header: A header by number or hash; None if the node does not have it. What it raises passes through.
        head: A block the node announced as its newest.
        stored: Stored blocks, newest first, gaps allowed: all there are, or at least `finality_depth` + 1.
        finality_depth: Deepest reorg that is followed, in blocks.
    """
    if not stored:
        return Next()
    tip = stored[0]
    if head.hash == tip.hash:
        return Same()
    if head.parent_hash == tip.hash:
        return Next()
    line = _Ancestry(fetch_header, head, finality_depth)
    replaced: BlockRef | None = None  # the lowest stored block known to be off the head's line
    for block in stored:
        if block.number > head.number:
            continue
        found = await line.at(block.number)
        if found is None:
            return Behind()
        if found == block.hash:
            return _attached(head, tip, block, replaced)
        replaced = block
        depth = tip.number - replaced.number + 1
        if depth > finality_depth:
            return TooDeep(depth)
    # a head below everything stored contradicts nothing
    return Behind() if replaced is None else Forked(None)


def _attached(head: BlockRef, tip: BlockRef, ancestor: BlockRef, replaced: BlockRef | None) -> Placement:
    """The placement, knowing the newest stored block at or below the head that the head descends from."""
    if replaced is not None:
        return Forked(ancestor)
    if ancestor.hash == tip.hash:
        return Gap(tip.number + 1, head.number - 1)
    # the head is lower than the newest stored block and nothing stored contradicts it
    return Behind()


class _Ancestry:
    """Hashes of the head's ancestors, fetched as far down as they are asked for."""

    def __init__(self, fetch_header: FetchHeader, head: BlockRef, finality_depth: int) -> None:
        self._fetch = fetch_header
        self._head = head
        self._lowest = head
        self._by_hash_down_to = head.number - finality_depth - 1

    async def at(self, number: int) -> Hash32 | None:
        """The hash of the head's ancestor at `number` (numbers must not rise from call to call); None if unknown."""
        if number < self._by_hash_down_to:
            header = await self._fetch(number)
            return header.block.hash if header else None
        while self._lowest.number > number + 1:
            header = await self._fetch(self._lowest.parent_hash)
            if header is None or header.block.number != self._lowest.number - 1:
                return None
            self._lowest = header.block
        return self._lowest.hash if self._lowest.number == number else self._lowest.parent_hash

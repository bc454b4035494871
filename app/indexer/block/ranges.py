"""Which blocks' logs a harvest searches for each deployment, and which it leaves to the search between blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.domain.batch import ScanRange
from app.domain.chain import BlockRef
from app.indexer.block.harvest import Followed


@dataclass(frozen=True, slots=True)
class LogRanges:
    """Ranges that end with one block."""

    block: BlockRef
    cursor: BlockRef | None
    """The newest stored block; None before the first."""
    jump: bool
    """The gap from there is too long to search at once."""
    most_blocks: int
    """The longest range that is searched at once for a deployment that was set aside."""
    followed: Mapping[str, Followed]

    def first_block(self, name: str) -> int | None:
        """The first block to search for a deployment; None when scans have to."""
        if self.cursor is None or self.jump:
            return None
        trouble = self.followed[name].trouble
        if trouble is None:
            return self.cursor.number + 1
        missed = self.block.number - trouble.since_block + 1
        return trouble.since_block if missed <= self.most_blocks else None

    def together(self, names: Iterable[str]) -> dict[int, list[str]]:
        """The deployments to be searched, by the first block of the range they share."""
        found: dict[int, list[str]] = {}
        for name in names:
            if (first := self.first_block(name)) is not None:
                found.setdefault(first, []).append(name)
        return found

    def are_by_number(self, names: Iterable[str]) -> bool:
        """Whether logs of more than this one block were asked for: then by number, not by hash."""
        return any(first != self.block.number for first in self.together(names))

    def left(self, names: Iterable[str]) -> list[ScanRange]:
        """Blocks up to this one whose logs nobody has searched: all of a new deployment, a gap that is too long."""
        ranges = []
        for name in names:
            one = self.followed[name]
            if one.state is None:
                first = one.deployment.start_block
            elif self.cursor is None or self.first_block(name) is not None:
                continue
            else:
                first = one.trouble.since_block if one.trouble is not None else self.cursor.number + 1
            if first <= self.block.number:
                ranges.append(ScanRange(name, first, self.block.number))
        return ranges

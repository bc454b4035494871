"""How many accounts a block has room for besides those it must read: as many as can be read in a given time."""

from __future__ import annotations

from app.indexer.options import IndexerOptions

_STEEPEST = 8
"""No block has room for more than so many times what the one before had: the first ones tell little."""


class AccountPace:
    """Room for accounts, learned from the blocks that used all of it."""

    def __init__(self, options: IndexerOptions, block_seconds: float) -> None:
        """`block_seconds`: from one block that is stored to the next."""
        self._least = options.due_per_block
        self._most = max(options.due_per_block, options.due_most_per_block)
        self._seconds = max(options.due_seconds, options.due_share * block_seconds)
        self.accounts = options.due_per_block
        """So many fit into the next block."""
        self._is_used_up = False

    def note_used_up(self) -> None:
        """The block being read had no room left: how long it takes says something."""
        self._is_used_up = True

    def note_block(self, seconds: float) -> None:
        """A block has been read and stored in so much time."""
        used_up, self._is_used_up = self._is_used_up, False
        if used_up:
            fitting = self.accounts * min(_STEEPEST, self._seconds / max(seconds, 1e-6))
            self.accounts = max(self._least, min(self._most, int(fitting)))

"""Bounds and rhythms of the monitor."""

from __future__ import annotations

from dataclasses import dataclass

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class MonitorOptions:
    """What can be set about it."""

    board_lines: int = 500
    """Accounts on the board; every liquidatable one is on it, however many there are."""
    unknown_lines: int = 100
    """Of them, at most so many that are unknown."""
    explained_changes: int = 2_000
    """Changes of status of one block that are given the contract's own health factor."""
    snapshot_seconds: int = 3_600
    """Rhythm of snapshots and of totals that are stored whether they moved or not, by the blocks' own time."""
    totals_seconds: int = 60
    """Between two rows of totals in which no status changed, at least."""
    totals_move: float = 0.001
    """By what share a sum has to have moved for such a row."""
    retention_seconds: int = 90 * DAY_SECONDS
    """Age at which snapshots are deleted."""
    forget_blocks: int = 2_000
    """Blocks whose snapshots are looked for at a time, after a block."""
    forget_rows: int = 5_000
    """Snapshots deleted at a time."""
    poll_seconds: float = 5.0
    """How often the store is looked at when nothing was heard."""
    standby_seconds: float = 1.0
    """How often a second monitor tries to become the first."""
    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 10.0

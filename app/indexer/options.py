"""How an indexer paces itself. Every amount of work has a bound here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IndexerOptions:
    """Bounds and rhythms. Counts are blocks or accounts; times are seconds."""

    refresh_blocks: int = 100
    """The whole configuration is read again whenever a multiple of this block number is passed; a deployment that was
    set aside is tried again then at the latest."""
    calibrate_blocks: int = 100
    """Rules not yet confirmed on enough accounts are compared again whenever a multiple of this is passed."""
    calibration_accounts: int = 20
    """Accounts a comparison wants; rules confirmed on this many are not compared again until they change."""
    due_per_block: int = 500
    due_most_per_block: int = 10_000
    """Accounts that one block reads besides those its logs touched: found by scans, unreadable before, or such as may
    have changed without a log. The first is what every block has room for; while more wait, the room grows towards
    what can be read in the time below, up to the second."""
    due_seconds: float = 0.5
    due_share: float = 0.25
    """How long a block should take that reads more than that: so many seconds, or this share of the time until the
    next block is due where that is longer."""
    retry_unreadable_blocks: int = 20
    """An unreadable account is read again this many blocks later, or as soon as a log touches it."""
    reread_seconds: int = 3_600
    """Every stored account of a deployment that can change without a log is read once in so much of the chain's time,
    a few at each block, whatever else is known of it."""
    search_at_once_blocks: int = 10_000
    """Longest gap whose logs are searched together with the block that ends it; so many blocks' accounts are then
    right at once. Beyond it the gap is searched between blocks."""
    scan_seconds: float = 0.5
    """How long the node should take to gather one range's logs, and we to look at them and store what they say: the
    range grows and shrinks towards this, but not below the first. A live block waits for the second only."""
    scan_first_blocks: int = 200
    scan_most_blocks: int = 50_000
    """First and largest range of one log search."""
    scan_most_logs: int = 20_000
    """A range that had more logs is followed by a shorter one, however quick it was: logs of two are held at once."""
    audit_accounts: int = 0
    """How many stored accounts one audit reads again to hold them against the chain. 0: no audit."""
    audit_seconds: float = 10.0
    """Chain time from one audit to the next, at least; each is made at the newest stored block."""
    audit_keep_seconds: int = 7 * 86_400
    """How long audits and repaired findings are kept, and so what their figures are about."""
    lookups_per_block: int = 20
    """Wallets somebody asked about that are looked up between two blocks, each in every deployment that has it so."""
    retention_seconds: int | None = None
    """How long history is kept, by block times. None: all of it."""
    thin_every_seconds: int = 3_600
    """Chain time from one pass over the history to the next."""
    thin_seconds: float = 0.05
    """How long dropping old history may go on at a time before the next block is looked for."""
    heartbeat_seconds: float = 5.0
    """The status row is written at least this often, so that silence means the indexer is gone."""
    standby_seconds: float = 1.0
    """How often a second instance asks whether the first is gone."""
    finality_seconds: float = 12.0
    """How often the node is asked for its safe and finalized blocks."""
    first_pause_seconds: float = 0.25
    longest_pause_seconds: float = 10.0
    """Pauses after failures double from the first to the longest."""

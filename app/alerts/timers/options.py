"""Bounds and rhythms of what is done by the clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.domain.chain import ChainId


@dataclass(frozen=True, slots=True)
class TimerOptions:
    """What can be set about it."""

    chain_ids: frozenset[ChainId] = frozenset()
    """The chains that must be current. Empty: every chain that was ever followed."""
    blind_warning_seconds: int = 120
    """Of the rule every list has: so long without current data is worth a warning."""
    blind_critical_seconds: int = 600
    evaluation_seconds: int = 60
    """How far the evaluation of rules may stay behind before it counts as blindness."""
    heartbeat_urls: tuple[str, ...] = field(default=(), repr=False)
    """Fetched as long as all is well. Secret."""
    heartbeat_seconds: int = 60
    check_seconds: int = 5
    """How often it is looked whether something is due."""
    concerned_seconds: int = 60
    """How often it is looked whose members have accounts in a deployment that is set aside."""
    reminders_at_once: int = 100
    """Of one route, at one time."""
    told_seconds: int = 365 * 86_400
    """How long messages and episodes that are over are kept."""
    changed_seconds: int = 1095 * 86_400
    """How long the log of changes is kept."""
    forget_every_seconds: int = 6 * 3_600
    """From one pass over what may be forgotten to the next."""
    forget_seconds: float = 0.2
    """How long it may go on at a time."""
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 30.0

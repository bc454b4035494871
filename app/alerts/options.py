"""Bounds and rhythms of whoever sends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DispatchOptions:
    """What can be set about it."""

    at_once_in_all: int = 64
    """Messages that are under way at once."""
    per_channel: int = 8
    """Messages of one channel that are claimed together."""
    at_once: int = 4
    """Messages that are under way to one channel at once; those of one episode go one after the other."""
    lease_seconds: int = 60
    """How long a claim holds: what a killed process held is sent by another after that."""
    send_seconds: int = 16
    """A try is not begun when less of the lease is left."""
    longest_sleep_seconds: float = 5.0
    """How often the outbox is looked at when nothing was heard."""
    settle_tries: int = 3
    """How often what came of a try is written, where the database fails: else the message is sent again."""
    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 10.0

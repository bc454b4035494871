"""How current what is known of a chain is, for one list: what rules of blindness and the heartbeat measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.alerts.timers.options import TimerOptions
from app.domain.chain import ChainId
from app.domain.watch import ChainSubject, Measured, Metric, Rule, Severity
from app.store.blocks import StoredBlock
from app.store.chains import ChainStatus
from app.store.sightings import UNSEEN, Sighting
from app.store.staleness import age_seconds, clock_behind_seconds, stale_reason
from app.store.watch.timers import BUILT_IN, Evaluated, FollowedList


@dataclass(frozen=True, slots=True)
class SetAside:
    """A deployment that is not read, though it should be."""

    name: str
    reason: str
    read_until: int | None
    """Timestamp of the newest block it was read at; None: of none that is stored."""
    watchlist_ids: frozenset[int]
    """The lists that have a member with an account there."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What there is of one chain."""

    chain_id: ChainId
    status: ChainStatus | None
    head: StoredBlock | None
    evaluated: Evaluated | None
    behind_since: int
    """When it was first seen that the newest block was not evaluated; now, where it is."""
    set_aside: tuple[SetAside, ...] = ()
    seen: Sighting = UNSEEN
    """What this process knows by having looked before."""

    def stale_reason(self, now: int) -> str | None:
        """Why it is no ground for "now"; None when it is."""
        return stale_reason(self.chain_id, self.status, self.head, now, self.seen)


def measure(sight: Sight, of: FollowedList, options: TimerOptions, now: int) -> Measured:
    """Seconds since this chain's data was last current for this list, with the worst reason; 0 where it is.

    The board of risky accounts does not count: nothing that is alerted rests on it.
    """
    seconds, cause, reason = max(_troubles(sight, of, options, now), default=(0, "", ""))
    inputs: dict[str, str | int | None] = {"chain_id": sight.chain_id}
    if sight.head is not None:
        inputs |= {
            "newest_block": sight.head.ref.number,
            "newest_block_timestamp": sight.head.ref.timestamp,
        }
    if cause:
        inputs |= {"cause": cause, "reason": reason}
    return Measured(ChainSubject(sight.chain_id), max(0, seconds), inputs)


def is_current(sight: Sight, options: TimerOptions, now: int) -> bool:
    """Whether a chain is read and evaluated as it should be: what a heartbeat vouches for."""
    if sight.stale_reason(now) is not None:
        return False
    return _behind_seconds(sight, 0, now) <= options.evaluation_seconds


def rules_of(watched: FollowedList, chain_id: ChainId, options: TimerOptions) -> list[Rule]:
    """The list's own rules of blindness for a chain, else the one that every list has."""
    own = [rule for rule in watched.blind_rules if rule.chain_id in (None, chain_id)]
    return own or [built_in_rule(watched.id, options)]


def built_in_rule(watchlist_id: int, options: TimerOptions) -> Rule:
    """Ends only when the data is current again."""
    levels = {Severity.WARNING: options.blind_warning_seconds, Severity.CRITICAL: options.blind_critical_seconds}
    return Rule(BUILT_IN, watchlist_id, "blind", Metric.BLIND, levels, clear_at=1)


def chains_of(watched: FollowedList, required: frozenset[ChainId]) -> frozenset[ChainId]:
    """The chains a list needs to see: those its members are on, or all where they are everywhere or there are none."""
    named = watched.chain_ids | {rule.chain_id for rule in watched.blind_rules if rule.chain_id is not None}
    return named | required if watched.is_everywhere or not watched.chain_ids else named


def _troubles(sight: Sight, of: FollowedList, options: TimerOptions, now: int) -> Iterator[tuple[int, str, str]]:
    """(seconds since it was well, what is at fault, why) of everything that is not as it should be."""
    stale = sight.stale_reason(now)
    if stale is not None:
        behind = 0 if sight.status is None else clock_behind_seconds(sight.status, now, sight.seen)
        age = now - of.created_at if sight.head is None else age_seconds(sight.head, now, sight.seen)
        yield max(behind, age), "chain", stale
    behind = _behind_seconds(sight, of.created_at, now)
    if behind > options.evaluation_seconds:
        yield behind, "evaluation", "blocks are stored, but the rules are not evaluated at them"
    for one in sight.set_aside:
        if of.id in one.watchlist_ids:
            last = of.created_at if one.read_until is None else one.read_until
            yield now - last, "deployment", f"{one.name} is set aside: {one.reason}"


def _behind_seconds(sight: Sight, since: int, now: int) -> int:
    """How long the rules have not been evaluated at the newest block; not counted from before `since`."""
    if sight.head is None or (sight.evaluated is not None and sight.evaluated.block_id == sight.head.id):
        return 0
    last = sight.behind_since if sight.evaluated is None else sight.evaluated.at
    return max(0, now - max(last, since))


def by_chain(sights: Mapping[ChainId, Sight], chain_id: ChainId, now: int) -> Sight:
    """What there is of a chain, also of one nobody knows."""
    return sights.get(chain_id) or Sight(chain_id, None, None, None, now)

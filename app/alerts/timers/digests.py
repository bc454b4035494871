"""Once a local day, for routes that ask for it: how a list stands. The text is for people, the numbers for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.alerts.timers.looking import Looking
from app.alerts.timers.options import TimerOptions
from app.alerts.timers.sight import Sight, by_chain, chains_of
from app.domain.chain import ChainId
from app.domain.rules import format_value
from app.domain.specs import chain_spec
from app.domain.watch import EpisodeState, Metric, Severity
from app.store.postgres.engine import Database
from app.store.postgres.session import ReadSession
from app.store.staleness import age_seconds
from app.store.watch.channels import Route, load_routes
from app.store.watch.digests import OTHER, ListSums, WorstAccount, load_list_sums
from app.store.watch.episodes import Episode, load_episodes
from app.store.watch.outbox import NewMessage, new_message_id, store_messages
from app.store.watch.timers import FollowedList, load_known_keys
from app.watch.messages import subject_body, timestamp_text
from app.watch.quiet import local_day
from app.watch.words import shown, subject_words

DAY_SECONDS = 86_400
_SEEN_SECONDS = 2 * 3_600
_OPEN_LISTED = 10
_OPEN_MOST = 1_000


class Digests:
    """Writes the day's digests."""

    def __init__(self, database: Database, options: TimerOptions, looking: Looking) -> None:
        self._database = database
        self._options = options
        self._looking = looking

    async def run(self, now: int) -> int:
        """Write the digests that are due and not written; how many there were. Two at once write one.

        Raises:
            Retryable: the database failed.
        """
        async with self._database.read() as session:
            due = {digest_key(route, now): route for route in await load_routes(session) if _is_due(route, now)}
            if not due:
                return 0
            known = await load_known_keys(session, sorted(due))
            missing = {key: route for key, route in due.items() if key not in known}
            if not missing:
                return 0
            _, lists = await self._looking.lists(session)
            by_id = {one.id: one for one in lists}
            sights = await self._looking.sights(session, now)
            required = await self._looking.required(session)
            messages: list[NewMessage] = []
            for key, route in missing.items():
                watched = by_id.get(route.watchlist_id)
                if watched is not None:
                    chains = [by_chain(sights, one, now) for one in sorted(chains_of(watched, required))]
                    messages.append(await _digest(session, key, route, watched, chains, now))
        if not messages:
            return 0
        async with self._database.write() as write:
            return await store_messages(write, messages, now)


def digest_key(route: Route, now: int) -> str:
    """One digest a route and local day."""
    return f"digest:{route.id}:{local_day(route.timezone, now)[0]}"


def _is_due(route: Route, now: int) -> bool:
    return route.digest_minute is not None and local_day(route.timezone, now)[1] >= route.digest_minute


async def _digest(
    session: ReadSession, key: str, route: Route, watched: FollowedList, chains: Sequence[Sight], now: int
) -> NewMessage:
    sums = await load_list_sums(session, watched.id, since=now - DAY_SECONDS, seen_after=now - _SEEN_SECONDS)
    standing = await load_episodes(session, watchlist_id=watched.id, state=EpisodeState.OPEN, limit=_OPEN_MOST)
    told = sorted((one for one in standing if not one.is_muted), key=lambda one: (-one.severity, one.opened_at))
    severity = max((one.severity for one in told), default=Severity.INFO)
    body = digest_body(watched.name, sums, told, chains, now)
    return NewMessage(new_message_id(), route.channel_id, None, "digest", key, severity, body, now)


def digest_body(
    watchlist: str, sums: ListSums, standing: Sequence[Episode], chains: Sequence[Sight], now: int
) -> dict[str, object]:
    """The body of a digest. Numbers are exact decimal strings."""
    stale = {one.chain_id: one.stale_reason(now) for one in chains}
    return {
        "type": "digest",
        "timestamp": timestamp_text(now),
        "data": {
            "watchlist": watchlist,
            "members": sums.members,
            "accounts": sum(sums.by_status.values()),
            "by_status": sums.by_status,
            "worst": [_account_body(one) for one in sums.worst],
            "open": [_episode_body(one) for one in standing[:_OPEN_LISTED]],
            "open_count": len(standing),
            "cleared_count": sums.ended,
            "chains": [_chain_body(one, stale[one.chain_id]) for one in chains],
            "text": "\n".join(_lines(sums, standing, chains, stale, now)),
        },
    }


def _lines(
    sums: ListSums,
    standing: Sequence[Episode],
    chains: Sequence[Sight],
    stale: Mapping[ChainId, str | None],
    now: int,
) -> list[str]:
    statuses = ", ".join(f"{count:,} {_status_words(name)}" for name, count in sorted(sums.by_status.items()))
    lines = [
        f"{sums.members:,} {'wallet' if sums.members == 1 else 'wallets'}, {sum(sums.by_status.values()):,} accounts"
        + (f": {statuses}" if statuses else ""),
        f"{len(standing):,} open {'episode' if len(standing) == 1 else 'episodes'}, {sums.ended:,} cleared in a day",
    ]
    lines += [
        f"- {one.severity.name.lower()}: {subject_words(one.subject, one.chain_id)} ({one.rule_name})"
        for one in standing[:_OPEN_LISTED]
    ]
    if sums.worst:
        lines.append("Closest to liquidation:")
        lines += [f"- {_worst_words(one)}" for one in sums.worst]
    for one in chains:
        name, reason = chain_spec(one.chain_id).name, stale[one.chain_id]
        if reason is not None:
            lines.append(f"{name}: NOT CURRENT, {reason}")
        elif one.head is not None:
            lines.append(f"{name}: block {one.head.ref.number}, {age_seconds(one.head, now, one.seen)} s old")
    return lines


def _status_words(name: str) -> str:
    return "without debt or not known" if name == OTHER else name.replace("_", " ")


def _worst_words(one: WorstAccount) -> str:
    who = subject_words(one.key, one.chain_id, place=one.name)
    used = None if one.utilization_wad is None else shown(Metric.UTILIZATION, one.utilization_wad)
    factor = None if one.health_factor_wad is None else shown(Metric.HEALTH_FACTOR, one.health_factor_wad)
    parts = [one.status if one.status == "liquidatable" else ""]
    parts += [f"{used} of the limit used" if used else "", f"health factor {factor}" if factor else ""]
    return f"{who}: {', '.join(part for part in parts if part)}"


def _account_body(one: WorstAccount) -> dict[str, object]:
    return {
        "subject": subject_body(one.key, one.chain_id),
        "status": one.status,
        "health_factor": format_value(Metric.HEALTH_FACTOR, one.health_factor_wad),
        "utilization": format_value(Metric.UTILIZATION, one.utilization_wad),
    }


def _episode_body(one: Episode) -> dict[str, object]:
    return {
        "id": one.id,
        "rule": one.rule_name,
        "metric": one.metric.value,
        "severity": one.severity.name.lower(),
        "opened_at": one.opened_at,
        "acknowledged_at": one.acknowledged_at,
        "subject": subject_body(one.subject, one.chain_id),
    }


def _chain_body(one: Sight, stale: str | None) -> dict[str, object]:
    head = None if one.head is None else one.head.ref
    return {
        "chain_id": one.chain_id,
        "block_number": None if head is None else head.number,
        "block_timestamp": None if head is None else head.timestamp,
        "stale_reason": stale,
    }

"""Steps of episodes, written: many at once, each with how its episode stands after it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer, SmallInteger, Text, bindparam, func, select, update
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.chain import ChainId
from app.domain.subjects import subject_to_text, wallet_of
from app.domain.watch import EpisodeEvent, EpisodeState, Metric, Severity, Subject
from app.store.postgres.session import Query, WriteSession
from app.store.postgres.types import copy_text
from app.store.tables.watch import episode_events, episodes
from app.store.watch.episodes import inputs_to_json


@dataclass(frozen=True, slots=True)
class NewEpisode:
    """An episode that begins."""

    watchlist_id: int
    rule_id: int | None
    """None: of the rule every list has without anybody having made it."""
    rule_name: str
    metric: Metric
    subject: Subject


@dataclass(frozen=True, slots=True)
class Entry:
    """An event, and how its episode stands after it."""

    episode: int | NewEpisode
    """The id of one that is there, or what begins with this event."""
    chain_id: ChainId
    event: EpisodeEvent
    block_id: int | None
    """Of the stored block it rests on: when that is gone the event is retracted. None: it rests on none."""
    state: EpisodeState
    severity: Severity
    announced_at: int | None


_MOST = bindparam("most", type_=Integer)
_EPISODE_IDS = Query(
    select(func.nextval(func.pg_get_serial_sequence("episodes", "id"))).select_from(
        func.generate_series(1, _MOST, type_=Integer).alias("n")
    )
)
_EVENT_IDS = Query(
    select(func.nextval(func.pg_get_serial_sequence("episode_events", "id"))).select_from(
        func.generate_series(1, _MOST, type_=Integer).alias("n")
    )
)
_given = (
    func.unnest(
        bindparam("ids", type_=ARRAY(BigInteger)),
        bindparam("states", type_=ARRAY(Text)),
        bindparam("severities", type_=ARRAY(SmallInteger)),
        bindparam("announced", type_=ARRAY(BigInteger)),
        bindparam("closed", type_=ARRAY(BigInteger)),
    )
    .table_valued(
        named("id", BigInteger),
        named("state", Text),
        named("severity", SmallInteger),
        named("announced_at", BigInteger),
        named("closed_at", BigInteger),
        name="given",
    )
    .render_derived()
)
_HOLD = Query(
    select(episodes.c.id)
    .where(episodes.c.id == func.any(bindparam("ids", type_=ARRAY(BigInteger))))
    .order_by(episodes.c.id)
    .with_for_update()
)
_MOVE = Query(
    update(episodes)
    .where(episodes.c.id == _given.c.id)
    .values(
        state=_given.c.state,
        severity=_given.c.severity,
        announced_at=_given.c.announced_at,
        closed_at=_given.c.closed_at,
    )
)
_RETRACT = Query(
    update(episode_events)
    .where(episode_events.c.id == func.any(bindparam("event_ids", type_=ARRAY(BigInteger))))
    .values(retracted_at=bindparam("now", type_=BigInteger))
)
_EPISODE_FIELDS = (
    "id", "watchlist_id", "rule_id", "rule_name", "metric", "chain_id", "subject", "wallet", "state", "severity",
    "opened_at", "announced_at", "closed_at",
)  # fmt: skip
_EVENT_FIELDS = (
    "id", "episode_id", "kind", "severity", "at", "value", "level", "inputs", "chain_id", "block_id", "block_number",
    "block_hash", "block_timestamp",
)  # fmt: skip


async def write_entries(session: WriteSession, entries: Sequence[Entry]) -> list[tuple[int, int]]:
    """Add steps in this order; the ids of each one's episode and event.

    Of several steps of one episode the last says how it stands. Whoever writes holds what decides them: the chain's
    row (`app.store.watch.episode_steps.hold_ground`), or for what rests on no block the episode itself.
    """
    if not entries:
        return []
    begun = [entry for entry in entries if isinstance(entry.episode, NewEpisode)]
    episode_ids = iter([id for (id,) in await session.rows(_EPISODE_IDS, most=len(begun))] if begun else [])
    event_ids = [id for (id,) in await session.rows(_EVENT_IDS, most=len(entries))]
    ids = [
        (entry.episode if isinstance(entry.episode, int) else next(episode_ids), event_id)
        for entry, event_id in zip(entries, event_ids, strict=True)
    ]
    last = {entry.episode: entry for entry in entries if isinstance(entry.episode, int)}
    if last:
        await session.rows(_HOLD, ids=list(last))  # in order, as whoever reminds does: nobody waits for each other
    # Those that end first: of a rule and a subject one episode may be open at any moment.
    for is_open in (False, True):
        await _move(session, {id: one for id, one in last.items() if (one.state is EpisodeState.OPEN) is is_open})
    new = "".join(_episode_line(entry, id) for entry, (id, _) in zip(entries, ids, strict=True))
    if new:
        await session.copy("episodes", _EPISODE_FIELDS, new)
    lines = "".join(_event_line(entry, *both) for entry, both in zip(entries, ids, strict=True))
    await session.copy("episode_events", _EVENT_FIELDS, lines)
    return ids


async def mark_retracted(session: WriteSession, event_ids: Sequence[int], now: int) -> None:
    """Note that the block these events rested on is gone: they count no more."""
    if event_ids:
        await session.run(_RETRACT, event_ids=list(event_ids), now=now)


async def _move(session: WriteSession, last: dict[int, Entry]) -> None:
    if last:
        after = list(last.values())
        await session.run(
            _MOVE,
            ids=list(last),
            states=[one.state.value for one in after],
            severities=[int(one.severity) for one in after],
            announced=[one.announced_at for one in after],
            closed=[None if one.state is EpisodeState.OPEN else one.event.at for one in after],
        )


def _episode_line(entry: Entry, id: int) -> str:
    new = entry.episode
    if isinstance(new, int):
        return ""
    wallet, closed_at = wallet_of(new.subject), None if entry.state is EpisodeState.OPEN else entry.event.at
    return _line(
        id, new.watchlist_id, new.rule_id, new.rule_name, new.metric.value, entry.chain_id,
        subject_to_text(new.subject), wallet, entry.state.value, int(entry.severity), entry.event.at,
        entry.announced_at, closed_at,
    )  # fmt: skip


def _event_line(entry: Entry, episode_id: int, event_id: int) -> str:
    event, block = entry.event, entry.event.block
    inputs = json.dumps(inputs_to_json(event.inputs), ensure_ascii=False)
    return _line(
        event_id, episode_id, event.kind.value, int(event.severity), event.at, event.value, event.level, inputs,
        entry.chain_id, entry.block_id, *(() if block is None else (block.number, block.hash, block.timestamp)),
        *((None,) * 3 if block is None else ()),
    )  # fmt: skip


def _line(*values: str | int | bytes | None) -> str:
    return "\t".join(map(_field, values)) + "\n"


def _field(value: str | int | bytes | None) -> str:
    """A value as COPY takes it."""
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    return copy_text(value) if isinstance(value, str) else str(value)

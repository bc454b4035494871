"""Forgetting what was told long ago: messages with their tries, episodes that are over, lines of the log of changes.

An episode goes whole or not at all, and only when nothing can need it any more: it ended before the limit, whatever was
to be told of it was told or called off before the limit, and every step that stands rests on a block that is stored and
final, so that none is still to be taken back. Open episodes stay with all their messages; so does one with a message
that waits, or that could not be delivered and may be replayed. Cool-downs look back less far than the shortest limit.

It works through the episodes by their ids, in transactions of a bounded number of rows, and takes only rows that nobody
holds: it waits for nobody. Where it was stopped does not matter: a pass that is begun again finds the less to do.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    cast,
    delete,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.specs import chain_spec
from app.domain.watch import EpisodeState, EventKind
from app.store.postgres.locks import lock_key
from app.store.postgres.session import Query, ReadSession, WriteSession
from app.store.postgres.types import integer_array
from app.store.tables.chain import blocks
from app.store.tables.watch import change_log, episode_events, episodes, outbox, watch_progress

BATCH_ROWS = 500
"""Rows dropped at most of each table in one transaction; a message takes its tries with it."""
_EPISODES = 500
"""Episodes looked at in one."""
SHORTEST_DAYS = 14
"""No limit may be nearer: longer than any cool-down looks back, and than any message is tried."""

_BEFORE = bindparam("before", type_=BigInteger)
_AFTER = bindparam("after", type_=BigInteger)
_UP_TO = bindparam("up_to", type_=BigInteger)
_MOST = literal_column(str(BATCH_ROWS), Integer)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a pass may drop."""

    told_before: int
    """Unix seconds: of episodes that ended and messages that were sent before."""
    changed_before: int
    """Of the log of changes."""
    final: dict[int, int]
    """By chain: the highest block number whose steps nobody will take back. A chain that is not in it has none."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a pass has come."""

    stage: int = 0
    after: int = 0
    """Id of the last episode that was looked at."""


_TURN = Query(select(func.pg_try_advisory_xact_lock(literal(lock_key("forgetting"), BigInteger))))
_CLOCK = Query(select(cast(func.floor(func.extract("epoch", func.clock_timestamp())), BigInteger)))
_EVALUATED = Query(
    # Where the block evaluated last is gone, steps are still to be taken back: nothing of that chain is final.
    select(watch_progress.c.chain_id, watch_progress.c.block_number).join(
        blocks, blocks.c.id == watch_progress.c.block_id
    )
)
_final = (
    func.unnest(bindparam("chain_ids", type_=ARRAY(BigInteger)), bindparam("numbers", type_=ARRAY(BigInteger)))
    .table_valued(named("chain_id", BigInteger), named("number", BigInteger), name="final")
    .render_derived()
)
_step = episode_events.alias("step")
_message = outbox.alias("message")
_may_be_taken_back = (
    select(_step.c.id)
    .where(
        _step.c.episode_id == episodes.c.id,
        _step.c.retracted_at.is_(None),
        _step.c.block_id.is_not(None),
        ~and_(
            select(_final.c.number)
            .where(_final.c.chain_id == _step.c.chain_id, _final.c.number >= _step.c.block_number)
            .exists(),
            select(blocks.c.id).where(blocks.c.id == _step.c.block_id).exists(),
        ),
    )
    .correlate(episodes)
)


_is_told = and_(
    _message.c.state.in_([literal("delivered"), literal("cancelled")]),
    func.coalesce(_message.c.delivered_at, _message.c.created_at) < _BEFORE,
)
_is_untold = (
    select(_message.c.id)
    .select_from(_step.join(_message, _message.c.event_id == _step.c.id))
    .where(_step.c.episode_id == episodes.c.id, ~_is_told)
    .correlate(episodes)
)
_over = (
    select(episodes.c.id)
    .where(
        episodes.c.id > _AFTER,
        episodes.c.id <= _UP_TO,
        episodes.c.state != literal(EpisodeState.OPEN.value),
        episodes.c.closed_at < _BEFORE,
        ~_may_be_taken_back.exists(),
        ~_is_untold.exists(),
    )
    .cte("over")
)
_of_those_over = (
    select(outbox.c.id)
    .select_from(
        _over.join(episode_events, episode_events.c.episode_id == _over.c.id).join(
            outbox, outbox.c.event_id == episode_events.c.id
        )
    )
    .limit(_MOST)
    .with_for_update(of=outbox, skip_locked=True)
)
_has_message = select(_message.c.id).where(_message.c.event_id == episode_events.c.id).exists()
_reminders = (
    # A long episode has very many; of the other steps there are few, and they go with their episode.
    select(episode_events.c.id)
    .select_from(_over.join(episode_events, episode_events.c.episode_id == _over.c.id))
    .where(episode_events.c.kind == literal(EventKind.REMINDED.value), ~_has_message)
    .limit(_MOST)
    .with_for_update(of=episode_events, skip_locked=True)
)
_silent = (
    select(episodes.c.id)
    .select_from(_over.join(episodes, episodes.c.id == _over.c.id))
    .where(~select(episode_events.c.id).where(episode_events.c.episode_id == _over.c.id, _has_message).exists())
    .limit(_MOST)
    .with_for_update(of=episodes, skip_locked=True)
)
_of_no_episode = (
    select(_message.c.id).where(_message.c.event_id.is_(None), _is_told).limit(_MOST).with_for_update(skip_locked=True)
)
_old_changes = (
    select(change_log.c.id)
    .where(change_log.c.at < _BEFORE)
    .order_by(change_log.c.at)
    .limit(_MOST)
    .with_for_update(skip_locked=True)
)

_keys = select(episodes.c.id).where(episodes.c.id > _AFTER).order_by(episodes.c.id)
_keys_page = _keys.limit(literal_column(str(_EPISODES), Integer)).subquery("keys")
_RANGE = Query(select(func.max(_keys_page.c.id)))


def _drop(table: Table, chosen: Select[tuple[int]]) -> Query:
    """Chosen once and for all, whatever the planner thinks: or more rows could be locked than are dropped."""
    found = chosen.cte("chosen")
    return Query(delete(table).where(table.c.id == found.c.id))


_EPISODE_STEPS = (_drop(outbox, _of_those_over), _drop(episode_events, _reminders), _drop(episodes, _silent))
_DROP_OF_NO_EPISODE = _drop(outbox, _of_no_episode)
_DROP_CHANGES = _drop(change_log, _old_changes)


async def take_turn(session: WriteSession) -> bool:
    """Whether nobody else forgets before this transaction has ended; False: another process does just now."""
    return bool((await session.rows(_TURN))[0][0])


async def find_limits(session: ReadSession, now: int, told_seconds: int, changed_seconds: int) -> Limits:
    """What may be dropped at `now`, or at the database's own time where that is earlier: a clock that was set forward
    makes nothing old.

    Args:
        now: Unix seconds.
        told_seconds: how long episodes and messages are kept.
        changed_seconds: how long the log of changes is.
    """
    ((there,),) = await session.rows(_CLOCK)
    now = min(now, there)
    final = {
        chain_id: number - chain_spec(chain_id).finality_depth for chain_id, number in await session.rows(_EVALUATED)
    }
    return Limits(now - told_seconds, now - changed_seconds, final)


async def forget_once(session: WriteSession, limits: Limits, place: Place) -> tuple[Place | None, int]:
    """Drop some of what is older than the limits; where to go on (None: the pass is over), and how many rows went,
    without the tries of messages and the last steps of episodes."""
    if place.stage == 0:
        return await _forget_episodes(session, limits, place)
    before = limits.told_before if place.stage == 1 else limits.changed_before
    dropped = await session.run(_DROP_OF_NO_EPISODE if place.stage == 1 else _DROP_CHANGES, before=before)
    if dropped == BATCH_ROWS:
        return place, dropped
    return (Place(2) if place.stage == 1 else None), dropped


async def _forget_episodes(session: WriteSession, limits: Limits, place: Place) -> tuple[Place, int]:
    """Messages, then reminders, then the rest of the next few episodes."""
    ((up_to,),) = await session.rows(_RANGE, after=place.after)
    if up_to is None:
        return Place(1), 0
    about = {
        "before": limits.told_before,
        "after": place.after,
        "up_to": up_to,
        "chain_ids": integer_array(limits.final),
        "numbers": integer_array(limits.final.values()),
    }
    dropped = 0
    for step in _EPISODE_STEPS:
        rows = await session.run(step, **about)
        dropped += rows
        if rows == BATCH_ROWS:
            return place, dropped
    return Place(0, up_to), dropped

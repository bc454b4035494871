"""Episodes as people look at them: which there are, what happened in each, and who took note.

How they come about is in `app.store.watch.episode_steps`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer, Text, bindparam, cast, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA

from app.domain.chain import Address, BlockRef, ChainId, Hash32
from app.domain.subjects import subject_from_text
from app.domain.watch import EpisodeEvent, EpisodeState, EventKind, Metric, Severity, Subject
from app.store.postgres.session import Query, ReadSession, Row, WriteSession
from app.store.tables.watch import episode_events, episodes


@dataclass(frozen=True, slots=True)
class Episode:
    """From the moment a rule found something until it cleared."""

    id: int
    watchlist_id: int
    rule_id: int | None
    """None: the rule was deleted."""
    rule_name: str
    """As it was called when the episode opened."""
    metric: Metric
    chain_id: ChainId
    subject: Subject
    state: EpisodeState
    severity: Severity
    """The worst it has reached; of the steps that stand."""
    opened_at: int
    announced_at: int | None
    """When it was told; None while a cool-down mutes it. Nothing is sent of one that is muted."""
    closed_at: int | None
    acknowledged_at: int | None
    acknowledged_by: str | None

    @property
    def is_muted(self) -> bool:
        """Whether nobody was told of it, because of a cool-down."""
        return self.announced_at is None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A step of an episode."""

    id: int
    episode_id: int
    event: EpisodeEvent
    """Its block's parent is not kept, and reads as zero."""
    retracted_at: int | None
    """When the block it stood on was found to be replaced; None: it stands."""


_EPISODES = select(
    episodes.c.id,
    episodes.c.watchlist_id,
    episodes.c.rule_id,
    episodes.c.rule_name,
    episodes.c.metric,
    episodes.c.chain_id,
    episodes.c.subject,
    episodes.c.state,
    episodes.c.severity,
    episodes.c.opened_at,
    episodes.c.announced_at,
    episodes.c.closed_at,
    episodes.c.acknowledged_at,
    episodes.c.acknowledged_by,
)
EVENT_COLUMNS = (
    episode_events.c.id,
    episode_events.c.episode_id,
    episode_events.c.kind,
    episode_events.c.severity,
    episode_events.c.at,
    episode_events.c.value,
    episode_events.c.level,
    episode_events.c.inputs,
    episode_events.c.chain_id,
    episode_events.c.block_number,
    episode_events.c.block_hash,
    episode_events.c.block_timestamp,
    episode_events.c.retracted_at,
)
_LIST = bindparam("watchlist_id", type_=BigInteger)
_WALLET = cast(bindparam("wallet"), BYTEA)
_STATE = bindparam("state", type_=Text)
_BEFORE = bindparam("before_id", type_=BigInteger)
_ID = bindparam("episode_id", type_=BigInteger)
_PAGE = Query(
    _EPISODES.where(
        _LIST.is_(None) | (episodes.c.watchlist_id == _LIST),
        _WALLET.is_(None) | (episodes.c.wallet == _WALLET),
        _STATE.is_(None) | (episodes.c.state == _STATE),
        _BEFORE.is_(None) | (episodes.c.id < _BEFORE),
    )
    .order_by(episodes.c.id.desc())
    .limit(bindparam("most", type_=Integer))
)
_ONE = Query(_EPISODES.where(episodes.c.id == _ID))
_OPEN = Query(
    _EPISODES.where(
        episodes.c.watchlist_id == func.any(bindparam("watchlist_ids", type_=ARRAY(BigInteger))),
        episodes.c.state == EpisodeState.OPEN.value,
    ).order_by(episodes.c.severity.desc(), episodes.c.id)
)
_THESE = Query(
    _EPISODES.where(episodes.c.id == func.any(bindparam("episode_ids", type_=ARRAY(BigInteger)))).order_by(
        episodes.c.id
    )
)
_EVENTS = Query(
    select(*EVENT_COLUMNS)
    .where(episode_events.c.episode_id == func.any(bindparam("episode_ids", type_=ARRAY(BigInteger))))
    .order_by(episode_events.c.episode_id, episode_events.c.id)
)
_ACKNOWLEDGE = Query(
    update(episodes)
    .where(episodes.c.id == _ID, episodes.c.state == EpisodeState.OPEN.value, episodes.c.acknowledged_at.is_(None))
    .values(acknowledged_at=bindparam("now", type_=BigInteger), acknowledged_by=bindparam("by", type_=Text))
)


async def load_episodes(
    session: ReadSession,
    *,
    watchlist_id: int | None = None,
    wallet: Address | None = None,
    state: EpisodeState | None = None,
    before_id: int | None = None,
    limit: int,
) -> list[Episode]:
    """Episodes, the newest first.

    Args:
        watchlist_id: only of this list.
        wallet: only of this wallet's accounts.
        state: only those that stand so.
        before_id: only those with a smaller id: the last one of the page before.
        limit: at most so many.
    """
    rows = await session.rows(
        _PAGE,
        watchlist_id=watchlist_id,
        wallet=None if wallet is None else bytes(wallet),
        state=None if state is None else state.value,
        before_id=before_id,
        most=limit,
    )
    return [_episode(row) for row in rows]


async def load_open_episodes(session: ReadSession, watchlist_ids: Sequence[int]) -> list[Episode]:
    """Every open episode of these lists, the worst first, then the oldest."""
    return [_episode(row) for row in await session.rows(_OPEN, watchlist_ids=list(watchlist_ids))]


async def load_episode(session: ReadSession, episode_id: int) -> Episode | None:
    """One episode; None when there is none of that id."""
    rows = await session.rows(_ONE, episode_id=episode_id)
    return _episode(rows[0]) if rows else None


async def load_episodes_of(session: ReadSession, episode_ids: Sequence[int]) -> list[Episode]:
    """Those of these episodes that there are, by id."""
    return [_episode(row) for row in await session.rows(_THESE, episode_ids=list(episode_ids))]


async def load_events(session: ReadSession, episode_ids: Sequence[int]) -> list[StoredEvent]:
    """Every step of these episodes, by episode and in the order they happened. Those that were retracted are there
    too, and say so."""
    return [stored_event(row) for row in await session.rows(_EVENTS, episode_ids=list(episode_ids))]


async def acknowledge(session: WriteSession, episode_id: int, by: str, now: int) -> bool:
    """Note that somebody has seen an open episode: nobody is reminded of it any more. False when there is no such
    episode, it is over, or it was acknowledged before (the first one stays)."""
    return await session.run(_ACKNOWLEDGE, episode_id=episode_id, by=by, now=now) > 0


def stored_event(row: Row) -> StoredEvent:
    """A row of `EVENT_COLUMNS` as a value."""
    id, episode_id, kind, severity, at, value, level, inputs, *place, retracted_at = row
    chain_id, number, block_hash, timestamp = place
    block = None if number is None else BlockRef(chain_id, number, Hash32(block_hash), Hash32(bytes(32)), timestamp)
    event = EpisodeEvent(EventKind(kind), Severity(severity), at, block, value, level, inputs_from_json(inputs))
    return StoredEvent(id, episode_id, event, retracted_at)


def inputs_to_json(inputs: Mapping[str, str | int | None]) -> dict[str, str | dict[str, str] | None]:
    """What an event rests on as JSON: integers as `{"integer": "<digits>"}`, because JSON's numbers are not exact. NUL,
    which Postgres cannot hold, is left out."""
    return {
        name: {"integer": str(one)} if isinstance(one, int) else one and one.replace("\0", "")
        for name, one in inputs.items()
    }


def inputs_from_json(stored: Mapping[str, str | dict[str, str] | None]) -> dict[str, str | int | None]:
    """What `inputs_to_json` made."""
    return {name: int(one["integer"]) if isinstance(one, dict) else one for name, one in stored.items()}


def _episode(row: Row) -> Episode:
    id, list_id, rule_id, rule_name, metric, chain_id, subject, state, severity, *rest = row
    return Episode(
        id,
        list_id,
        rule_id,
        rule_name,
        Metric(metric),
        chain_id,
        subject_from_text(subject),
        EpisodeState(state),
        Severity(severity),
        *rest,
    )

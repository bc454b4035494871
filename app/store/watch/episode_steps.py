"""How episodes come about: what an evaluation reads, what it holds while it writes, and the steps it adds.

Whoever evaluates a chain holds its row of `watch_progress` until the transaction ends, and the block, and the count of
changes of the lists: so evaluations of a chain come one after the other, none stands on a block that is gone, and no
rule or list vanishes under one. What is written of an episode's state belongs to whoever holds that row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Text, bindparam, func, literal_column, select, true, update
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, insert

from app.domain.chain import ChainId
from app.domain.subjects import subject_from_text, subject_to_text
from app.domain.watch import EpisodeState, Metric, Severity, Subject
from app.store.blocks import BLOCK_COLUMNS, StoredBlock, stored_block
from app.store.postgres.session import Query, ReadSession, Row, WriteSession
from app.store.postgres.types import integer_array, text_array
from app.store.risk import hold_block
from app.store.tables.chain import blocks
from app.store.tables.watch import episode_events, episodes, outbox, watch_progress, watch_version, watchlists
from app.store.watch.episodes import EVENT_COLUMNS, StoredEvent, stored_event

NOTHING_EVALUATED = -1
"""Number of the block a chain's row stands at before the first evaluation."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The newest evaluation of a chain."""

    block_id: int
    block_number: int
    version: int
    """Of the lists it was done with."""
    trail: tuple[int, ...]
    """Ids of the blocks evaluated before, the newest first."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What an evaluation starts from. While it stays equal, so does everything else that an evaluation reads."""

    version: int
    """Of the lists, now."""
    has_lists: bool
    progress: Progress | None
    before: StoredBlock | None
    """The newest evaluated block that is still stored."""

    @property
    def is_replaced(self) -> bool:
        """Whether the block evaluated last is gone."""
        return self.progress is not None and (self.before is None or self.before.id != self.progress.block_id)

    def is_done(self, block: StoredBlock) -> bool:
        """Whether this block was evaluated with these lists, or a later one was."""
        if self.progress is None or self.is_replaced:
            return False
        if self.progress.block_id == block.id:
            return self.progress.version == self.version
        return self.progress.block_number >= block.ref.number


@dataclass(frozen=True, slots=True)
class Standing:
    """An episode as an evaluation finds it."""

    id: int
    watchlist_id: int
    watchlist: str
    is_paused: bool
    """Whether its list is."""
    rule_id: int | None
    """None: the rule was deleted."""
    rule_name: str
    metric: Metric
    chain_id: ChainId
    subject: Subject
    state: EpisodeState
    severity: Severity
    opened_at: int
    announced_at: int | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """An episode of which something rests on blocks that are gone."""

    episode: Standing
    events: tuple[StoredEvent, ...]
    """Those that were not retracted before, in order."""
    dropped: frozenset[int]
    """Ids of those whose block is gone."""


_CHAIN = bindparam("chain_id", type_=BigInteger)
_IDS = bindparam("episode_ids", type_=ARRAY(BigInteger))
_GROUND = Query(
    select(
        select(watch_version.c.version).scalar_subquery(),
        select(watchlists.c.id).exists(),
        watch_progress.c.block_id,
        watch_progress.c.block_number,
        watch_progress.c.version,
        watch_progress.c.trail,
    ).select_from(
        select(literal_column("1")).subquery("one").outerjoin(watch_progress, watch_progress.c.chain_id == _CHAIN)
    )
)
_NEWEST_OF = Query(
    select(*BLOCK_COLUMNS)
    .where(blocks.c.id == func.any(bindparam("block_ids", type_=ARRAY(BigInteger))))
    .order_by(blocks.c.id.desc())
    .limit(literal_column("1"))
)
_ENSURE_ROW = Query(
    insert(watch_progress)
    .values(
        chain_id=_CHAIN,
        block_id=literal_column("0"),
        block_number=literal_column(str(NOTHING_EVALUATED)),
        block_hash=bindparam("no_hash"),
        version=literal_column("-1"),
        trail=literal_column("'{}'::bigint[]"),
        evaluated_at=literal_column("0"),
    )
    .on_conflict_do_nothing(index_elements=["chain_id"])
)
_HOLD_ROW = Query(select(watch_progress.c.chain_id).where(watch_progress.c.chain_id == _CHAIN).with_for_update())
_HOLD_VERSION = Query(select(watch_version.c.version).with_for_update(read=True))
_STANDING = (
    episodes.c.id,
    episodes.c.watchlist_id,
    watchlists.c.name,
    watchlists.c.is_paused,
    episodes.c.rule_id,
    episodes.c.rule_name,
    episodes.c.metric,
    episodes.c.chain_id,
    episodes.c.subject,
    episodes.c.state,
    episodes.c.severity,
    episodes.c.opened_at,
    episodes.c.announced_at,
)
_with_list = select(*_STANDING).join(watchlists, watchlists.c.id == episodes.c.watchlist_id)
_OPEN = Query(
    _with_list.where(
        episodes.c.state == EpisodeState.OPEN.value,
        episodes.c.chain_id == _CHAIN,
        episodes.c.metric != Metric.BLIND.value,
    ).order_by(episodes.c.id)
)
_BY_ID = Query(_with_list.where(episodes.c.id == func.any(_IDS)).order_by(episodes.c.id))
_on_gone_block = (
    episode_events.c.chain_id == _CHAIN,
    episode_events.c.block_number > bindparam("above", type_=BigInteger),
    episode_events.c.retracted_at.is_(None),
    episode_events.c.block_id.is_not(None),
    ~select(blocks.c.id).where(blocks.c.id == episode_events.c.block_id).exists(),
)
_GONE = Query(select(episode_events.c.id, episode_events.c.episode_id).where(*_on_gone_block))
_EVENTS = Query(
    select(*EVENT_COLUMNS)
    .where(episode_events.c.episode_id == func.any(_IDS), episode_events.c.retracted_at.is_(None))
    .order_by(episode_events.c.id)
)
_asked = (
    func.unnest(
        bindparam("rule_ids", type_=ARRAY(BigInteger)),
        bindparam("subjects", type_=ARRAY(Text)),
    )
    .table_valued(named("rule_id", BigInteger), named("subject", Text), name="asked")
    .render_derived()
)
_told = (
    select(episodes.c.announced_at, episodes.c.severity)
    .where(
        episodes.c.rule_id == _asked.c.rule_id,
        episodes.c.subject == _asked.c.subject,
        episodes.c.state != EpisodeState.RETRACTED.value,
        episodes.c.announced_at.is_not(None),
    )
    .order_by(episodes.c.id.desc())
    .limit(literal_column("1"))
    .lateral("told")
)
_LAST_TOLD = Query(
    select(_asked.c.rule_id, _asked.c.subject, _told.c.announced_at, _told.c.severity).select_from(
        _asked.join(_told, true())
    )
)
_TOLD_CHANNELS = Query(
    select(episode_events.c.episode_id, outbox.c.channel_id)
    .distinct()
    .join(outbox, outbox.c.event_id == episode_events.c.id)
    .where(episode_events.c.episode_id == func.any(_IDS))
)
_NOTE = Query(
    update(watch_progress)
    .where(watch_progress.c.chain_id == _CHAIN)
    .values(
        block_id=bindparam("block_id", type_=BigInteger),
        block_number=bindparam("number", type_=BigInteger),
        block_hash=bindparam("hash", type_=BYTEA),
        version=bindparam("lists", type_=BigInteger),
        trail=bindparam("blocks_before", type_=ARRAY(BigInteger)),
        evaluated_at=bindparam("now", type_=BigInteger),
    )
)


async def load_ground(session: ReadSession, chain_id: ChainId) -> Ground:
    """What an evaluation of this chain starts from. One query where there is no list."""
    ((version, has_lists, block_id, number, with_version, trail),) = await session.rows(_GROUND, chain_id=chain_id)
    if number is None or number == NOTHING_EVALUATED or not has_lists:
        return Ground(version or 0, has_lists, None, None)
    progress = Progress(block_id, number, with_version, tuple(trail))
    found = await session.rows(_NEWEST_OF, block_ids=[block_id, *trail])
    return Ground(version or 0, has_lists, progress, stored_block(found[0]) if found else None)


async def hold_ground(session: WriteSession, block: StoredBlock) -> Ground | None:
    """Hold the chain's evaluation, the lists as they are and this block until the transaction ends, and say what the
    evaluation starts from; None when the block is not stored (any more)."""
    chain_id = block.ref.chain_id
    await session.rows_of_all(
        (_ENSURE_ROW, {"chain_id": chain_id, "no_hash": bytes(32)}),
        (_HOLD_ROW, {"chain_id": chain_id}),
        (_HOLD_VERSION, {}),
    )
    if not await hold_block(session, block):
        return None
    return await load_ground(session, chain_id)


async def load_open(session: ReadSession, chain_id: ChainId) -> list[Standing]:
    """Every open episode of a chain that blocks decide and not the clock, the oldest first."""
    return [_standing(row) for row in await session.rows(_OPEN, chain_id=chain_id)]


async def load_dropped(session: ReadSession, chain_id: ChainId, above: int) -> list[Dropped]:
    """Episodes of which something rests on a block that is gone, among those above a number; the oldest first."""
    gone = await session.rows(_GONE, chain_id=chain_id, above=above)
    ids = sorted({episode_id for _, episode_id in gone})
    if not ids:
        return []
    dropped = frozenset(event_id for event_id, _ in gone)
    events: dict[int, list[StoredEvent]] = {}
    for row in await session.rows(_EVENTS, episode_ids=ids):
        one = stored_event(row)
        events.setdefault(one.episode_id, []).append(one)
    return [
        Dropped(standing, found, dropped & {one.id for one in found})
        for standing in map(_standing, await session.rows(_BY_ID, episode_ids=ids))
        if (found := tuple(events[standing.id]))
    ]


async def load_last_told(
    session: ReadSession, asked: Iterable[tuple[int, Subject]]
) -> dict[tuple[int, Subject], tuple[int, Severity]]:
    """By rule and subject: when the newest episode that was told and stands was told, and its worst severity."""
    pairs = list(asked)
    if not pairs:
        return {}
    rows = await session.rows(
        _LAST_TOLD,
        rule_ids=integer_array(rule_id for rule_id, _ in pairs),
        subjects=text_array(subject_to_text(subject) for _, subject in pairs),
    )
    return {(rule_id, subject_from_text(text)): (at, Severity(worst)) for rule_id, text, at, worst in rows}


async def load_told_channels(session: ReadSession, episode_ids: Sequence[int]) -> dict[int, frozenset[int]]:
    """By episode: the channels with a message about it."""
    found: dict[int, set[int]] = {}
    for episode_id, channel_id in await session.rows(_TOLD_CHANNELS, episode_ids=list(episode_ids)):
        found.setdefault(episode_id, set()).add(channel_id)
    return {episode_id: frozenset(channels) for episode_id, channels in found.items()}


async def note_evaluated(
    session: WriteSession, block: StoredBlock, version: int, trail: Sequence[int], now: int
) -> None:
    """Note that the chain's rules were evaluated at this block; whoever does holds the chain's row."""
    await session.run(
        _NOTE,
        chain_id=block.ref.chain_id,
        block_id=block.id,
        number=block.ref.number,
        hash=bytes(block.ref.hash),
        lists=version,
        blocks_before=list(trail),
        now=now,
    )


def _standing(row: Row) -> Standing:
    id, list_id, name, is_paused, rule_id, rule_name, metric, chain_id, subject, state, severity, *times = row
    return Standing(
        id,
        list_id,
        name,
        is_paused,
        rule_id,
        rule_name,
        Metric(metric),
        chain_id,
        subject_from_text(subject),
        EpisodeState(state),
        Severity(severity),
        *times,
    )

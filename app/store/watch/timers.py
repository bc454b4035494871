"""What is done by the clock and not by blocks, read: how current each chain is for each list, whom to remind of what.

One process at a time takes timed steps (`take_turn`); whoever evaluates blocks never touches episodes of blindness, and
an episode that is reminded of is held meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer, SmallInteger, Text, bindparam, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on

from app.domain.chain import Address, ChainId
from app.domain.watch import ChainSubject, EventKind, Metric, Open, Rule, Severity
from app.store.postgres.locks import lock_key
from app.store.postgres.session import Query, ReadSession, WriteSession
from app.store.tables.chain import accounts, deployments
from app.store.tables.watch import (
    episode_events,
    episodes,
    outbox,
    watch_progress,
    watch_rules,
    watch_version,
    watchlist_members,
    watchlists,
)
from app.store.watch.episodes import EVENT_COLUMNS, StoredEvent, stored_event
from app.store.watch.rules import rule_from_row


@dataclass(frozen=True, slots=True)
class FollowedList:
    """A list that is not paused, and what it needs to see."""

    id: int
    name: str
    created_at: int
    chain_ids: frozenset[ChainId]
    """Chains its members are on by name."""
    is_everywhere: bool
    """Whether a member is on every chain."""
    blind_rules: tuple[Rule, ...]
    """Its own rules of blindness, those that are enabled."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The newest evaluation of a chain."""

    block_id: int
    at: int
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class BlindEpisode:
    """An open episode of blindness."""

    open: Open
    """Its rule is BUILT_IN where the table has none: that of the list itself, or one that was deleted."""
    watchlist_id: int
    rule_name: str
    opened_at: int
    announced_at: int | None


MOST_STANDING = 20_000
"""Open episodes of one list that are looked at for reminders."""
BUILT_IN = 0
"""Id of the rule every list has without anybody having made it."""

_LISTS = bindparam("watchlist_ids", type_=ARRAY(BigInteger))
_EPISODES = bindparam("episode_ids", type_=ARRAY(BigInteger))
_CHANNEL = bindparam("channel_id", type_=BigInteger)
_TURN = Query(select(func.pg_try_advisory_xact_lock(literal(lock_key("timers"), BigInteger))))
_WATCHED = Query(
    select(watchlists.c.id, watchlists.c.name, watchlists.c.created_at)
    .where(watchlists.c.is_paused.is_(False))
    .order_by(watchlists.c.id)
)
_CHAINS = Query(select(watchlist_members.c.watchlist_id, watchlist_members.c.chain_id).distinct())
_of_list = watchlist_members.c.watchlist_id == bindparam("watchlist_id", type_=BigInteger)
_IS_EVERYWHERE = Query(
    select(select(watchlist_members.c.id).where(_of_list, watchlist_members.c.chain_id.is_(None)).exists())
)
_CHAINS_OF = Query(select(watchlist_members.c.chain_id).where(_of_list).distinct())
_BLIND_RULES = Query(
    select(
        watch_rules.c.id,
        watch_rules.c.watchlist_id,
        watch_rules.c.name,
        watch_rules.c.metric,
        watch_rules.c.definition,
    )
    .where(watch_rules.c.is_enabled, watch_rules.c.metric == literal(Metric.BLIND.value))
    .order_by(watch_rules.c.id)
)
_EVALUATED = Query(
    select(watch_progress.c.chain_id, watch_progress.c.block_id, watch_progress.c.evaluated_at).where(
        watch_progress.c.block_number >= literal(0)
    )
)
_CONCERNED = Query(
    select(watchlist_members.c.watchlist_id)
    .distinct()
    .select_from(
        deployments.join(accounts, accounts.c.deployment_id == deployments.c.id).join(
            watchlist_members, watchlist_members.c.wallet == accounts.c.wallet
        )
    )
    .where(
        deployments.c.slug == bindparam("slug", type_=Text),
        or_(watchlist_members.c.chain_id.is_(None), watchlist_members.c.chain_id == deployments.c.chain_id),
    )
)
_STANDING = Query(
    select(episodes.c.id)
    .where(
        episodes.c.watchlist_id == bindparam("watchlist_id", type_=BigInteger),
        episodes.c.state == literal("open"),
        episodes.c.announced_at <= bindparam("told_before", type_=BigInteger),
        episodes.c.acknowledged_at.is_(None),
        episodes.c.severity >= bindparam("least", type_=SmallInteger),
    )
    .order_by(episodes.c.severity.desc(), episodes.c.id)
    .limit(bindparam("most", type_=Integer))
)
_TOLD_LATELY = Query(
    select(episode_events.c.episode_id)
    .distinct()
    .select_from(episode_events.join(outbox, outbox.c.event_id == episode_events.c.id))
    .where(
        episode_events.c.episode_id == func.any(_EPISODES),
        outbox.c.channel_id == _CHANNEL,
        or_(
            outbox.c.send_after > bindparam("told_before", type_=BigInteger),
            outbox.c.state == literal("pending"),
        ),
    )
)
_HOLD = Query(
    select(episodes.c.id)
    .where(episodes.c.id == func.any(_EPISODES), episodes.c.state == literal("open"))
    .where(episodes.c.acknowledged_at.is_(None))
    .order_by(episodes.c.id)
    .with_for_update()
)
_NUMBERS = Query(
    select(*EVENT_COLUMNS)
    .ext(distinct_on(episode_events.c.episode_id))
    .where(
        episode_events.c.episode_id == func.any(_EPISODES),
        episode_events.c.retracted_at.is_(None),
        episode_events.c.kind.in_([literal(kind.value) for kind in (EventKind.OPENED, EventKind.ESCALATED)]),
    )
    .order_by(episode_events.c.episode_id, episode_events.c.id.desc())
)
_LABELS = Query(
    select(watchlist_members.c.watchlist_id, watchlist_members.c.wallet, func.max(watchlist_members.c.label))
    .where(
        watchlist_members.c.watchlist_id == func.any(_LISTS),
        watchlist_members.c.wallet == func.any(bindparam("wallets")),
    )
    .group_by(watchlist_members.c.watchlist_id, watchlist_members.c.wallet)
)
_UNPAUSED = Query(
    select(watchlists.c.id, watchlists.c.name).where(
        watchlists.c.id == func.any(_LISTS), watchlists.c.is_paused.is_(False)
    )
)
_BLIND = Query(
    select(
        episodes.c.id,
        episodes.c.rule_id,
        episodes.c.chain_id,
        episodes.c.severity,
        episodes.c.watchlist_id,
        episodes.c.rule_name,
        episodes.c.announced_at,
        episodes.c.opened_at,
    )
    .where(episodes.c.state == literal("open"), episodes.c.metric == literal(Metric.BLIND.value))
    .order_by(episodes.c.id)
)
_HOLD_VERSION = Query(select(watch_version.c.version).with_for_update(read=True))
_KNOWN_KEYS = Query(
    select(outbox.c.dedup_key).where(outbox.c.dedup_key == func.any(bindparam("keys", type_=ARRAY(Text))))
)


async def take_turn(session: WriteSession) -> bool:
    """Whether nobody else takes timed steps before this transaction has ended; False: another process does just now."""
    return bool((await session.rows(_TURN))[0][0])


async def hold_lists(session: WriteSession) -> int:
    """The count of changes of lists; no list or rule changes or goes until the transaction ends."""
    rows = await session.rows(_HOLD_VERSION)
    return int(rows[0][0]) if rows else 0


async def load_followed(session: ReadSession) -> list[FollowedList]:
    """Every list that is not paused. Reads every member: to be done when lists have changed."""
    chains: dict[int, set[ChainId | None]] = {}
    for list_id, chain_id in await session.rows(_CHAINS):
        chains.setdefault(list_id, set()).add(chain_id)
    rules: dict[int, list[Rule]] = {}
    for row in await session.rows(_BLIND_RULES):
        rules.setdefault(row[1], []).append(rule_from_row(*row))
    return [
        FollowedList(
            id,
            name,
            created_at,
            frozenset(chain for chain in chains.get(id, ()) if chain is not None),
            None in chains.get(id, ()),
            tuple(rules.get(id, ())),
        )
        for id, name, created_at in await session.rows(_WATCHED)
    ]


async def load_list_chains(session: ReadSession, watchlist_id: int) -> frozenset[ChainId] | None:
    """The chains a list's members are on; None where one is on every chain, or there is no member."""
    ((is_everywhere,),) = await session.rows(_IS_EVERYWHERE, watchlist_id=watchlist_id)
    if is_everywhere:
        return None
    return frozenset(chain for (chain,) in await session.rows(_CHAINS_OF, watchlist_id=watchlist_id)) or None


async def load_evaluated(session: ReadSession) -> dict[ChainId, Evaluated]:
    """The newest evaluation of each chain that ever had one."""
    return {chain: Evaluated(block_id, at) for chain, block_id, at in await session.rows(_EVALUATED)}


async def load_concerned(session: ReadSession, deployment_id: str) -> frozenset[int]:
    """The lists with a member that has an account in this deployment."""
    return frozenset(list_id for (list_id,) in await session.rows(_CONCERNED, slug=deployment_id))


async def load_blind_episodes(session: ReadSession) -> list[BlindEpisode]:
    """Every open episode of blindness, the oldest first."""
    return [
        BlindEpisode(
            Open(id, rule_id or BUILT_IN, ChainSubject(chain_id), Severity(severity), times[0] is None),
            list_id,
            rule_name,
            times[1],
            times[0],
        )
        for id, rule_id, chain_id, severity, list_id, rule_name, *times in await session.rows(_BLIND)
    ]


async def load_unpaused(session: ReadSession, watchlist_ids: Sequence[int]) -> dict[int, str]:
    """Names of those of these lists that are not paused, by id."""
    return dict(await session.rows(_UNPAUSED, watchlist_ids=list(watchlist_ids)))


async def load_to_remind(
    session: ReadSession, watchlist_id: int, channel_id: int, least: Severity, told_before: int, limit: int
) -> list[int]:
    """Open episodes of a list that nobody acknowledged and of which a channel was last told at `told_before` or
    earlier, the worst first. Not those of which a message still waits to be sent there. Only the MOST_STANDING worst
    are looked at."""
    asked = {"told_before": told_before}
    rows = await session.rows(_STANDING, watchlist_id=watchlist_id, least=int(least), most=MOST_STANDING, **asked)
    ids = [id for (id,) in rows]
    told = await session.rows(_TOLD_LATELY, episode_ids=ids, channel_id=channel_id, **asked) if ids else []
    lately = {id for (id,) in told}
    return [id for id in ids if id not in lately][:limit]


async def hold_unacknowledged(session: WriteSession, episode_ids: Sequence[int]) -> list[int]:
    """Those of these episodes that are open and not acknowledged; they stay so until the transaction ends."""
    return [id for (id,) in await session.rows(_HOLD, episode_ids=list(episode_ids))]


async def load_numbers(session: ReadSession, episode_ids: Sequence[int]) -> dict[int, StoredEvent]:
    """The newest opening or escalation of each of these episodes that stands: what a reminder repeats."""
    found = (stored_event(row) for row in await session.rows(_NUMBERS, episode_ids=list(episode_ids)))
    return {one.episode_id: one for one in found}


async def load_labels(
    session: ReadSession, watchlist_ids: Sequence[int], wallets: Sequence[Address]
) -> dict[tuple[int, Address], str]:
    """What lists call these wallets."""
    rows = await session.rows(_LABELS, watchlist_ids=list(watchlist_ids), wallets=[bytes(wallet) for wallet in wallets])
    return {(list_id, Address(wallet)): label for list_id, wallet, label in rows}


async def load_known_keys(session: ReadSession, keys: Sequence[str]) -> frozenset[str]:
    """Those of these keys that a message was stored under."""
    return frozenset(key for (key,) in await session.rows(_KNOWN_KEYS, keys=list(keys)))

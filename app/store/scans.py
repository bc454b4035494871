"""What is still to be done about the past: block ranges to search for accounts, and accounts to read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Integer,
    Text,
    any_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by, insert

from app.domain.account import AccountKey
from app.domain.batch import DueAccount, ScanRange
from app.domain.chain import Address, ChainId
from app.errors import Fatal
from app.store.deployments import resolve_deployments
from app.store.postgres.session import Query, ReadSession, WriteSession
from app.store.postgres.types import integer_array, text_array
from app.store.states import NO_LIMIT, given_keys, given_names, key_parameters
from app.store.tables.chain import account_due, accounts, blocks, deployments, log_scans

_CHAIN = bindparam("chain_id", type_=BigInteger)
_MOST = bindparam("most", type_=Integer)
_SLUGS = bindparam("slugs", type_=ARRAY(Text))
_DEPLOYMENT = bindparam("deployment_id", type_=Integer)
_TO = bindparam("to_block", type_=BigInteger)

_plan = insert(log_scans).values(
    deployment_id=_DEPLOYMENT, from_block=bindparam("from_block", type_=BigInteger), to_block=_TO
)
_PLAN = Query(
    _plan.on_conflict_do_update(
        index_elements=["deployment_id", "to_block"],
        set_={"from_block": func.least(log_scans.c.from_block, _plan.excluded.from_block)},
    )
)
_one_scan = (log_scans.c.deployment_id == _DEPLOYMENT, log_scans.c.to_block == _TO)
_ADVANCE = Query(update(log_scans).where(*_one_scan).values(from_block=bindparam("next_block", type_=BigInteger)))
_FINISH = Query(delete(log_scans).where(*_one_scan))
_SCANS = Query(
    select(deployments.c.slug, log_scans.c.from_block, log_scans.c.to_block)
    .select_from(log_scans.join(deployments, deployments.c.id == log_scans.c.deployment_id))
    .where(deployments.c.chain_id == _CHAIN)
    .order_by(log_scans.c.to_block.desc(), deployments.c.slug)
    .limit(_MOST)
)

_vouch = insert(accounts).from_select(["deployment_id", "wallet", "unit"], given_names())
_VOUCH = Query(
    _vouch.on_conflict_do_update(
        index_elements=["wallet", "deployment_id", "unit"],
        set_={"first_block_id": None},
        where=accounts.c.first_block_id.is_not(None),
    )
)
_ACCOUNT_IDS = Query(
    select(deployments.c.slug, accounts.c.wallet, accounts.c.unit, accounts.c.deployment_id, accounts.c.id).select_from(
        given_keys()
    )
)
_INSERT_UNKNOWN = Query(_vouch.on_conflict_do_nothing())

_listed = func.unnest(
    bindparam("account_ids", type_=ARRAY(Integer)),
    bindparam("deployment_ids", type_=ARRAY(Integer)),
    bindparam("markets", type_=ARRAY(Text)),
).table_valued(named("account_id", Integer), named("deployment_id", Integer), named("markets", Text), name="listed")
_listed = _listed.render_derived()
_queue = insert(account_due).from_select(
    ["account_id", "deployment_id", "due_from", "markets"],
    select(
        _listed.c.account_id,
        _listed.c.deployment_id,
        bindparam("due_from", type_=BigInteger),
        cast(_listed.c.markets, ARRAY(Text)),
    ).order_by(_listed.c.account_id),
)
_both = func.unnest(account_due.c.markets + _queue.excluded.markets).table_valued(named("code", Text), name="both")
_both = _both.render_derived()
_again = {
    "markets": func.coalesce(
        select(func.array_agg(aggregate_order_by(_both.c.code.distinct(), _both.c.code))).scalar_subquery(),
        account_due.c.markets,
    ),
    "due_from": case(
        (account_due.c.read_at_block_id.is_(None), func.least(account_due.c.due_from, _queue.excluded.due_from)),
        else_=_queue.excluded.due_from,
    ),
    "read_at_block_id": None,
}
_QUEUE = Query(_queue.on_conflict_do_update(index_elements=["account_id"], set_=_again))
_QUEUE_FOUND = Query(
    _queue.on_conflict_do_update(
        index_elements=["account_id"],
        set_=_again,
        where=not_(account_due.c.markets.contains(_queue.excluded.markets)),
    )
)

_next_number = (
    select(blocks.c.number + 1)
    .where(blocks.c.chain_id == _CHAIN)
    .order_by(blocks.c.number.desc())
    .limit(literal_column("1", Integer))
    .scalar_subquery()
)
_pending = (
    select(account_due.c.account_id, account_due.c.due_from, account_due.c.markets)
    .where(
        account_due.c.deployment_id == deployments.c.id,
        account_due.c.read_at_block_id.is_(None),
        account_due.c.due_from <= func.coalesce(_next_number, literal_column(str(NO_LIMIT), BigInteger)),
    )
    .order_by(account_due.c.due_from)
    .limit(_MOST)
    .lateral("pending")
)
_DUE = Query(
    select(deployments.c.slug, accounts.c.wallet, accounts.c.unit, _pending.c.markets)
    .select_from(deployments.join(_pending, true()).join(accounts, accounts.c.id == _pending.c.account_id))
    .where(deployments.c.chain_id == _CHAIN, or_(_SLUGS.is_(None), deployments.c.slug == any_(_SLUGS)))
    .order_by(_pending.c.due_from, accounts.c.id)
    .limit(_MOST)
)
_BACKLOG = Query(
    select(
        select(func.count())
        .select_from(account_due.join(deployments, deployments.c.id == account_due.c.deployment_id))
        .where(deployments.c.chain_id == _CHAIN, account_due.c.read_at_block_id.is_(None))
        .scalar_subquery(),
        select(func.coalesce(cast(func.sum(log_scans.c.to_block - log_scans.c.from_block + 1), BigInteger), 0))
        .select_from(log_scans.join(deployments, deployments.c.id == log_scans.c.deployment_id))
        .where(deployments.c.chain_id == _CHAIN)
        .scalar_subquery(),
    )
)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is still unknown about a chain's past."""

    accounts: int
    """Accounts waiting to be read."""
    blocks: int
    """Blocks whose logs are still to be searched, summed over deployments."""


async def plan_scan(session: WriteSession, scan: ScanRange) -> None:
    """Have a range searched. A range already planned up to the same block grows downwards if this one starts lower.

    An empty range (`from_block` above `to_block`) is nothing to do.
    """
    if scan.from_block <= scan.to_block:
        deployment_id = await _require_deployment(session, scan.deployment_id)
        await session.run(_PLAN, deployment_id=deployment_id, from_block=scan.from_block, to_block=scan.to_block)


async def load_scans(session: ReadSession, chain_id: ChainId, limit: int) -> list[ScanRange]:
    """At most `limit` ranges still to be searched on a chain, those nearest to the head first."""
    return [ScanRange(*row) for row in await session.rows(_SCANS, chain_id=chain_id, most=limit)]


async def advance_scan(session: WriteSession, scan: ScanRange, next_block: int, found: Sequence[DueAccount]) -> None:
    """Note, in one transaction, that a range was searched up to below `next_block` and which accounts were found.

    A found account is queued to be read, unless it was already read with every market the logs named.

    Raises:
        Fatal: the range is not among those planned.
    """
    deployment_id = await _require_deployment(session, scan.deployment_id)
    await _queue_accounts(session, found, 0, _VOUCH, _QUEUE_FOUND)
    if next_block > scan.to_block:
        done = await session.run(_FINISH, deployment_id=deployment_id, to_block=scan.to_block)
    else:
        done = await session.run(_ADVANCE, deployment_id=deployment_id, to_block=scan.to_block, next_block=next_block)
    if not done:
        raise Fatal(f"no scan of {scan.deployment_id} up to block {scan.to_block} is planned")


async def queue_due(session: WriteSession, due: Sequence[DueAccount], from_block: int = 0) -> None:
    """Have accounts read at the first block from `from_block` on; markets already noted for them stay noted."""
    await _queue_accounts(session, due, from_block, _INSERT_UNKNOWN, _QUEUE)


async def load_due(
    session: ReadSession, chain_id: ChainId, limit: int, slugs: Collection[str] | None = None
) -> list[DueAccount]:
    """At most `limit` accounts to be read at the block that follows the stored head; longest due first.

    With `slugs` only accounts of these deployments: those of one no longer followed must not fill the limit.
    """
    wanted = None if slugs is None else list(slugs)
    return [
        DueAccount(AccountKey(slug, Address(wallet), unit), frozenset(markets))
        for slug, wallet, unit, markets in await session.rows(_DUE, chain_id=chain_id, most=limit, slugs=wanted)
    ]


async def load_backlog(session: ReadSession, chain_id: ChainId) -> Backlog:
    """How much of a chain's past is still to be searched and read."""
    rows = await session.rows(_BACKLOG, chain_id=chain_id)
    return Backlog(*rows[0])


async def _queue_accounts(
    session: WriteSession, due: Sequence[DueAccount], from_block: int, make_known: Query, queue: Query
) -> None:
    if not due:
        return
    markets: dict[AccountKey, frozenset[str]] = {}
    for one in due:
        markets[one.key] = markets.get(one.key, frozenset()) | one.markets
    slugs = {key.deployment_id for key in markets}
    if missing := slugs - set(await resolve_deployments(session, slugs)):
        raise Fatal(f"deployment {min(missing)} was never registered")
    parameters = key_parameters(list(markets))
    await session.run(make_known, **parameters)
    codes_of = {(key.deployment_id, bytes(key.wallet), key.unit): codes for key, codes in markets.items()}
    rows = await session.rows(_ACCOUNT_IDS, **parameters)
    await session.run(
        queue,
        account_ids=integer_array([account_id for *_, account_id in rows]),
        deployment_ids=integer_array([deployment for _, _, _, deployment, _ in rows]),
        markets=text_array([text_array(sorted(codes_of[slug, wallet, unit])) for slug, wallet, unit, _, _ in rows]),
        due_from=from_block,
    )


async def _require_deployment(session: ReadSession, slug: str) -> int:
    found = await resolve_deployments(session, {slug})
    if slug not in found:
        raise Fatal(f"deployment {slug} was never registered")
    return found[slug][0]

"""/v1/accounts: every account, riskiest first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.api.examples import common as examples
from app.api.frame.addresses import to_checksum
from app.api.frame.answers import answer, restarting
from app.api.frame.cursor import MAX_LENGTH, Cursor, make_cursor, read_cursor
from app.api.frame.decimals import WAD_DECIMALS, decimal
from app.api.frame.deps import ReadContext, require_block
from app.api.frame.freshness import as_of_head, as_of_past, least_fresh
from app.api.frame.heads import ChainAt, Directory, load_directory, with_troubles
from app.api.frame.problems import CURSOR_EXPIRED, INVALID_PARAMETER, UNAVAILABLE, ApiProblem
from app.api.schemas.base import Kind
from app.api.schemas.wallets import AccountsView, RankedAccountView
from app.api.wallets import ChainIdQuery, Context
from app.domain.chain import Address
from app.domain.market import Deployment
from app.domain.risk import RiskStatus
from app.domain.units import UINT256_MAX, parse_units
from app.store.accounts import load_accounts
from app.store.blocks import StoredBlock, load_block
from app.store.postgres.session import ReadSession
from app.valuation.assess import NO_UNIT
from app.valuation.ranking import Ranked, Ranking

router = APIRouter(tags=["accounts"])


@dataclass(frozen=True, slots=True)
class Filters:
    """Which accounts a listing shows. Its `repr` names the listing in cursors."""

    status: RiskStatus | None = None
    max_health_wad: int | None = None
    protocol: str | None = None
    chain_id: int | None = None
    deployment_id: str | None = None

    def wants(self, deployment: Deployment) -> bool:
        """Whether accounts of this deployment can be in the listing."""
        return self.protocol in (None, deployment.protocol) and self.deployment_id in (None, deployment.id)


@router.get(
    "/v1/accounts",
    response_model=AccountsView,
    responses=examples.responses(examples.ACCOUNTS, 400, 404, 410, 422),
    summary="All accounts, riskiest first",
)
async def get_accounts(
    request: Request,
    context: Context,
    status: Annotated[RiskStatus | None, Query(description="Only accounts with this status.")] = None,
    max_health_factor: Annotated[
        str | None,
        Query(max_length=80, description="Only accounts with a health factor of at most this.", examples=["1.1"]),
    ] = None,
    protocol: Annotated[str | None, Query(max_length=100, description="Slug of a protocol.")] = None,
    deployment_id: Annotated[str | None, Query(max_length=100)] = None,
    chain_id: ChainIdQuery = None,
    cursor: Annotated[str | None, Query(max_length=MAX_LENGTH, description="next_cursor of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Exact health of every account: liquidatable first, then unknown, then healthy by health factor, then no debt.

    All pages of one listing are of the blocks of its first page, so nothing is skipped or shown twice while blocks
    arrive. Accounts known but not read yet are not listed; /v1/deployments counts them.
    """
    filters = Filters(status, parse_health(max_health_factor), protocol, chain_id, deployment_id)
    view = await load_accounts_view(context, filters, cursor=cursor, limit=limit)
    return answer(request, view, view.chains, volatile=view.troubled_deployments)


async def load_accounts_view(
    context: ReadContext, filters: Filters, *, cursor: str | None = None, limit: int = 50
) -> AccountsView:
    """One page of the ranking.

    Raises:
        ApiProblem: a cursor of something else or too old; a chain that is not followed.
        Retryable: the database is out of reach.
    """
    after = None if cursor is None else read_cursor(cursor, filters)

    async def load_once() -> AccountsView:
        async with context.database.read() as session:
            directory = await load_directory(session, context, filters.chain_id)
            if after is not None:
                directory = await _at_blocks_of(session, context, directory, after)
        if not directory.chains:
            raise ApiProblem(UNAVAILABLE, "no chain is followed yet", {"Retry-After": "5"})
        directory = await with_troubles(context, directory)
        wanted = [d for d in directory.deployments.values() if filters.wants(d) and d.chain_id in directory.blocks]
        rankings = {d.id: await ranking_at(context, d, directory.blocks[d.chain_id]) for d in wanted}
        kinds: dict[str, Kind] = {d.id: context.kind_of(d).value for d in wanted}
        return _page(directory, rankings, kinds, filters, after, limit)

    return await restarting(load_once)


async def ranking_at(context: ReadContext, deployment: Deployment, block: StoredBlock) -> Ranking:
    """The ranking of one deployment at a stored block: made once, in a thread, and kept while there is room.

    While the deployment is set aside, all of its accounts are unknown.

    Raises:
        Overtaken: the block is no longer stored.
    """

    async def make() -> Ranking:
        state = await context.state_at(deployment, block)
        async with context.database.read() as session:
            await require_block(session, block)
            accounts = await load_accounts(session, deployment.id, block)
        return await asyncio.to_thread(Ranking, state, accounts)

    return await context.rankings.get((deployment.id, block.id, bytes(block.ref.hash)), make)


def parse_health(text: str | None) -> int | None:
    """A health factor in WAD.

    Raises:
        ApiProblem: not a plain non-negative decimal number.
    """
    if text is None:
        return None
    try:
        health = parse_units(text, WAD_DECIMALS)
    except ValueError:
        health = -1
    if not 0 <= health <= UINT256_MAX:
        raise ApiProblem(INVALID_PARAMETER, "max_health_factor: a decimal number with at most 18 decimals, from 0 up")
    return health


async def _at_blocks_of(session: ReadSession, context: ReadContext, directory: Directory, cursor: Cursor) -> Directory:
    """The directory with every chain at the block the cursor's listing began at.

    Raises:
        ApiProblem: such a block is gone or too old.
    """
    now = context.clock()
    chains: dict[int, ChainAt] = {}
    for chain_id, (number, block_hash) in cursor.blocks.items():
        chain = directory.chains.get(chain_id)
        block = None if chain is None else await load_block(session, chain_id, number)
        if chain is None or chain.block is None or block is None or block.ref.hash != block_hash:
            raise ApiProblem(CURSOR_EXPIRED, "cursor: a block of this listing was replaced; start again")
        if block == chain.block:
            chains[chain_id] = replace(chain, as_of=as_of_head(chain_id, chain.status, block, now, context.sightings))
            continue
        if chain.block.ref.timestamp - block.ref.timestamp > context.options.cursor_max_age_seconds:
            raise ApiProblem(CURSOR_EXPIRED, "cursor: the listing it belongs to is too old; start again")
        chains[chain_id] = ChainAt(
            chain_id, chain.status, block, as_of_past(chain_id, chain.status, block, number, now)
        )
    return replace(directory, chains=chains)


def _page(
    directory: Directory,
    rankings: Mapping[str, Ranking],
    kinds: Mapping[str, Kind],
    filters: Filters,
    after: Cursor | None,
    limit: int,
) -> AccountsView:
    place = None if after is None else after.place
    lines = merge(
        *(ranking.after(place, filters.status, filters.max_health_wad) for ranking in rankings.values()),
        key=lambda line: line.place,
    )
    page = list(islice(lines, limit + 1))
    next_cursor = None
    if len(page) > limit:
        page = page[:limit]
        blocks = {chain_id: (block.ref.number, block.ref.hash) for chain_id, block in directory.blocks.items()}
        next_cursor = make_cursor(blocks, page[-1].place, filters)
    return AccountsView(
        as_of=least_fresh(directory.as_ofs),
        chains=directory.as_ofs,
        troubled_deployments=directory.troubled,
        items=_items(page, directory, rankings, kinds),
        next_cursor=next_cursor,
    )


def _items(
    page: Sequence[Ranked], directory: Directory, rankings: Mapping[str, Ranking], kinds: Mapping[str, Kind]
) -> list[RankedAccountView]:
    items = []
    for place, health in page:
        deployment = directory.deployments[place.deployment_id]
        state = rankings[deployment.id].state
        unit = NO_UNIT if state is None else state.state.value_unit(place.unit)
        items.append(
            RankedAccountView(
                wallet=to_checksum(Address(place.wallet)),
                deployment_id=deployment.id,
                chain_id=deployment.chain_id,
                protocol=deployment.protocol,
                kind=kinds[deployment.id],
                unit=place.unit,
                status=health.status.value,
                health_factor=decimal(health.health_factor_wad, WAD_DECIMALS),
                utilization=decimal(health.utilization_wad, WAD_DECIMALS),
                collateral_value=decimal(health.collateral_value, unit.decimals),
                debt_value=decimal(health.debt_value, unit.decimals),
                notional_value=decimal(health.notional_value, unit.decimals),
                value_currency=unit.currency,
            )
        )
    return items

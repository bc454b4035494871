"""/v1/markets: the markets that are followed, with the prices every number here rests on."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.api.examples import common as examples
from app.api.frame.addresses import to_checksum
from app.api.frame.answers import answer, restarting
from app.api.frame.cursor import MAX_LENGTH, make_market_cursor, read_market_cursor
from app.api.frame.decimals import BPS_DECIMALS, RAY_DECIMALS, decimal, price_age
from app.api.frame.deps import ReadContext
from app.api.frame.freshness import least_fresh
from app.api.frame.heads import Directory, load_directory, with_troubles
from app.api.frame.problems import UNAVAILABLE, UNKNOWN_DEPLOYMENT, ApiProblem
from app.api.schemas.wallets import MarketsView, MarketView
from app.api.wallets import ChainIdQuery, Context
from app.domain.market import Deployment, Market, MarketQuote
from app.valuation.assess import StateAt

router = APIRouter(tags=["deployments"])

DeploymentIdQuery = Annotated[str | None, Query(max_length=100, description="Only this one of /v1/deployments.")]


@router.get(
    "/v1/markets",
    response_model=MarketsView,
    responses=examples.responses(examples.MARKETS, 400, 404, 422),
    summary="Markets and their prices",
)
async def get_markets(
    request: Request,
    context: Context,
    deployment_id: DeploymentIdQuery = None,
    chain_id: ChainIdQuery = None,
    cursor: Annotated[str | None, Query(max_length=MAX_LENGTH, description="next_cursor of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> Response:
    """Markets with their oracle prices and the age of those, by deployment and code. What is not said is null.

    Each page is of the newest block, which its `as_of` names. Markets of a deployment that is set aside are left out:
    their prices may be long overtaken.
    """
    view = await load_markets_view(context, deployment_id, chain_id, cursor=cursor, limit=limit)
    return answer(request, view, view.chains, volatile=view.troubled_deployments)


async def load_markets_view(
    context: ReadContext,
    deployment_id: str | None,
    chain_id: int | None,
    *,
    cursor: str | None = None,
    limit: int = 200,
) -> MarketsView:
    """A page of the markets of one deployment, one chain or all, at the newest block.

    Raises:
        ApiProblem: the deployment or the chain is not followed; the cursor is of something else.
        Retryable: the database is out of reach.
    """
    filters = (deployment_id, chain_id)
    after = None if cursor is None else read_market_cursor(cursor, filters)

    async def load_once() -> MarketsView:
        async with context.database.read() as session:
            directory = await load_directory(session, context, chain_id)
        directory = narrowed(await with_troubles(context, directory), deployment_id)
        page: list[MarketView] = []
        for slug in sorted(directory.deployments):
            deployment = directory.deployments[slug]
            block = directory.chains[deployment.chain_id].block
            if block is None or len(page) > limit or (after is not None and slug < after[0]):
                continue
            state = await context.state_at(deployment, block)
            codes = [] if state is None else sorted(state.market_by_code)
            behind = [code for code in codes if after is None or (slug, code) > after][: limit + 1 - len(page)]
            page += [_market(deployment, state.market_by_code[code], state) for code in behind if state is not None]
        is_last = len(page) <= limit
        page = page[:limit]
        return MarketsView(
            as_of=least_fresh(directory.as_ofs),
            chains=directory.as_ofs,
            troubled_deployments=directory.troubled,
            items=page,
            next_cursor=None if is_last else make_market_cursor(page[-1].deployment_id, page[-1].market, filters),
        )

    return await restarting(load_once)


def narrowed(directory: Directory, deployment_id: str | None) -> Directory:
    """The directory with one deployment and its chain only; the whole of it for None.

    Raises:
        ApiProblem: there is no such deployment, or no chain at all.
    """
    if not directory.chains:
        raise ApiProblem(UNAVAILABLE, "no chain is followed yet", {"Retry-After": "5"})
    if deployment_id is None:
        return directory
    deployment = directory.deployments.get(deployment_id)
    if deployment is None:
        names = ", ".join(sorted(directory.deployments)[:20]) or "none yet"
        raise ApiProblem(UNKNOWN_DEPLOYMENT, f"deployment_id: not followed here; those that are: {names}")
    return replace(
        directory,
        deployments={deployment.id: deployment},
        chains={deployment.chain_id: directory.chains[deployment.chain_id]},
        troubles={slug: text for slug, text in directory.troubles.items() if slug == deployment.id},
    )


def _market(deployment: Deployment, market: Market, state: StateAt) -> MarketView:
    quote = state.quote_by_code.get(market.code) or MarketQuote(market.code)
    return MarketView(
        deployment_id=deployment.id,
        chain_id=deployment.chain_id,
        protocol=deployment.protocol,
        market=market.code,
        asset=to_checksum(market.asset),
        symbol=market.symbol,
        decimals=market.decimals,
        price=decimal(quote.price, state.state.value_decimals),
        value_currency=state.state.value_currency,
        price_updated_at=quote.price_updated_at,
        price_age_seconds=price_age(quote.price_updated_at, state),
        supply_rate=decimal(quote.supply_rate_ray, RAY_DECIMALS),
        borrow_rate=decimal(quote.borrow_rate_ray, RAY_DECIMALS),
        liquidation_threshold=decimal(quote.liquidation_threshold_bps, BPS_DECIMALS),
        max_ltv=decimal(quote.max_ltv_bps, BPS_DECIMALS),
        total_supplied=decimal(quote.total_supplied_assets, market.decimals),
        total_borrowed=decimal(quote.total_borrowed_assets, market.decimals),
    )

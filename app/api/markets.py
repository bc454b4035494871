"""/v1/markets: the markets of one deployment, with the prices every number here rests on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.api import examples
from app.api.addresses import to_checksum
from app.api.answers import answer, restarting
from app.api.deps import ReadContext
from app.api.heads import Directory, load_directory
from app.api.problems import UNKNOWN_DEPLOYMENT, ApiProblem
from app.api.render import BPS_DECIMALS, RAY_DECIMALS, decimal, price_age
from app.api.schemas import MarketsView, MarketView
from app.api.wallets import Context
from app.domain.market import Deployment, Market, MarketQuote
from app.valuation.assess import StateAt

router = APIRouter(tags=["deployments"])

DeploymentIdQuery = Annotated[str, Query(max_length=100, description="An id of /v1/deployments.")]


@router.get(
    "/v1/markets",
    response_model=MarketsView,
    responses=examples.responses(examples.MARKETS, 404, 422),
    summary="Markets of one deployment",
)
async def get_markets(request: Request, context: Context, deployment_id: DeploymentIdQuery) -> Response:
    """Every market with its oracle price and the price's age. What a protocol does not say is null."""
    view = await load_markets_view(context, deployment_id)
    return answer(request, view, [view.as_of])


async def load_markets_view(context: ReadContext, deployment_id: str) -> MarketsView:
    """The markets of one deployment at the newest block.

    Raises:
        ApiProblem: the deployment is not followed.
        Retryable: the database is out of reach.
    """

    async def load_once() -> MarketsView:
        async with context.database.read() as session:
            directory = await load_directory(session, context)
        deployment = deployment_of(directory, deployment_id)
        chain = directory.chains[deployment.chain_id]
        state = None if chain.block is None else await context.state_at(deployment, chain.block)
        return MarketsView(
            deployment_id=deployment.id,
            chain_id=deployment.chain_id,
            protocol=deployment.protocol,
            name=deployment.name,
            value_currency=None if state is None else state.state.value_currency,
            as_of=chain.as_of,
            items=[] if state is None else [_market(market, state) for market in state.state.markets()],
        )

    return await restarting(load_once)


def deployment_of(directory: Directory, deployment_id: str) -> Deployment:
    """The deployment with this id.

    Raises:
        ApiProblem: there is none.
    """
    deployment = directory.deployments.get(deployment_id)
    if deployment is None:
        names = ", ".join(sorted(directory.deployments)[:20]) or "none yet"
        raise ApiProblem(UNKNOWN_DEPLOYMENT, f"deployment_id: not followed here; those that are: {names}")
    return deployment


def _market(market: Market, state: StateAt) -> MarketView:
    quote = state.quote_by_code.get(market.code) or MarketQuote(market.code)
    return MarketView(
        market=market.code,
        asset=to_checksum(market.asset),
        symbol=market.symbol,
        decimals=market.decimals,
        price=decimal(quote.price, state.state.value_decimals),
        price_updated_at=quote.price_updated_at,
        price_age_seconds=price_age(quote.price_updated_at, state),
        supply_rate=decimal(quote.supply_rate_ray, RAY_DECIMALS),
        borrow_rate=decimal(quote.borrow_rate_ray, RAY_DECIMALS),
        liquidation_threshold=decimal(quote.liquidation_threshold_bps, BPS_DECIMALS),
        max_ltv=decimal(quote.max_ltv_bps, BPS_DECIMALS),
        total_supplied=decimal(quote.total_supplied_assets, market.decimals),
        total_borrowed=decimal(quote.total_borrowed_assets, market.decimals),
    )

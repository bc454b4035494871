"""POST /v1/risk/simulate: a move of prices for everybody followed, and what liquidations would do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from fastapi import APIRouter
from starlette.responses import Response

from app.api.examples import common as examples
from app.api.examples import risk as examples_risk
from app.api.frame.addresses import to_checksum
from app.api.frame.books import BookAt
from app.api.frame.deps import ReadContext
from app.api.frame.heads import Directory
from app.api.frame.problems import INVALID_PARAMETER, ApiProblem
from app.api.render.risk import cascade_sums, pool_views
from app.api.risk import at_books, head_fields, unconverted_of
from app.api.schemas.risk import ImpactRequest, RiskSimulationRequest, RiskSimulationView, TurnedView
from app.api.schemas.simulate import PriceMove
from app.api.simulate import shock_of
from app.api.wallets import Context
from app.domain.account import AccountKey
from app.valuation.groups import VOLATILE
from app.valuation.market_risk import (
    DEFAULT_DEPTH_USD,
    Cascade,
    Impact,
    ImpactModel,
    Verdicts,
    cascade,
    decided,
    screen_under,
    verdict_under,
)
from app.valuation.shocks import Shock

router = APIRouter(tags=["risk"])

FALLS = ("-0.1", "-0.2", "-0.3")
"""What the market's page shows."""


@router.post(
    "/v1/risk/simulate",
    response_model=RiskSimulationView,
    responses=examples.responses(examples_risk.SIMULATION, 404, 422, unchanged=False),
    summary="Who falls when prices move, and what their liquidation would do to others",
)
async def post_simulation(context: Context, asked: RiskSimulationRequest) -> Response:
    """Prices jump, all at once; amounts, interest and everything else stay. Nothing is stored. The cascade is an
    estimate by a stated model; docs/risk.md says what it leaves out."""
    view = await simulate_market(context, asked)
    return Response(view.model_dump_json(), headers={"Cache-Control": "no-store"}, media_type="application/json")


async def simulate_market(context: ReadContext, asked: RiskSimulationRequest) -> RiskSimulationView:
    """The simulation.

    Raises:
        ApiProblem: a move or an impact that cannot be; the chain is not followed, or nothing is.
        Retryable: the database is out of reach.
    """
    shock, impact = shock_of(asked.moves, context.options.groups), impact_of(asked.impact)

    async def make(books: Sequence[BookAt], directory: Directory) -> RiskSimulationView:
        verdicts = [await verdicts_at(context, book, shock) for book in books]
        return await asyncio.to_thread(_simulated, books, directory, verdicts, shock, impact, asked)

    return await at_books(context, asked.chain_id, ("simulate", asked.model_dump_json()), make)


async def load_falls(context: ReadContext) -> list[RiskSimulationView]:
    """All volatile assets fall by each of `FALLS`, with the default impact. Raises what `simulate_market` raises."""
    moves = [PriceMove(group=VOLATILE, change=change) for change in FALLS]
    return [await simulate_market(context, RiskSimulationRequest(moves=[move], limit=0)) for move in moves]


async def verdicts_at(context: ReadContext, book: BookAt, shock: Shock) -> Verdicts:
    """Who is liquidatable after the shock: by the exact rule for whoever floats cannot be trusted with."""
    screened = await asyncio.to_thread(screen_under, book.market, shock)
    asked = screened.asking(book.reading.exact_only)
    snapshots = await context.books.states_of(book, asked.doubtful)
    states, groups = book.reading.states, book.market.groups

    def decide() -> Verdicts:
        exact = {s.key: verdict_under(states.get(s.key.deployment_id), s, shock, groups) for s in snapshots}
        return decided(asked, exact)

    return await asyncio.to_thread(decide)


def impact_of(asked: ImpactRequest) -> Impact:
    """The impact asked for.

    Raises:
        ApiProblem: a number out of its range.
    """
    close_factor, bonus = Decimal(asked.close_factor), Decimal(asked.bonus)
    if not 0 < close_factor <= 1 or bonus > 1:
        raise ApiProblem(INVALID_PARAMETER, "impact: close_factor above 0 and at most 1, bonus at most 1")
    depth = dict(DEFAULT_DEPTH_USD)
    if asked.depth_usd is not None:
        if VOLATILE in asked.depth_usd:
            raise ApiProblem(INVALID_PARAMETER, f"impact.depth_usd: each group has its own depth, {VOLATILE!r} none")
        depth = {name if name.islower() else name.upper(): float(text) for name, text in asked.depth_usd.items()}
        if any(amount <= 0 for amount in depth.values()):
            raise ApiProblem(INVALID_PARAMETER, "impact.depth_usd: above 0; leave out what does not move")
    return Impact(depth, ImpactModel(asked.model), float(close_factor), float(bonus), asked.max_rounds)


def _simulated(
    books: Sequence[BookAt],
    directory: Directory,
    verdicts: Sequence[Verdicts],
    shock: Shock,
    impact: Impact,
    asked: RiskSimulationRequest,
) -> RiskSimulationView:
    markets = [book.market for book in books]
    now = {key for book in books for key in book.reading.liquidatable()}
    after = {key for one in verdicts for key in one.liquidatable}
    unsure = {key for one in verdicts for key in one.undecided}
    fallen, recovered = sorted(after - now), sorted(now - after - unsure)
    found: Cascade = cascade(markets, shock, impact)
    return RiskSimulationView.model_validate(
        head_fields(books, directory, unconverted_of(markets))
        | {
            "moves": list(asked.moves),
            "liquidatable_now": len(now),
            "liquidatable_after": len(after),
            "undecided_accounts": sum(len(one.undecided) for one in verdicts),
            "fallen_accounts": len(fallen),
            "fallen": [_turned(key) for key in fallen[: asked.limit]],
            "recovered_accounts": len(recovered),
            "recovered": [_turned(key) for key in recovered[: asked.limit]],
            "at_move": cascade_sums(found.at_shock),
            "at_rest": cascade_sums(found.at_rest),
            "model": impact.model.value,
            "close_factor": asked.impact.close_factor,
            "bonus": asked.impact.bonus,
            "rounds": found.rounds,
            "is_at_rest": found.is_at_rest,
            "pools": pool_views(found, impact),
        }
    )


def _turned(key: AccountKey) -> TurnedView:
    return TurnedView(wallet=to_checksum(key.wallet), deployment_id=key.deployment_id, unit=key.unit)

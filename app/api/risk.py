"""/v1/risk and liquidation curves: what moves of prices would do to everybody followed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from app.api.examples import common as examples
from app.api.examples import risk as examples_risk
from app.api.frame.addresses import to_checksum
from app.api.frame.answers import answer, restarting
from app.api.frame.books import BookAt
from app.api.frame.deps import Overtaken, ReadContext
from app.api.frame.freshness import as_of_head, least_fresh
from app.api.frame.heads import ChainAt, Directory, load_directory, with_troubles
from app.api.frame.problems import INVALID_PARAMETER, NOT_FOUND, UNAVAILABLE, ApiProblem
from app.api.render.risk import (
    RiskTally,
    chain_view,
    concentration_view,
    curve_sums,
    deployment_curves,
    deployment_view,
    tallies,
    total_of,
)
from app.api.schemas.risk import CurveView, ExclusionsView, RiskSummaryView, RiskView
from app.api.wallets import ChainIdQuery, Context
from app.book import BlockReplaced
from app.domain.market import Deployment, Market
from app.protocols.base import ProtocolKind
from app.valuation.groups import OTHER
from app.valuation.market_risk import JointMove, RiskMarket, concentration, risk_curve, summarise

router = APIRouter(tags=["risk"])

V = TypeVar("V", bound=RiskView)

HIGHEST_CHANGE = 9.0
"""+900 %."""

PointsQuery = Annotated[int, Query(ge=2, le=1001, description="Moves from the lowest to the highest, both included.")]
LowestQuery = Annotated[float, Query(gt=-1, le=HIGHEST_CHANGE, alias="from", description="Lowest move, as a ratio.")]
HighestQuery = Annotated[float, Query(gt=-1, le=HIGHEST_CHANGE, alias="to", description="Highest move, as a ratio.")]


@dataclass(frozen=True, slots=True)
class Steps:
    """The moves of a curve."""

    lowest: float = -0.5
    highest: float = 0.5
    points: int = 101

    @property
    def changes(self) -> list[float]:
        """Ascending ratios, to millionths.

        Raises:
            ApiProblem: they do not ascend.
        """
        width = (self.highest - self.lowest) / (self.points - 1)
        found = [round(self.lowest + width * place, 6) for place in range(self.points)]
        if any(after <= before for before, after in pairwise(found)) or found[0] <= -1:
            raise ApiProblem(INVALID_PARAMETER, "from, to, points: moves at least a millionth apart, above -1")
        return found


DEFAULT_STEPS = Steps()


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, and the blocks it is of."""

    directory: Directory
    view: RiskView


@router.get(
    "/v1/risk/summary",
    response_model=RiskSummaryView,
    responses=examples.responses(examples_risk.SUMMARY, 404, 422),
    summary="Everybody followed, by status and band, and who owes most",
)
async def get_summary(request: Request, context: Context, chain_id: ChainIdQuery = None) -> Response:
    """Accounts by the contracts' verdicts; what they hold and owe in US dollars, by floats; the largest debtors."""
    view = await load_summary(context, chain_id)
    return answer(request, view, view.chains, volatile=view.troubled_deployments)


@router.get(
    "/v1/risk/liquidation-curve",
    response_model=CurveView,
    responses=examples.responses(examples_risk.CURVE, 404, 422),
    summary="What would be liquidatable if the prices of a group moved together",
)
async def get_group_curve(
    request: Request,
    context: Context,
    group: Annotated[str, Query(max_length=100, description="`eth`, `btc`, `stable` or `volatile`: all not stable.")],
    chain_id: ChainIdQuery = None,
    lowest: LowestQuery = DEFAULT_STEPS.lowest,
    highest: HighestQuery = DEFAULT_STEPS.highest,
    points: PointsQuery = DEFAULT_STEPS.points,
) -> Response:
    """Accounts, debt and collateral at each move, by deployment and in total, before anything is sold."""
    view = await load_group_curve(context, group, chain_id, Steps(lowest, highest, points))
    return answer(request, view, view.chains, volatile=view.troubled_deployments)


@router.get(
    "/v1/markets/{deployment_id}/{market}/liquidation-curve",
    response_model=CurveView,
    responses=examples.responses(examples_risk.CURVE, 404, 422),
    summary="What would be liquidatable if the price of one token moved",
)
async def get_market_curve(
    request: Request,
    context: Context,
    deployment_id: Annotated[str, Path(max_length=100)],
    market: Annotated[str, Path(max_length=300, description="The market's code, as in /v1/markets.")],
    lowest: LowestQuery = DEFAULT_STEPS.lowest,
    highest: HighestQuery = DEFAULT_STEPS.highest,
    points: PointsQuery = DEFAULT_STEPS.points,
) -> Response:
    """The token of this market moves, in every deployment on its chain that has a market for it. `deployments` has the
    part of each."""
    view = await load_market_curve(context, deployment_id, market, Steps(lowest, highest, points))
    return answer(request, view, view.chains, volatile=view.troubled_deployments)


async def load_summary(context: ReadContext, chain_id: int | None = None) -> RiskSummaryView:
    """The summary of one chain or of all.

    Raises:
        ApiProblem: the chain is not followed, or nothing is.
        Retryable: the database is out of reach.
    """

    async def make(books: Sequence[BookAt], directory: Directory) -> RiskSummaryView:
        return await asyncio.to_thread(_summary, context, books, directory)

    return await at_books(context, chain_id, ("summary",), make)


async def load_group_curve(
    context: ReadContext, group: str, chain_id: int | None = None, steps: Steps = DEFAULT_STEPS
) -> CurveView:
    """The curve of one group, over one chain or all. Raises what `load_summary` raises."""
    names = sorted(context.options.groups.names - {OTHER})
    if group not in names:
        raise ApiProblem(INVALID_PARAMETER, f"group: any of {', '.join(names)}; what is in none moves by market only")

    async def make(books: Sequence[BookAt], directory: Directory) -> CurveView:
        moved = [book.market.of_group(group) for book in books]
        return await asyncio.to_thread(_curve, context, books, directory, moved, steps, (group, None))

    return await at_books(context, chain_id, ("group", group, steps), make)


async def load_market_curve(
    context: ReadContext, deployment_id: str, code: str, steps: Steps = DEFAULT_STEPS
) -> CurveView:
    """The curve of one market's token on its chain. Raises what `load_summary` raises, and for an unknown market."""
    following = await load_followed(context)
    deployment = following.get(deployment_id)
    if deployment is None:
        raise ApiProblem(NOT_FOUND, f"no deployment {deployment_id!r} is followed here")

    async def make(books: Sequence[BookAt], directory: Directory) -> CurveView:
        (book,) = books
        market = book.market.markets.get((deployment_id, code))
        if market is None:
            raise ApiProblem(NOT_FOUND, f"no market of {deployment_id} that can be valued has this code")
        moved = [book.market.of_asset(market.asset)]
        return await asyncio.to_thread(_curve, context, books, directory, moved, steps, (market.symbol, market))

    return await at_books(context, deployment.chain_id, ("market", deployment_id, code, steps), make)


async def load_followed(context: ReadContext) -> Mapping[str, Deployment]:
    """Every deployment that is followed, by id."""
    async with context.database.read() as session:
        return {one.id: one for one in (await context.following(session)).deployments}


async def at_books(
    context: ReadContext,
    chain_id: int | None,
    asked: tuple[object, ...],
    make: Callable[[Sequence[BookAt], Directory], Awaitable[V]],
) -> V:
    """An answer from the newest books of the chains asked for, made once however many ask; its ages are of now.

    Raises:
        ApiProblem: the chain is not followed, or nothing is stored yet.
        Retryable: the database is out of reach.
    """

    async def load_once() -> V:
        async with context.database.read() as session:
            directory = await load_directory(session, context, chain_id)
        blocks = directory.blocks
        if not blocks:
            raise ApiProblem(UNAVAILABLE, "nothing is indexed yet", {"Retry-After": "5"})

        async def made() -> Kept:
            try:
                async with context.books.standing(blocks) as books:
                    at = await with_troubles(context, _at_blocks(context, directory, books))
                    return Kept(at, await make(books, at))
            except BlockReplaced as error:
                raise Overtaken(str(error)) from None

        key = (*asked, tuple((number, block.id, bytes(block.ref.hash)) for number, block in sorted(blocks.items())))
        kept = await context.risk_views.get(key, made)
        as_ofs = _at_blocks(context, kept.directory, ()).as_ofs
        view: V = kept.view.model_copy(update={"as_of": least_fresh(as_ofs), "chains": as_ofs})
        return view

    return await restarting(load_once)


def _at_blocks(context: ReadContext, directory: Directory, books: Sequence[BookAt]) -> Directory:
    """The directory at the blocks of the books, and how old those are now."""
    blocks = directory.blocks | {book.block.ref.chain_id: book.block for book in books}
    now, chains = context.clock(), {}
    for chain_id, chain in directory.chains.items():
        block = blocks.get(chain_id)
        as_of = as_of_head(chain_id, chain.status, block, now, context.sightings)
        chains[chain_id] = ChainAt(chain_id, chain.status, block, as_of)
    return replace(directory, chains=chains)


def head_fields(books: Sequence[BookAt], directory: Directory, unconverted: int) -> dict[str, object]:
    """What every answer begins with."""
    unknown = sum(sums.unknown for book in books for sums in book.sums)
    return {
        "as_of": least_fresh(directory.as_ofs),
        "chains": directory.as_ofs,
        "troubled_deployments": directory.troubled,
        "excluded": ExclusionsView(
            unknown_accounts=unknown,
            unconverted_accounts=unconverted,
            outside_book_accounts=sum(len(book.reading.exact_only) for book in books),
        ),
    }


def unconverted_of(markets: Sequence[RiskMarket]) -> int:
    """Accounts with debt in no sum of values."""
    return sum(one.unconverted for market in markets for one in summarise(market).values())


def _summary(context: ReadContext, books: Sequence[BookAt], directory: Directory) -> RiskSummaryView:
    summaries = [(book, summarise(book.market)) for book in books]
    found = {name: tally for name, tally in tallies(summaries).items() if name in directory.deployments}
    deployed = {name: directory.deployments[name] for name in sorted(found)}
    kinds = {name: context.kind_of(deployment) for name, deployment in deployed.items()}
    unconverted = sum(one.unconverted for _, by_name in summaries for one in by_name.values())

    def of(kind: ProtocolKind, chain_id: int | None = None) -> list[RiskTally]:
        return [found[n] for n, d in deployed.items() if kinds[n] is kind and chain_id in (None, d.chain_id)]

    return RiskSummaryView.model_validate(
        head_fields(books, directory, unconverted)
        | {
            "lending": total_of(of(ProtocolKind.LENDING)),
            "perps": total_of(of(ProtocolKind.PERP)),
            "concentration": concentration_view(concentration([book.market for book in books])),
            "per_chain": [
                chain_view(number, of(ProtocolKind.LENDING, number), of(ProtocolKind.PERP, number))
                for number in sorted(directory.blocks)
            ],
            "deployments": [deployment_view(d, kinds[name].value, found[name]) for name, d in deployed.items()],
        }
    )


def _curve(
    context: ReadContext,
    books: Sequence[BookAt],
    directory: Directory,
    moved: Sequence[JointMove],
    steps: Steps,
    named: tuple[str, Market | None],
) -> CurveView:
    changes = steps.changes
    moves = [1 + change for change in changes]
    curves = [risk_curve(book.market, move, moves) for book, move in zip(books, moved, strict=True)]
    name, token = named
    kinds = {one.id: context.kind_of(one).value for one in directory.deployments.values()}
    return CurveView.model_validate(
        head_fields(books, directory, unconverted_of([book.market for book in books]))
        | {
            "moved": name,
            "asset": None if token is None else to_checksum(token.asset),
            "moves": [f"{change:.6f}".rstrip("0").rstrip(".") if change else "0" for change in changes],
            "lending": curve_sums([curve.lending for curve in curves], len(moves)),
            "perps": curve_sums([curve.perps for curve in curves], len(moves)),
            "deployments": deployment_curves(curves, directory.deployments, kinds),
        }
    )

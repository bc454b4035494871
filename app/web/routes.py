"""The pages: search, wallet, and the fragments that keep a wallet page alive. Read only, no numbers of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Mapping
from typing import TypeVar
from urllib.parse import urlencode

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.api.frame.addresses import BadAddress, WalletReference, to_checksum
from app.api.frame.problems import BAD_REQUEST, NOT_FOUND, ApiProblem, problem_of, problem_response
from app.api.schemas.wallets import HistoryView, WalletView
from app.api.watch.desk import Desk
from app.domain.chain import Address
from app.errors import Retryable, WaterlineError
from app.web.assets import Asset, load_assets
from app.web.format import sentence
from app.web.headers import PageHeaders
from app.web.lookup import WrongChecksum, read_query
from app.web.market import load_market
from app.web.page import WalletPage, chart_items
from app.web.render import make_environment, utc
from app.web.source import PageSource
from app.web.stress import Stress, stresses_of
from app.web.watch_routes import watch_routes

RANKED = 8
"""Accounts offered on the front page as samples."""
CHARTED_DEPLOYMENTS = 6
"""Deployments a wallet page draws a past of, riskiest first."""

T = TypeVar("T")

_NUMBER = re.compile(r"[0-9]{1,18}")


def mount_pages(app: FastAPI, source: PageSource, desk: Desk | None = None) -> None:
    """Serve the pages on every path `app` has no route of its own for. Call it after the API's routes are in.

    The pages are an application of their own, so their designed errors and their headers touch nothing else.
    """
    app.mount("/", make_pages(source, desk))


def make_pages(source: PageSource, desk: Desk | None = None) -> Starlette:
    """The pages as an ASGI application. Without a desk there are no pages of watchlists."""
    pages = _Pages(source, has_watchlists=desk is not None)
    return Starlette(
        routes=[
            Route("/", pages.home),
            Route("/search", pages.search),
            Route("/accuracy", pages.accuracy),
            Route("/market", pages.market),
            Route("/wallet/{address}", pages.wallet),
            Route("/wallet/{address}/live", pages.live),
            Route("/wallet/{address}/history", pages.history),
            Route("/static/{digest}/{name}", pages.static),
            Route("/favicon.ico", pages.favicon),
            *(() if desk is None else watch_routes(desk, pages.render)),
        ],
        middleware=[Middleware(PageHeaders)],
        exception_handlers=dict.fromkeys((HTTPException, ApiProblem, WaterlineError, Exception), pages.failed),
    )


class _Pages:
    def __init__(self, source: PageSource, *, has_watchlists: bool) -> None:
        self._source = source
        self._assets = load_assets()
        self._environment = make_environment(self._assets)
        self._environment.globals["has_watchlists"] = has_watchlists

    async def home(self, request: Request) -> Response:
        ranked, deployments = await asyncio.gather(
            _or_problem(self._source.load_riskiest(RANKED)), _or_problem(self._source.load_deployments())
        )
        followed = [] if isinstance(deployments, ApiProblem) else deployments.items
        return self.render(
            "home.html",
            ranked=[] if isinstance(ranked, ApiProblem) else ranked.items,
            ranked_missing=_missing(ranked, "No account with debt is known yet."),
            deployments=followed,
            deployments_missing=_missing(deployments, "Nothing is followed yet."),
            names={deployment.id: deployment.name for deployment in followed},
        )

    async def market(self, request: Request) -> Response:
        return self.render("market.html", market=await load_market(self._source))

    async def search(self, request: Request) -> Response:
        query = request.query_params.get("q", "").strip()
        if not query:
            return RedirectResponse("/", 303)
        try:
            found = read_query(query)
        except BadAddress as error:
            return self._notice(400, "That is not a wallet address", [sentence(str(error))], query=query)
        if isinstance(found, WrongChecksum):
            return self._misspelt(found)
        return RedirectResponse(_wallet_url(found, {}), 303)

    async def accuracy(self, request: Request) -> Response:
        return self.render("accuracy.html", view=await self._source.load_accuracy())

    async def wallet(self, request: Request) -> Response:
        found = self._named(request)
        if isinstance(found, Response):
            return found
        chain_id, block_number = _asked(request)
        view = await self._source.load_wallet(found.address, chain_id, block_number)
        histories = await self._histories(found, view) if block_number is None else []
        return self.render("wallet.html", charts=chart_items(histories), **await self._context(view, request))

    async def live(self, request: Request) -> Response:
        found = self._named(request)
        if isinstance(found, Response):
            return found
        chain_id, block_number = _asked(request)
        view = await self._source.load_wallet(found.address, chain_id, block_number)
        return self.render("_wallet.html", **await self._context(view, request))

    async def history(self, request: Request) -> Response:
        found = self._named(request)
        if isinstance(found, Response):
            return found
        view = await self._source.load_wallet(found.address, _asked(request)[0], None)
        return self.render("_history.html", charts=chart_items(await self._histories(found, view)))

    async def static(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        current = request.path_params["digest"] == asset.digest
        return _serve(request, asset, "public, max-age=31536000, immutable" if current else "no-cache")

    async def favicon(self, request: Request) -> Response:
        return _serve(request, self._assets["favicon.svg"], "public, max-age=86400")

    async def failed(self, request: Request, error: Exception) -> Response:
        """Every error as a page; as a problem answer on the API's own paths."""
        problem = problem_of(error)
        if request.url.path.startswith("/v1/"):
            return problem_response(request, problem)
        if problem.kind is NOT_FOUND:
            lines = ["Nothing lives at this address of the site. A wallet page is /wallet/ and the wallet's address."]
        else:
            lines = [sentence(problem.detail)]
        if problem.kind.status >= 500:
            lines.append("No number is shown rather than an old or a guessed one. Loading the page again may help.")
            if request_id := request.scope.get("request_id"):
                lines.append(f"Reference for the operator: {request_id}")
        return self._notice(problem.kind.status, problem.kind.title, lines, headers=problem.headers)

    def _named(self, request: Request) -> WalletReference | Response:
        """The wallet in the path, or the answer that corrects it."""
        given = request.path_params["address"]
        try:
            found = read_query(given)
        except BadAddress as error:
            return self._notice(400, "That is not a wallet address", [sentence(str(error))], query=given)
        if isinstance(found, WrongChecksum):
            return self._misspelt(found)
        if given != to_checksum(found.address):
            return RedirectResponse(_wallet_url(found, dict(request.query_params)), 308)
        return found

    async def _histories(self, wallet: WalletReference, view: WalletView) -> list[HistoryView]:
        """The past in each deployment, riskiest first. A past that cannot be had leaves the present alone."""
        ids = list(dict.fromkeys(account.deployment_id for account in view.accounts))[:CHARTED_DEPLOYMENTS]
        answers = [await _or_problem(self._source.load_history(wallet.address, deployment_id)) for deployment_id in ids]
        return [answer for answer in answers if isinstance(answer, HistoryView)]

    async def _context(self, view: WalletView, request: Request) -> dict[str, object]:
        chain_id, block_number = _asked(request)
        deployments = () if view.accounts else tuple((await self._source.load_deployments()).items)
        if chain_id is not None:
            deployments = tuple(d for d in deployments if d.chain_id == chain_id)
        time = view.as_of.block_timestamp
        stresses: list[Stress] | None = []
        if any(account.status in ("healthy", "liquidatable") for account in view.accounts):
            wallet = Address.from_hex(view.address)
            answers = await _or_problem(self._source.load_stresses(wallet, chain_id, block_number))
            stresses = None if isinstance(answers, ApiProblem) else stresses_of(answers)
        tracking = None
        if not view.accounts and block_number is None:
            tracking = await _or_problem(self._source.track(Address.from_hex(view.address), chain_id))
        return {
            "tracking": None if isinstance(tracking, ApiProblem) else tracking,
            "stresses": stresses,
            "view": view,
            "page": WalletPage(view, chain_id, block_number, deployments),
            "as_of_time": None if time is None else utc(time),
        }

    def render(self, template: str, **context: object) -> HTMLResponse:
        """A template as an answer nobody keeps."""
        html = self._environment.get_template(template).render(context)
        return HTMLResponse(html.encode("utf-8", "replace"), headers={"Cache-Control": "no-store"})

    def _misspelt(self, found: WrongChecksum) -> Response:
        return self._notice(400, "This address fails its checksum", [], misspelt=found, query=found.given)

    def _notice(
        self,
        status: int,
        title: str,
        lines: list[str],
        *,
        query: str = "",
        misspelt: WrongChecksum | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        page = self.render("notice.html", code=status, title=title, lines=lines, query=query, misspelt=misspelt)
        page.status_code = status
        page.headers.update(headers or {})
        return page


async def _or_problem(answer: Awaitable[T]) -> T | ApiProblem:
    try:
        return await answer
    except (ApiProblem, Retryable) as error:
        return problem_of(error)


def _missing(answer: object, otherwise: str) -> str:
    return sentence(answer.detail) if isinstance(answer, ApiProblem) else otherwise


def _asked(request: Request) -> tuple[int | None, int | None]:
    """`chain_id` and `block_number` of the query; empty ones (an unfilled form) count as not given.

    Raises:
        ApiProblem: one of them is not a number.
    """
    numbers: list[int | None] = []
    for name in ("chain_id", "block_number"):
        text = request.query_params.get(name, "").strip().replace(",", "")
        if text and not _NUMBER.fullmatch(text):
            raise ApiProblem(BAD_REQUEST, f"{name} has to be a whole number of at most 18 digits")
        numbers.append(int(text) if text else None)
    return numbers[0], numbers[1]


def _wallet_url(found: WalletReference, query: Mapping[str, str]) -> str:
    asked = dict(query)
    if found.chain_id is not None:
        asked["chain_id"] = str(found.chain_id)
    return f"/wallet/{to_checksum(found.address)}" + (f"?{urlencode(asked)}" if asked else "")


def _serve(request: Request, asset: Asset, cache: str) -> Response:
    headers = {"Cache-Control": cache, "ETag": f'"{asset.digest}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if asset.name.endswith(".svg"):
        headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return Response(asset.body, media_type=asset.media_type, headers=headers)

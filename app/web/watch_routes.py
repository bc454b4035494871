"""Pages of watchlists: for whoever has logged in with a key. Every change is a form that works without scripts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.api.frame.keys import Actor
from app.api.frame.problems import BAD_REQUEST, ApiProblem
from app.api.schemas.watchlists import MemberIn, WatchlistIn
from app.api.watch.desk import Desk
from app.store.watch.keys import Scope
from app.web.forms import read_form, require_token, token_of
from app.web.lookup import WrongChecksum, read_query
from app.web.presets import PRESETS
from app.web.watch_changes import CHANGES, DONE, invalid
from app.web.watch_words import opening_of

Render: TypeAlias = Callable[..., HTMLResponse]
"""A template's name and its context."""
Handler: TypeAlias = Callable[[Request, Actor], Awaitable[Response]]

_HOME = "/watchlists"


def watch_routes(desk: Desk, render: Render) -> list[Route]:
    """The routes of these pages."""
    pages = WatchPages(desk, render)
    return [
        Route("/login", pages.login_form),
        Route("/login", pages.login, methods=["POST"]),
        Route("/logout", pages.logout, methods=["POST"]),
        Route("/watchlists", pages.lists),
        Route("/watchlists", pages.create, methods=["POST"]),
        Route("/watchlists/{id:int}", pages.show),
        Route("/watchlists/{id:int}", pages.change, methods=["POST"]),
        Route("/watchlists/{id:int}/live", pages.live),
        Route("/watchlists/{id:int}/edit", pages.edit),
        Route("/wallet/{address}/watch", pages.watch_form),
        Route("/wallet/{address}/watch", pages.watch, methods=["POST"]),
    ]


class WatchPages:
    """Handlers of requests."""

    def __init__(self, desk: Desk, render: Render) -> None:
        self._desk = desk
        self._render = render

    async def login_form(self, request: Request) -> Response:
        """The form; straight on for whoever has logged in."""
        if await self._desk.who(request) is not None:
            return RedirectResponse(_next(request.query_params.get("next")), 303)
        return self._login_page(200, _next(request.query_params.get("next")))

    async def login(self, request: Request) -> Response:
        """Keep the key in a cookie, if it is good."""
        form = await read_form(request)
        onwards = _next(form.get("next"))
        response: Response = RedirectResponse(onwards, 303)
        if await self._desk.log_in(request, form.get("key", ""), response):
            return response
        return self._login_page(401, onwards, failed=True)

    async def logout(self, request: Request) -> Response:
        """Forget the key."""
        if await self._desk.who(request) is not None:
            require_token(request, await read_form(request))
        response = RedirectResponse("/", 303)
        self._desk.log_out(response)
        return response

    async def lists(self, request: Request) -> Response:
        """Every list at a glance."""
        actor = await self._desk.who(request)
        if actor is None:
            return self._login_page(401, request.url.path)
        return self._page(request, actor, "watchlists.html", glance=await self._desk.load_lists())

    async def create(self, request: Request) -> Response:
        """A new list."""

        async def do(actor: Actor) -> str:
            form = await self._form(request)
            with invalid():
                given = WatchlistIn(name=form.get("name", ""), note="")
            return f"{_HOME}/{await self._desk.create_list(actor, given)}/edit?done=created"

        return await self._changed(request, do)

    async def show(self, request: Request) -> Response:
        """One list."""
        return await self._list_page(request, "watchlist.html")

    async def live(self, request: Request) -> Response:
        """The part of a list's page that changes with each block."""
        return await self._list_page(request, "_watchlist.html")

    async def edit(self, request: Request) -> Response:
        """Its wallets, rules and routes, to be changed."""
        return await self._list_page(request, "watchlist_edit.html")

    async def change(self, request: Request) -> Response:
        """Whatever a form of a list's pages asks for, named by its field `do`."""
        watchlist_id = request.path_params["id"]

        async def do(actor: Actor) -> str:
            form = await self._form(request)
            name = form.get("do", "")
            if name not in CHANGES:
                raise ApiProblem(BAD_REQUEST, "the form does not say what to do")
            await CHANGES[name].make(self._desk, actor, watchlist_id, form)
            return f"{_HOME}{CHANGES[name].back.format(id=watchlist_id)}?done={name}"

        return await self._changed(request, do)

    async def watch_form(self, request: Request) -> Response:
        """Which list a wallet is to be put on."""
        actor = await self._desk.who(request)
        if actor is None:
            return self._login_page(401, request.url.path)
        found = read_query(request.path_params["address"])
        if isinstance(found, WrongChecksum):
            return RedirectResponse(f"/wallet/{quote(found.given)}", 303)
        glance = await self._desk.load_lists()
        return self._page(request, actor, "watch_wallet.html", wallet=found, lists=glance.lists)

    async def watch(self, request: Request) -> Response:
        """Put a wallet on a list, or on a new one."""
        address = request.path_params["address"]

        async def do(actor: Actor) -> str:
            form = await self._form(request)
            chain = form.get("chain_id", "")
            with invalid():
                member = MemberIn.model_validate(
                    {"address": address, "chain_id": chain or None, "label": form.get("label", "")}
                )
                new = WatchlistIn(name=form["name"], note="") if form.get("name") else None
            chosen = form.get("list", "")
            if new is not None:
                watchlist_id = await self._desk.create_list(actor, new)
            elif chosen.isdecimal():
                watchlist_id = int(chosen)
            else:
                raise ApiProblem(BAD_REQUEST, "choose a list, or name a new one")
            await self._desk.add_members(actor, watchlist_id, [member])
            return f"{_HOME}/{watchlist_id}?done=add"

        return await self._changed(request, do)

    async def _list_page(self, request: Request, template: str) -> Response:
        actor = await self._desk.who(request)
        if actor is None:
            return self._login_page(401, request.url.path)
        after = request.query_params.get("after", "")
        place = int(after) if after.isascii() and after.isdecimal() and len(after) < 18 else 0
        glance = await self._desk.load_glance(request.path_params["id"], place)
        return self._page(
            request, actor, template, glance=glance, opening=opening_of(glance), presets=PRESETS, after=place
        )

    async def _form(self, request: Request) -> dict[str, str]:
        form = dict(await read_form(request))
        require_token(request, form)
        return form

    async def _changed(self, request: Request, do: Callable[[Actor], Awaitable[str]]) -> Response:
        """Make a change and go where it is to be seen."""
        actor = await self._desk.who(request, Scope.WATCH_WRITE)
        if actor is None:
            return self._login_page(401, _HOME)
        return RedirectResponse(await do(actor), 303)

    def _page(self, request: Request, actor: Actor, template: str, **context: object) -> Response:
        done = DONE.get(request.query_params.get("done", ""))
        return self._render(
            template,
            actor=actor,
            may_write=Scope.WATCH_WRITE in actor.scopes,
            token=token_of(request),
            done=done,
            **context,
        )

    def _login_page(self, status: int, onwards: str, *, failed: bool = False) -> Response:
        page = self._render("login.html", onwards=onwards, failed=failed)
        page.status_code = status
        return page


def _next(path: str | None) -> str:
    """Where to go on: a path of this site and nothing else."""
    if path and path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and " " not in path:
        return path
    return _HOME

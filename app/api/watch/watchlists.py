"""/v1/watchlists: named lists of wallets. Everything about them needs a key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from app.api.examples import common as examples
from app.api.examples import watchlists as examples_lists
from app.api.frame.cursor import make_place_cursor, read_place_cursor
from app.api.frame.keys import WatchReader, WatchWriter
from app.api.schemas.watchlists import WatchlistIn, WatchlistPatch, WatchlistsView, WatchlistView
from app.api.wallets import BLOCK_NUMBER_MAX, Context
from app.api.watch.changes import CursorQuery, changing, fresh, gone, unknown
from app.store.postgres.session import ReadSession
from app.store.watch.watchlists import (
    StoredList,
    create_list,
    delete_list,
    hold_list,
    load_list,
    load_lists,
    update_list,
)

router = APIRouter(tags=["watchlists"])

IdPath = Annotated[int, Path(ge=1, le=BLOCK_NUMBER_MAX)]


@router.get(
    "/v1/watchlists",
    response_model=WatchlistsView,
    responses=examples.responses(examples_lists.WATCHLISTS, 400, 401, 403, 422, unchanged=False),
    summary="Every watchlist",
)
async def get_watchlists(
    context: Context, _: WatchReader, limit: Annotated[int, Query(ge=1, le=200)] = 50, cursor: CursorQuery = None
) -> Response:
    """Lists in the order they were made, with how much is in each and the worst of its open episodes."""
    place = read_place_cursor(cursor, "watchlists")
    async with context.database.read() as session:
        found = await load_lists(session, limit + 1, after=0 if place is None else place[0])
    items = [watchlist_view(one) for one in found[:limit]]
    more = make_place_cursor(items[-1].id, "watchlists") if len(found) > limit else None
    return fresh(WatchlistsView(items=items, next_cursor=more))


@router.post(
    "/v1/watchlists",
    status_code=201,
    response_model=WatchlistView,
    responses=examples.responses(examples_lists.WATCHLIST, 400, 401, 403, 409, 413, 422, status=201),
    summary="Make a watchlist",
)
async def post_watchlist(context: Context, actor: WatchWriter, given: WatchlistIn) -> Response:
    """A new list is empty: give it members and rules, and routes to channels."""
    async with changing(context, actor, "watchlist.create") as change:
        watchlist_id = await create_list(change.session, given.name, given.note, context.clock())
        change.note(f"watchlist:{watchlist_id}", name=given.name)
        made = await require_list(change.session, watchlist_id)
    return fresh(watchlist_view(made), 201, f"/v1/watchlists/{watchlist_id}")


@router.get(
    "/v1/watchlists/{watchlist_id}",
    response_model=WatchlistView,
    responses=examples.responses(examples_lists.WATCHLIST, 401, 403, 404, 422, unchanged=False),
    summary="One watchlist",
)
async def get_watchlist(context: Context, _: WatchReader, watchlist_id: IdPath) -> Response:
    """The list, with how much is in it and the worst of its open episodes."""
    async with context.database.read() as session:
        return fresh(watchlist_view(await require_list(session, watchlist_id)))


@router.patch(
    "/v1/watchlists/{watchlist_id}",
    response_model=WatchlistView,
    responses=examples.responses(examples_lists.WATCHLIST, 400, 401, 403, 404, 409, 413, 422, unchanged=False),
    summary="Rename, annotate, pause a watchlist",
)
async def patch_watchlist(
    context: Context, actor: WatchWriter, watchlist_id: IdPath, given: WatchlistPatch
) -> Response:
    """What is left out stays as it is."""
    async with changing(context, actor, "watchlist.update") as change:
        held = await hold_list(change.session, watchlist_id)
        if held is None:
            raise unknown("watchlist", watchlist_id)
        name = held.name if given.name is None else given.name
        note = held.note if given.note is None else given.note
        is_paused = held.is_paused if given.is_paused is None else given.is_paused
        await update_list(change.session, watchlist_id, name, note, is_paused=is_paused)
        change.note(f"watchlist:{watchlist_id}", name=name, is_paused=is_paused)
        changed = await require_list(change.session, watchlist_id)
    return fresh(watchlist_view(changed))


@router.delete(
    "/v1/watchlists/{watchlist_id}",
    status_code=204,
    responses=examples.deletion(401, 403, 404, 422),
    summary="Delete a watchlist",
)
async def delete_watchlist(context: Context, actor: WatchWriter, watchlist_id: IdPath) -> Response:
    """With its members, rules, routes and episodes, and whatever of them was still to be sent."""
    async with changing(context, actor, "watchlist.delete") as change:
        held = await hold_list(change.session, watchlist_id)
        if held is None:
            raise unknown("watchlist", watchlist_id)
        await delete_list(change.session, watchlist_id)
        change.note(f"watchlist:{watchlist_id}", name=held.name)
    return gone()


async def require_list(session: ReadSession, watchlist_id: int) -> StoredList:
    """A list.

    Raises:
        ApiProblem: none has that id.
    """
    found = await load_list(session, watchlist_id)
    if found is None:
        raise unknown("watchlist", watchlist_id)
    return found


def watchlist_view(stored: StoredList) -> WatchlistView:
    """A list as it is shown."""
    return WatchlistView.model_validate(
        {
            "id": stored.id,
            "name": stored.name,
            "note": stored.note,
            "is_paused": stored.is_paused,
            "created_at": stored.created_at,
            "members": stored.members,
            "rules": stored.rules,
            "open_episodes": stored.open_episodes,
            "severity": None if stored.severity is None else stored.severity.name.lower(),
        }
    )

"""Changes asked for through the API, and the log of them: /v1/change-log.

`changing` is the only way in which anything with a key writes: one transaction, with its line in the log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.api.examples import changes as examples_changes
from app.api.examples import common as examples
from app.api.frame.cursor import MAX_LENGTH, make_place_cursor, read_place_cursor
from app.api.frame.deps import ReadContext
from app.api.frame.keys import Actor, Operator
from app.api.frame.problems import CONFLICT, UNKNOWN_ID, ApiProblem
from app.api.schemas.alerts import PlainText
from app.api.schemas.base import View
from app.api.schemas.changes import ChangesView, ChangeView
from app.api.wallets import Context
from app.errors import Refused
from app.store.watch import change_log
from app.store.watch.change_log import Changing, load_changes

router = APIRouter(tags=["operations"])

CursorQuery = Annotated[str | None, Query(max_length=MAX_LENGTH, description="next_cursor of the page before.")]


@asynccontextmanager
async def changing(context: ReadContext, actor: Actor, action: str) -> AsyncIterator[Changing]:
    """One transaction of `actor` that changes something.

    Raises:
        ApiProblem: the store refused the change: as things are it cannot be made.
    """
    async with change_log.changing(context.database, actor.label, action, context.clock()) as change:
        try:
            yield change
        except Refused as error:
            raise ApiProblem(CONFLICT, str(error)) from error


@router.get(
    "/v1/change-log",
    response_model=ChangesView,
    responses=examples.responses(examples_changes.CHANGES, 400, 401, 403, 422, unchanged=False),
    summary="Who changed what",
)
async def get_change_log(
    context: Context,
    _: Operator,
    actor: Annotated[PlainText | None, Query(max_length=300, description="Only of whom the log calls so.")] = None,
    subject: Annotated[PlainText | None, Query(max_length=100, description="Only of this: watchlist:7.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: CursorQuery = None,
) -> Response:
    """Every change of lists, members, rules, channels, routes and keys, and every acknowledgement, newest first. No
    line holds a secret. Needs the scope ops."""
    filters = ("changes", actor, subject)
    place = read_place_cursor(cursor, filters)
    async with context.database.read() as session:
        before = None if place is None else place[0]
        found = await load_changes(session, limit + 1, before=before, actor=actor, subject=subject)
    items = [
        ChangeView(
            id=one.id, at=one.at, actor=one.actor, action=one.action, subject=one.subject, detail=dict(one.detail)
        )
        for one in found[:limit]
    ]
    more = make_place_cursor(items[-1].id, filters) if len(found) > limit else None
    return fresh(ChangesView(items=items, next_cursor=more))


def fresh(view: View, status: int = 200, location: str | None = None) -> Response:
    """An answer nobody may keep: it is of one key's holder."""
    headers = {"Cache-Control": "no-store"} | ({} if location is None else {"Location": location})
    return Response(view.model_dump_json(), status, headers, media_type="application/json")


def gone() -> Response:
    """The answer to a deletion that was made."""
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


def unknown(kind: str, id: object) -> ApiProblem:
    """The problem of an id nothing has."""
    return ApiProblem(UNKNOWN_ID, f"no {kind} has the id {id}")

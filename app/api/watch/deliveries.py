"""/v1/deliveries: what was told to whom, what is still to be told, and what could not be and may be tried again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from app.api.examples import alerts as examples_alerts
from app.api.examples import common as examples
from app.api.frame.cursor import make_place_cursor, read_place_cursor
from app.api.frame.keys import WatchReader, WatchWriter
from app.api.frame.problems import CONFLICT, ApiProblem
from app.api.schemas.alerts import (
    AttemptView,
    DeliveriesView,
    DeliveryDetailView,
    DeliveryStateName,
    DeliveryView,
)
from app.api.wallets import BLOCK_NUMBER_MAX, Context
from app.api.watch.changes import CursorQuery, changing, fresh, unknown
from app.store.postgres.session import ReadSession
from app.store.watch.outbox import Delivery, load_attempts, load_deliveries, load_delivery, replay

router = APIRouter(tags=["alerts"])

DeliveryIdPath = Annotated[str, Path(pattern="^msg_[a-z0-9]{26}$")]


@router.get(
    "/v1/deliveries",
    response_model=DeliveriesView,
    responses=examples.responses(examples_alerts.DELIVERIES, 400, 401, 403, 422, unchanged=False),
    summary="What was told to whom",
)
async def get_deliveries(
    context: Context,
    _: WatchReader,
    watchlist_id: Annotated[int | None, Query(ge=1, le=BLOCK_NUMBER_MAX, description="Only of this list.")] = None,
    channel_id: Annotated[int | None, Query(ge=1, le=BLOCK_NUMBER_MAX, description="Only to this channel.")] = None,
    state: Annotated[DeliveryStateName | None, Query(description="Only those that stand so.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: CursorQuery = None,
) -> Response:
    """Newest first. `dead` ones were given up after a day, or their channel was turned off: they can be replayed."""
    filters = ("deliveries", watchlist_id, channel_id, state)
    before = read_place_cursor(cursor, filters)
    async with context.database.read() as session:
        found = await load_deliveries(
            session, watchlist_id=watchlist_id, channel_id=channel_id, state=state, before=before, limit=limit + 1
        )
    last = found[limit - 1] if len(found) > limit else None
    more = None if last is None else make_place_cursor(last.created_at, filters, last.id)
    return fresh(DeliveriesView(items=[delivery_view(one) for one in found[:limit]], next_cursor=more))


@router.get(
    "/v1/deliveries/{delivery_id}",
    response_model=DeliveryDetailView,
    responses=examples.responses(examples_alerts.DELIVERY_DETAIL, 401, 403, 404, 422, unchanged=False),
    summary="One message with every try",
)
async def get_delivery(context: Context, _: WatchReader, delivery_id: DeliveryIdPath) -> Response:
    """Its body as it is sent to a webhook, and what came of each try. Bodies of answers are not kept."""
    async with context.database.read() as session:
        return fresh(await load_detail(session, delivery_id))


@router.post(
    "/v1/deliveries/{delivery_id}/replay",
    response_model=DeliveryDetailView,
    responses=examples.responses(examples_alerts.DELIVERY_DETAIL, 400, 401, 403, 404, 409, 422, unchanged=False),
    summary="Try a dead message again",
)
async def post_replay(context: Context, actor: WatchWriter, delivery_id: DeliveryIdPath) -> Response:
    """From the beginning, under the same id: a receiver that took it after all knows it again."""
    async with changing(context, actor, "delivery.replay") as change:
        is_replayed = await replay(change.session, delivery_id, context.clock())
        view = await load_detail(change.session, delivery_id)
        if not is_replayed:
            raise ApiProblem(CONFLICT, f"only a dead message is replayed; this one is {view.state}")
        change.note(f"delivery:{delivery_id}", channel=view.channel_id)
    return fresh(view)


async def load_detail(session: ReadSession, delivery_id: str) -> DeliveryDetailView:
    """A message with every try.

    Raises:
        ApiProblem: none has that id.
    """
    found = await load_delivery(session, delivery_id)
    if found is None:
        raise unknown("delivery", delivery_id)
    tries = [
        AttemptView(at=one.at, took_ms=one.took_ms, status=one.status, error=one.error)
        for one in await load_attempts(session, [delivery_id])
    ]
    return DeliveryDetailView(**delivery_view(found).model_dump(), body=dict(found.body), tries=tries)


def delivery_view(delivery: Delivery) -> DeliveryView:
    """A message as it is shown."""
    return DeliveryView.model_validate(
        {
            "id": delivery.id,
            "channel_id": delivery.channel_id,
            "kind": delivery.kind,
            "severity": delivery.severity.name.lower(),
            "state": delivery.state,
            "attempts": delivery.attempts,
            "created_at": delivery.created_at,
            "send_after": delivery.send_after,
            "delivered_at": delivery.delivered_at,
            "last_error": delivery.last_error,
            "watchlist_id": delivery.watchlist_id,
            "episode_id": delivery.episode_id,
        }
    )

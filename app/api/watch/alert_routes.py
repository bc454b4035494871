"""/v1/watchlists/{id}/routes: which findings of a list are told to which channel, and when not."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from app.api.examples import alerts as examples_alerts
from app.api.examples import common as examples
from app.api.frame.keys import WatchReader, WatchWriter
from app.api.frame.problems import INVALID_PARAMETER, UNKNOWN_ID, ApiProblem
from app.api.schemas.alerts import RouteIn, RoutesView, RouteView
from app.api.wallets import Context
from app.api.watch.changes import changing, fresh, gone, unknown
from app.api.watch.watchlists import IdPath, require_list
from app.domain.watch import Severity
from app.store.watch.channels import NewRoute, Route, delete_route, hold_channel, load_list_routes, store_route
from app.store.watch.watchlists import hold_list
from app.watch.quiet import zone_of

router = APIRouter(tags=["alerts"])


@router.get(
    "/v1/watchlists/{watchlist_id}/routes",
    response_model=RoutesView,
    responses=examples.responses(examples_alerts.ROUTES, 401, 403, 404, 422, unchanged=False),
    summary="Whom a watchlist tells",
)
async def get_routes(context: Context, _: WatchReader, watchlist_id: IdPath) -> Response:
    """Every route, those to channels that are turned off too."""
    async with context.database.read() as session:
        await require_list(session, watchlist_id)
        return fresh(RoutesView(items=[route_view(one) for one in await load_list_routes(session, watchlist_id)]))


@router.put(
    "/v1/watchlists/{watchlist_id}/routes/{channel_id}",
    response_model=RouteView,
    responses=examples.responses(examples_alerts.ROUTE, 400, 401, 403, 404, 413, 422, unchanged=False),
    summary="Have a watchlist tell a channel",
)
async def put_route(
    context: Context, actor: WatchWriter, watchlist_id: IdPath, channel_id: IdPath, given: RouteIn
) -> Response:
    """The whole route: what is left out is as if it had never been said."""
    route = new_route(watchlist_id, channel_id, given)
    async with changing(context, actor, "route.set") as change:
        if await hold_list(change.session, watchlist_id) is None:
            raise unknown("watchlist", watchlist_id)
        if await hold_channel(change.session, channel_id) is None:
            raise unknown("channel", channel_id)
        await store_route(change.session, route)
        change.note(f"watchlist:{watchlist_id}", channel=channel_id, min_severity=given.min_severity)
    return fresh(RouteView(**given.model_dump(), watchlist_id=watchlist_id, channel_id=channel_id))


@router.delete(
    "/v1/watchlists/{watchlist_id}/routes/{channel_id}",
    status_code=204,
    responses=examples.deletion(401, 403, 404, 422),
    summary="Have a watchlist tell a channel nothing any more",
)
async def remove_route(context: Context, actor: WatchWriter, watchlist_id: IdPath, channel_id: IdPath) -> Response:
    """What waits to be sent is sent."""
    async with changing(context, actor, "route.delete") as change:
        if not await delete_route(change.session, watchlist_id, channel_id):
            raise ApiProblem(UNKNOWN_ID, f"list {watchlist_id} has no route to channel {channel_id}")
        change.note(f"watchlist:{watchlist_id}", channel=channel_id)
    return gone()


def new_route(watchlist_id: int, channel_id: int, given: RouteIn) -> NewRoute:
    """The route that was meant.

    Raises:
        ApiProblem: its times contradict each other, or there is no such time zone.
    """
    if (given.quiet_from is None) != (given.quiet_to is None):
        raise ApiProblem(INVALID_PARAMETER, "quiet_from and quiet_to come together")
    if given.quiet_from is not None and given.quiet_from == given.quiet_to:
        raise ApiProblem(INVALID_PARAMETER, "quiet_to: quiet hours end at another time than they begin at")
    if zone_of(given.timezone) is None:
        raise ApiProblem(INVALID_PARAMETER, "timezone: not an IANA name such as Europe/Berlin")
    override = given.quiet_override
    return NewRoute(
        watchlist_id,
        channel_id,
        Severity[given.min_severity.upper()],
        given.timezone,
        _minute(given.quiet_from),
        _minute(given.quiet_to),
        None if override is None else Severity[override.upper()],
        given.repeat_seconds,
        _minute(given.digest_at),
    )


def route_view(route: Route) -> RouteView:
    """A route as it is shown."""
    override = route.quiet_override
    return RouteView.model_validate(
        {
            "min_severity": route.min_severity.name.lower(),
            "timezone": route.timezone,
            "quiet_from": _time(route.quiet_from_minute),
            "quiet_to": _time(route.quiet_to_minute),
            "quiet_override": None if override is None else override.name.lower(),
            "repeat_seconds": route.repeat_seconds,
            "digest_at": _time(route.digest_minute),
            "watchlist_id": route.watchlist_id,
            "channel_id": route.channel_id,
        }
    )


def _minute(text: str | None) -> int | None:
    return None if text is None else int(text[:2]) * 60 + int(text[3:])


def _time(minute: int | None) -> str | None:
    return None if minute is None else f"{minute // 60:02}:{minute % 60:02}"

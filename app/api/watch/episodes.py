"""/v1/episodes: what rules found, with the block and the numbers it rests on; and that somebody took note."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.api.examples import alerts as examples_alerts
from app.api.examples import common as examples
from app.api.frame.addresses import to_checksum
from app.api.frame.cursor import make_place_cursor, read_place_cursor
from app.api.frame.keys import WatchReader, WatchWriter
from app.api.frame.problems import CONFLICT, ApiProblem
from app.api.schemas.alerts import (
    EpisodeDetailView,
    EpisodeEventView,
    EpisodeStateName,
    EpisodesView,
    EpisodeView,
)
from app.api.wallets import BLOCK_NUMBER_MAX, Context, wallet_of
from app.api.watch.changes import CursorQuery, changing, fresh, unknown
from app.api.watch.watchlists import IdPath
from app.domain.account import AccountKey
from app.domain.rules import METRICS, format_level, format_value
from app.domain.watch import EpisodeState, MarketSubject, Metric
from app.store.postgres.session import ReadSession
from app.store.watch.episodes import Episode, StoredEvent, acknowledge, load_episode, load_episodes, load_events

router = APIRouter(tags=["alerts"])


@router.get(
    "/v1/episodes",
    response_model=EpisodesView,
    responses=examples.responses(examples_alerts.EPISODES, 400, 401, 403, 422, unchanged=False),
    summary="What rules found",
)
async def get_episodes(
    context: Context,
    _: WatchReader,
    watchlist_id: Annotated[int | None, Query(ge=1, le=BLOCK_NUMBER_MAX, description="Only of this list.")] = None,
    address: Annotated[str | None, Query(max_length=300, description="Only of this wallet.")] = None,
    state: Annotated[EpisodeStateName | None, Query(description="Only those that stand so.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: CursorQuery = None,
) -> Response:
    """Newest first. An episode stays after its block was replaced: it is retracted then."""
    wallet = None if address is None else wallet_of(address).address
    filters = ("episodes", watchlist_id, wallet, state)
    place = read_place_cursor(cursor, filters)
    async with context.database.read() as session:
        found = await load_episodes(
            session,
            watchlist_id=watchlist_id,
            wallet=wallet,
            state=None if state is None else EpisodeState(state),
            before_id=None if place is None else place[0],
            limit=limit + 1,
        )
    more = make_place_cursor(found[limit - 1].id, filters) if len(found) > limit else None
    return fresh(EpisodesView(items=[episode_view(one) for one in found[:limit]], next_cursor=more))


@router.get(
    "/v1/episodes/{episode_id}",
    response_model=EpisodeDetailView,
    responses=examples.responses(examples_alerts.EPISODE_DETAIL, 401, 403, 404, 422, unchanged=False),
    summary="One episode with its steps",
)
async def get_episode(context: Context, _: WatchReader, episode_id: IdPath) -> Response:
    """Every step with the block and the exact inputs it was decided with, retracted ones too."""
    async with context.database.read() as session:
        return fresh(await load_detail(session, episode_id))


@router.post(
    "/v1/episodes/{episode_id}/acknowledge",
    response_model=EpisodeDetailView,
    responses=examples.responses(examples_alerts.EPISODE_DETAIL, 400, 401, 403, 404, 409, 422, unchanged=False),
    summary="Take note of an episode",
)
async def post_acknowledge(context: Context, actor: WatchWriter, episode_id: IdPath) -> Response:
    """Nobody is reminded of it any more. When it gets worse that is told all the same. The first one to do so stays."""
    async with changing(context, actor, "episode.acknowledge") as change:
        if await acknowledge(change.session, episode_id, actor.label, context.clock()):
            change.note(f"episode:{episode_id}")
        view = await load_detail(change.session, episode_id)
        if view.acknowledged_at is None:
            raise ApiProblem(CONFLICT, f"the episode is over: it is {view.state}")
    return fresh(view)


async def load_detail(session: ReadSession, episode_id: int) -> EpisodeDetailView:
    """An episode with its steps.

    Raises:
        ApiProblem: none has that id.
    """
    episode = await load_episode(session, episode_id)
    if episode is None:
        raise unknown("episode", episode_id)
    events = await load_events(session, [episode_id])
    steps = [event_view(episode.metric, one) for one in events]
    return EpisodeDetailView(**episode_view(episode).model_dump(), events=steps)


def episode_view(episode: Episode) -> EpisodeView:
    """An episode as it is shown."""
    return EpisodeView.model_validate(
        {
            "id": episode.id,
            "watchlist_id": episode.watchlist_id,
            "rule_id": episode.rule_id,
            "rule": episode.rule_name,
            "metric": episode.metric.value,
            "unit": METRICS[episode.metric].unit.value,
            "subject": _subject(episode),
            "state": episode.state.value,
            "severity": episode.severity.name.lower(),
            "opened_at": episode.opened_at,
            "announced_at": episode.announced_at,
            "closed_at": episode.closed_at,
            "acknowledged_at": episode.acknowledged_at,
            "acknowledged_by": episode.acknowledged_by,
        }
    )


def event_view(metric: Metric, stored: StoredEvent) -> EpisodeEventView:
    """A step as it is shown."""
    event = stored.event
    block = event.block
    place = block and {
        "block_number": block.number,
        "block_hash": str(block.hash),
        "block_timestamp": block.timestamp,
    }
    return EpisodeEventView.model_validate(
        {
            "id": stored.id,
            "kind": event.kind.value,
            "severity": event.severity.name.lower(),
            "at": event.at,
            "value": format_value(metric, event.value),
            "level": None if event.level is None else format_level(metric, event.level),
            "inputs": {name: None if one is None else str(one) for name, one in event.inputs.items()},
            "block": place,
            "retracted_at": stored.retracted_at,
        }
    )


def _subject(episode: Episode) -> dict[str, object]:
    shown: dict[str, object] = {
        "kind": "chain",
        "chain_id": episode.chain_id,
        "deployment_id": None,
        "address": None,
        "unit": None,
    }
    match episode.subject:
        case AccountKey(deployment_id, wallet, unit):
            address = to_checksum(wallet)
            shown |= {"kind": "account", "deployment_id": deployment_id, "address": address, "unit": unit}
        case MarketSubject(deployment_id):
            shown |= {"kind": "market", "deployment_id": deployment_id}
    return shown

"""/v1/channels: where alerts are sent. Secrets go in and never come out; nothing is sent from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import HTTPConnection
from starlette.responses import Response

from app.alerts.destination import Policy
from app.alerts.forms import Made, make_channel
from app.alerts.trial import trial_message
from app.alerts.vault import Vault
from app.api.examples import alerts as examples_alerts
from app.api.examples import common as examples
from app.api.frame.keys import WatchReader, WatchWriter
from app.api.frame.problems import CONFLICT, INVALID_PARAMETER, ApiProblem
from app.api.schemas.alerts import (
    ChannelIn,
    ChannelPatch,
    ChannelsView,
    ChannelView,
    NewChannelView,
    TestMessageView,
)
from app.api.wallets import Context
from app.api.watch.changes import changing, fresh, gone, unknown
from app.api.watch.watchlists import IdPath
from app.errors import Refused
from app.store.postgres.session import ReadSession
from app.store.watch.channels import (
    Channel,
    delete_channel,
    disable_channel,
    enable_channel,
    hold_channel,
    load_channel,
    load_channels,
    rename_channel,
    store_channel,
)
from app.store.watch.outbox import store_messages

router = APIRouter(tags=["alerts"])

_BY_HAND = "by hand"


@dataclass(frozen=True, slots=True)
class ChannelSetup:
    """What channels are checked and sealed with."""

    vault: Vault = field(default_factory=Vault)
    policy: Policy = field(default_factory=Policy)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables CHANNEL_SECRET_<NAME>."""


async def setup_of(connection: HTTPConnection) -> ChannelSetup:
    """The process's setup, for routes."""
    setup = connection.app.state.channel_setup
    assert isinstance(setup, ChannelSetup)
    return setup


Setup = Annotated[ChannelSetup, Depends(setup_of)]


@router.get(
    "/v1/channels",
    response_model=ChannelsView,
    responses=examples.responses(examples_alerts.CHANNELS, 401, 403, unchanged=False),
    summary="Every channel",
)
async def get_channels(context: Context, _: WatchReader) -> Response:
    """Without their secrets: of a URL only the host is shown."""
    async with context.database.read() as session:
        return fresh(ChannelsView(items=[channel_view(one) for one in await load_channels(session)]))


@router.post(
    "/v1/channels",
    status_code=201,
    response_model=NewChannelView,
    responses=examples.responses(examples_alerts.NEW_CHANNEL, 400, 401, 403, 409, 413, 422, status=201),
    summary="Set a channel up",
)
async def post_channel(context: Context, actor: WatchWriter, setup: Setup, given: ChannelIn) -> Response:
    """A URL leads to a public address by TLS, unless the operator lists the host. Send a test to see it work, and join
    lists to it with routes."""
    made = _made(given, setup)
    async with changing(context, actor, "channel.create") as change:
        channel_id = await store_channel(change.session, made.new, context.clock())
        change.note(f"channel:{channel_id}", name=made.new.name, kind=made.new.kind)
        view = channel_view(await require_channel(change.session, channel_id))
    shown = NewChannelView(**view.model_dump(), signing_secret=made.shown_once)
    return fresh(shown, 201, f"/v1/channels/{channel_id}")


@router.get(
    "/v1/channels/{channel_id}",
    response_model=ChannelView,
    responses=examples.responses(examples_alerts.CHANNEL, 401, 403, 404, 422, unchanged=False),
    summary="One channel",
)
async def get_channel(context: Context, _: WatchReader, channel_id: IdPath) -> Response:
    """Without its secret."""
    async with context.database.read() as session:
        return fresh(channel_view(await require_channel(session, channel_id)))


@router.patch(
    "/v1/channels/{channel_id}",
    response_model=ChannelView,
    responses=examples.responses(examples_alerts.CHANNEL, 400, 401, 403, 404, 409, 413, 422, unchanged=False),
    summary="Rename a channel, turn it off and on",
)
async def patch_channel(context: Context, actor: WatchWriter, channel_id: IdPath, given: ChannelPatch) -> Response:
    """What waits when a channel is turned off is dead, and can be replayed. A channel whose receiver answered 410 turns
    itself off."""
    async with changing(context, actor, "channel.update") as change:
        held = await hold_channel(change.session, channel_id)
        if held is None:
            raise unknown("channel", channel_id)
        if given.name is not None and given.name != held.name:
            _check_name(given.name)
            if not await rename_channel(change.session, channel_id, given.name):
                raise ApiProblem(CONFLICT, f"there is a channel {given.name!r} already")
        if given.is_enabled is True:
            await enable_channel(change.session, channel_id)
        elif given.is_enabled is False:
            await disable_channel(change.session, channel_id, _BY_HAND)
        changed = await require_channel(change.session, channel_id)
        change.note(f"channel:{channel_id}", name=changed.name, is_enabled=changed.is_enabled)
    return fresh(channel_view(changed))


@router.delete(
    "/v1/channels/{channel_id}",
    status_code=204,
    responses=examples.deletion(401, 403, 404, 422),
    summary="Delete a channel",
)
async def remove_channel(context: Context, actor: WatchWriter, channel_id: IdPath) -> Response:
    """With its routes and everything that was or was to be sent there."""
    async with changing(context, actor, "channel.delete") as change:
        held = await hold_channel(change.session, channel_id)
        if held is None:
            raise unknown("channel", channel_id)
        await delete_channel(change.session, channel_id)
        change.note(f"channel:{channel_id}", name=held.name)
    return gone()


@router.post(
    "/v1/channels/{channel_id}/test",
    status_code=202,
    response_model=TestMessageView,
    responses=examples.responses(examples_alerts.TEST_MESSAGE, 400, 401, 403, 404, 409, 422, status=202),
    summary="Send a test",
)
async def post_test(context: Context, actor: WatchWriter, channel_id: IdPath) -> Response:
    """A message that says it is a test, sent as every other: by `waterline deliver`. The delivery tells what became of
    it."""
    async with changing(context, actor, "channel.test") as change:
        held = await hold_channel(change.session, channel_id)
        if held is None:
            raise unknown("channel", channel_id)
        if not held.is_enabled:
            raise ApiProblem(CONFLICT, f"the channel is disabled: {held.disabled_reason}")
        now = context.clock()
        message = trial_message(held, now)
        await store_messages(change.session, [message], now)
        change.note(f"channel:{channel_id}", delivery=message.id)
    return fresh(TestMessageView(delivery_id=message.id), 202, f"/v1/deliveries/{message.id}")


async def require_channel(session: ReadSession, channel_id: int) -> Channel:
    """A channel.

    Raises:
        ApiProblem: none has that id.
    """
    found = await load_channel(session, channel_id)
    if found is None:
        raise unknown("channel", channel_id)
    return found


def channel_view(channel: Channel) -> ChannelView:
    """A channel as it is shown."""
    return ChannelView.model_validate(
        {
            "id": channel.id,
            "name": channel.name,
            "kind": channel.kind,
            "settings": dict(channel.settings),
            "is_enabled": channel.is_enabled,
            "disabled_reason": channel.disabled_reason,
            "created_at": channel.created_at,
        }
    )


def _made(given: ChannelIn, setup: ChannelSetup) -> Made:
    try:
        return make_channel(
            given.name,
            given.kind,
            given.settings,
            vault=setup.vault,
            policy=setup.policy,
            environment=setup.environment,
        )
    except Refused as error:
        raise ApiProblem(INVALID_PARAMETER, str(error)) from error


def _check_name(name: str) -> None:
    """The same rule as for a new one."""
    _made(ChannelIn(name=name, kind="stdout", settings={}), ChannelSetup())

"""The shapes of channels, routes, episodes and deliveries."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from app.api.schemas.base import AddressText, DecimalText, HashText, View
from app.api.schemas.watchlists import MetricName, SeverityName, Unit, printable

ChannelKind = Literal["webhook", "telegram", "slack", "smtp", "stdout"]
EpisodeStateName = Literal["open", "cleared", "retracted"]
EventName = Literal["opened", "escalated", "cleared", "retracted", "reminded"]
DeliveryStateName = Literal["pending", "delivered", "dead", "cancelled"]
TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
PlainText = Annotated[str, AfterValidator(printable)]
SettingValue = PlainText | int | list[PlainText] | None


class ChannelIn(View):
    """A channel to be set up. What of `settings` is secret is encrypted and never shown again."""

    name: Annotated[str, Field(max_length=63)]
    kind: ChannelKind
    settings: dict[Annotated[str, Field(max_length=40), AfterValidator(printable)], SettingValue] = Field(
        {},
        description="webhook: url, perhaps secret (whsec_…; one is made without); slack: url; telegram: chat_id, token;"
        " smtp: host, port, tls, sender, recipients, perhaps username and password. Instead of what is secret:"
        " secret_from_env, the name of a variable CHANNEL_SECRET_…",
    )


class ChannelPatch(View):
    """What is to be changed of a channel; what is left out stays."""

    name: Annotated[str, Field(max_length=63)] | None = None
    is_enabled: bool | None = None


class ChannelView(View):
    """A place alerts are sent to, without its secrets."""

    id: int
    name: str
    kind: ChannelKind
    settings: dict[str, SettingValue] = Field(description="What may be shown: of a URL only its host.")
    is_enabled: bool
    disabled_reason: str | None = Field(description="Why nothing is sent there; null while it is enabled.")
    created_at: int


class NewChannelView(ChannelView):
    """A channel just made."""

    signing_secret: str | None = Field(
        description="Of a webhook without one of its own: what its receiver checks signatures with. Shown once."
    )


class ChannelsView(View):
    """Every channel."""

    items: list[ChannelView]


class TestMessageView(View):
    """A test that is on its way."""

    delivery_id: str = Field(description="Of /v1/deliveries, where it shows what became of it.")


class RouteIn(View):
    """Which findings of a list are told to a channel, and when not."""

    min_severity: SeverityName = "info"
    timezone: Annotated[str, Field(max_length=64)] = Field("UTC", description="IANA name; the times below are its.")
    quiet_from: TimeOfDay | None = Field(None, description="HH:MM from which nothing is sent; with quiet_to.")
    quiet_to: TimeOfDay | None = Field(None, description="HH:MM at which what waited is sent.")
    quiet_override: SeverityName | None = Field(None, description="This and worse is sent in quiet hours too.")
    repeat_seconds: Annotated[int, Field(ge=60, le=604_800)] | None = Field(
        None, description="Pause between reminders until somebody acknowledges; null: there are none."
    )
    digest_at: TimeOfDay | None = Field(None, description="HH:MM of a daily digest; null: there is none.")


class RouteView(RouteIn):
    """A route as it stands."""

    watchlist_id: int
    channel_id: int


class RoutesView(View):
    """Every route of a list."""

    items: list[RouteView]


class SubjectView(View):
    """What something was found about."""

    kind: Literal["account", "market", "chain"]
    chain_id: int
    deployment_id: str | None
    address: AddressText | None = Field(description="The wallet; null for markets and chains.")
    unit: str | None


class EpisodeView(View):
    """From the moment a rule found something until it cleared."""

    id: int
    watchlist_id: int
    rule_id: int | None = Field(description="Null when the rule was deleted.")
    rule: str = Field(description="Its name when the episode opened.")
    metric: MetricName
    unit: Unit = Field(description="Of the values and levels of its events.")
    subject: SubjectView
    state: EpisodeStateName
    severity: SeverityName = Field(description="The worst it has reached.")
    opened_at: int
    announced_at: int | None = Field(description="Null while a cool-down keeps it silent.")
    closed_at: int | None
    acknowledged_at: int | None
    acknowledged_by: str | None


class EpisodesView(View):
    """A page of episodes, newest first."""

    items: list[EpisodeView]
    next_cursor: str | None


class EventBlockView(View):
    """The block an event rests on."""

    block_number: int
    block_hash: HashText
    block_timestamp: int


class EpisodeEventView(View):
    """A step of an episode, with the numbers it rests on."""

    id: int
    kind: EventName
    severity: SeverityName
    at: int
    value: DecimalText | None = Field(description="Null: not known.")
    level: DecimalText | None = Field(description="What the value was held against.")
    inputs: dict[str, str | None] = Field(description="What the value was made from; integers raw.")
    block: EventBlockView | None = Field(description="Null where time and not a block decided.")
    retracted_at: int | None = Field(description="When its block was found to be replaced; null: it stands.")


class EpisodeDetailView(EpisodeView):
    """An episode with every step, in the order they happened."""

    events: list[EpisodeEventView]


class DeliveryView(View):
    """A message to one channel, and what became of it."""

    id: str = Field(description="The webhook-id, the same at each try.")
    channel_id: int
    kind: str = Field(description="episode.opened, episode.escalated, …, digest, test.")
    severity: SeverityName
    state: DeliveryStateName
    attempts: int
    created_at: int
    send_after: int = Field(description="Of a pending one: when it is tried (again).")
    delivered_at: int | None
    last_error: str | None
    watchlist_id: int | None
    episode_id: int | None


class DeliveriesView(View):
    """A page of messages, newest first."""

    items: list[DeliveryView]
    next_cursor: str | None


class AttemptView(View):
    """One try."""

    at: int
    took_ms: int
    status: int | None = Field(description="What the receiver answered; null: nothing.")
    error: str | None = Field(description="Null: it was taken.")


class DeliveryDetailView(DeliveryView):
    """A message with its body and every try."""

    body: dict[str, object]
    tries: list[AttemptView]

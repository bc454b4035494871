"""The shapes of watchlists, their members and rules: as they are given and as they are shown."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from app.api.schemas.base import AddressText, DecimalText, View

SeverityName = Literal["info", "warning", "critical"]
MetricName = Literal[
    "health_factor",
    "utilization",
    "price_distance",
    "joint_distance",
    "sigma_distance",
    "seconds_to_liquidation",
    "collateral_change",
    "debt_change",
    "status",
    "parameters",
    "debt_at_risk",
    "long_share",
    "blind",
]
StatusName = Literal["liquidatable", "unknown", "no_debt"]
Unit = Literal["ratio", "seconds", "count"]
MAX_CHAIN_ID = 2**63 - 1


def printable(text: str) -> str:
    """`text`, which has no character that cannot be printed: no NUL, which Postgres cannot hold, and no end of line."""
    if not text.isprintable():
        raise ValueError("has characters that cannot be printed")
    return text


def _name(text: str) -> str:
    if text.strip() != text:
        raise ValueError("begins or ends with a space")
    return printable(text)


def _tag(text: str) -> str:
    if ";" in text:
        raise ValueError("has a semicolon, which separates tags")
    return _name(text)


NameText = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_name)]
NoteText = Annotated[str, Field(max_length=500), AfterValidator(printable)]
LabelText = Annotated[str, Field(max_length=100), AfterValidator(_name)]
TagText = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_tag)]
ChainIdNumber = Annotated[int, Field(ge=1, le=MAX_CHAIN_ID)]
LevelText = Annotated[str, Field(max_length=60)]


class WatchlistIn(View):
    """A list to be made."""

    name: NameText = Field(description="Unique among lists.")
    note: NoteText = ""


class WatchlistPatch(View):
    """What is to be changed of a list; what is left out stays."""

    name: NameText | None = None
    note: NoteText | None = None
    is_paused: bool | None = Field(None, description="A paused list is not evaluated; open episodes stay as they are.")


class WatchlistView(View):
    """A list, and how much is in it."""

    id: int
    name: str
    note: str
    is_paused: bool
    created_at: int
    members: int
    rules: int
    open_episodes: int
    severity: SeverityName | None = Field(description="The worst of the open episodes; null when there is none.")


class WatchlistsView(View):
    """A page of lists."""

    items: list[WatchlistView]
    next_cursor: str | None


class MemberIn(View):
    """A wallet to be put on a list."""

    address: str = Field(max_length=300, description="0x…, CAIP-10 (eip155:1:0x…), or an ENS name where one is set up.")
    chain_id: ChainIdNumber | None = Field(None, description="Left out: on every chain.")
    label: LabelText = ""
    tags: list[TagText] = Field([], max_length=20)


class MembersIn(View):
    """Wallets to be put on a list. One that is there already, for the same chain, is written anew."""

    items: Annotated[list[MemberIn], Field(min_length=1, max_length=500)]


class MemberView(View):
    """A wallet on a list."""

    address: AddressText
    chain_id: int | None = Field(description="Null: on every chain.")
    caip10: str | None = Field(description="The account on its chain; null on every chain.")
    label: str
    tags: list[str]
    given: str = Field(description="As it was written when it was added: an ENS name, CAIP-10; else empty.")
    added_at: int


class MembersView(View):
    """A page of members."""

    items: list[MemberView]
    next_cursor: str | None


class LineFault(View):
    """Why one line, or one of several members, was not taken."""

    line: int = Field(description="From 1; in a CSV file line 1 is the header.")
    fault: str


class AddedView(View):
    """What came of adding members."""

    added: int
    updated: int = Field(description="They were there: label and tags are what was given now.")
    faults: list[LineFault] = Field(description="Lines that were left out, with `partial`; the first thousand.")


class LevelsIn(View):
    """A level for each severity a rule has; a worse one lies further out."""

    info: LevelText | None = None
    warning: LevelText | None = None
    critical: LevelText | None = None


class RuleIn(View):
    """A rule. Levels are in the metric's unit: decimal numbers, whole seconds, or counts, always as text."""

    name: NameText
    metric: MetricName
    levels: LevelsIn
    clear_at: LevelText | None = Field(
        None, description="The episode ends past it. On the good side of every level; left out: the mildest level."
    )
    asset: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(printable)] | None = None
    group: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    move: LevelText | None = Field(None, description="debt_at_risk: the move of the group's prices, such as -0.2.")
    window_seconds: int | None = None
    statuses: list[StatusName] = Field([], max_length=3)
    deployment_id: Annotated[str, Field(max_length=100)] | None = None
    chain_id: ChainIdNumber | None = None
    cooldown_seconds: int = Field(0, description="An episode so soon after the one before is silent, unless worse.")
    is_enabled: bool = True


class LevelsView(View):
    """Levels by severity."""

    info: DecimalText | None
    warning: DecimalText | None
    critical: DecimalText | None


class RuleView(View):
    """A rule as it stands."""

    id: int
    watchlist_id: int
    name: str
    metric: MetricName
    unit: Unit = Field(description="Of levels, clear_at, and the values found.")
    bad_when: Literal["at_or_below", "at_or_above"]
    levels: LevelsView
    clear_at: DecimalText
    asset: str | None
    group: str | None
    move: DecimalText | None
    window_seconds: int | None
    statuses: list[StatusName]
    deployment_id: str | None
    chain_id: int | None
    cooldown_seconds: int
    is_enabled: bool
    created_at: int


class RulesView(View):
    """Every rule of a list."""

    items: list[RuleView]

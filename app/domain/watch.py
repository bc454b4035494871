"""What is watched and what came of it: lists of wallets, rules, episodes. Levels and values are exact integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TypeAlias

from app.domain.account import AccountKey
from app.domain.chain import Address, BlockRef, ChainId
from app.domain.risk import RiskStatus
from app.domain.units import UINT256_MAX

BEYOND = UINT256_MAX
"""Stands for a value beyond every number, where one is needed to hold against a level: the health factor without debt
(as contracts say it themselves), the distance of what no move liquidates, the utilisation of debt without capacity.
People and programs are never shown it as a number."""


class Severity(IntEnum):
    """How bad a finding is. Comparable: a higher one is worse."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


class Metric(StrEnum):
    """What a rule measures. The comment says the subject, the unit, and which way is bad."""

    HEALTH_FACTOR = "health_factor"
    """Account. WAD, the contract's own; bad when at or below the level."""
    UTILIZATION = "utilization"
    """Account. Requirement / capacity, WAD; bad when at or above."""
    PRICE_DISTANCE = "price_distance"
    """Account. |price / current price - 1| to the nearest liquidation price (of `asset`, where it is set), WAD;
    bad when at or below."""
    JOINT_DISTANCE = "joint_distance"
    """Account. |move| of all prices of `group` together that liquidates, WAD; bad when at or below."""
    SIGMA_DISTANCE = "sigma_distance"
    """Account. The joint move of `group` in its own daily standard deviations, WAD; bad when at or below."""
    SECONDS_TO_LIQUIDATION = "seconds_to_liquidation"
    """Account. By interest or funding alone, seconds; bad when at or below."""
    COLLATERAL_CHANGE = "collateral_change"
    """Account. Fall of the collateral's value within `window_seconds`, share of what it was, WAD; bad when at or
    above."""
    DEBT_CHANGE = "debt_change"
    """Account. Rise of the debt's value within `window_seconds`, share of what it was, WAD; bad when at or above."""
    STATUS = "status"
    """Account. 1 while its status is one of `statuses`, else 0; bad when at or above 1."""
    PARAMETERS = "parameters"
    """Account. Positions whose liquidation threshold or maintenance margin got worse since the block evaluated before;
    bad when at or above. A notice: it clears at the next evaluation without a word."""
    DEBT_AT_RISK = "debt_at_risk"
    """Market: a deployment, or a whole chain. Share of all debt that is liquidatable after `group` moves by `move_wad`,
    WAD; bad when at or above."""
    LONG_SHARE = "long_share"
    """Market: a perp deployment. Longs' share of all open interest by notional, WAD; bad when at or above."""
    BLIND = "blind"
    """Chain. Seconds since its data was last current and readable; bad when at or above. Not measured at blocks."""


BAD_BELOW = frozenset(
    {
        Metric.HEALTH_FACTOR,
        Metric.PRICE_DISTANCE,
        Metric.JOINT_DISTANCE,
        Metric.SIGMA_DISTANCE,
        Metric.SECONDS_TO_LIQUIDATION,
    }
)
"""Metrics that are bad when low; the others are bad when high."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition on every member of a watchlist, or on a market, with severity steps and hysteresis.

    A level that is reached exactly counts as crossed. The clear level lies on the good side of every level, or on the
    mildest one: an episode ends only when the value is past it (strictly), so a value that trembles around a level
    gives one episode.
    """

    id: int
    watchlist_id: int
    name: str
    metric: Metric
    levels: Mapping[Severity, int]
    """At least one; a worse severity lies further out."""
    clear_at: int
    asset: str | None = None
    """PRICE_DISTANCE: symbol or market code; None: the nearest of all."""
    group: str | None = None
    """JOINT_DISTANCE, SIGMA_DISTANCE, DEBT_AT_RISK: an asset group, or `volatile` for all that are not stable."""
    move_wad: int | None = None
    """DEBT_AT_RISK: the move, signed."""
    window_seconds: int | None = None
    """COLLATERAL_CHANGE, DEBT_CHANGE."""
    statuses: frozenset[RiskStatus] = frozenset()
    """STATUS."""
    deployment_id: str | None = None
    """Only accounts of this deployment; for markets the deployment itself."""
    chain_id: ChainId | None = None
    """DEBT_AT_RISK over a whole chain; BLIND: the chain, None: every chain that is followed."""
    cooldown_seconds: int = 0
    """An episode that opens so soon after the one before is announced only once this has passed, unless it is worse."""

    @property
    def is_bad_below(self) -> bool:
        """Whether low values are the bad ones."""
        return self.metric in BAD_BELOW

    def severity(self, value: int) -> Severity | None:
        """The worst level that `value` has reached; None when none."""
        reached = (
            severity
            for severity, level in self.levels.items()
            if (value <= level if self.is_bad_below else value >= level)
        )
        return max(reached, default=None)

    def is_clear(self, value: int) -> bool:
        """Whether `value` ends an episode."""
        return value > self.clear_at if self.is_bad_below else value < self.clear_at


@dataclass(frozen=True, slots=True, order=True)
class ChainSubject:
    """A chain as such."""

    chain_id: ChainId


@dataclass(frozen=True, slots=True, order=True)
class MarketSubject:
    """A deployment as a whole."""

    deployment_id: str


Subject: TypeAlias = AccountKey | ChainSubject | MarketSubject
"""What a rule found something about."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One rule's measure of one subject at one moment."""

    subject: Subject
    value: int | None
    """None: not known, and never read as calm. An open episode stays open."""
    inputs: Mapping[str, str | int | None] = field(default_factory=dict)
    """What the value was made from, for people and for checking: health, prices, thresholds. Integers stay exact."""


class EpisodeState(StrEnum):
    """How an episode stands."""

    OPEN = "open"
    CLEARED = "cleared"
    RETRACTED = "retracted"
    """It never was: the block it opened at was replaced."""


class EventKind(StrEnum):
    """A step in an episode's life."""

    OPENED = "opened"
    ESCALATED = "escalated"
    CLEARED = "cleared"
    RETRACTED = "retracted"
    """The block on which this stood was replaced, and what was said of it does not hold any more."""
    REMINDED = "reminded"
    """Still open, and nobody acknowledged it; or a cool-down ended while it was open."""


@dataclass(frozen=True, slots=True)
class Open:
    """An episode under way."""

    id: int
    rule_id: int
    subject: Subject
    severity: Severity
    """The worst it has reached: it never steps down before it clears."""
    is_muted: bool = False
    """Opened during a cool-down and not announced yet."""


@dataclass(frozen=True, slots=True)
class Member:
    """A wallet on a watchlist."""

    wallet: Address
    chain_id: ChainId | None = None
    """None: on every chain."""
    label: str = ""
    tags: tuple[str, ...] = ()
    given: str = ""
    """As it was written when it was added: an ENS name or a CAIP-10 account, where it was one."""


@dataclass(frozen=True, slots=True)
class EpisodeEvent:
    """One step of an episode, with the moment and the numbers it rests on."""

    kind: EventKind
    severity: Severity
    at: int
    """Unix seconds of the evaluation's clock."""
    block: BlockRef | None
    """None where time and not a block decided (blindness, reminders)."""
    value: int | None = None
    level: int | None = None
    """What `value` was held against."""
    inputs: Mapping[str, str | int | None] = field(default_factory=dict)

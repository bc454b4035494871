"""What is watched in a simulated history: two lists, five rules, three wallets; and what people may change of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TypeAlias

from app.domain.account import AccountKey
from app.domain.watch import Member, Metric, Rule, Severity, Subject
from app.store.watch.channels import Route
from app.store.watch.watchlists import WatchedList
from tests.fakes.site import wallet

ACCOUNTS = tuple(sorted(AccountKey("pond-devnet", wallet(number)) for number in range(3)))
FIRST, SECOND = 1, 2
"""The lists."""
EVERYTHING, WORST = 1, 2
"""The channels: one is told everything, the other what is critical."""

_LOW = {Severity.INFO: 120, Severity.WARNING: 110, Severity.CRITICAL: 100}
_HIGH = {Severity.INFO: 80, Severity.CRITICAL: 100}
RULES = {
    rule.id: rule
    for rule in (
        Rule(1, FIRST, "health", Metric.HEALTH_FACTOR, _LOW, 130),
        Rule(2, FIRST, "health, seldom told", Metric.HEALTH_FACTOR, _LOW, 125, cooldown_seconds=2000),
        Rule(3, FIRST, "use", Metric.UTILIZATION, _HIGH, 70, cooldown_seconds=300),
        Rule(4, FIRST, "terms", Metric.PARAMETERS, {Severity.WARNING: 1, Severity.CRITICAL: 3}, 1),
        Rule(5, SECOND, "health", Metric.HEALTH_FACTOR, {Severity.CRITICAL: 105}, 105),
    )
}
Pair: TypeAlias = tuple[int, Subject]
"""A rule's id and a subject."""
PAIRS: tuple[Pair, ...] = tuple((rule_id, account) for rule_id in RULES for account in ACCOUNTS)


@dataclass(frozen=True, slots=True)
class Setting:
    """What people have set up at some moment."""

    disabled: frozenset[int] = frozenset()
    """Rules."""
    left: frozenset[tuple[int, int]] = frozenset()
    """List and number of the wallet that is not on it."""
    paused: frozenset[int] = frozenset()
    """Lists."""

    def changed(self, dice: Random) -> Setting:
        """With one thing turned round."""
        match dice.randrange(4):
            case 0:
                return replace(self, disabled=self.disabled ^ {dice.choice(list(RULES))})
            case 1:
                return replace(self, paused=self.paused ^ {dice.choice((FIRST, SECOND))})
            case _:
                return replace(self, left=self.left ^ {(dice.choice((FIRST, SECOND)), dice.randrange(len(ACCOUNTS)))})

    def members(self, list_id: int) -> tuple[Member, ...]:
        """Of a list."""
        return tuple(Member(one.wallet) for n, one in enumerate(ACCOUNTS) if (list_id, n) not in self.left)

    def watched(self) -> list[WatchedList]:
        """As the store tells whoever evaluates."""
        rules = {
            list_id: tuple(r for r in RULES.values() if r.watchlist_id == list_id and r.id not in self.disabled)
            for list_id in (FIRST, SECOND)
        }
        return [
            WatchedList(list_id, f"list {list_id}", self.members(list_id), rules[list_id])
            for list_id in (FIRST, SECOND)
            if list_id not in self.paused
        ]

    def asks(self, pair: Pair) -> bool:
        """Whether the rule is on and the account's wallet on its list, paused or not."""
        rule = RULES[pair[0]]
        return rule.id not in self.disabled and (rule.watchlist_id, ACCOUNTS.index(_account(pair))) not in self.left

    def is_paused(self, pair: Pair) -> bool:
        """Whether the list of the rule is."""
        return RULES[pair[0]].watchlist_id in self.paused


def _account(pair: Pair) -> AccountKey:
    assert isinstance(pair[1], AccountKey)
    return pair[1]


def routes() -> list[Route]:
    """Both lists tell both channels."""
    return [
        Route(2 * (list_id - 1) + channel, list_id, channel, least, "UTC", None, None, None, None, None)
        for list_id in (FIRST, SECOND)
        for channel, least in ((EVERYTHING, Severity.INFO), (WORST, Severity.CRITICAL))
    ]

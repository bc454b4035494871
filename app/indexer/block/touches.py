"""Who and what a stretch of logs changed, per deployment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import assert_never

from app.domain.account import AccountKey
from app.domain.chain import EMPTY_FILTER, Log, LogFilter
from app.protocols.base import AccountTouched, ConfigurationTouched, DeploymentState, RulesTouched, Touch


@dataclass(slots=True)
class Touches:
    """What logs said about one deployment."""

    accounts: dict[AccountKey, set[str]] = field(default_factory=dict)
    """Touched accounts with the markets the logs named."""
    configuration: bool = False
    rules: bool = False
    logs: list[Log] = field(default_factory=list)
    """Those that meant anything, kept only where the deployment has a use for them."""

    def add(self, state: DeploymentState, logs: Iterable[Log]) -> Touches:
        """Note what `logs` mean to the deployment; logs of others mean nothing to it."""
        keeps = state.accounts_change_unseen
        told: dict[int, tuple[Touch, ...]] = {}
        for log in logs:
            if touches := state.touched(log):
                told[id(touches)] = touches  # adapters give the same object for the same account: looked at once
                if keeps:
                    self.logs.append(log)
        for touch in chain.from_iterable(told.values()):
            match touch:
                case AccountTouched(key, market):
                    markets = self.accounts.setdefault(key, set())
                    if market is not None:
                        markets.add(market)
                case ConfigurationTouched():
                    self.configuration = True
                case RulesTouched():
                    self.rules = True
                case _:
                    assert_never(touch)
        return self


def merged_filter(states: Iterable[DeploymentState]) -> LogFilter:
    """One filter that lets the logs of all these deployments through."""
    return merged(state.log_filter() for state in states)


def merged(filters: Iterable[LogFilter]) -> LogFilter:
    """One filter that lets through what any of these does."""
    whole = EMPTY_FILTER
    for each in filters:
        whole |= each
    return whole

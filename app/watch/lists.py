"""The watchlists of one chain as an evaluation uses them: read once, and again when anything about them changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.domain.account import AccountKey
from app.domain.chain import Address, ChainId
from app.domain.watch import ChainSubject, MarketSubject, Metric, Rule, Subject
from app.store.watch.episode_steps import Standing
from app.store.watch.watchlists import WatchedList

TIMED = frozenset({Metric.BLIND})
"""Metrics that time decides, not a block: they are not measured here."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Lists that are not paused, with their enabled rules and their members on one chain."""

    chain_id: ChainId
    version: int
    lists: tuple[WatchedList, ...]
    rules: dict[int, Rule]
    labels: dict[int, dict[Address, str]]
    """By list: its wallets, and what it calls them."""

    @classmethod
    def of(cls, chain_id: ChainId, version: int, lists: Sequence[WatchedList]) -> Lists:
        """As they were read at this version."""
        rules = {rule.id: rule for one in lists for rule in one.rules if rule.chain_id in (None, chain_id)}
        labels = {one.id: {member.wallet: member.label for member in one.members} for one in lists}
        return cls(chain_id, version, tuple(lists), rules, labels)

    def measured_rules(self) -> Iterable[tuple[WatchedList, Rule]]:
        """Every rule that is measured at blocks, with its list."""
        for one in self.lists:
            for rule in one.rules:
                if rule.id in self.rules and rule.metric not in TIMED:
                    yield one, rule

    def label(self, watchlist_id: int, subject: Subject) -> str:
        """What the list calls the subject's wallet; empty when nothing."""
        wallets = self.labels.get(watchlist_id, {})
        return wallets.get(subject.wallet, "") if isinstance(subject, AccountKey) else ""

    def reason_to_close(self, episode: Standing) -> str | None:
        """Why nobody asks any more what this open episode is about; None: its rule still asks, or its list is paused
        and the episode stays as it is, or time decides about it."""
        if episode.is_paused or episode.metric in TIMED:
            return None
        rule = None if episode.rule_id is None else self.rules.get(episode.rule_id)
        if rule is None:
            return "the rule was deleted or disabled"
        if rule.metric is not episode.metric:
            return "the rule measures something else now"
        return None if self._asks(rule, episode.subject) else "it is not on the list any more"

    def _asks(self, rule: Rule, subject: Subject) -> bool:
        match subject:
            case AccountKey(deployment_id, wallet):
                is_member = wallet in self.labels.get(rule.watchlist_id, {})
                return is_member and rule.deployment_id in (None, deployment_id)
            case MarketSubject(deployment_id):
                return rule.deployment_id in (None, deployment_id)
            case ChainSubject(chain_id):
                return rule.deployment_id is None and chain_id == self.chain_id

"""Markets as a whole: how much of their debt a move would endanger, and which way a perp exchange leans."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from app.book.market import risk_market
from app.domain.account import AccountKey, AccountSnapshot
from app.domain.units import WAD
from app.domain.watch import ChainSubject, MarketSubject, Measured, Metric, Rule
from app.protocols.base import ProtocolKind
from app.valuation.assess import StateAt
from app.valuation.faults import note_fault
from app.valuation.market_risk import DebtAtRisk, RiskMarket, debt_at_risk, sum_of
from app.watch.measures.asked import Asked, Facts, Found, Inputs, because
from app.watch.measures.moment import Moment

METRICS = frozenset({Metric.DEBT_AT_RISK, Metric.LONG_SHARE})
MOST_POSITIONS = 50_000
"""Accounts of one exchange whose positions are added up at a block; with more the share is not known."""
_DIGITS = 10**9
"""A share made of floats has no more digits than this that mean anything."""


@dataclass(frozen=True, slots=True)
class _Value:
    value: int | None
    inputs: Facts


@dataclass(slots=True)
class Markets:
    """Values of markets at one moment.

    Debt at risk costs a revaluation of the whole book and one of its curves, once for all rules with the same move: it
    is a sum over everybody, by the book's floats. The longs' share costs an assessment of everybody with a position on
    the exchange, by the exact rule.
    """

    moment: Moment
    _market: RiskMarket | None = None
    _at_risk: dict[tuple[str, int], Mapping[str, DebtAtRisk]] = field(default_factory=dict)
    _long: dict[str, _Value] = field(default_factory=dict)

    async def measure(self, asked: Asked) -> Found:
        """One rule.

        Raises:
            BlockReplaced: the block is no longer stored.
        """
        rule, must = asked.rule, asked.must
        subject = self._subject(rule)
        if subject is None:
            gone = Inputs(partial(because, "not_followed", "no such market is followed at this block"))
            left = sorted((one for one in must if not isinstance(one, AccountKey)), key=repr)
            return Found(rule.id, tuple(Measured(one, None, gone) for one in left), 0, 0)
        if rule.deployment_id in self.moment.unfollowed:
            found = _Value(None, because("not_followed", "nobody follows it at this block"))
        else:
            found = await (self._long_share(rule) if rule.metric is Metric.LONG_SHARE else self._debt_at_risk(rule))
        is_told = subject in must or (found.value is not None and not rule.is_clear(found.value))
        measured = (Measured(subject, found.value, found.inputs),) if is_told else ()
        return Found(rule.id, measured, 1, int(found.value is None))

    def _subject(self, rule: Rule) -> MarketSubject | ChainSubject | None:
        chain_id = self.moment.block.ref.chain_id
        if rule.deployment_id is not None:
            known = self.moment.keeper.kept.keys() | self.moment.unfollowed
            return MarketSubject(rule.deployment_id) if rule.deployment_id in known else None
        is_here = rule.metric is Metric.DEBT_AT_RISK and rule.chain_id in (None, chain_id)
        return ChainSubject(chain_id) if is_here else None

    async def _debt_at_risk(self, rule: Rule) -> _Value:
        """What is not known of it is never calm: with a whole deployment unknown only a bad share is one."""
        reading, name = self.moment.reading, rule.deployment_id
        if name is not None and name in reading.unvalued:
            return _Value(None, because("deployment_refused", reading.unvalued[name]))
        if rule.group is None or rule.move_wad is None or rule.move_wad <= -WAD:
            return _Value(None, because("no_move", "the rule names no group and move"))
        by_deployment = await self._at_move(rule.group, rule.move_wad)
        chosen = [name] if name is not None else [one for one in by_deployment if self._is_lending(one)]
        sums = sum_of([by_deployment[one] for one in chosen if one in by_deployment])
        value = int(sums.share * _DIGITS) * (WAD // _DIGITS)
        missing = [] if name is not None else [one for one in sorted(reading.unvalued) if self._is_lending(one)]
        facts: Facts = {
            "group": rule.group,
            "move_wad": rule.move_wad,
            "debt_at_risk_usd": f"{sums.debt:.2f}",
            "debt_usd": f"{sums.total:.2f}",
            "accounts_at_risk": sums.accounts,
            "accounts_unknown": sums.unknown,
            "accounts_unconverted": sums.unconverted,
        }
        if missing:
            facts["deployments_unknown"] = ", ".join(missing)
        if missing and rule.severity(value) is None:
            detail = f"nothing is known of {', '.join(missing)}"
            return _Value(None, facts | because("deployments_unknown", detail))
        if not sums.total and (sums.unknown or sums.unconverted):
            return _Value(None, facts | because("debt_unknown", "no debt is known, but accounts are that are not"))
        return _Value(value, facts)

    def _is_lending(self, name: str) -> bool:
        return self.moment.kind(name) is ProtocolKind.LENDING

    async def _at_move(self, group: str, move_wad: int) -> Mapping[str, DebtAtRisk]:
        place = (group, move_wad)
        if place not in self._at_risk:
            moment = self.moment
            if self._market is None:
                adapters = {kept.adapter.slug: kept.adapter for kept in moment.keeper.kept.values()}
                self._market = risk_market(moment.keeper.book, moment.reading, adapters.__getitem__, moment.groups)
            move = self._market.of_group(group)
            self._at_risk[place] = await asyncio.to_thread(debt_at_risk, self._market, move, (WAD + move_wad) / WAD)
        return self._at_risk[place]

    async def _long_share(self, rule: Rule) -> _Value:
        name = rule.deployment_id
        assert name is not None
        if name not in self._long:
            self._long[name] = await self._weigh(name)
        return self._long[name]

    async def _weigh(self, name: str) -> _Value:
        reading = self.moment.reading
        state = reading.states.get(name)
        if name in reading.unvalued or state is None:
            return _Value(None, because("deployment_refused", reading.unvalued.get(name, "its state is not stored")))
        if self.moment.kind(name) is not ProtocolKind.PERP:
            return _Value(None, because("no_perps", "no perps are traded there"))
        keys = self.moment.keeper.keys_of(name)
        if len(keys) > MOST_POSITIONS:
            return _Value(None, because("too_many_accounts", f"more than {MOST_POSITIONS} accounts"))
        snapshots = await self.moment.snapshots(keys)
        held = [snapshots[key] for key in keys if key in snapshots and snapshots[key].perps]
        return await asyncio.to_thread(_weighed, state, held, len(keys - snapshots.keys()))


def _weighed(state: StateAt, accounts: list[AccountSnapshot], unread: int) -> _Value:
    longs = shorts = 0
    unknown = unread
    for account in accounts:
        try:
            risk = state.priced.assess(account)
        except Exception as fault:  # the adapter's own code: see app.valuation.faults
            note_fault(account.key.deployment_id, state.block, fault)
            unknown += 1
            continue
        if not risk.perps:
            unknown += 1
            continue
        longs += sum(held.notional_value for held in risk.perps if held.size_raw > 0)
        shorts += sum(held.notional_value for held in risk.perps if held.size_raw < 0)
    unit = state.state.value_unit("")
    facts: Facts = {
        "long_notional_value": longs,
        "short_notional_value": shorts,
        "value_currency": unit.currency,
        "value_decimals": unit.decimals,
        "accounts_unknown": unknown,
    }
    total = longs + shorts
    if not total and unknown:
        return _Value(None, facts | because("positions_unknown", "no position is known, but accounts are that are not"))
    return _Value(longs * WAD // total if total else 0, facts)

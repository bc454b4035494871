"""How far a joint move of a group of prices is from liquidating an account: as a share, and in the move's own daily
standard deviations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from app.book.price_history import PriceHistory, load_price_history
from app.domain.account import AccountKey, AccountSnapshot
from app.domain.risk import Health, RiskAssessment, RiskStatus
from app.domain.units import WAD
from app.domain.watch import BEYOND, Rule
from app.store.postgres.engine import Database
from app.valuation.assess import StateAt
from app.valuation.book import Ledger, Shock
from app.valuation.groups import OTHER, STABLE, VOLATILE, AssetGroups
from app.valuation.market_risk.market import has_token_measure
from app.valuation.moves import GRID, HIGHEST, LOWEST, JointMove, Turn, joint_moves_at
from app.valuation.shocks import UNKNOWN_MEASURES, scaled
from app.valuation.volatility import GRID_SECONDS, DailySigma, basket_sigma, daily_sigma, distance_in_sigmas, on_grid
from app.watch.measures.accounts import Exact, Picked, measure_each, unknown_because
from app.watch.measures.asked import Facts, Inputs
from app.watch.measures.distance import MOST_EXACT, at_once
from app.watch.measures.facts import health_facts
from app.watch.measures.members import Members
from app.watch.measures.moment import Moment

_STEP = 2 / GRID
"""By so much a line is widened: distances are whole millionths."""
_SIGMA_STEP_WAD = WAD // 10**6
"""Of a statistic no more digits mean anything."""


class JointDistance:
    """Of all prices of a group. Costs two revaluations of the members' accounts, at the clear level to both sides, and
    a search of some ten exact verdicts, around the closed form, for whoever may be liquidatable at one of them."""

    most: int | None = MOST_EXACT

    async def pick(self, moment: Moment, members: Members, rule: Rule) -> Picked:
        """Whoever may be liquidatable within the clear level; and accounts counted in what nobody knows."""
        exposed = members.known.exposed()
        if rule.group in (None, OTHER):
            return Picked((), unknown=len(exposed))
        distance = max(0.0, rule.clear_at / WAD) + _STEP
        moves = (max(LOWEST / GRID, 1 - distance), min(HIGHEST / GRID, 1 + distance))
        shocks = [_shock(moment, rule.group, dict.fromkeys(moment.keeper.kept, move)) for move in moves]
        reached = moment.keeper.book.reached_under(exposed, shocks)
        return Picked(reached.union(exposed.in_ledgers(_is_unmeasured)).riskiest_first())

    async def exact(self, moment: Moment, keys: Collection[AccountKey], rule: Rule) -> Mapping[AccountKey, Exact]:
        """0 for whoever is liquidatable already; beyond every level for whom no such move would liquidate."""
        return await measure_each(moment, keys, partial(_distance, moment, rule.group))


class SigmaDistance:
    """The same in daily sigmas of what the account holds of the group, from the oracle prices stored in the days before
    the block; those are read once an hour, a deployment. Costs what `JointDistance` does, where every price of the
    group has a history of the same hours; besides, an exact distance for whoever holds what has none, or is counted in
    a token of the group."""

    most: int | None = MOST_EXACT

    def __init__(self, database: Database) -> None:
        self._histories = PriceHistories(database)

    async def pick(self, moment: Moment, members: Members, rule: Rule) -> Picked:
        """Whoever may be liquidatable by as many sigmas of the group's most restless price."""
        exposed = members.known.exposed()
        if rule.group in (None, OTHER):
            return Picked((), unknown=len(exposed))
        group, book = rule.group, moment.keeper.book
        most: dict[str, float] = {}
        unclear: set[tuple[str, str]] = set()
        for name in exposed.deployments():
            own = _restlessness(moment, name, group, await self._histories.at(moment, name))
            most[name] = own.sigma
            unclear |= {(name, code) for code in own.unclear}
        sigmas = max(0.0, rule.clear_at / WAD) + _STEP
        paces = {name: min(sigmas * sigma * (1 + _STEP), math.log(HIGHEST / GRID)) for name, sigma in most.items()}
        shocks = [_shock(moment, group, {name: math.exp(side * p) for name, p in paces.items()}) for side in (-1, 1)]
        reached = book.reached_under(exposed, shocks)
        others = (
            book.touching(exposed, lambda deployment_id, code: (deployment_id, code) in unclear),
            exposed.in_ledgers(lambda one: _is_unmeasured(one) or _counts_in(one, group, moment.groups)),
        )
        return Picked(reached.union(*others).riskiest_first())

    async def exact(self, moment: Moment, keys: Collection[AccountKey], rule: Rule) -> Mapping[AccountKey, Exact]:
        """0 for whoever is liquidatable already; beyond every level for whom no such move would liquidate; not known
        where the move's sigma is not."""
        names = {key.deployment_id for key in keys if moment.state(key) is not None}
        histories = {name: await self._histories.at(moment, name) for name in names}
        return await measure_each(moment, keys, partial(_sigmas, moment, rule.group, histories))


@dataclass(slots=True)
class PriceHistories:
    """The prices of the days before a block, for each deployment those of the hour asked about last."""

    database: Database
    _known: dict[str, tuple[int, PriceHistory]] = field(default_factory=dict)

    async def at(self, moment: Moment, deployment_id: str) -> PriceHistory:
        """Of one of the moment's deployments."""
        hour = moment.block.ref.timestamp // GRID_SECONDS
        known = self._known.get(deployment_id)
        if known is None or known[0] != hour:
            kept = moment.keeper.kept[deployment_id]
            found = await load_price_history(self.database, kept.adapter, kept.deployment, moment.block)
            known = self._known[deployment_id] = (hour, found)
        return known[1]


@dataclass(frozen=True, slots=True)
class _Restlessness:
    """How much a group's prices move in one deployment."""

    sigma: float
    """A day's, of the most restless among those that are clear: no basket of these moves more."""
    unclear: frozenset[str]
    """Markets without a sigma of their own, or with prices of other hours than most: nothing bounds their baskets."""


def _restlessness(moment: Moment, deployment_id: str, group: str, history: PriceHistory) -> _Restlessness:
    state, now = moment.reading.states[deployment_id], moment.block.ref.timestamp
    codes = [code for code in state.market_by_code if _belongs(state, code, group, moment.groups)]
    hours = {code: frozenset(on_grid(history.get(code, ()), now)) for code in codes}
    usual = Counter(hours.values()).most_common(1)[0][0] if codes else frozenset()
    own = {code: daily_sigma(history[code], now) for code in codes if hours[code] == usual and code in history}
    clear = {code: sigma.sigma for code, sigma in own.items() if sigma is not None}
    return _Restlessness(max(clear.values(), default=0.0), frozenset(codes) - clear.keys())


def _belongs(state: StateAt, code: str, group: str, groups: AssetGroups) -> bool:
    market = state.market_by_code.get(code)
    if market is None:
        return False
    own = groups.group_of(market.symbol)
    return own != STABLE if group == VOLATILE else own == group


def _shock(moment: Moment, group: str, move_of: Mapping[str, float]) -> Shock:
    """A joint move by deployment. Prices in dollars are rounded as the exact rule rounds them; of others there is
    nothing to round by here."""
    states = moment.reading.states

    def multiplier(deployment_id: str, code: str) -> float:
        state, move = states.get(deployment_id), move_of.get(deployment_id, 1.0)
        if state is None or not _belongs(state, code, group, moment.groups):
            return 1.0
        quote = state.quote_by_code.get(code)
        in_token = state.state.value_currency is None or has_token_measure(state.state.value_unit(""))
        if quote is None or not quote.price or in_token:
            return move
        return scaled(quote.price, int(move * WAD)) / quote.price

    return Shock(multiplier)


def _is_unmeasured(ledger: Ledger) -> bool:
    return ledger.unit.currency in UNKNOWN_MEASURES


def _counts_in(ledger: Ledger, group: str, groups: AssetGroups) -> bool:
    """Whether values are counted in a token of the group."""
    own = groups.group_of(ledger.unit.currency or "")
    return has_token_measure(ledger.unit) and (own != STABLE if group == VOLATILE else own == group)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a joint move does to an account: the nearest turn for the worse."""

    health: Health
    move: JointMove | None
    """None: the account has nothing of the group."""
    turn: Turn | None


def _search(moment: Moment, group: str | None, state: StateAt, snapshot: AccountSnapshot) -> _Found | Exact | None:
    known = at_once(state, snapshot)
    if known is not None:
        return known
    if group in (None, OTHER):
        return unknown_because("no_group", "assets of no group do not move together")
    health = state.priced.health(snapshot)
    if health.status is RiskStatus.UNKNOWN:
        return None
    moves = joint_moves_at(
        state.priced,
        moment.factors(state),
        snapshot,
        health.status,
        state.priced.prices_of(snapshot),
        state.market_by_code,
        state.state.value_unit(snapshot.key.unit),
        moment.groups,
        only=group,
    )
    if moves is None:
        return unknown_because("measure_unknown", "nobody knows what the account's values are counted in")
    move = next(iter(moves), None)
    turns = () if move is None else move.turns
    return _Found(health, move, next((turn for turn in turns if turn.turns_to is RiskStatus.LIQUIDATABLE), None))


def _distance(moment: Moment, group: str | None, state: StateAt, snapshot: AccountSnapshot) -> Exact | None:
    found = _search(moment, group, state, snapshot)
    if not isinstance(found, _Found):
        return found
    value = BEYOND if found.turn is None else abs(found.turn.distance_wad)
    return Exact(value, Inputs(partial(_facts, found, group, None, state, snapshot)))


def _sigmas(
    moment: Moment,
    group: str | None,
    histories: Mapping[str, PriceHistory],
    state: StateAt,
    snapshot: AccountSnapshot,
) -> Exact | None:
    found = _search(moment, group, state, snapshot)
    if not isinstance(found, _Found):
        return found
    sigma = None
    if found.move is not None and found.turn is not None and not found.move.measure_moves:
        weights = _weights(state.priced.assess(snapshot), found.move.markets)
        sigma = basket_sigma(histories[state.deployment.id], weights, state.block.timestamp)
    inputs = Inputs(partial(_facts, found, group, sigma, state, snapshot))
    if found.turn is None:
        return Exact(BEYOND, inputs)
    if sigma is None:
        return unknown_because("sigma_unknown", "too little price history for a daily standard deviation")
    sigmas = abs(distance_in_sigmas(found.turn.multiplier_wad / WAD, sigma))
    return Exact(int(sigmas * WAD) // _SIGMA_STEP_WAD * _SIGMA_STEP_WAD, inputs)


def _weights(risk: RiskAssessment, markets: Iterable[str]) -> dict[str, float]:
    """What the account has in each market, supplied and owed alike."""
    values = {held.market: (held.supplied_value or 0) + (held.borrowed_value or 0) for held in risk.positions}
    values |= {held.market: held.notional_value for held in risk.perps}
    return {market: float(values.get(market, 0)) for market in markets}


def _facts(
    found: _Found, group: str | None, sigma: DailySigma | None, state: StateAt, snapshot: AccountSnapshot
) -> Facts:
    facts = health_facts(found.health, state, snapshot)
    facts |= {"group": group}
    if found.turn is not None:
        facts["move_wad"] = found.turn.distance_wad
    if sigma is not None:
        facts |= {"daily_sigma": f"{sigma.sigma:.6f}", "sigma_returns": sigma.returns}
    return facts

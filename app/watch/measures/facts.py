"""What a value rests on, as exact text and integers; at most some twenty entries."""

from __future__ import annotations

from app.domain.account import AccountSnapshot
from app.domain.risk import Health
from app.valuation.assess import StateAt
from app.watch.measures.asked import Facts

MOST_MARKETS = 3
"""Of so many of an account's markets the facts hold prices and thresholds."""


def health_facts(health: Health, state: StateAt | None, snapshot: AccountSnapshot | None) -> Facts:
    """An account's own numbers, and the oracle prices and thresholds of its markets."""
    facts: Facts = {"status": health.status.value}
    numbers = {
        "health_factor_wad": health.health_factor_wad,
        "utilization_wad": health.utilization_wad,
        "collateral_value": health.collateral_value,
        "debt_value": health.debt_value,
        "notional_value": health.notional_value,
    }
    facts |= {name: value for name, value in numbers.items() if value is not None}
    if state is None or snapshot is None:
        return facts
    unit = state.state.value_unit(snapshot.key.unit)
    facts |= {"value_currency": unit.currency, "value_decimals": unit.decimals, "read_at_block": snapshot.block_number}
    codes = dict.fromkeys([*(held.market for held in snapshot.perps), *(held.market for held in snapshot.positions)])
    for place, code in enumerate(list(codes)[:MOST_MARKETS], 1):
        facts |= market_facts(state, code, f"market_{place}")
    return facts


def market_facts(state: StateAt, code: str, name: str) -> Facts:
    """What a deployment says of one market, as `name` and `name_...`; without what it does not say."""
    market, quote = state.market_by_code.get(code), state.quote_by_code.get(code)
    facts: Facts = {name: code if market is None else market.symbol}
    if quote is None:
        return facts
    age = None if quote.price_updated_at is None else max(0, state.block.timestamp - quote.price_updated_at)
    said = {
        f"{name}_price": quote.price,
        f"{name}_price_age_seconds": age,
        f"{name}_threshold_bps": quote.liquidation_threshold_bps,
    }
    return facts | {entry: value for entry, value in said.items() if value is not None}

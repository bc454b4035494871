"""A reading as market risk takes it: with what each ledger's unit is worth in US dollars."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.book.reading import Reading
from app.protocols.base import Adapter, ProtocolKind
from app.valuation.assess import StateAt
from app.valuation.book import Book, Ledger
from app.valuation.conversion import counts_in_usd, price_in
from app.valuation.groups import AssetGroups
from app.valuation.market_risk import RiskMarket


def risk_market(
    book: Book, reading: Reading, find_adapter: Callable[[str], Adapter], groups: AssetGroups
) -> RiskMarket:
    """Everybody in the keeper's book at the reading's block. Good until the keeper moves on."""
    states = {name: state for name, state in reading.states.items() if name not in reading.unvalued}
    kinds = {name: find_adapter(state.deployment.protocol).kind for name, state in states.items()}
    return RiskMarket(
        book,
        reading.screen,
        _rates(book, states, kinds),
        frozenset(name for name, kind in kinds.items() if kind is ProtocolKind.PERP),
        {(name, code): market for name, state in states.items() for code, market in state.market_by_code.items()},
        groups,
    )


def _rates(book: Book, states: Mapping[str, StateAt], kinds: Mapping[str, ProtocolKind]) -> dict[Ledger, float]:
    """As /v1/wallets converts: by the first lending deployment, by id, that prices the token in US dollars."""
    lending = [states[name] for name in sorted(states) if kinds[name] is ProtocolKind.LENDING]
    found = {}
    for ledger in book.ledgers:
        asset = ledger.unit.asset
        if counts_in_usd(ledger.unit):
            found[ledger] = 1.0
        elif asset is not None:
            price = next((price for state in lending if (price := price_in(state, asset)) is not None), None)
            if price is not None:
                found[ledger] = price.price / 10**price.decimals
    return found

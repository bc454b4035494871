"""Small markets for market risk: a pool counted in dollars, one counted in WETH, and a perp exchange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.domain.account import AccountKey
from app.domain.chain import Address
from app.domain.legs import Factor, Leg
from app.domain.market import Market, ValueUnit
from app.valuation.book import Book, Ledger
from app.valuation.groups import DEFAULT_GROUPS
from app.valuation.market_risk import RiskMarket

POOL, VAULT, PERPS = "pool", "vault", "perps"
USD = ValueUnit("USD", 8, 8)
WETH_TOKEN = Address(b"\x01" * 20)
IN_WETH = ValueUnit("WETH", 18, 18, WETH_TOKEN)
PRICES = {"WETH": 1000.0, "WBTC": 20_000.0, "LINK": 10.0, "UNI": 5.0, "DAI": 1.0}
TOKENS = {"WETH": WETH_TOKEN} | {
    symbol: Address(bytes([number] * 20)) for number, symbol in enumerate(PRICES, start=1) if symbol != "WETH"
}


def key(number: int, deployment_id: str = POOL, wallet: int | None = None) -> AccountKey:
    holder = Address((number if wallet is None else wallet).to_bytes(20, "big"))
    return AccountKey(deployment_id, holder, "" if wallet is None else str(number))


def holds(symbol: str, amount: float, threshold: float = 0.8) -> Leg:
    return Leg(symbol, amount, amount * threshold, 0.0)


def owes(symbol: str, amount: float) -> Leg:
    return Leg(symbol, 0.0, 0.0, amount)


def market_of(accounts: Mapping[AccountKey, Sequence[Leg] | None], *, converts_weth: bool = True) -> RiskMarket:
    """At `PRICES`; in the vault DAI falls with WETH, in which it is counted."""
    book = Book()
    book.declare(POOL, USD)
    book.declare(VAULT, IN_WETH)
    book.declare(PERPS, USD)
    for name in (POOL, PERPS):
        book.set_factors(name, [Factor(symbol, price, symbol) for symbol, price in PRICES.items()])
    book.set_factors(VAULT, [Factor("DAI", 1 / PRICES["WETH"], "DAI", "WETH"), Factor("WETH", 1.0, "WETH", "WETH")])
    for account, legs in accounts.items():
        book.set_account(account, legs)
    rates = {Ledger(POOL, USD): 1.0, Ledger(PERPS, USD): 1.0}
    if converts_weth:
        rates[Ledger(VAULT, IN_WETH)] = PRICES["WETH"]
    markets = {
        (name, symbol): Market(name, symbol, TOKENS[symbol], symbol, 18)
        for name in (POOL, VAULT, PERPS)
        for symbol in PRICES
    }
    return RiskMarket(book, book.reprice(), rates, frozenset({PERPS}), markets, DEFAULT_GROUPS)

"""What a Comet's prices are counted in. The contract does not say; the feed of its base asset does."""

from __future__ import annotations

import re

from app.protocols.compound_v3.raw import PRICE_DECIMALS

UNKNOWN_CURRENCY = "unknown"
"""Values are exact all the same, but nobody may take them for US dollars."""

MAX_BYTES = 32
"""What a record holds."""

_QUOTE = re.compile(r"/\s*([A-Za-z0-9]{2,10})\b")


def price_currency(description: str | None, base_symbol: str, base_price: int | None) -> str:
    """The unit, from the description of the base asset's feed and that feed's price.

    `USDC / USD` is counted in USD and `WBTC / BTC` in BTC. A feed that calls itself constant and answers 1.0 (the
    WETH markets have such) makes the base asset itself the unit. Anything else is not guessed at.
    """
    quotes: list[str] = _QUOTE.findall(description or "")
    if quotes:
        return quotes[-1]
    constant = "constant" in (description or "").lower() and base_price == 10**PRICE_DECIMALS
    if constant and len(base_symbol.encode()) <= MAX_BYTES:
        return base_symbol
    return UNKNOWN_CURRENCY

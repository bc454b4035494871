"""The members of the family as plain data: a new one is a new row.

Sources: compound-finance/compound-protocol; packages @venusprotocol/venus-protocol 10.3.0 and
@venusprotocol/isolated-pools 4.4.0; moonwell-fi/moonwell-contracts-v2; Benqi-fi/BENQI-Smart-Contracts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """The switches in which the members differ where an account's liquidity is concerned."""

    code: int
    """Stored in records: never reuse a number for other rules."""
    name: str
    market_words: int
    """How many words the Comptroller's `markets(address)` answers."""
    threshold_word: int = 1
    """Which of them weighs collateral against liquidation; word 1 is the collateral factor, for borrowing."""
    by_seconds: bool = False
    """Interest runs by seconds; otherwise by blocks."""
    price_first: bool = False
    """Collateral is valued before it is weighed; otherwise the weight comes first. The order decides roundings."""
    skips_empty: bool = False
    """An entered market with neither balance nor debt is passed over, so that its price may be missing."""
    bad_debt: bool = False
    """Written-off debt still counts in the exchange rate."""
    flash_loans: bool = False
    """What is lent out for the moment still counts as cash."""
    pools: bool = False
    """Accounts choose a pool with factors of its own, and may owe VAI."""


VENUS_CORE = Rules(100, "Venus core", 7, 3, skips_empty=True, flash_loans=True, pools=True)
COMPOUND = Rules(200, "Compound V2", 3)
VENUS_ISOLATED = Rules(300, "Venus isolated pools", 3, 2, price_first=True, bad_debt=True)
VENUS_ISOLATED_SECONDS = Rules(
    310, "Venus isolated pools by seconds", 3, 2, by_seconds=True, price_first=True, bad_debt=True
)
MOONWELL = Rules(400, "Moonwell", 2, by_seconds=True)
BENQI = Rules(500, "BENQI", 3, by_seconds=True)

ALL_RULES = (VENUS_CORE, COMPOUND, VENUS_ISOLATED, VENUS_ISOLATED_SECONDS, MOONWELL, BENQI)


def suggested_rules(market_words: int, *, by_seconds: bool, isolated: bool) -> Rules | None:
    """What a Comptroller with these answers most likely follows; None when it is none of the family."""
    fitting = [r for r in ALL_RULES if r.market_words == market_words and r.by_seconds == by_seconds]
    return next((r for r in fitting if r.bad_debt == isolated), fitting[0] if fitting else None)


def rules_by_code(code: int) -> Rules | None:
    """The rules a stored record names; None for a code no rules have."""
    return next((rules for rules in ALL_RULES if rules.code == code), None)


def likeliest_first(first: Rules) -> tuple[Rules, ...]:
    """`first`, then all rules that could follow from the very same reads."""
    return (
        first,
        *(
            rules
            for rules in ALL_RULES
            if rules != first and (rules.market_words, rules.by_seconds) == (first.market_words, first.by_seconds)
        ),
    )

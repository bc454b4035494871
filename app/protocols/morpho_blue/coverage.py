"""What the answers about Morpho Blue are worth."""

from __future__ import annotations

from app.domain.market import Coverage
from app.protocols.morpho_blue.raw import LEAST_DEBT, MOST_MISSES

COVERAGE = Coverage(
    exact=(
        "Health, debts and deposits equal the contract's verdict and its own library of accrued balances to the last"
        " unit: compared for every account, block after block, with the real contract (1.0.0) on a local chain.",
        "Liquidation prices, what may be borrowed and remedies were carried out at the contract; one unit less or more"
        " turned its answer.",
        "Interest up to the block: the rate is asked of the market's own model at that block.",
    ),
    calibrated=(
        "Each market's oracle is held against the contract's verdict on a borrower of that market, when its first one"
        " is read and in every full read after: where they differ its debtors are unknown (price_unavailable), and"
        " no other market's are.",
    ),
    approximate=(
        "Time to liquidation assumes that the oracle's price and the present rate stay as they are; an adaptive rate"
        " model's drifts with utilization.",
        "An oracle that tells everybody who reads it one price and a real liquidation another cannot be found out.",
    ),
    not_modelled=(
        "Pre-liquidation contracts, which a borrower may authorise to act earlier: what they do is followed, when they"
        " may is not.",
        "Deposits made through vaults: the vault is the account here.",
        f"Markets in which all owe less than {LEAST_DEBT} units together, and oracles that failed {MOST_MISSES} times"
        " in a row (asked again in full reads, and when the market moves): their debtors are unknown.",
        "Markets beyond the 2,000 most active ones of a deployment: their accounts are unknown.",
    ),
)

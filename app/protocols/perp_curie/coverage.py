"""What the answers about Perpetual Protocol v2 are worth."""

from __future__ import annotations

from app.domain.market import Coverage

COVERAGE = Coverage(
    exact=(
        "Account value, margin requirement, sizes and pending funding equal the contracts' own, and the verdict equals"
        " their liquidation's, makers included: compared for every account, block after block, with the real contracts"
        " (@perp/curie-contract 2.8.4) on a local chain.",
        "At a liquidation price the contracts' verdict turns, to the 8 decimals of the feeds that decide the mark; a"
        " deposit said to restore a target reaches it, and one unit less does not.",
        "While nobody trades, funding at a later time is foretold to the unit.",
    ),
    calibrated=(
        "There is one set of rules. It is compared with the contracts' own numbers on the accounts followed; where any"
        " disagrees, every account is unknown (rules_unconfirmed).",
        "The growth of funding has no view: it is told by the pending payments of traders whose state is known, and is"
        " unknown where they contradict each other or nobody can tell it (funding_unavailable).",
    ),
    approximate=(
        "Time to liquidation assumes that mark prices and premiums stay as they are, and the sizes of accounts with"
        " open orders too.",
        "Where the payments follow from no settled growth that is known, pending funding may be a unit of 10^-18"
        " dollars off; account values, in whole units of the settlement token, are the contracts' own unless that very"
        " unit makes the difference.",
        "A long's verdict may turn more than once within a millionth of a dollar of notional; the liquidation price is"
        " one of the turns.",
    ),
    not_modelled=(
        "The sale of posted tokens for settlement debts, by a rule of its own: said as"
        " collateral_liquidation_not_assessed.",
        "How a mark price comes about: it is read, and a liquidation price is one of the mark, not of the index.",
        "How much of a position one liquidation closes, and its penalty.",
    ),
)

"""What the Aave V3 adapter's answers are worth."""

from __future__ import annotations

from app.domain.market import Coverage

COVERAGE = Coverage(
    exact=(
        "The six numbers of getUserAccountData, health factor included, equal the Pool's to the last unit: compared"
        " for every account, block after block, with the real contracts of 3.0 and 3.6 on a local chain.",
        "Interest indices projected to a block equal the Pool's own.",
        "Liquidation prices are the last oracle prices before the Pool's verdict turns: the oracle was moved there"
        " and one unit back, and the Pool agreed on both sides.",
        "What restores a target health factor suffices at the Pool, and one unit less does not.",
        "Who is touched by a log: checked on receipts of 21 public transactions of Ethereum, Arbitrum, Polygon, Base,"
        " Gnosis and Scroll.",
    ),
    calibrated=(
        "The rounding rules (3.0 to 3.1, 3.2 to 3.3, 3.4, 3.5, 3.6, 3.7, Spark with directed rounding) are those"
        " under which every account compared gives the Pool's own numbers; a pool's revision only says which to try"
        " first. If no rules fit, every account of the deployment is unknown (rules_unconfirmed).",
        "3.2 to 3.5, 3.7 and Spark's directed rounding are from the source and were not run against compiled"
        " contracts here: on a live pool this comparison alone confirms them. Rules that agree on every account"
        " compared cannot be told apart; then those tried first stay.",
        "The comparison starts anew when the Pool's or a token's code is replaced.",
    ),
    approximate=(
        "Time to liquidation assumes that prices and interest rates stay as they are.",
        "Where one asset is collateral and debt at once and nearly cancels, rounding decides over a stretch of prices;"
        " beyond 4,096 of them the liquidation price found may not be the very first.",
    ),
    not_modelled=(
        "How much of a debt one liquidation may repay, and its bonus.",
        "Debt at a stable rate (3.0 and 3.1 only): such an account is unknown.",
        "Supply and borrow caps, where a remedy adds collateral.",
        "The GHO discount of Ethereum Core before 3.4.",
    ),
)

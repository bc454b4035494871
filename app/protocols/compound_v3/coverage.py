"""What the answers about Compound V3 are worth."""

from __future__ import annotations

from app.domain.market import Coverage

COVERAGE = Coverage(
    exact=(
        "The verdict is whether absorb would go through, by accrued interest: held against the recorded outcomes of the"
        " real contract (compound-finance/comet, on a local chain) for 390 accounts at their blocks.",
        "By stored interest isLiquidatable and isBorrowCollateralized, by accrued interest borrowBalanceOf and"
        " balanceOf are met to the last unit on the same records; liquidation prices lie where absorb began to go"
        " through.",
        "At every block of a local chain with a market of the same interface, with transfers that no log tells of,"
        " every account stored equals that market's own views.",
        "Who is touched by a log: checked on receipts of 7 public transactions of Ethereum, Optimism, Polygon and"
        " Base.",
    ),
    calibrated=(
        "There is one set of rules. It is compared with the Comet's own four views on the accounts followed, and anew"
        " when its code is replaced; where any disagrees, every account is unknown (rules_unconfirmed).",
    ),
    approximate=(
        "A transfer of the base asset from a debt to a debt leaves no log: both accounts are right again in the same"
        " block where nothing else accrued interest there, else within an hour, when every account was read again.",
        "Time to liquidation assumes that prices and rates stay as they are.",
        "A missing price of any collateral makes its holder unknown, also where the contract would not get to it.",
    ),
    not_modelled=(
        "The least amount that may be borrowed (baseBorrowMin): borrowing less than what is shown as available may be"
        " refused where the debt would stay below it.",
        "What absorbing leaves to the account, and the sale of what was absorbed.",
    ),
)

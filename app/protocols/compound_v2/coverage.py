"""What the answers about Compound V2 and its family are worth."""

from __future__ import annotations

from app.domain.market import Coverage

COVERAGE = Coverage(
    exact=(
        "Venus core: the Comptroller's own liquidity and shortfall, VAI and pools included, are met to the last unit:"
        " compared for every account, block after block, with the real contracts (10.3.0) on a local chain. The"
        " product's numbers add the interest since the last accrual, as a liquidation does.",
        "Venus core: debts and deposits equal borrowBalanceCurrent and exchangeRateCurrent; liquidation prices and"
        " remedies were carried out at the contracts, and one unit less did not do.",
        "Compound V2: who is touched by a log, checked on receipts of 7 public transactions of Ethereum.",
    ),
    calibrated=(
        "Which member's rules apply (Venus core, Compound V2, Venus isolated pools by blocks or by seconds, Moonwell,"
        " BENQI) is told by the Comptroller's answers and confirmed by comparing accounts with getAccountLiquidity;"
        " if it disagrees on any, every account is unknown (rules_unconfirmed).",
        "The rules of Compound V2, Venus isolated pools, Moonwell and BENQI are from the source and were not run"
        " against their contracts in this repository: on a live market the comparison alone confirms them.",
    ),
    approximate=(
        "Verdicts add interest in every market the account is in; a liquidation adds it in the two it touches only."
        " Within that interest of the threshold the two may differ.",
        "A debt found by the search of old logs is read as its value then, and its interest from there on can be a"
        " unit off, until the account's next event gives the stored pair.",
        "Venus core: what may still be borrowed is by spot prices; the contract lends by bounded ones.",
        "Time to liquidation assumes that prices, rates and the pace of blocks stay as they are.",
    ),
    not_modelled=(
        "Liquidations without a shortfall: Compound V2's deprecated markets, Venus's forced ones.",
        "Venus isolated pools: accounts too small for an ordinary liquidation, which are closed as a whole.",
        "Close factor and liquidation incentive.",
    ),
)

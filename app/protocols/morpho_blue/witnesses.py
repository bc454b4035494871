"""Whether an oracle tells the contract the price it tells us: found out market by market, on a borrower of each.

An oracle is any contract anybody chose, and it sees who asks. One that answers Multicall3 otherwise than Morpho gives
itself away where the contract's verdict about a borrower is not the one its price gives. Such a market's price is
taken as not known, and no other market's accounts are touched by it. What an oracle would tell a real liquidator and
nobody else cannot be found out by reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from app.domain.account import AccountKey
from app.domain.chain import Address, CallResult, ContractCall, ReadPlan
from app.protocols.abi import decode_uint, decode_words
from app.protocols.base import Truth
from app.protocols.calibration import Confirmation
from app.protocols.morpho_blue import calls
from app.protocols.morpho_blue.account_reads import position_call, snapshot_of
from app.protocols.morpho_blue.priced import MorphoPrices
from app.protocols.morpho_blue.raw import BlueMarket, Raw

MOST_CANDIDATES = 4
"""Of a market's accounts about to be read, so many are asked about: some may owe nothing."""

Wanted = Mapping[str, Sequence[Address]]
"""Wallets by market id."""


def chosen(raw: Raw, keys: Iterable[AccountKey]) -> dict[str, tuple[Address, ...]]:
    """Whom to ask about in markets without a witness, new ones among them: the same wallets for the same keys."""
    wallets: dict[str, set[Address]] = {}
    for key in keys:
        market = raw.markets.get(key.unit)
        if market is None or market.witness is None:
            wallets.setdefault(key.unit, set()).add(key.wallet)
    return {unit: tuple(sorted(found)[:MOST_CANDIDATES]) for unit, found in sorted(wallets.items())}


def standing(raw: Raw) -> dict[str, tuple[Address, ...]]:
    """The witnesses there are: compared again in every full read."""
    return {unit: (market.witness,) for unit, market in raw.markets.items() if market.witness is not None}


def compare(contract: Address, multicall3: Address, raw: Raw, wanted: Wanted) -> ReadPlan[Raw]:
    """The state with the outcome of comparing these wallets' verdicts: one round, none without any.

    Only those with debt in a market whose price is known say anything. `raw` is the driven block's.
    """
    pairs = [
        (market, wallet)
        for unit, wallets in wanted.items()
        if (market := raw.markets.get(unit)) is not None and market.price is not None
        for wallet in wallets
    ]
    if not pairs:
        return raw
    asked = [_verdict_calls(contract, market, wallet) for market, wallet in pairs]
    positions, attempts = [one for one, _ in asked], [one for _, one in asked]
    now, *answers = yield [ContractCall(multicall3, calls.BLOCK_TIMESTAMP), *positions, *attempts]
    markets = dict(raw.markets)
    outcomes: dict[str, tuple[Address, bool]] = {}
    for (market, wallet), *two in zip(pairs, answers[: len(pairs)], answers[len(pairs) :], strict=True):
        verdicts = _verdicts(market, wallet, decode_uint(now), two)
        if verdicts is None and wallet == market.witness:
            markets[market.id] = replace(market, witness=None)  # owes nothing any more: the next borrower is asked
        elif verdicts is not None and outcomes.get(market.id, (wallet, True))[1]:  # one that differs decides
            outcomes[market.id] = wallet, verdicts[0] == verdicts[1]
    for unit, (wallet, agrees) in outcomes.items():
        markets[unit] = replace(markets[unit], witness=wallet, agrees=agrees)
    return replace(raw, markets=markets)


def read_truth(contract: Address, multicall3: Address, raw: Raw, key: AccountKey) -> ReadPlan[Truth | None]:
    """Supply shares, borrow shares, collateral, and 1 if the contract calls the position healthy, else 0.

    The contract has no view of health, so it is asked by a liquidation that cannot go through. None where that
    does not come to a verdict: the oracle or the rate model reverts; and where its verdict is not the one that its
    market's oracle, asked at the same time, gives: that says nothing of the rules, and one oracle's lie must not
    make every market unknown. Were it the rules that are wrong, every market's witness would say so. Without debt
    there is nothing to ask.
    """
    market = raw.markets.get(key.unit)
    if market is None:
        return None
    position, attempt, price, now = yield (
        *_verdict_calls(contract, market, key.wallet),
        ContractCall(market.params.oracle, calls.PRICE),
        ContractCall(multicall3, calls.BLOCK_TIMESTAMP),
    )
    words = decode_words(position, 3)
    if words is None:
        return None
    if not words[1]:
        return (*words, 1)
    priced = replace(market, price=decode_uint(price))
    verdicts = _verdicts(priced, key.wallet, decode_uint(now), (position, attempt))
    if verdicts is None or verdicts[0] != verdicts[1] or market.agrees is False:
        return None
    return (*words, int(verdicts[0]))


def _verdict_calls(contract: Address, market: BlueMarket, wallet: Address) -> tuple[ContractCall, ContractCall]:
    """A wallet's position, and a liquidation that cannot go through: its reason is the contract's verdict."""
    probe = calls.probing_liquidation(market.params.words(), wallet)
    return position_call(contract, market, wallet), ContractCall(contract, probe)


def _verdicts(
    market: BlueMarket, wallet: Address, timestamp: int | None, answers: Sequence[CallResult]
) -> tuple[bool, bool] | None:
    """Whether a borrower is healthy by the contract and by the rules; None without debt, or without both verdicts."""
    position, attempt = answers
    snapshot = snapshot_of(market, AccountKey("", wallet, market.id), 0, position)
    healthy = calls.liquidation_verdict(attempt)
    if timestamp is None or snapshot is None or healthy is None or not snapshot.is_exposed:
        return None
    believed = Raw(wallet, {market.id: replace(market, agrees=None)})
    ours = MorphoPrices(believed, Confirmation(), timestamp).truth(snapshot)
    return None if ours is None else (healthy, bool(ours[3]))

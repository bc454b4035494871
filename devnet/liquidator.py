"""A liquidator that trusts nobody but the contract: it asks who is below 1, tries the call, and sends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.domain.chain import Address, Returned, Reverted
from devnet import pool
from devnet.assets import LIQUIDATOR
from devnet.chain import DevChain
from devnet.codec import call_data, decoded
from devnet.deployed import Deployed

PAIRS_TRIED = 6
_HEALTHY_V3_0 = "45"
_HEALTHY_V3_6 = call_data("HealthFactorNotBelowThreshold()")
_ERROR_STRING = call_data("Error(string)", "")[:4]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The contract's own word on one liquidation."""

    word: Literal["liquidatable", "healthy", "refused"]
    """`refused`: for another reason than health, e.g. a paused reserve, a broken feed, nothing owed."""
    reason: str
    """The contract's error when it did not go through: a V3.0 error number or 0x-hex of the error data."""


def verdict_on(chain: DevChain, d: Deployed, wallet: Address, collateral: str, debt: str) -> Verdict:
    """What liquidating `wallet` would do: tried with everything owed, then with ever less.

    V3.6 refuses amounts that would leave dust, so a refusal of one amount is not the last word.
    """
    refusal = Verdict("refused", "0x")
    owed = pool.MAX_UINT256
    for _ in range(4):
        call = pool.liquidate(d, collateral, debt, wallet, owed)
        result = chain.try_call(call, LIQUIDATOR)
        if not isinstance(result, Reverted):
            return Verdict("liquidatable", "")
        reason = _reason(result.data)
        if reason in (_HEALTHY_V3_0, "0x" + _HEALTHY_V3_6.hex()):
            return Verdict("healthy", reason)
        refusal = Verdict("refused", reason)
        if owed == pool.MAX_UINT256:
            balance = chain.call(d.reserves[debt].v_token, "balanceOf(address)", wallet)
            owed = int.from_bytes(balance)
        owed //= 2
    return refusal


def verdict_on_account(chain: DevChain, d: Deployed, wallet: Address) -> Verdict:
    """`verdict_on` with the most valuable collateral and debt, then with the others while the word is `refused`."""
    verdict = Verdict("refused", "no collateral and debt to try")
    view = pool.read_accounts(chain, d, [wallet])[0]
    prices = pool.read_prices(chain, d)
    for collateral, debt in largest_pairs(view, d, prices) if view is not None else []:
        verdict = verdict_on(chain, d, wallet, collateral, debt)
        if verdict.word != "refused":
            break
    return verdict


def largest_pairs(view: pool.AccountView, d: Deployed, prices: Mapping[str, int | None]) -> list[tuple[str, str]]:
    """(collateral, debt) symbols of an account, the most valuable first."""

    def by_value(amounts: Mapping[str, int], allowed: frozenset[str]) -> list[str]:
        worth = {
            symbol: amount * (prices[symbol] or 0) / 10 ** d.reserves[symbol].decimals
            for symbol, amount in amounts.items()
            if amount and symbol in allowed
        }
        return sorted(worth, key=lambda symbol: -worth[symbol])

    collaterals = by_value(view.supplied, view.collateral)
    debts = by_value(view.borrowed, frozenset(d.reserves))
    return [(collateral, debt) for debt in debts for collateral in collaterals]


def queue_liquidations(chain: DevChain, d: Deployed, wallets: Sequence[Address], most: int) -> int:
    """Queue a real liquidation of up to `most` accounts that the contract says are below 1; how many."""
    accounts = pool.read_account_data(chain, d, wallets)
    below = [w for w, data in zip(wallets, accounts, strict=True) if data is not None and data[5] < pool.WAD]
    if not below:
        return 0
    prices = pool.read_prices(chain, d)
    queued = 0
    for view in pool.read_accounts(chain, d, below[: most * 3]):
        if view is not None and queued < most and _queue_one(chain, d, view, prices):
            queued += 1
    return queued


def _queue_one(chain: DevChain, d: Deployed, view: pool.AccountView, prices: Mapping[str, int | None]) -> bool:
    for collateral, debt in largest_pairs(view, d, prices)[:PAIRS_TRIED]:
        for amount in (pool.MAX_UINT256, view.borrowed[debt] // 2, view.borrowed[debt] // 4):
            call = pool.liquidate(d, collateral, debt, view.wallet, amount)
            if isinstance(chain.try_call(call, LIQUIDATOR), Returned):
                label = f"liquidate {collateral} for {debt} in {d.id}"
                chain.send(LIQUIDATOR, call.target, call.data, gas=pool.POOL_GAS, label=label, must_succeed=False)
                return True
    return False


def _reason(data: bytes) -> str:
    if data[:4] == _ERROR_STRING:
        return str(decoded("(string)", data[4:])[0])
    return "0x" + data.hex()

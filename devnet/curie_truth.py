"""What the contracts of Perpetual Protocol v2 say about markets and accounts: the truth that tests compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.domain.chain import Address, ContractCall, Returned, Reverted
from app.errors import Fatal
from devnet import curie_calls
from devnet.chain import MULTICALL3, DevChain
from devnet.codec import aggregate_data, call_data, decoded, wallet_call_data, words
from devnet.curie import HISTORY_SECONDS, TWAP_SECONDS, Curie, CurieMarket
from devnet.liquidator import Verdict

_ENOUGH_ACCOUNT_VALUE = call_data("Error(string)", "CH_EAV")
_NO_EXCESS_ORDERS = call_data("Error(string)", "CH_NEXO")
_ERROR_STRING = _NO_EXCESS_ORDERS[:4]
_SPOT_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Prices:
    """What one market's mark price is the median of, and whence (WAD)."""

    mark: int
    spot: int
    """The pool's over 15 seconds."""
    twap: int
    """The pool's over half an hour."""
    index: int
    premium: int
    """The pool's less the index, both over a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class PositionView:
    """One account in one market, liquidity included: 18 decimals; the open notional of a long is negative."""

    size: int
    open_notional: int
    pending_funding: int
    """Positive: the account owes it."""


@dataclass(frozen=True, slots=True)
class MarginView:
    """One account at one block, straight from the contracts; 18 decimals unless said otherwise."""

    wallet: Address
    account_value: int
    """A multiple of 10^12: the vault counts in units of the settlement token, rounded down."""
    requirement: int
    """Below it the account may be liquidated."""
    owed_realized_pnl: int
    unrealized_pnl: int
    pending_fee: int
    balance_raw: int
    """Settlement token deposited, in its units; may be negative."""
    collateral_raw: int
    """The other token deposited, in its units."""
    has_orders: bool
    positions: Mapping[str, PositionView]
    """By market, those the contract has the account in."""

    @property
    def is_below_requirement(self) -> bool:
        return self.account_value < self.requirement


def read_accounts(
    chain: DevChain, curie: Curie, wallets: Sequence[Address], block_number: int | None = None
) -> list[MarginView | None]:
    """Everything of each wallet at one block; None where a read reverts."""
    rows = [_account_calls(curie, wallet) for wallet in wallets]
    results = chain.read([call for row in rows for call in row], block_number)
    width = len(rows[0]) if rows else 0
    views: list[MarginView | None] = []
    for index, wallet in enumerate(wallets):
        answers = [r.data for r in results[index * width : (index + 1) * width] if isinstance(r, Returned)]
        views.append(_view(curie, wallet, answers) if len(answers) == width else None)
    return views


def read_margins(chain: DevChain, curie: Curie, wallets: Sequence[Address]) -> list[tuple[int, int] | None]:
    """Account value and requirement of each wallet now (18 decimals); None where a read reverts."""
    calls = []
    for wallet in wallets:
        calls.append(ContractCall(curie.clearing_house, wallet_call_data("getAccountValue(address)", wallet)))
        signature = "getMarginRequirementForLiquidation(address)"
        calls.append(ContractCall(curie.account_balance, wallet_call_data(signature, wallet)))
    results = chain.read(calls)
    pairs = zip(results[::2], results[1::2], strict=True)
    return [
        (_signed(value.data), _signed(required.data))
        if isinstance(value, Returned) and isinstance(required, Returned)
        else None
        for value, required in pairs
    ]


def read_prices(chain: DevChain, curie: Curie, market: CurieMarket, block_number: int | None = None) -> Prices:
    """One market's prices at one block.

    Raises:
        Fatal: one cannot be read, e.g. because the pool is younger than the interval.
    """
    sqrt_twap, index = "getSqrtMarketTwapX96(address,uint32)", "getIndexPrice(uint256)"
    calls = [
        ContractCall(curie.account_balance, wallet_call_data("getMarkPrice(address)", market.base)),
        *(
            ContractCall(curie.exchange, call_data(sqrt_twap, market.base, seconds))
            for seconds in (_SPOT_SECONDS, HISTORY_SECONDS, TWAP_SECONDS)
        ),
        *(ContractCall(market.base, call_data(index, seconds)) for seconds in (0, TWAP_SECONDS)),
    ]
    answers = [words(r.data)[0] for r in chain.read(calls, block_number) if isinstance(r, Returned)]
    if len(answers) != len(calls):
        raise Fatal(f"a price of {market.name} cannot be read at block {block_number}")
    mark, *roots, spot_index, index_twap = answers
    spot, twap, premium_twap = (((root * root) >> 96) * 10**18 >> 96 for root in roots)
    return Prices(mark, spot, twap, spot_index, premium_twap - index_twap)


def verdict(chain: DevChain, curie: Curie, wallet: Address, block_number: int | None = None) -> Verdict:
    """Whether the contract would let this account be liquidated at one block, by trying it.

    Every market the account is in is tried until one gives the word: the others may be paused or hold no position.
    Whoever has open orders has them cancelled in the same try: the contract lets nobody be liquidated before, and
    cancels only the orders of accounts whose margin is short. Multicall3 is who tries: it has margin enough.
    """
    markets = _markets_of(chain, curie, wallet, block_number)
    refusal = Verdict("refused", "no market to try")
    for market in markets:
        calls = [curie_calls.cancel_orders(curie, wallet, other) for other in markets]
        calls.append(curie_calls.liquidate(curie, wallet, market))
        request = ContractCall(MULTICALL3, aggregate_data(calls, may_fail=True))
        answer = chain.try_call(request, block_number=block_number)
        if isinstance(answer, Reverted):
            raise Fatal(f"Multicall3 itself reverted: 0x{answer.data.hex()}")
        rows = decoded("((bool,bytes)[])", answer.data)[0]
        assert isinstance(rows, Sequence)
        *cancelled, (succeeded, data) = rows
        if succeeded:
            return Verdict("liquidatable", "")
        if data == _ENOUGH_ACCOUNT_VALUE or any(said == _NO_EXCESS_ORDERS for _, said in cancelled):
            return Verdict("healthy", "CH_EAV" if data == _ENOUGH_ACCOUNT_VALUE else "CH_NEXO")
        refusal = Verdict("refused", _reason(data))
    return refusal


def _markets_of(chain: DevChain, curie: Curie, wallet: Address, block_number: int | None) -> list[CurieMarket]:
    data = chain.call(curie.account_balance, "getBaseTokens(address)", wallet, block_number=block_number)
    return markets_in(curie, data)


def markets_in(curie: Curie, data: bytes) -> list[CurieMarket]:
    """The markets an answer of getBaseTokens names."""
    held = set(words(data)[2:])
    return [market for market in curie.markets.values() if int.from_bytes(market.base) in held]


def _account_calls(curie: Curie, wallet: Address) -> list[ContractCall]:
    def call(to: Address, signature: str, second: Address | None = None) -> ContractCall:
        data = wallet_call_data(signature, wallet)
        return ContractCall(to, data if second is None else data + bytes(12) + second)

    calls = [
        call(curie.clearing_house, "getAccountValue(address)"),
        call(curie.account_balance, "getMarginRequirementForLiquidation(address)"),
        call(curie.account_balance, "getPnlAndPendingFee(address)"),
        call(curie.vault, "getBalance(address)"),
        call(curie.vault, "getBalanceByToken(address,address)", curie.collateral.address),
        call(curie.account_balance, "hasOrder(address)"),
        call(curie.account_balance, "getBaseTokens(address)"),
    ]
    for market in curie.markets.values():
        calls += [
            call(curie.account_balance, "getTotalPositionSize(address,address)", market.base),
            call(curie.account_balance, "getTotalOpenNotional(address,address)", market.base),
            call(curie.exchange, "getPendingFundingPayment(address,address)", market.base),
        ]
    return calls


def _view(curie: Curie, wallet: Address, answers: Sequence[bytes]) -> MarginView:
    value, required, pnl, balance, collateral, has_orders, bases, *rest = answers
    touched = markets_in(curie, bases)
    positions = {}
    for index, market in enumerate(curie.markets.values()):
        if market in touched:
            size, notional, funding = (_signed(answer) for answer in rest[3 * index : 3 * index + 3])
            positions[market.name] = PositionView(size, notional, funding)
    return MarginView(
        wallet=wallet,
        account_value=_signed(value),
        requirement=_signed(required),
        owed_realized_pnl=_signed(pnl[:32]),
        unrealized_pnl=_signed(pnl[32:64]),
        pending_fee=_signed(pnl[64:]),
        balance_raw=_signed(balance),
        collateral_raw=_signed(collateral),
        has_orders=bool(words(has_orders)[0]),
        positions=positions,
    )


def _signed(data: bytes) -> int:
    return int.from_bytes(data[:32], signed=True)


def _reason(data: bytes) -> str:
    return str(decoded("(string)", data[4:])[0]) if data[:4] == _ERROR_STRING else "0x" + data.hex()

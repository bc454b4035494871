"""Contracts that answer as the real ones would, out of made-up markets and accounts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from app.domain.account import AccountSnapshot, PerpPosition
from app.domain.chain import Address, CallResult, ContractCall, Returned, Reverted
from app.domain.specs import MULTICALL3
from app.protocols.abi import uint_word
from app.protocols.perp_curie import ADAPTER, calls
from app.protocols.perp_curie.raw import Status, Terms
from app.protocols.perp_curie.state import CurieState
from tests.protocols.conformance import drive
from tests.protocols.perp_curie import reference
from tests.protocols.perp_curie.builders import (
    BIG,
    BTC,
    DEPLOYMENT,
    ETH,
    FRAX,
    HOUSE,
    NOW,
    OLD,
    POOLED,
    ROOTS,
    STILL,
    TERMS,
    USDC,
    USDC_CODE,
    WETH,
    Perp,
    Posted,
    snapshot,
)
from tests.protocols.perp_curie.reference import Holding, Token


@dataclass
class FakeContracts:
    """Answers calls out of made-up markets and accounts, at one time."""

    accounts: tuple[AccountSnapshot, ...] = ()
    perps: tuple[Perp, ...] = (ETH, BTC, OLD, STILL)
    tokens: tuple[Posted, ...] = (WETH, FRAX, BIG)
    terms: Terms = TERMS
    now: int = NOW
    failing: frozenset[bytes] = frozenset()
    """Calldata, or just selectors, that revert."""
    asked: list[ContractCall] = field(default_factory=list)

    def __call__(self, call: ContractCall) -> CallResult:
        self.asked.append(call)
        view, arguments = call.data[:4], [call.data[at : at + 32] for at in range(4, len(call.data), 32)]
        if view in self.failing or call.data in self.failing:
            return Reverted(b"")
        if call.target == MULTICALL3:
            return answer(self.now)
        found = self._constants(call.target).get(view)
        if found is not None:
            return found
        if call.target in {perp.base for perp in self.perps}:
            return self._base_token(next(perp for perp in self.perps if perp.base == call.target), view)
        named = [Address(word[12:]) for word in arguments]
        if view in (calls.GET_COLLATERAL_CONFIG, calls.GET_PRICE_FEED_DECIMALS, calls.GET_PRICE):
            return self._collateral(view, named[0])
        if view in (calls.GET_MARK_PRICE, calls.GET_SQRT_MARKET_TWAP):
            perp = next((perp for perp in self.perps if perp.base == named[0]), None)
            if perp is None or perp.status is not Status.OPEN:
                return Reverted(b"")
            return answer(perp.price if view == calls.GET_MARK_PRICE else perp.sqrt_twap)
        return self._account(view, named, arguments)

    def _constants(self, target: Address) -> dict[bytes, CallResult]:
        if target == HOUSE:
            views = (
                calls.GET_ACCOUNT_BALANCE,
                calls.GET_VAULT,
                calls.GET_EXCHANGE,
                calls.GET_ORDER_BOOK,
                calls.GET_INSURANCE_FUND,
                calls.GET_CLEARING_HOUSE_CONFIG,
            )
            roots = {view: answer(number(found)) for view, found in zip(views, ROOTS, strict=False)}
            return {**roots, calls.PAUSED: answer(self.terms.paused)}
        if target == ROOTS.vault:
            return {
                calls.GET_COLLATERAL_MANAGER: answer(number(ROOTS.collateral_manager)),
                calls.GET_SETTLEMENT_TOKEN: answer(number(USDC)),
                calls.DECIMALS: answer(6),
            }
        if target == ROOTS.config:
            ratios = (
                calls.GET_MM_RATIO,
                calls.GET_IM_RATIO,
                calls.GET_LIQUIDATION_PENALTY_RATIO,
                calls.GET_MAX_FUNDING_RATE,
                calls.GET_TWAP_INTERVAL,
            )
            return {view: answer(value) for view, value in zip(ratios, self.terms, strict=False)}
        if target == USDC:
            return {calls.SYMBOL: text("USDC"), calls.DECIMALS: answer(6)}
        known = {token.asset: token for token in self.tokens}
        if target in known:
            return {calls.SYMBOL: text(known[target].symbol), calls.DECIMALS: answer(known[target].decimals)}
        return {}

    def _base_token(self, perp: Perp, view: bytes) -> CallResult:
        if view == calls.SYMBOL:
            return text(perp.symbol)
        flags = {calls.IS_OPEN: Status.OPEN, calls.IS_PAUSED: Status.PAUSED, calls.IS_CLOSED: Status.CLOSED}
        if view in flags:
            return answer(int(perp.status is flags[view]))
        if view == calls.GET_CLOSED_PRICE and perp.status is not Status.CLOSED:
            return Reverted(b"")
        if view == calls.GET_PAUSED_INDEX_PRICE and perp.status is Status.OPEN:
            return answer(0)
        other = view == calls.GET_PAUSED_INDEX_PRICE and perp.status is Status.CLOSED
        return answer(perp.price + 1 if other else perp.price)

    def _collateral(self, view: bytes, token: Address) -> CallResult:
        found = next((one for one in self.tokens if one.asset == token), None)
        if found is None:
            return Reverted(b"")
        if view == calls.GET_COLLATERAL_CONFIG:
            return answer(number(Address(b"\xfe" * 20)), found.ratio, 100_000, 2**256 - 1)
        return answer(found.feed_decimals if view == calls.GET_PRICE_FEED_DECIMALS else found.price)

    def _account(self, view: bytes, named: list[Address], arguments: list[bytes]) -> CallResult:
        wallet = named[0]
        account = next((one for one in self.accounts if one.key.wallet == wallet), snapshot(wallet=wallet))
        amounts = {one.market: one.supplied_raw - one.borrowed_raw for one in account.positions}
        held = {one.market: one for one in account.perps}
        if view == calls.GET_BALANCE:
            return answer(amounts.get(USDC_CODE, 0))
        if view == calls.GET_BALANCE_BY_TOKEN:
            return answer(amounts.get(str(named[1]), 0))
        if view == calls.GET_COLLATERAL_TOKENS:
            return addresses(code for code in amounts if code != USDC_CODE)
        if view == calls.GET_BASE_TOKENS:
            return addresses(reversed(held))
        if view in _OF_ONE_MARKET:
            return self._position(view, held.get(str(named[1])), arguments[2:])
        return self._truth(view, account)

    def _position(self, view: bytes, held: PerpPosition | None, rest: list[bytes]) -> CallResult:
        if held is None:
            return addresses(()) if view == calls.GET_OPEN_ORDER_IDS else answer(*[0] * _OF_ONE_MARKET[view])
        last, orders, fee, _ = held.params
        base, base_debt, quote, quote_debt = POOLED if orders else (0, 0, 0, 0)
        if view == calls.GET_ACCOUNT_INFO:
            return answer(held.size_raw - base + base_debt, held.entry_notional_raw - quote + quote_debt, last)
        if view == calls.GET_OPEN_ORDER_IDS:
            return Returned(b"".join(map(uint_word, (32, orders, *range(5, 5 + orders)))))
        if view == calls.GET_PENDING_FUNDING:
            return answer(self.funding(held))
        is_base = bool(int.from_bytes(rest[0], "big"))
        if view == calls.GET_TOTAL_ORDER_DEBT:
            return answer(base_debt if is_base else quote_debt)
        return answer(base, 0) if is_base else answer(quote, fee)

    def funding(self, held: PerpPosition) -> int:
        """What is pending in one position."""
        last, orders, _, funding = held.params
        market = next(perp for perp in self.perps if perp.code == held.market)
        return funding if orders else reference.pending_funding(held.size_raw, last, market.growth)

    def holdings(self, account: AccountSnapshot) -> list[Holding]:
        prices = {perp.code: perp.price for perp in self.perps}
        return [
            Holding(one.size_raw, one.entry_notional_raw, prices[one.market], self.funding(one), one.params[2])
            for one in account.perps
        ]

    def truth(self, account: AccountSnapshot) -> tuple[int, ...]:
        """What the views answer, written out again from the sources."""
        known = {token.code: token for token in self.tokens}
        balance = sum(p.supplied_raw - p.borrowed_raw for p in account.positions if p.market == USDC_CODE)
        tokens = [
            Token(p.supplied_raw, token.decimals, token.price, token.feed_decimals, token.ratio)
            for p in account.positions
            if (token := known.get(p.market)) is not None
        ]
        holdings, owed = self.holdings(account), account.params[0]
        return (
            reference.account_value(balance, 6, owed, holdings, tokens),
            reference.margin_requirement(holdings, self.terms.mm_ratio),
            reference.total_abs_position_value(holdings),
            owed,
            reference.unrealized_pnl(holdings),
            sum(one.fee for one in holdings),
        )

    def _truth(self, view: bytes, account: AccountSnapshot) -> CallResult:
        truth = self.truth(account)
        match view:
            case calls.GET_ACCOUNT_VALUE:
                return answer(truth[0])
            case calls.GET_MARGIN_REQUIREMENT:
                return answer(truth[1])
            case calls.GET_TOTAL_ABS_POSITION_VALUE:
                return answer(truth[2])
            case calls.GET_PNL_AND_PENDING_FEE:
                return answer(*truth[3:])
            case _:
                return Reverted(b"")


_OF_ONE_MARKET = {
    calls.GET_ACCOUNT_INFO: 3,
    calls.GET_OPEN_ORDER_IDS: 0,
    calls.GET_PENDING_FUNDING: 1,
    calls.GET_TOTAL_TOKEN_AMOUNT: 2,
    calls.GET_TOTAL_ORDER_DEBT: 1,
}
"""Views of one account in one market, and how many words each answers."""


def read_state(contracts: FakeContracts) -> CurieState:
    """The state of these contracts, with every account told of, its rules confirmed."""
    state = drive(ADAPTER.read_state(DEPLOYMENT), contracts)
    told = state.expecting([account.key for account in contracts.accounts])
    after = told if told is state else drive(told.read_next(full=False), contracts)
    assert isinstance(after, CurieState)
    confirmed = after.confirmed(samples=20, matches=20)
    assert isinstance(confirmed, CurieState)
    return confirmed


def answer(*words: int) -> CallResult:
    return Returned(b"".join(uint_word(word % 2**256) for word in words))


def addresses(codes: Iterable[str]) -> CallResult:
    found = [number(Address.from_hex(code)) for code in codes]
    return answer(32, len(found), *found)


def text(value: str) -> CallResult:
    raw = value.encode()
    return Returned(uint_word(32) + uint_word(len(raw)) + raw.ljust(32, b"\0"))


def number(address: Address) -> int:
    return int.from_bytes(address, "big")

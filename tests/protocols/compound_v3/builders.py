"""Made-up Comets, and contracts that answer as they would, written out again from the contract's sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.domain.account import AccountKey, AccountSnapshot, LendingPosition
from app.domain.chain import Address, CallResult, ContractCall, Returned, Reverted
from app.domain.market import Deployment
from app.domain.units import WAD
from app.protocols.abi import uint_word
from app.protocols.calibration import Confirmation
from app.protocols.compound_v3 import calls
from app.protocols.compound_v3.raw import Base, BaseTerms, Collateral, Curve, Curves, Raw, Terms, Totals
from app.protocols.compound_v3.state import CometState
from tests.protocols.compound_v3 import reference

BLOCK = 1_000
NOW = 1_750_000_000
ACCRUED_AT = NOW - 3_600
COMET = Address(b"\xc0" * 20)
DEPLOYMENT = Deployment("compound-v3-test", 31337, "compound-v3", "Compound V3 (test)", COMET, 1)
WALLET = Address(b"\x01" * 20)
KEY = AccountKey(DEPLOYMENT.id, WALLET)

BASE_ASSET, BASE_FEED = Address(b"\xba" * 20), Address(b"\xbf" * 20)
BASE = str(BASE_ASSET)
BASE_PRICE = 99_987_654
CURVES = Curves(
    Curve(8 * WAD // 10, 0, 951_293_759, 12_683_916_793),
    Curve(8 * WAD // 10, 475_646_879, 1_109_842_719, 7_927_447_995),
)
TOTALS = Totals(1_012_345_678_901_234, 1_034_567_890_123_457, 5 * 10**12, 4 * 10**12, ACCRUED_AT, 0)


@dataclass(frozen=True)
class Listed:
    """One collateral; price with 8 decimals, factors in hundredths."""

    symbol: str
    number: int
    decimals: int = 18
    price: int = 10**8
    borrow: int = 75
    liquidate: int = 80
    supply_cap: int = 10**30

    @property
    def asset(self) -> Address:
        return Address(bytes([0x40 + self.number] * 20))

    @property
    def feed(self) -> Address:
        return Address(bytes([0x80 + self.number] * 20))

    @property
    def code(self) -> str:
        return str(self.asset)

    @property
    def collateral(self) -> Collateral:
        terms = Terms(
            self.feed,
            10**self.decimals,
            self.borrow * WAD // 100,
            self.liquidate * WAD // 100,
            95 * WAD // 100,
            self.supply_cap,
        )
        return Collateral(self.asset, self.code, self.symbol, self.decimals, terms)


WETH = Listed("WETH", 1, 18, 234_567_890_123, 82, 89)
WBTC = Listed("WBTC", 2, 8, 6_012_345_678_901, 70, 77)
COMP = Listed("COMP", 3, 18, 4_512_345_678, 0, 60, 0)
FULL_LIST = (WETH, WBTC, COMP, *(Listed(f"T{number}", number, 6) for number in range(4, 25)))
"""As many collaterals as there can be; the last eight have their flags in the second field."""
LAST = FULL_LIST[-1]


def make_raw(*listed: Listed, totals: Totals | None = TOTALS, base_price: int | None = BASE_PRICE) -> Raw:
    listed = listed or FULL_LIST
    prices: dict[str, int | None] = {BASE: base_price, **{one.code: one.price for one in listed}}
    return Raw(
        Base(BASE_ASSET, BASE, "USDC", 6, BaseTerms(BASE_FEED, 10**6)),
        tuple(one.collateral for one in listed),
        CURVES,
        "USD",
        totals,
        prices,
    )


def make_state(raw: Raw | None = None, *, samples: int | None = 20, matches: int = 20) -> CometState:
    return CometState(DEPLOYMENT, raw or make_raw(), Confirmation(samples, matches))


def snapshot(principal: int = 0, balances: Mapping[Listed, int] | None = None) -> AccountSnapshot:
    """`principal` below 0 is a debt, as the contract has it. Flags go by the full list."""
    held = balances or {}
    positions = [LendingPosition(one.code, balance, 0, True) for one, balance in held.items()]
    if principal:
        positions.append(LendingPosition(BASE, max(principal, 0), max(-principal, 0), False))
    ordered = tuple(sorted(positions, key=lambda position: position.market))
    return AccountSnapshot(KEY, BLOCK, ordered, (sum(1 << FULL_LIST.index(one) for one in held),))


def with_pause(raw: Raw, flags: int) -> Raw:
    assert raw.totals is not None
    return replace(raw, totals=replace(raw.totals, pause_flags=flags))


@dataclass
class FakeContracts:
    """Answers calls out of raw state and accounts, at one time."""

    raw: Raw
    accounts: Mapping[Address, AccountSnapshot] = field(default_factory=dict)
    now: int = NOW
    description: str = "USDC / USD"
    failing: frozenset[bytes] = frozenset()
    """Calldata, or just selectors, that revert."""

    def __call__(self, call: ContractCall) -> CallResult:
        view, arguments = call.data[:4], [call.data[at : at + 32] for at in range(4, len(call.data), 32)]
        if view in self.failing or call.data in self.failing:
            return Reverted(b"")
        if call.target == COMET:
            return self._comet(view, arguments)
        if view == calls.DESCRIPTION:
            return text(self.description) if call.target == BASE_FEED else Reverted(b"")
        symbols = {asset.asset: asset.symbol for asset in self.raw.assets}
        return text(symbols[call.target]) if view == calls.SYMBOL else Returned(b"")

    def _comet(self, view: bytes, arguments: list[bytes]) -> CallResult:
        raw = self.raw
        assert raw.totals is not None
        assert raw.curves is not None
        assert raw.base.terms is not None
        constants = {
            calls.BASE_TOKEN: number(raw.base.asset),
            calls.BASE_PRICE_FEED: number(raw.base.terms.feed),
            calls.BASE_SCALE: raw.base.terms.scale,
            calls.NUM_ASSETS: len(raw.collaterals),
            **dict(zip(calls.CURVES, (*raw.curves.supply, *raw.curves.borrow), strict=True)),
        }
        if view in constants:
            return answer(constants[view])
        if view == calls.TOTALS_BASIC:
            books = raw.totals
            tracking = (5 * 10**15, 6 * 10**15)
            amounts = (books.total_supply, books.total_borrow, books.accrued_at, books.pause_flags)
            return answer(books.supply_index, books.borrow_index, *tracking, *amounts)
        if view == calls.GET_ASSET_INFO:
            return self._asset_info(int.from_bytes(arguments[0], "big"))
        if view == calls.GET_PRICE:
            return self._price(Address(arguments[0][12:]))
        return self._account(view, arguments)

    def _asset_info(self, index: int) -> CallResult:
        if index >= len(self.raw.collaterals):
            return Reverted(b"")
        one = self.raw.collaterals[index]
        assert one.terms is not None
        factors = (one.terms.borrow_factor, one.terms.liquidate_factor, one.terms.liquidation_factor)
        return answer(index, number(one.asset), number(one.terms.feed), one.terms.scale, *factors, one.terms.supply_cap)

    def _price(self, feed: Address) -> CallResult:
        for asset in self.raw.assets:
            if asset.terms is not None and asset.terms.feed == feed:
                price = self.raw.prices[asset.code]
                return Reverted(b"") if price is None else answer(price)
        return Reverted(b"")

    def _account(self, view: bytes, arguments: list[bytes]) -> CallResult:
        account = self.accounts.get(Address(arguments[0][12:]), snapshot())
        held = {position.market: position for position in account.positions}
        base = held.get(self.raw.base.code)
        principal = base.supplied_raw - base.borrowed_raw if base else 0
        if view == calls.USER_BASIC:
            flags = account.params[0]
            return answer(principal % 2**256, 7, 8, flags & 0xFFFF, flags >> 16)
        if view == calls.USER_COLLATERAL:
            position = held.get(str(Address(arguments[1][12:])))
            return answer(position.supplied_raw if position else 0, 0)
        truth = reference.truth(self.raw, account, self.now)
        places = (
            calls.IS_LIQUIDATABLE,
            calls.IS_BORROW_COLLATERALIZED,
            calls.BORROW_BALANCE_OF,
            calls.BALANCE_OF,
        )
        if truth is None or view not in places:
            return Reverted(b"")
        return answer(truth[places.index(view)])


def answer(*words: int) -> CallResult:
    return Returned(b"".join(map(uint_word, words)))


def text(value: str) -> CallResult:
    raw = value.encode()
    return Returned(uint_word(32) + uint_word(len(raw)) + raw.ljust(32, b"\0"))


def number(address: Address) -> int:
    return int.from_bytes(address, "big")

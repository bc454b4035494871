"""Morpho states, accounts and contracts made up for tests: defaults that work, every part of them overridable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from eth_abi.abi import encode

from app.domain.account import AccountKey, AccountSnapshot, LendingPosition
from app.domain.chain import ZERO_ADDRESS, Address, CallResult, ContractCall, Returned, Reverted
from app.domain.market import Deployment
from app.domain.specs import MULTICALL3
from app.domain.units import WAD
from app.protocols.abi import uint_word
from app.protocols.calibration import Confirmation
from app.protocols.morpho_blue import calls
from app.protocols.morpho_blue.raw import BlueMarket, Params, Raw, Token, Totals
from app.protocols.morpho_blue.state import MorphoState

NOW = 1_750_000_000
WALLET = Address(b"\xaa" * 20)
FIVE_PERCENT = 5 * WAD // 100 // 31_536_000


def named(name: str) -> Address:
    """An address that shows its name in hex."""
    return Address(name.encode().rjust(20, b"\x11"))


DEPLOYMENT = Deployment(
    id="morpho-blue-test",
    chain_id=31337,
    protocol="morpho-blue",
    name="Morpho Blue of the tests",
    address=named("morpho"),
    start_block=1,
)


def make_totals(
    supply: int = 2_000_000 * 10**6,
    borrow: int = 1_500_000 * 10**6,
    *,
    supply_shares: int | None = None,
    borrow_shares: int | None = None,
    updated_at: int = NOW - 3600,
    fee_wad: int = 0,
) -> Totals:
    """Shares a little dearer than when the market began."""
    return Totals(
        supply,
        supply * 10**6 * 98 // 100 if supply_shares is None else supply_shares,
        borrow,
        borrow * 10**6 * 97 // 100 if borrow_shares is None else borrow_shares,
        updated_at,
        fee_wad,
    )


def make_market(
    number: int = 1,
    *,
    loan: str = "USDC",
    collateral: str = "WETH",
    loan_decimals: int | None = 6,
    collateral_decimals: int | None = 18,
    lltv_wad: int = 86 * WAD // 100,
    irm: Address | None = None,
    totals: Totals | None = None,
    rate_wad: int | None = FIVE_PERCENT,
    price: int | None = 3000 * 10**24,
) -> BlueMarket:
    """One market; its id is its number over and over, which no adapter cares about."""
    oracle = named(f"oracle-{number}")
    params = Params(named(loan), named(collateral), oracle, named("irm") if irm is None else irm, lltv_wad)
    return BlueMarket(
        f"0x{number:064x}",
        params,
        Token(loan, loan_decimals),
        Token(collateral, collateral_decimals),
        make_totals() if totals is None else totals,
        rate_wad,
        price,
    )


def idle(market: BlueMarket) -> BlueMarket:
    """The market before anybody borrows."""
    return replace(market, totals=make_totals(borrow=0), rate_wad=None, price=None)


def make_raw(*markets: BlueMarket, fee_recipient: Address = ZERO_ADDRESS) -> Raw:
    return Raw(fee_recipient, {market.id: market for market in markets or (make_market(),)})


def make_state(*markets: BlueMarket, raw: Raw | None = None, confirmation: Confirmation | None = None) -> MorphoState:
    return MorphoState(DEPLOYMENT, raw or make_raw(*markets), confirmation or Confirmation(20, 20))


def key_in(market: BlueMarket, wallet: Address = WALLET) -> AccountKey:
    return AccountKey(DEPLOYMENT.id, wallet, market.id)


def holding(
    market: BlueMarket,
    *,
    supply_shares: int = 0,
    borrow_shares: int = 0,
    collateral: int = 0,
    wallet: Address = WALLET,
) -> AccountSnapshot:
    """A position as the adapter reads it."""
    positions = []
    if collateral:
        positions.append(LendingPosition(market.collateral_code, collateral, 0, is_collateral=True))
    if supply_shares or borrow_shares:
        positions.append(LendingPosition(market.loan_code, supply_shares, borrow_shares, is_collateral=False))
    return AccountSnapshot(key_in(market, wallet), 1, tuple(positions), ())


def error(reason: str) -> Reverted:
    """What `require(..., reason)` reverts with."""
    return Reverted(bytes.fromhex("08c379a0") + encode(("string",), (reason,)))


PANIC = Reverted(bytes.fromhex("4e487b71") + uint_word(0x11))


@dataclass
class FakeContracts:
    """Answers as the contracts of one deployment would."""

    raw: Raw
    accounts: tuple[AccountSnapshot, ...] = ()
    healthy: Mapping[AccountKey, bool] = field(default_factory=dict)
    asked: list[ContractCall] = field(default_factory=list)
    timestamp: int = NOW

    def __call__(self, call: ContractCall) -> CallResult:
        self.asked.append(call)
        name, data = call.data[:4], call.data[4:]
        if call == ContractCall(MULTICALL3, calls.BLOCK_TIMESTAMP):
            return Returned(uint_word(self.timestamp))
        if call.target == DEPLOYMENT.address:
            return self._morpho(name, data)
        for market in self.raw.markets.values():
            params = market.params
            if (call.target, name) == (params.oracle, calls.PRICE):
                return _word(market.price)
            if (call.target, name) == (params.irm, calls.BORROW_RATE_VIEW) and data[:160] == params.words():
                assert market.totals is None or data[160:] == market.totals.words(), (
                    "asked with other totals than the contract would"
                )
                return _word(market.rate_wad)
            for token, shown in ((params.loan_token, market.loan), (params.collateral_token, market.collateral)):
                if call.target == token:
                    text = Returned(encode(("string",), (shown.symbol,)))
                    return text if name == calls.SYMBOL else _word(shown.decimals)
        return Reverted(b"")

    def _morpho(self, name: bytes, data: bytes) -> CallResult:
        if name in (calls.FEE_RECIPIENT, calls.OWNER):
            return Returned(bytes(12) + self.raw.fee_recipient)
        if name == calls.LIQUIDATE:
            return self._liquidate(data)
        market = self.raw.markets.get("0x" + data[:32].hex())
        if name == calls.ID_TO_MARKET_PARAMS:
            return Returned(bytes(160) if market is None else market.params.words())
        if market is None:
            return Returned(bytes(192 if name == calls.MARKET else 96))
        if name == calls.MARKET:
            return Reverted(b"") if market.totals is None else Returned(market.totals.words())
        assert name == calls.POSITION
        found = next((one for one in self.accounts if one.key == key_in(market, Address(data[44:64]))), None)
        held = {p.market: p for p in found.positions} if found is not None else {}
        loan, collateral = held.get(market.loan_code), held.get(market.collateral_code)
        shares = (loan.supplied_raw, loan.borrowed_raw) if loan is not None else (0, 0)
        return Returned(b"".join(map(uint_word, (*shares, collateral.supplied_raw if collateral is not None else 0))))

    def _liquidate(self, data: bytes) -> CallResult:
        params, wallet = data[:160], Address(data[172:192])
        market = next(m for m in self.raw.markets.values() if m.params.words() == params)
        if market.price is None:
            return Reverted(b"")
        return error("position is healthy") if self.healthy.get(key_in(market, wallet), True) else PANIC


def _word(value: int | None) -> CallResult:
    return Reverted(b"") if value is None else Returned(uint_word(value))

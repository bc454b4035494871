"""Aave states, accounts and contracts made up for tests: defaults that work, every part of them overridable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.domain.account import AccountKey, AccountSnapshot, LendingPosition
from app.domain.chain import ZERO_ADDRESS, Address, CallResult, ContractCall, ReadPlan, Returned, Reverted, T
from app.domain.market import Deployment
from app.domain.units import RAY
from app.protocols.aave_v3 import calls
from app.protocols.aave_v3.raw import EMode, FeedForm, Indices, Price, Raw, Reserve, Roots
from app.protocols.aave_v3.rules import V3_6, Rules
from app.protocols.aave_v3.state import AaveState
from app.protocols.abi import address_word, uint_word
from app.protocols.calibration import Confirmation

NOW = 1_750_000_000
WALLET = Address(b"\xaa" * 20)


def named(name: str) -> Address:
    """An address that shows its name in hex."""
    return Address(name.encode().rjust(20, b"\x11"))


DEPLOYMENT = Deployment(
    id="aave-v3-test",
    chain_id=31337,
    protocol="aave-v3",
    name="Aave V3 of the tests",
    address=named("pool"),
    start_block=1,
    contracts={"pool_addresses_provider": named("provider")},
)
KEY = AccountKey(DEPLOYMENT.id, WALLET)


@dataclass(frozen=True)
class Listed:
    """One reserve, told by what matters."""

    symbol: str
    price: int | None
    decimals: int = 18
    threshold: int = 8300
    ltv: int = 8000
    liquidity_index: int = RAY
    liquidity_rate: int = 0
    borrow_index: int = RAY
    borrow_rate: int = 0
    flags: int = 1 << 56 | 1 << 58
    emode_category: int = 0
    stable: bool = False

    @property
    def asset(self) -> Address:
        return named(self.symbol)

    @property
    def code(self) -> str:
        return str(self.asset)

    @property
    def word(self) -> int:
        """The configuration word."""
        return self.ltv | self.threshold << 16 | self.decimals << 48 | self.flags | self.emode_category << 168


WETH = Listed("weth", 3000 * 10**8)
WBTC = Listed("wbtc", 60_000 * 10**8, decimals=8, threshold=7800, ltv=7300)
USDC = Listed("usdc", 10**8, decimals=6, threshold=7800, ltv=7500)
DAI = Listed("dai", 99_990_000, threshold=7700, ltv=6300)


def make_raw(*listed: Listed, emodes: Mapping[int, EMode] | None = None, **overrides: object) -> Raw:
    """Raw state of the reserves given (WETH, WBTC, USDC and DAI when none is)."""
    reserves = listed or (WETH, WBTC, USDC, DAI)
    values: dict[str, object] = {
        "roots": Roots(
            named("pool"), named("configurator"), named("oracle"), ZERO_ADDRESS, 10, ZERO_ADDRESS, 10**8, "USD"
        ),
        "listing": tuple(reserve.asset for reserve in reserves),
        "reserves": tuple(_reserve(number, reserve) for number, reserve in enumerate(reserves)),
        "indices": {
            r.code: Indices(r.liquidity_index, r.liquidity_rate, r.borrow_index, r.borrow_rate, NOW) for r in reserves
        },
        "prices": {r.code: Price(r.price, NOW) for r in reserves},
        "emodes": emodes or {},
        "emode_prices": {},
        "liquidation_allowed": None,
        **overrides,
    }
    return Raw(**values)  # type: ignore[arg-type]


def _reserve(number: int, listed: Listed) -> Reserve:
    return Reserve(
        id=number,
        asset=listed.asset,
        code=listed.code,
        symbol=listed.symbol.upper(),
        decimals=listed.decimals,
        word=listed.word,
        a_token=named("a-" + listed.symbol),
        variable_debt_token=named("v-" + listed.symbol),
        stable_debt_token=named("s-" + listed.symbol) if listed.stable else ZERO_ADDRESS,
        grace_until=0,
        source=named("feed-" + listed.symbol),
        feed_form=FeedForm.LATEST_ROUND_DATA,
    )


def make_state(
    *listed: Listed, rules: Rules = V3_6, samples: int | None = 20, matches: int = 20, raw: Raw | None = None
) -> AaveState:
    """A state under `rules`, confirmed unless told otherwise."""
    return AaveState(DEPLOYMENT, raw or make_raw(*listed), rules, Confirmation(samples, matches))


def supplied(listed: Listed, amount: int, *, collateral: bool = True, borrowed: int = 0) -> LendingPosition:
    """A supply in scaled units."""
    return LendingPosition(listed.code, amount, borrowed, collateral)


def owed(listed: Listed, amount: int) -> LendingPosition:
    """A debt in scaled units."""
    return LendingPosition(listed.code, 0, amount, False)


def snapshot(*positions: LendingPosition, emode: int = 0) -> AccountSnapshot:
    """An account at block 1."""
    return AccountSnapshot(KEY, 1, tuple(sorted(positions, key=lambda p: p.market)), (emode,))


def drive(plan: ReadPlan[T], answer: FakeContracts) -> T:
    """Run a read plan to its end."""
    try:
        asked = next(plan)
        while True:
            asked = plan.send([answer(call) for call in asked])
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


@dataclass
class FakeContracts:
    """Answers calls as the contracts of `raw` would; everything reverts while `broken`."""

    raw: Raw
    accounts: Mapping[Address, AccountSnapshot] = field(default_factory=dict)
    truths: Mapping[Address, Sequence[int]] = field(default_factory=dict)
    broken: bool = False
    broken_prices: bool = False
    broken_targets: frozenset[Address] = frozenset()
    stable_debts: Mapping[Address, int] = field(default_factory=dict)
    asked: list[ContractCall] = field(default_factory=list)
    legacy: bool = False
    """Speaks the views of 3.0: no reserve count, categories as one struct, no grace periods."""

    def __call__(self, call: ContractCall) -> CallResult:
        self.asked.append(call)
        if self.broken or call.target in self.broken_targets:
            return Reverted(b"")
        words = self._answer(call.target, call.data[:4], call.data[4:])
        return Reverted(b"") if words is None else Returned(words)

    def _answer(self, target: Address, selector: bytes, data: bytes) -> bytes | None:
        roots = self.raw.roots
        if target == DEPLOYMENT.contracts["pool_addresses_provider"]:
            named_roots = {
                calls.GET_POOL: roots.pool,
                calls.GET_POOL_CONFIGURATOR: roots.configurator,
                calls.GET_PRICE_ORACLE: roots.oracle,
                calls.GET_PRICE_ORACLE_SENTINEL: roots.sentinel,
            }
            return address_word(named_roots[selector])
        if target == roots.pool:
            return self._pool(selector, data)
        if target == roots.oracle:
            return self._oracle(selector, data)
        if target == roots.sentinel:
            allowed = self.raw.liquidation_allowed
            return None if allowed is None else uint_word(int(allowed))
        return self._token_or_feed(target, selector, data)

    def _pool(self, selector: bytes, data: bytes) -> bytes | None:
        raw = self.raw
        number, wallet = int.from_bytes(data[:32], "big"), Address(data[12:32])
        emode = raw.emodes.get(number, EMode(0, 0, 0, ZERO_ADDRESS, 0, 0, False))
        account = self.accounts.get(wallet)
        if selector == calls.POOL_REVISION:
            return uint_word(raw.roots.revision)
        if selector == calls.GET_RESERVES_COUNT:
            return None if self.legacy else uint_word(len(raw.listing))
        if selector == calls.GET_RESERVE_ADDRESS_BY_ID:
            return address_word(raw.listing[number] if number < len(raw.listing) else ZERO_ADDRESS)
        if selector == calls.GET_RESERVE_DATA:
            return self._reserve_data(str(wallet))
        if selector == calls.GET_LIQUIDATION_GRACE_PERIOD:
            grace = raw.by_code[str(wallet)].grace_until
            return None if grace is None else uint_word(grace)
        if selector == calls.GET_EMODE_CATEGORY_DATA and self.legacy:
            source = emode.price_source or ZERO_ADDRESS
            head = [32, emode.ltv_bps or 0, emode.threshold_bps or 0, emode.bonus_bps or 0]
            return b"".join(map(uint_word, head)) + address_word(source) + uint_word(160) + uint_word(0)
        if selector == calls.GET_EMODE_COLLATERAL_CONFIG and not self.legacy:
            return b"".join(uint_word(v or 0) for v in (emode.ltv_bps, emode.threshold_bps, emode.bonus_bps))
        if selector == calls.GET_EMODE_COLLATERAL_BITMAP and not self.legacy:
            return uint_word(emode.collateral_bitmap or 0)
        if selector == calls.GET_EMODE_LTV_ZERO_BITMAP and not self.legacy:
            return uint_word(emode.ltv_zero_bitmap or 0)
        if selector == calls.GET_EMODE_ISOLATED and not self.legacy:
            return uint_word(int(emode.isolated or False))
        if selector == calls.GET_USER_CONFIGURATION:
            return uint_word(self._bitmap(account))
        if selector == calls.GET_USER_EMODE:
            return uint_word(account.params[0] if account else 0)
        if selector == calls.GET_USER_ACCOUNT_DATA and wallet in self.truths:
            return b"".join(map(uint_word, self.truths[wallet]))
        return None

    def _bitmap(self, account: AccountSnapshot | None) -> int:
        bitmap = 0
        for position in account.positions if account else ():
            number = self.raw.by_code[position.market].id
            bitmap |= bool(position.borrowed_raw) << 2 * number | position.is_collateral << 2 * number + 1
        return bitmap

    def _reserve_data(self, code: str) -> bytes | None:
        reserve, indices = self.raw.by_code.get(code), self.raw.indices.get(code)
        if reserve is None or reserve.word is None or indices is None:
            return None
        numbers = [
            reserve.word,
            indices.liquidity_index,
            indices.liquidity_rate,
            indices.borrow_index,
            indices.borrow_rate,
            0,
            indices.updated_at,
            reserve.id,
        ]
        tokens = [reserve.a_token, reserve.stable_debt_token, reserve.variable_debt_token, ZERO_ADDRESS]
        return b"".join(map(uint_word, numbers)) + b"".join(map(address_word, tokens)) + bytes(96)

    def _oracle(self, selector: bytes, data: bytes) -> bytes | None:
        if selector == calls.BASE_CURRENCY:
            return address_word(self.raw.roots.base_currency)
        if selector == calls.BASE_CURRENCY_UNIT:
            return uint_word(self.raw.roots.base_unit)
        if selector == calls.GET_SOURCE_OF_ASSET:
            source = self.raw.by_code[str(Address(data[12:32]))].source
            return address_word(source or ZERO_ADDRESS)
        if selector == calls.GET_ASSET_PRICE:
            price = self._price(Address(data[12:32]))
            return None if price is None else uint_word(price)
        if selector == calls.GET_ASSETS_PRICES:
            assets = [Address(data[at + 12 : at + 32]) for at in range(64, len(data), 32)]
            prices = [self._price(asset) for asset in assets]
            if None in prices:
                return None
            return uint_word(32) + uint_word(len(prices)) + b"".join(uint_word(p or 0) for p in prices)
        return None

    def _price(self, asset: Address) -> int | None:
        if self.broken_prices:
            return None
        for number, emode in self.raw.emodes.items():
            if emode.price_source == asset:
                return self.raw.emode_prices.get(number)
        return self.raw.prices[str(asset)].value

    def _token_or_feed(self, target: Address, selector: bytes, data: bytes) -> bytes | None:
        account = self.accounts.get(Address(data[12:32]))
        held = {p.market: p for p in account.positions} if account else {}
        for reserve in self.raw.reserves:
            if selector == calls.SYMBOL and target == reserve.asset:
                return uint_word(32) + uint_word(len(reserve.symbol)) + reserve.symbol.encode().ljust(32, b"\0")
            position = held.get(reserve.code)
            if selector == calls.SCALED_BALANCE_OF and target == reserve.a_token:
                return uint_word(position.supplied_raw if position else 0)
            if selector == calls.SCALED_BALANCE_OF and target == reserve.variable_debt_token:
                return uint_word(position.borrowed_raw if position else 0)
            if selector == calls.BALANCE_OF and target == reserve.stable_debt_token:
                return uint_word(self.stable_debts.get(target, 0))
            if target == reserve.source:
                time = self.raw.prices[reserve.code].updated_at
                if selector == calls.LATEST_ROUND_DATA and reserve.feed_form is FeedForm.LATEST_ROUND_DATA:
                    return b"".join(map(uint_word, (1, 1, time or 0, time or 0, 1)))
                if selector == calls.LATEST_TIMESTAMP and reserve.feed_form is FeedForm.LATEST_TIMESTAMP:
                    return uint_word(time or 0)
        return None

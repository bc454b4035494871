"""Made-up deployments of the family, and contracts that answer as they would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.domain.account import AccountKey, AccountSnapshot, LendingPosition
from app.domain.chain import ZERO_ADDRESS, Address, CallResult, ContractCall, Returned, Reverted
from app.domain.market import Deployment
from app.domain.units import WAD
from app.protocols.abi import uint_word
from app.protocols.calibration import Confirmation
from app.protocols.compound_v2 import calls
from app.protocols.compound_v2.accrual import Accrued
from app.protocols.compound_v2.legs import read_legs
from app.protocols.compound_v2.raw import Listing, Numbers, Pool, Raw, Roots, pack_debt
from app.protocols.compound_v2.rules import VENUS_CORE, Rules
from app.protocols.compound_v2.state import CompoundState

BLOCK = 1_000
NOW = 1_750_000_000
COMPTROLLER, ORACLE, CONTROLLER = (Address(bytes([number] * 20)) for number in (0xC0, 0x0A, 0x7A))
DEPLOYMENT = Deployment("venus-test", 31337, "compound-v2", "Venus (test)", COMPTROLLER, 1)
WALLET = Address(b"\x01" * 20)
KEY = AccountKey(DEPLOYMENT.id, WALLET)
INDEX = WAD * 11 // 10


@dataclass(frozen=True)
class Listed:
    """One market; ratios in hundredths, price in USD."""

    symbol: str
    number: int
    decimals: int = 18
    price: int = 1
    factor: int = 75
    threshold: int = 80
    rate: int = 0
    """Borrow rate per block or second."""

    @property
    def code(self) -> str:
        return str(self.token)

    @property
    def token(self) -> Address:
        return Address(bytes([0x50 + self.number] * 20))

    @property
    def exchange_rate(self) -> int:
        return 2 * 10 ** (8 + self.decimals) + 12_345

    def words(self, rules: Rules) -> tuple[int, ...]:
        words = [0] * rules.market_words
        words[0], words[1] = 1, self.factor * WAD // 100
        words[rules.threshold_word] = (self.threshold if rules.threshold_word > 1 else self.factor) * WAD // 100
        return tuple(words)


ETH = Listed("ETH", 1, 18, 3000)
BTC = Listed("BTC", 2, 8, 60_000, 70, 75)
USD = Listed("USD", 3, 6, 1, 80, 85, 10**9)
DAI = Listed("DAI", 4, 18, 1, rate=2 * 10**9)


def make_raw(*listed: Listed, rules: Rules = VENUS_CORE, pools: Mapping[int, Pool] | None = None) -> Raw:
    listed = listed or (ETH, BTC, USD, DAI)
    numbers = {}
    for one in listed:
        supply = 10**15
        assets = supply * one.exchange_rate // WAD + 1
        extra = 5 if rules.flash_loans or rules.bad_debt else 0
        cash, reserves = assets // 3, 77
        borrows = assets - cash + reserves - extra
        exchange_rate = (cash + extra + borrows - reserves) * WAD // supply
        now = NOW if rules.by_seconds else BLOCK
        numbers[one.code] = Numbers(cash, extra, borrows, reserves, supply, INDEX, now, one.rate, exchange_rate)
    return Raw(
        Roots(ORACLE, CONTROLLER if rules.pools else None),
        tuple(
            Listing(
                one.token,
                one.code,
                Address(bytes([0x80 + one.number] * 20)),
                one.symbol,
                one.decimals,
                one.words(rules),
                WAD // 10,
            )
            for one in listed
        ),
        dict(numbers),
        {one.code: one.price * 10 ** (36 - one.decimals) for one in listed},
        pools or {},
        WAD if rules.pools else None,
    )


def make_state(
    *listed: Listed, rules: Rules = VENUS_CORE, raw: Raw | None = None, samples: int | None = 20, matches: int = 20
) -> CompoundState:
    raw = raw or make_raw(*listed, rules=rules)
    return CompoundState(DEPLOYMENT, raw, rules, Confirmation(samples, matches))


def supplied(market: Listed, assets: int, *, entered: bool = True) -> LendingPosition:
    return LendingPosition(market.code, assets * WAD // market.exchange_rate, 0, entered)


def owed(market: Listed, assets: int, *, index: int = INDEX) -> LendingPosition:
    return LendingPosition(market.code, 0, pack_debt(assets, index), True)


def both(market: Listed, assets: int, debt: int) -> LendingPosition:
    return replace(supplied(market, assets), borrowed_raw=pack_debt(debt, INDEX))


def snapshot(*positions: LendingPosition, pool: int = 0, vai: tuple[int, int, int] = (0, 0, 0)) -> AccountSnapshot:
    ordered = tuple(sorted(positions, key=lambda position: position.market))
    return AccountSnapshot(KEY, BLOCK, ordered, (pool, *vai))


def array(*words: int) -> CallResult:
    return answer(32, len(words), *words)


def answer(*words: int) -> CallResult:
    return Returned(b"".join(map(uint_word, words)))


def number(address: Address | None) -> int:
    return int.from_bytes(address or ZERO_ADDRESS, "big")


@dataclass
class FakeContracts:
    """Answers calls out of raw state and accounts, as the contracts would."""

    raw: Raw
    rules: Rules = VENUS_CORE
    accounts: Mapping[Address, AccountSnapshot] = field(default_factory=dict)
    failing: frozenset[tuple[Address, bytes]] = frozenset()

    def __call__(self, call: ContractCall) -> CallResult:
        view, data = call.data[:4], call.data[4:]
        if (call.target, view) in self.failing:
            return Reverted(b"")
        arguments = [int.from_bytes(data[at : at + 32], "big") for at in range(0, len(data), 32)]
        if call.target == COMPTROLLER:
            return self._comptroller(view, arguments)
        if call.target == ORACLE:
            price = self.raw.prices[str(address(arguments[0]))]
            return Reverted(b"") if price is None else answer(price)
        if call.target == CONTROLLER:
            return self._controller(view, arguments)
        for listing in self.raw.listings:
            if call.target == listing.token:
                return self._market(listing, view, arguments)
            if call.target == listing.asset:
                return answer(listing.decimals) if view == calls.DECIMALS else text(listing.symbol)
        return Returned(b"")

    def _comptroller(self, view: bytes, arguments: list[int]) -> CallResult:
        rules, raw = self.rules, self.raw
        if view == calls.GET_ALL_MARKETS:
            return array(*(number(listing.token) for listing in raw.listings))
        if view == calls.ORACLE:
            return answer(number(raw.roots.oracle))
        if view == calls.MARKETS:
            return answer(*(raw.by_code[str(address(arguments[0]))].words or ()))
        if view == calls.MIN_LIQUIDATABLE_COLLATERAL and rules.bad_debt:
            return answer(100 * WAD)
        if view == calls.GET_ASSETS_IN:
            account = self._account(arguments[0])
            return array(*(int(p.market, 16) for p in account.positions if p.is_collateral))
        if view == calls.GET_ACCOUNT_LIQUIDITY:
            return self._liquidity(self._account(arguments[0]))
        if rules.pools:
            return self._pools(view, arguments)
        return Reverted(b"")

    def _pools(self, view: bytes, arguments: list[int]) -> CallResult:
        if view == calls.VAI_CONTROLLER:
            return answer(number(CONTROLLER))
        if view == calls.LAST_POOL_ID:
            return answer(max(self.raw.pools, default=0))
        if view == calls.POOLS:
            pool = self.raw.pools[arguments[0]]
            return answer(96, int(pool.active or 0), int(pool.falls_back or 0), 0)
        if view == calls.POOL_MARKETS:
            return answer(*(self.raw.pools[arguments[0]].markets[str(address(arguments[1]))] or ()))
        if view not in (calls.USER_POOL_ID, calls.MINTED_VAIS):
            return Reverted(b"")
        account = self._account(arguments[0])
        return answer(account.params[0 if view == calls.USER_POOL_ID else 1])

    def _controller(self, view: bytes, arguments: list[int]) -> CallResult:
        if view == calls.VAI_MINT_INDEX:
            return answer(self.raw.vai_index or 0)
        return answer(self._account(arguments[0]).params[2 if view == calls.PAST_VAI_INTEREST else 3])

    def _market(self, listing: Listing, view: bytes, arguments: list[int]) -> CallResult:
        numbers, seconds = self.raw.numbers[listing.code], self.rules.by_seconds
        assert numbers is not None
        own_getters = seconds and not self.rules.bad_debt
        books = {
            calls.GET_CASH: numbers.cash,
            calls.TOTAL_BORROWS: numbers.borrows,
            calls.TOTAL_RESERVES: numbers.reserves,
            calls.TOTAL_SUPPLY: numbers.supply,
            calls.BORROW_INDEX: numbers.borrow_index,
            calls.ACCRUAL_TIME if own_getters else calls.ACCRUAL_BLOCK: numbers.accrued_at,
            calls.RATE_PER_SECOND if own_getters else calls.RATE_PER_BLOCK: numbers.rate,
            calls.EXCHANGE_RATE: numbers.exchange_rate,
            calls.RESERVE_FACTOR: listing.reserve_factor or 0,
            calls.UNDERLYING: number(listing.asset),
        }
        if self.rules.bad_debt:
            books |= {calls.BAD_DEBT: numbers.extra, calls.IS_TIME_BASED: int(seconds)}
        if self.rules.flash_loans:
            books[calls.FLASH_LOAN_AMOUNT] = numbers.extra
        if view in books:
            return answer(books[view])
        if view == calls.SYMBOL:
            return text("v" + listing.symbol)
        if view == calls.GET_ACCOUNT_SNAPSHOT:
            held = {position.market: position for position in self._account(arguments[0]).positions}
            position = held.get(listing.code)
            if position is None:
                return answer(0, 0, 0, numbers.exchange_rate)
            principal, since = position.borrowed_raw >> 128, position.borrowed_raw & (1 << 128) - 1
            debt = principal * numbers.borrow_index // since if principal else 0
            return answer(0, position.supplied_raw, debt, numbers.exchange_rate)
        return Reverted(b"")

    def _liquidity(self, account: AccountSnapshot) -> CallResult:
        """Written out again from the contracts' sources, with nothing accrued."""
        collateral = debt = 0
        stored = Accrued(self.raw, self.rules, NOW, BLOCK, stored=True)
        legs, missing = read_legs(stored, account)
        if missing:
            return answer(13, 0, 0)
        for leg in legs:
            if not leg.position.is_collateral:
                continue
            price, rate = leg.row.price or 0, leg.row.rate
            if self.rules.price_first:
                unit = leg.row.threshold * (rate * price // WAD) // WAD
            else:
                unit = (leg.row.threshold * rate // WAD) * price // WAD
            collateral += unit * leg.position.supplied_raw // WAD
            debt += price * leg.borrowed_assets // WAD
        minted, past, since = account.params[1:]
        if minted and self.raw.vai_index:
            debt += minted + (self.raw.vai_index - since) * (minted - past) // WAD
        return answer(0, max(collateral - debt, 0), max(debt - collateral, 0))

    def _account(self, word: int) -> AccountSnapshot:
        return self.accounts.get(address(word), snapshot())


def address(word: int) -> Address:
    return Address(word.to_bytes(20, "big"))


def text(value: str) -> CallResult:
    raw = value.encode()
    return Returned(uint_word(32) + uint_word(len(raw)) + raw.ljust(32, b"\0"))

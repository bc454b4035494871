"""Small complete values for store tests, with every part open to change."""

from __future__ import annotations

from hashlib import sha256

from app.domain.account import AccountKey, AccountSnapshot, LendingPosition, PerpPosition, Unreadable
from app.domain.batch import BlockBatch
from app.domain.chain import Address, BlockRef, Hash32
from app.domain.market import Deployment, Market, MarketRecord

CHAIN = 31337
SLUG = "pool"


def address(seed: object) -> Address:
    return Address(sha256(f"address {seed}".encode()).digest()[:20])


def block_hash(number: int, fork: int = 0) -> Hash32:
    return Hash32(sha256(f"block {number} {fork}".encode()).digest())


def block(number: int, *, fork: int = 0, parent_fork: int | None = None, chain_id: int = CHAIN) -> BlockRef:
    parent = block_hash(number - 1, fork if parent_fork is None else parent_fork)
    return BlockRef(chain_id, number, block_hash(number, fork), parent, 1_700_000_000 + 12 * number + fork)


def deployment(slug: str = SLUG, *, chain_id: int = CHAIN, name: str = "A pool") -> Deployment:
    return Deployment(slug, chain_id, "aave-v3", name, address(slug), 1, {"oracle": address("oracle")})


def market(code: str, *, slug: str = SLUG, symbol: str | None = None, decimals: int = 18) -> Market:
    return Market(slug, code, address(code), symbol or code.upper(), decimals)


def record(kind: str, subject: str, *values: int | None, slug: str = SLUG) -> MarketRecord:
    return MarketRecord(slug, kind, subject, values)


def key(wallet: object, *, slug: str = SLUG, unit: str = "") -> AccountKey:
    return AccountKey(slug, address(wallet), unit)


def position(code: str, supplied: int = 0, borrowed: int = 0, *, collateral: bool = False) -> LendingPosition:
    return LendingPosition(code, supplied, borrowed, collateral)


def perp(code: str, size: int = 0, entry_notional: int = 0, *params: int) -> PerpPosition:
    return PerpPosition(code, size, entry_notional, params)


def snapshot(
    wallet: object,
    number: int,
    *positions: LendingPosition,
    params: tuple[int, ...] = (0,),
    perps: tuple[PerpPosition, ...] = (),
    slug: str = SLUG,
) -> AccountSnapshot:
    return AccountSnapshot(key(wallet, slug=slug), number, positions, params, perps)


def unreadable(wallet: object, number: int, reason: str = "reverted") -> Unreadable:
    return Unreadable(key(wallet), number, reason)


def batch(
    number: int,
    *,
    markets: tuple[Market, ...] = (),
    records: tuple[MarketRecord, ...] = (),
    accounts: tuple[AccountSnapshot | Unreadable, ...] = (),
    fork: int = 0,
    parent_fork: int | None = None,
) -> BlockBatch:
    return BlockBatch(block(number, fork=fork, parent_fork=parent_fork), markets, records, accounts)

"""A store with years of history, filled by COPY into the product's own tables in the order a chain would have done it.

Two chains, five deployments, 200,000 wallets of which few are busy and most are not (the n-th busiest has n^-0.8 times
the rows of the first), a million stored blocks that lie tens apart, so that histories span tens of millions of numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import psycopg
from numpy.typing import NDArray

from app.domain.chain import Address, BlockRef, Hash32
from app.store.blocks import StoredBlock

CHAINS = (1, 42161)
DEPLOYMENTS = (("lend-a", 1), ("lend-b", 1), ("lend-c", 1), ("lend-a2", 42161), ("lend-b2", 42161))
"""Public id and chain; surrogate ids count from 1."""
MARKETS = 40
"""Of each deployment; surrogate ids count from 1 through all of them."""
RECORD_KEYS = 60
"""Groups of market numbers of each deployment: one a market, and some of its own."""
FIRST_NUMBER, STEP = (18_000_000, 100_000_000), (40, 160)
"""Of each chain: where its history begins, and how far stored blocks are apart."""
_SKEW = 0.8
_SLICE, _KEY = 20_000, 2**20

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is stored."""

    wallets: int
    blocks: int
    positions: int
    states: int
    records: int

    def scaled(self, scale: float) -> Size:
        """The same in small (or large)."""
        return Size(*(int(getattr(self, name) * scale) for name in self.__dataclass_fields__))


WHOLE = Size(wallets=200_000, blocks=1_000_000, positions=8_000_000, states=2_000_000, records=1_000_000)


@dataclass(frozen=True, slots=True)
class Population:
    """Who is in the store, as questions are drawn from it."""

    size: Size
    weights: NDArray[np.float64]
    """How busy each wallet is; they add up to one."""
    account_deployments: Ints
    """Deployment's surrogate id by account; the account's own surrogate id is its place and one."""
    account_wallets: Ints
    """Wallet's number, by account."""
    account_markets: list[tuple[int, ...]]
    """Surrogate ids of the markets each account ever used."""

    def chain_of(self, account: int) -> int:
        """Place in CHAINS of an account's chain."""
        return CHAINS.index(DEPLOYMENTS[self.account_deployments[account] - 1][1])


def wallet(number: int) -> Address:
    """The n-th wallet's address."""
    return Address(sha256(b"wallet %d" % number).digest()[:20])


def stored(block_id: int) -> StoredBlock:
    """The block with this surrogate id: odd ones are of the first chain, even ones of the second."""
    chain, nth = (block_id - 1) % 2, (block_id - 1) // 2
    number = FIRST_NUMBER[chain] + nth * STEP[chain]
    timestamp = 1_600_000_000 + (block_id - 1) * 120
    return StoredBlock(block_id, BlockRef(CHAINS[chain], number, _hash(block_id), _hash(block_id - 2), timestamp))


def populate(url: str, size: Size, seed: int = 1) -> Population:
    """Fill an empty migrated database, a slice of blocks after the other, and have its statistics made."""
    chance = np.random.default_rng(seed)
    people = _people(size, chance)
    with psycopg.connect(url, autocommit=True) as connection:
        for table, names, lines in _constant_tables(size, people):
            _copy(connection, table, names, lines)
        for table, names, lines in _rows(size, people, chance):
            _copy(connection, table, names, lines)
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
    return people


def _people(size: Size, chance: np.random.Generator) -> Population:
    weights = np.arange(1, size.wallets + 1, dtype=np.float64) ** -_SKEW
    weights /= weights.sum()
    accounts_each = chance.choice([1, 2, 3], size=size.wallets, p=[0.7, 0.2, 0.1])
    wallets = np.repeat(np.arange(size.wallets), accounts_each)
    first = np.repeat(chance.integers(len(DEPLOYMENTS), size=size.wallets), accounts_each)
    nth = np.arange(len(wallets)) - np.repeat(np.cumsum(accounts_each) - accounts_each, accounts_each)
    deployment_ids = (first + nth * 2) % len(DEPLOYMENTS) + 1
    counts = chance.choice([1, 2, 3, 4, 6, 9], size=len(wallets), p=[0.2, 0.3, 0.2, 0.15, 0.1, 0.05])
    starts = chance.integers(MARKETS, size=len(wallets))
    markets = [
        tuple(sorted((deployment - 1) * MARKETS + (start + 7 * n) % MARKETS + 1 for n in range(count)))
        for deployment, start, count in zip(deployment_ids.tolist(), starts.tolist(), counts.tolist(), strict=True)
    ]
    return Population(size, weights, deployment_ids, wallets, markets)


Copied = tuple[str, str, Iterable[str]]
"""Table, its columns, and lines as COPY takes them."""


def _constant_tables(size: Size, people: Population) -> Iterator[Copied]:
    yield (
        "deployments",
        "slug, chain_id, protocol, name, address, start_block, contracts",
        (f"{slug}\t{chain}\tp\t{slug}\t\\\\x00\t0\t{{}}\n" for slug, chain in DEPLOYMENTS),
    )
    refs = (stored(block_id) for block_id in range(1, size.blocks + 1))
    yield (
        "blocks",
        "chain_id, number, hash, parent_hash, timestamp",
        (
            f"{ref.chain_id}\t{ref.number}\t\\\\x{ref.hash.hex()}\t\\\\x{ref.parent_hash.hex()}\t{ref.timestamp}\n"
            for ref in (block.ref for block in refs)
        ),
    )
    everywhere = [(deployment, n) for deployment in range(1, len(DEPLOYMENTS) + 1) for n in range(MARKETS)]
    yield (
        "markets",
        "deployment_id, code, first_block_id",
        (f"{d}\t{_code(d, n)}\t{d % 2 + 1}\n" for d, n in everywhere),
    )
    described = (f"{id}\t{d % 2 + 1}\t\\\\x{wallet(n).hex()}\tT{n}\t18\n" for id, (d, n) in enumerate(everywhere, 1))
    yield "market_descriptions", "market_id, block_id, asset, symbol, decimals", described
    keys = [(deployment, n) for deployment in range(1, len(DEPLOYMENTS) + 1) for n in range(RECORD_KEYS)]
    yield (
        "record_keys",
        "deployment_id, kind, subject, first_block_id",
        (f"{deployment}\treserve\t{n}\t1\n" for deployment, n in keys),
    )


@dataclass(frozen=True, slots=True)
class _Changes:
    """What happens after an account's first block, as sorted numbers: block * 2^20 + account (or key)."""

    positions: Ints
    states: Ints
    records: Ints


def _rows(size: Size, people: Population, chance: np.random.Generator) -> Iterator[Copied]:
    """Accounts as they appear, and what changes, a slice of blocks after the other."""
    accounts = len(people.account_wallets)
    odd = np.array([people.chain_of(account) for account in range(accounts)])
    # More and more rarely somebody new comes; the busy ones were first.
    firsts = np.sort((chance.random(accounts) ** 2 * size.blocks * 0.9).astype(np.int64)) // 2 * 2 + 1 + odd
    share = people.weights[people.account_wallets] / np.bincount(people.account_wallets)[people.account_wallets]
    opened = sum(len(each) for each in people.account_markets)
    record_blocks = chance.integers(1, size.blocks + 1, size.records)
    changes = _Changes(
        _distinct(chance, share / share.sum(), firsts, size.positions - opened, size.blocks),
        _distinct(chance, share / share.sum(), firsts, size.states - accounts, size.blocks),
        np.unique(record_blocks * _KEY + chance.integers(1, RECORD_KEYS * len(DEPLOYMENTS) + 1, size.records)),
    )
    joined = firsts[order := np.argsort(firsts, kind="stable")]
    for low in range(0, size.blocks, _SLICE):
        new = order[np.searchsorted(joined, low, "right") : np.searchsorted(joined, low + _SLICE, "right")].tolist()
        arrivals = [(int(firsts[account]), account) for account in new]
        yield _accounts(people, arrivals)
        yield _states(people, arrivals, _slice(changes.states, low), chance)
        yield _positions(people, arrivals, _slice(changes.positions, low), chance)
        yield _records(_slice(changes.records, low), chance)


Pairs = list[tuple[int, int]]
"""Block and account (or key), sorted."""


def _accounts(people: Population, arrivals: Pairs) -> Copied:
    found = ((block, a, people.account_deployments[a], wallet(int(people.account_wallets[a]))) for block, a in arrivals)
    lines = (f"{a + 1}\t{deployment}\t\\\\x{address.hex()}\t\t{block}\n" for block, a, deployment, address in found)
    return "accounts", "id, deployment_id, wallet, unit, first_block_id", lines


def _states(people: Population, arrivals: Pairs, changed: Pairs, chance: np.random.Generator) -> Copied:
    """All markets are open at first, then some of them."""
    markets = people.account_markets
    flips = chance.integers(1, 2**9, len(changed)).tolist()
    rows = [
        (b, a, tuple(m for n, m in enumerate(markets[a]) if flip >> n & 1))
        for (b, a), flip in zip(changed, flips, strict=True)
    ]
    rows += [(block, account, markets[account]) for block, account in arrivals]
    rows.sort()
    lines = (f"{a + 1}\t{b}\t{{{b % 3}}}\t{{{','.join(map(str, opened))}}}\n" for b, a, opened in rows)
    return "account_states", "account_id, block_id, params, open_markets", lines


def _positions(people: Population, arrivals: Pairs, changed: Pairs, chance: np.random.Generator) -> Copied:
    markets = people.account_markets
    picks = chance.integers(0, 2**30, len(changed)).tolist()
    rows = [(b, a, markets[a][pick % len(markets[a])]) for (b, a), pick in zip(changed, picks, strict=True)]
    rows += [(block, account, market) for block, account in arrivals for market in markets[account]]
    rows.sort()
    amounts = chance.integers(10**6, 10**18, (2, len(rows))).tolist()
    lines = (
        f"{a + 1}\t{m}\t{b}\t{supplied}{b % 9973}\t{borrowed if m % 2 else 0}\t{'t' if m % 3 else 'f'}\n"
        for (b, a, m), supplied, borrowed in zip(rows, *amounts, strict=True)
    )
    return "positions", "account_id, market_id, block_id, supplied_raw, borrowed_raw, is_collateral", lines


def _records(changed: Pairs, chance: np.random.Generator) -> Copied:
    values = chance.integers(10**17, 10**18, len(changed)).tolist()
    lines = (f"{key}\t{b}\t{{{v},{v}{v},{v % 10**9},0,1,NULL}}\n" for (b, key), v in zip(changed, values, strict=True))
    return "market_records", 'key_id, block_id, "values"', lines


def _distinct(
    chance: np.random.Generator, by_account: NDArray[np.float64], firsts: Ints, rows: int, blocks: int
) -> Ints:
    """Changes, each after the account's first block and on its chain."""
    accounts = np.searchsorted(np.cumsum(by_account), chance.random(rows)).clip(0, len(by_account) - 1)
    first = firsts[accounts]
    left = (blocks - first) // 2
    offset = (chance.random(rows) * left).astype(np.int64) + 1
    found = first + 2 * offset
    return np.unique(found[found <= blocks] * _KEY + accounts[found <= blocks])


def _slice(keys: Ints, low: int) -> Pairs:
    """Those of the slice of blocks above `low`."""
    part = keys[np.searchsorted(keys, (low + 1) * _KEY) : np.searchsorted(keys, (low + _SLICE + 1) * _KEY)]
    return list(zip((part // _KEY).tolist(), (part % _KEY).tolist(), strict=True))


def _copy(connection: psycopg.Connection, table: str, names: str, lines: Iterable[str]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy:
        part: list[str] = []
        for line in lines:
            part.append(line)
            if len(part) == 5_000:
                copy.write("".join(part))
                part.clear()
        copy.write("".join(part))


def _code(deployment: int, number: int) -> str:
    return "0x" + sha256(b"market %d %d" % (deployment, number)).hexdigest()[:40]


def _hash(number: int) -> Hash32:
    return Hash32(sha256(b"block %d" % number).digest())

"""Which accounts the members of watchlists have, at one block."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from app.book import Keeper, Reading
from app.domain.account import AccountKey
from app.domain.chain import Address
from app.domain.risk import RiskStatus
from app.domain.watch import Member, Rule
from app.store.blocks import StoredBlock
from app.store.postgres.engine import Database
from app.store.unread import load_unread, load_unsearched
from app.valuation.book import Book, Chosen, ChosenAt

MOST_UNREAD = 100_000
"""Accounts found and not read yet that are looked at: above, whoever has no account counts as unknown."""
FEW_UNREAD = 5_000
UNREAD_BLOCKS = 64
"""While there are more than `FEW_UNREAD`, they are looked up again only so many blocks later."""
_KEPT_CALLS = 8
"""A list nobody asked about for so many measurements is forgotten."""


@dataclass(frozen=True, slots=True)
class Unread:
    """What of a chain is not known yet."""

    keys: frozenset[AccountKey] = frozenset()
    is_complete: bool = True
    """False: there are more than could be looked at."""
    unsearched: frozenset[str] = frozenset()
    """Deployments of whose past some logs are still to be searched."""


@dataclass(frozen=True, slots=True)
class Members:
    """The accounts a rule is about, at one block."""

    known: ChosenAt
    """In the book, with everything known that floats need."""
    unknown_in_book: ChosenAt
    outside: tuple[AccountKey, ...]
    """Readable and not in the book: only the exact rule can say anything of them."""
    unvalued: tuple[AccountKey, ...]
    """Of those outside the book, whoever is of a deployment that cannot be valued."""
    unread: tuple[AccountKey, ...]
    doubtful: tuple[AccountKey, ...]
    """Known to the floats, and not to the exact rule when it was asked."""
    liquidatable: tuple[AccountKey, ...]
    """By the exact rule, in the book or not."""
    without: int
    """Members without any account; none where the rule's deployment is of another chain."""
    is_searched: bool
    """Whether these are known to have none; else they are unknown."""

    @property
    def subjects(self) -> int:
        """All of them."""
        outside = len(self.outside) + len(self.unvalued) + len(self.unread)
        return len(self.known) + len(self.unknown_in_book) + outside + self.without

    @property
    def unknown(self) -> int:
        """Those of whom nothing can be said, whatever is asked."""
        hidden = 0 if self.is_searched else self.without
        return len(self.unknown_in_book) + len(self.unvalued) + len(self.unread) + hidden

    def unknown_keys(self) -> list[AccountKey]:
        """The accounts among them."""
        return [*self.unknown_in_book.keys(), *self.unvalued, *self.unread]


@dataclass(slots=True)
class _List:
    members: Sequence[Member]
    chosen: Chosen
    asked_in: int


@dataclass(slots=True)
class MemberIndex:
    """The accounts of every list that is asked about, of one chain. Not worked out anew while lists stay the same:
    accounts that come and go are told by the book."""

    _book: Book | None = None
    _lists: list[_List] = field(default_factory=list)
    _calls: int = 0

    def choose(self, keeper: Keeper, lists: Iterable[Sequence[Member]]) -> list[Chosen]:
        """The accounts in the keeper's book of each of these lists."""
        if self._book is not keeper.book:
            self._book, self._lists = keeper.book, []
        self._calls += 1
        wanted = list(lists)
        found = [self._known(members) for members in wanted]
        fresh = {id(members): members for members, one in zip(wanted, found, strict=True) if one is None}
        chain_id = _chain_of(keeper)
        wallets = [wallets_on(members, chain_id) for members in fresh.values()]
        made = dict(zip(fresh, keeper.book.choose(wallets), strict=True)) if fresh else {}
        self._lists += [_List(members, made[key], self._calls) for key, members in fresh.items()]
        self._lists = [one for one in self._lists if one.asked_in > self._calls - _KEPT_CALLS]
        return [made[id(members)] if one is None else one for members, one in zip(wanted, found, strict=True)]

    def _known(self, members: Sequence[Member]) -> Chosen | None:
        for one in self._lists:
            if one.members is members or (len(one.members) == len(members) and one.members == members):
                one.asked_in = self._calls
                return one.chosen
        return None


class UnreadLookup:
    """What is not known yet of one chain, looked up at each block while it is little."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._at: StoredBlock | None = None
        self._unread = Unread()

    async def at(self, block: StoredBlock) -> Unread:
        """At a block. Accounts that were read since are taken out by whoever asks."""
        if self._at == block or (self._is_much and self._is_near(block)):
            return self._unread
        async with self._database.read() as session:
            keys = await load_unread(session, block, MOST_UNREAD + 1)
            unsearched = await load_unsearched(session, block.ref.chain_id)
        self._unread = Unread(frozenset(keys[:MOST_UNREAD]), len(keys) <= MOST_UNREAD, unsearched)
        self._at = block
        return self._unread

    @property
    def _is_much(self) -> bool:
        return len(self._unread.keys) > FEW_UNREAD

    def _is_near(self, block: StoredBlock) -> bool:
        return self._at is not None and 0 <= block.ref.number - self._at.ref.number < UNREAD_BLOCKS


class ByWallet:
    """Accounts by wallet, to be asked for those of some wallets; costs as much as the fewer of the two."""

    def __init__(self, keys: Iterable[AccountKey]) -> None:
        self._keys: dict[Address, list[AccountKey]] = {}
        for key in keys:
            self._keys.setdefault(key.wallet, []).append(key)

    def of(self, wallets: Collection[Address], deployment_id: str | None) -> list[AccountKey]:
        """All of these wallets, of one deployment where one is named."""
        if len(self._keys) < len(wallets):
            found = [key for wallet, keys in self._keys.items() if wallet in wallets for key in keys]
        else:
            found = [key for wallet in wallets for key in self._keys.get(wallet, ())]
        return [key for key in found if deployment_id in (None, key.deployment_id)]


class Population:
    """Everybody on the chain who is not simply in the book, made once a measurement."""

    def __init__(
        self, keeper: Keeper, reading: Reading, unread: Unread, unfollowed: frozenset[str] = frozenset()
    ) -> None:
        """`unfollowed`: deployments of the chain that nobody follows."""
        self._keeper, self._reading, self._unread, self._unfollowed = keeper, reading, unread, unfollowed
        unvalued = reading.unvalued
        self._outside = ByWallet(key for key in keeper.outside_book if key.deployment_id not in unvalued)
        self._unvalued = ByWallet(key for key in keeper.outside_book if key.deployment_id in unvalued)
        self._unread_keys = ByWallet(key for key in unread.keys if key not in keeper)
        confirmed = reading.confirmed.items()
        self._doubtful = ByWallet(
            key for key, health in confirmed if health.status is RiskStatus.UNKNOWN and key not in reading.exact_only
        )
        self._liquidatable = ByWallet(reading.liquidatable())

    def members(self, chosen: Chosen, rule: Rule) -> Members:
        """The accounts one rule is about. `chosen`: those of its list in the book."""
        only, wallets = rule.deployment_id, chosen.wallets
        there = chosen.at(self._reading.screen, self._reading.unvalued)
        if only is not None:
            there = there.of({only})
        outside, unvalued, unread = (
            tuple(keys.of(wallets, only)) for keys in (self._outside, self._unvalued, self._unread_keys)
        )
        searched = {only} if only is not None else self._keeper.kept.keys()
        is_here = only is None or only in self._keeper.kept or only in self._unfollowed
        return Members(
            there.known(),
            there.unknown(),
            outside,
            unvalued,
            unread,
            tuple(self._doubtful.of(wallets, only)),
            tuple(self._liquidatable.of(wallets, only)),
            there.wallets_without(key.wallet for key in (*outside, *unvalued, *unread)) if is_here else 0,
            self._unread.is_complete
            and self._unread.unsearched.isdisjoint(searched)
            and self._unfollowed.isdisjoint(searched),
        )


def wallets_on(members: Iterable[Member], chain_id: int) -> list[Address]:
    """Everybody who is a member on this chain."""
    return [member.wallet for member in members if member.chain_id in (None, chain_id)]


def _chain_of(keeper: Keeper) -> int:
    assert keeper.at is not None
    return keeper.at.ref.chain_id

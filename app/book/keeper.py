"""Keeps one chain's book current from the store: loaded once in bulk, then moved by what each block changed.

Whatever the way to a block was, the book there equals one that is loaded there. When something fails half-way, or the
block it stands at is replaced and none before it is remembered, the keeper stands nowhere and has to be loaded again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from app.book.kept import KeptDeployment, make_kept
from app.book.population import KeptAccounts
from app.book.reading import Reading
from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.domain.chain import ChainId
from app.domain.market import Deployment, MarketRecord
from app.domain.risk import Health, RiskStatus
from app.errors import Retryable
from app.protocols.base import Adapter
from app.protocols.registry import adapter_for
from app.store.accounts import load_accounts
from app.store.blocks import StoredBlock
from app.store.book import is_stored, load_delta, load_states
from app.store.deployments import DeploymentTrouble, load_deployments, load_troubles_at
from app.store.markets import load_markets, load_records
from app.store.postgres.engine import Database
from app.store.postgres.session import ReadSession
from app.valuation.assess import UNKNOWN_HEALTH, quick_health
from app.valuation.book import Book, Screen

JOURNAL_LENGTH = 512
"""Moves that can be taken back: more than any chain's finality depth."""
NEAR_ONE = 1.001
"""Below this health everybody is confirmed, whatever the bounds of rounding are."""


class BlockReplaced(Retryable):
    """The block to read at is no longer stored: rewind, or load at another."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move brought."""

    block: StoredBlock
    blocks: int
    """Stored blocks it went through: 1 for the next one, more when several were folded into one move."""
    before: Mapping[AccountKey, RiskStatus | None]
    """Accounts whose state or legs were made anew: the verdict on them before; None for those that were not there, and
    for all when nothing was read at the block before."""
    rebuilt: frozenset[str]
    """Deployments whose legs were all made anew, because a threshold or rule changed or they are new."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A move in the journal: from where, and whom it changed."""

    start: StoredBlock
    changed: frozenset[AccountKey]


@dataclass(slots=True)
class _Plan:
    """A move that is known whole before anything is changed."""

    block: StoredBlock
    kept: dict[str, KeptDeployment] = field(default_factory=dict)
    refilled: dict[str, list[AccountState]] = field(default_factory=dict)
    """Deployments to be filed anew, with all of their accounts."""
    left: set[str] = field(default_factory=set)
    """Deployments nobody follows: nothing of them is in the book."""
    accounts: list[AccountState] = field(default_factory=list)
    """Accounts of the others that changed."""
    gone: set[AccountKey] = field(default_factory=set)


class Keeper:
    """One chain's book. Not for several tasks at once."""

    def __init__(
        self,
        database: Database,
        chain_id: ChainId,
        *,
        adapters: Callable[[str], Adapter] = adapter_for,
        journal_length: int = JOURNAL_LENGTH,
    ) -> None:
        self._database = database
        self._chain_id = chain_id
        self._adapters = adapters
        self._journal: deque[_Step] = deque(maxlen=journal_length)
        self._accounts = KeptAccounts()
        self._last: Reading | None = None
        self._recycled: Screen | None = None
        self.at: StoredBlock | None = None
        """The block the book is of; None while it is of none."""
        self.kept: dict[str, KeptDeployment] = {}
        """Every deployment of the chain."""

    @property
    def book(self) -> Book:
        """The accounts that have legs. It belongs to the keeper: ask it, do not change it."""
        return self._accounts.book

    async def load(self, at: StoredBlock) -> None:
        """Make the book of a stored block, whatever there was before.

        Raises:
            BlockReplaced: the block is not stored (any more).
            Fatal: records that are not their adapter's.
        """
        self._forget()
        async with self._database.read() as session:
            await _require_stored(session, at)
            plan = await self._plan(session, at, {}, frozenset(), {})
        await self._carry_out(plan)

    async def advance(self, to: StoredBlock) -> Moved:
        """Move up to a later stored block.

        Raises:
            BlockReplaced: the block it stands at, or `to`, is no longer stored; it stands where it stood.
            Fatal: records that are not their adapter's.
        """
        at = self._stand()
        async with self._database.read() as session:
            await _require_stored(session, at)
            await _require_stored(session, to)
            delta = await load_delta(session, self._chain_id, at, to)
            plan = await self._plan(session, to, delta.records, delta.described, self.kept)
        moved = plan.kept.keys() - plan.refilled.keys()
        plan.accounts = [account for account in delta.accounts if account.key.deployment_id in moved]
        changed = {account.key for account in plan.accounts}
        for name, accounts in plan.refilled.items():
            changed |= {account.key for account in accounts} | self._accounts.keys_of(name)
        before = {key: self._status_before(key) for key in changed}
        await self._carry_out(plan)
        self._journal.append(_Step(at, frozenset(changed)))
        return Moved(to, delta.blocks, before, frozenset(plan.refilled))

    async def rewind(self) -> StoredBlock | None:
        """Go back to the newest block it stood at that is still stored; None, and it stands nowhere, if it knows none.

        Raises:
            Fatal: records that are not their adapter's.
        """
        async with self._database.read() as session:
            at = self._stand()
            if await is_stored(session, at):
                return at
            undone: set[AccountKey] = set()
            back: StoredBlock | None = None
            steps = list(self._journal)
            while steps and back is None:
                step = steps.pop()
                undone |= step.changed
                back = step.start if await is_stored(session, step.start) else None
            if back is None:
                self._forget()
                return None
            plan = await self._plan(session, back, {}, frozenset(), self.kept, anew=True)
            moved = plan.kept.keys() - plan.refilled.keys()
            touched = sorted(key for key in undone if key.deployment_id in moved)
            plan.accounts = await load_states(session, touched, back)
        plan.gone = set(touched) - {account.key for account in plan.accounts}
        await self._carry_out(plan)
        self._journal = deque(steps, self._journal.maxlen)
        return back

    async def read(self, riskiest: int = 0) -> Reading:
        """The verdict on everybody at the keeper's block, at least the `riskiest` accounts by the exact rule.

        Raises:
            BlockReplaced: the block is no longer stored, and something of it had to be looked up.
        """
        at, accounts = self._stand(), self._accounts
        screen, self._recycled = accounts.book.reprice(self._recycled), None
        unvalued = {name: one.unvalued for name, one in self.kept.items() if one.unvalued is not None}
        chosen = self._to_confirm(screen, riskiest, unvalued)
        confirmed = await self._confirm(at, chosen, unvalued)
        states = {name: one.state for name, one in self.kept.items() if one.state is not None}
        for key, snapshot in accounts.exact_only.items():
            if key.deployment_id not in unvalued:
                confirmed[key] = quick_health(states.get(key.deployment_id), snapshot)
        unknown = {k for k in screen.unknown_keys() if k.deployment_id not in unvalued}
        unknown |= {key for key, health in confirmed.items() if health.status is RiskStatus.UNKNOWN}
        exact_only = {key for key in accounts.exact_only if key.deployment_id not in unvalued}
        accounts.end_round()
        self._last = Reading(
            at, screen, confirmed, unknown, exact_only, accounts.exposed, unvalued, states, len(accounts)
        )
        return self._last

    async def confirm(self, keys: Iterable[AccountKey]) -> dict[AccountKey, Health]:
        """The contract's own verdict and numbers on some accounts at the keeper's block; those not there are left out.

        Raises: as `read`.
        """
        unvalued = {name: one.unvalued for name, one in self.kept.items() if one.unvalued is not None}
        return await self._confirm(self._stand(), {key for key in keys if key in self._accounts}, unvalued)

    async def snapshots(self, keys: Iterable[AccountKey]) -> dict[AccountKey, AccountSnapshot]:
        """The raw states of some accounts at the keeper's block; those not there or not readable are left out. Who is
        asked for at every block is looked up once.

        Raises: as `read`.
        """
        return await self._snapshots(self._stand(), {key for key in keys if key in self._accounts})

    @property
    def outside_book(self) -> Collection[AccountKey]:
        """Readable accounts that have no legs."""
        return self._accounts.exact_only.keys()

    def __contains__(self, key: AccountKey) -> bool:
        """Whether it is an account that was read, or could not be, at or below the keeper's block."""
        return key in self._accounts

    def keys_of(self, deployment_id: str) -> set[AccountKey]:
        """All accounts of one deployment."""
        return self._accounts.keys_of(deployment_id)

    def _to_confirm(self, screen: Screen, riskiest: int, unvalued: Collection[str]) -> set[AccountKey]:
        """Whose verdict floats cannot be sure of, who is below or close to 1, the next riskiest; and whoever owes so
        little that it may round to nothing."""
        near = len(screen.below(NEAR_ONE))
        keys = {ranked.key for ranked in screen.riskiest(near + riskiest)}
        keys.update(screen.to_confirm())
        decimals = [one.state.state.value_decimals for one in self.kept.values() if one.state is not None]
        dust = 4 * 10.0 ** -min((one for one in decimals if one), default=0)
        keys.update(screen.owing(less_than=dust))
        return {key for key in keys if key.deployment_id not in unvalued}

    async def _confirm(
        self, at: StoredBlock, keys: Collection[AccountKey], unvalued: Collection[str]
    ) -> dict[AccountKey, Health]:
        snapshots = await self._snapshots(at, keys)
        confirmed: dict[AccountKey, Health] = {}
        for key in keys:
            snapshot = snapshots.get(key)
            is_known = snapshot is not None and key.deployment_id not in unvalued
            state = self.kept[key.deployment_id].state
            confirmed[key] = quick_health(state, snapshot) if is_known and snapshot is not None else UNKNOWN_HEALTH
        return confirmed

    async def _snapshots(self, at: StoredBlock, keys: Collection[AccountKey]) -> dict[AccountKey, AccountSnapshot]:
        """The states of those that could be read; all have to be in the book's files."""
        accounts = self._accounts
        snapshots: dict[AccountKey, AccountSnapshot] = {}
        for key in keys:
            known = accounts.exact_only.get(key) or accounts.watched(key)
            if known is not None:
                snapshots[key] = known
        missing = [key for key in keys if key not in snapshots and key not in accounts.unreadable]
        if missing:
            async with self._database.read() as session:
                await _require_stored(session, at)
                found = await load_states(session, missing, at)
            read = [state for state in found if isinstance(state, AccountSnapshot)]
            accounts.watch(read)
            snapshots |= {state.key: state for state in read}
        return snapshots

    async def _plan(
        self,
        session: ReadSession,
        to: StoredBlock,
        records: Mapping[str, Sequence[MarketRecord]],
        described: frozenset[str],
        before: Mapping[str, KeptDeployment],
        *,
        anew: bool = False,
    ) -> _Plan:
        """Every deployment at `to`, and all accounts of those whose legs do not hold any more. `anew`: the records that
        are known are of a block that is gone."""
        plan = _Plan(to)
        troubles = await load_troubles_at(session, {self._chain_id: to.id})
        for deployment in await load_deployments(session, self._chain_id):
            name, known, told = deployment.id, before.get(deployment.id), troubles.get(deployment.id)
            if told is not None and not told.is_followed:
                plan.left.add(name)
                continue
            trouble = _text(told)
            if known is None or anew or known.state is None:
                now = await self._load_kept(session, deployment, to, trouble)
            else:
                described_now = await load_markets(session, name, to) if name in described else None
                now = known.moved(deployment, to.ref, records.get(name, ()), described_now, trouble)
            plan.kept[name] = now
            if known is None or (known.state is None) != (now.state is None) or known.basis != now.basis:
                plan.refilled[name] = await load_accounts(session, name, to)
        return plan

    async def _load_kept(
        self, session: ReadSession, deployment: Deployment, to: StoredBlock, trouble: str | None
    ) -> KeptDeployment:
        markets = await load_markets(session, deployment.id, to)
        records = await load_records(session, deployment.id, to)
        return make_kept(deployment, self._adapters(deployment.protocol), markets, records, to.ref, trouble)

    async def _carry_out(self, plan: _Plan) -> None:
        """Change everything that the plan says, with nothing to wait for in between but a thread."""
        self._recycled = self._recycled if self._last is None else self._last.screen
        self._last = self.at = None  # until it is done
        try:
            # a bulk load holds nobody else up
            apply = partial(_apply, plan, self._accounts)
            await asyncio.to_thread(apply) if plan.refilled else apply()
        except BaseException:
            self._forget()
            raise
        self.kept, self.at = plan.kept, plan.block

    def _status_before(self, key: AccountKey) -> RiskStatus | None:
        if self._last is None or key not in self._accounts:
            return None
        return self._last.status(key)

    def _stand(self) -> StoredBlock:
        if self.at is None:
            raise BlockReplaced(f"the book of chain {self._chain_id} is of no block: load it")
        return self.at

    def _forget(self) -> None:
        self.at, self._last, self._recycled = None, None, None
        self._accounts = KeptAccounts()
        self.kept = {}
        self._journal.clear()


def _apply(plan: _Plan, accounts: KeptAccounts) -> None:
    for name in plan.left | plan.refilled.keys():
        for key in accounts.keys_of(name):
            accounts.remove(key)
    for kept in plan.kept.values():
        accounts.price(kept)
    for key in plan.gone:
        accounts.remove(key)
    for name, found in plan.refilled.items():
        accounts.fill(plan.kept[name], found)
    for account in plan.accounts:
        accounts.put(plan.kept[account.key.deployment_id], account)


async def _require_stored(session: ReadSession, block: StoredBlock) -> None:
    if not await is_stored(session, block):
        raise BlockReplaced(f"block {block.ref.number} of chain {block.ref.chain_id} was replaced")


def _text(trouble: DeploymentTrouble | None) -> str | None:
    return None if trouble is None else trouble.text

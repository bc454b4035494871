"""One block's harvest: from its header to everything the store has to know of it. It reads; the loop commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.chain.faults import BlockGone
from app.chain.reader import ChainReader, Header
from app.domain.account import AccountKey, AccountSnapshot, AccountState, Unreadable
from app.domain.batch import BlockBatch, DueAccount, ScanRange
from app.domain.chain import BlockRef, Log, ReadPlan
from app.domain.market import Deployment, Market, MarketRecord
from app.indexer.calibrate import calibrate, choose_sample, has_debt, wants_calibration
from app.indexer.metrics import ChainMetrics
from app.indexer.options import IndexerOptions
from app.indexer.rhythm import passed_multiple
from app.indexer.touches import Touches, merged_filter
from app.protocols.base import Adapter, DeploymentState
from app.store.accounts import load_accounts, load_known_markets, load_newest
from app.store.blocks import StoredBlock
from app.store.engine import Database
from app.store.scans import load_due


@dataclass(frozen=True, slots=True)
class Followed:
    """One deployment as of the cursor."""

    deployment: Deployment
    adapter: Adapter
    state: DeploymentState | None
    """None until it has been read for the first time."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a block is read with."""

    reader: ChainReader
    database: Database
    options: IndexerOptions
    metrics: ChainMetrics


@dataclass(frozen=True, slots=True)
class Harvest:
    """What one block brings."""

    batch: BlockBatch
    followed: tuple[Followed, ...]
    """The deployments as of the batch's block."""
    scans: tuple[ScanRange, ...]
    """Blocks whose logs are left to search, because the harvest does not continue what is stored below."""
    unreadable: tuple[DueAccount, ...]
    """Accounts to be read again, with the markets that reading must not forget."""


async def index_block(
    sources: Sources, target: Header, cursor: StoredBlock | None, followed: Sequence[Followed], *, jump: bool
) -> Harvest:
    """Everything block `target` adds to what is stored at `cursor`.

    The logs of all blocks after the cursor are searched; state is read at `target` alone. With `jump` the gap is
    too long to search at once: its logs are left to scans and everything is read in full.

    Raises:
        Retryable: nothing is known of the block; ask again from the start.
        Refused, Fatal: an adapter found its contracts not to be what they should.
    """
    work = _BlockWork(sources, target, cursor, followed, jump=jump)
    with sources.metrics.phase("logs"):
        await work.read_logs()
    with sources.metrics.phase("configuration"):
        await work.read_configuration()
    with sources.metrics.phase("accounts"):
        await work.read_states_and_accounts()
    with sources.metrics.phase("rules"):
        await work.compare_rules()
    await work.require_canonical()
    return work.harvest()


class _BlockWork:
    """A block being read, step by step. Dropped when any step fails."""

    def __init__(
        self, sources: Sources, target: Header, cursor: StoredBlock | None, followed: Sequence[Followed], *, jump: bool
    ) -> None:
        self._reader = sources.reader
        self._database = sources.database
        self._options = sources.options
        self._target = target
        self._block: BlockRef = target.block
        self._cursor = cursor
        self._followed = followed
        self._below: BlockRef | None = None if jump or cursor is None else cursor.ref
        """The stored block whose successors' logs are searched here; None when scans have to."""
        self._before: dict[str, DeploymentState] = {f.deployment.id: f.state for f in followed if f.state is not None}
        self._now: dict[str, DeploymentState] = {}
        """States as of this block, as far as read."""
        self._touches: dict[str, Touches] = {name: Touches() for name in self._before}
        self._accounts: list[AccountState] = []
        self._markets: dict[AccountKey, frozenset[str]] = {}
        """Markets each account being read is known to have held or touched."""

    async def read_logs(self) -> None:
        """Who was touched since the cursor."""
        await self._search(self._before)

    async def read_configuration(self) -> None:
        """Deployments that are new, changed or due for it are read in full, before any account of theirs.

        A market that was added in these blocks emits from contracts nobody listened to: then the same logs are
        searched again with the new filter.
        """
        plans: list[ReadPlan[DeploymentState]] = []
        for one in self._followed:
            if one.state is None:
                plans.append(one.adapter.read_state(one.deployment))
            elif self._wants_full(one.deployment.id):
                plans.append(one.state.read_next(full=True))
        for state in await self._reader.read_all(plans, self._block):
            self._now[state.deployment.id] = state
        changed = {
            name: state
            for name, state in self._now.items()
            if name in self._before and state.log_filter() != self._before[name].log_filter()
        }
        if changed:
            await self._search(changed)

    async def read_states_and_accounts(self) -> None:
        """What moves by itself (prices, indices), and every account touched or due: in lock-step, one set of rounds."""
        await self._gather_accounts()
        await self._read_expected_markets()
        rest = [state for name, state in self._before.items() if name not in self._now]
        plans: list[ReadPlan[DeploymentState | AccountState]] = [state.read_next(full=False) for state in rest]
        for key, markets in self._markets.items():
            state = self._now.get(key.deployment_id) or self._before[key.deployment_id]
            plans.append(state.read_account(key, self._block.number, markets))
        for value in await self._reader.read_all(plans, self._block):
            if isinstance(value, DeploymentState):
                self._now[value.deployment.id] = value
            else:
                self._accounts.append(value)
        self._accounts = await self._continued()

    async def compare_rules(self) -> None:
        """Where a deployment's rounding rules are new or little tested, compare them with its contract."""
        for name, state in self._now.items():
            just_read = [account for account in self._accounts if account.key.deployment_id == name]
            touched = self._touches.get(name)
            rules_touched = self._below is None or (touched is not None and touched.rules)
            rhythm = self._passed(self._options.calibrate_blocks)
            wanted = self._options.calibration_accounts
            if not wants_calibration(
                state, rules_touched=rules_touched, passed_rhythm=rhythm, just_read=just_read, wanted=wanted
            ):
                continue
            sample = choose_sample([*just_read, *await self._stored_borrowers(name, just_read)], wanted)
            if rules_touched or len(sample) > (state.confirmed_samples or 0):
                hints = list((await self._load_hints(sample)).items())
                self._now[name] = await calibrate(self._reader, self._block, state, hints, rules_touched=rules_touched)

    async def require_canonical(self) -> None:
        """Logs of a range are asked for by number: both its ends must still stand after everything was read.

        Raises:
            BlockGone: one does not.
        """
        if self._below is None or self._block.number == self._below.number + 1:
            return
        for end in (self._below, self._block):
            header = await self._reader.fetch_header(end.number)
            if header is None or header.block.hash != end.hash:
                raise BlockGone(f"block {end.number} was replaced while its range was read")

    def harvest(self) -> Harvest:
        """The batch, with only those records and markets that differ from the state before."""
        return Harvest(
            batch=BlockBatch(
                block=self._block,
                markets=tuple(m for name, now in self._now.items() for m in _new_markets(self._before.get(name), now)),
                records=tuple(r for name, now in self._now.items() for r in _new_records(self._before.get(name), now)),
                accounts=tuple(self._accounts),
            ),
            followed=tuple(replace(one, state=self._now[one.deployment.id]) for one in self._followed),
            scans=tuple(self._scans()),
            unreadable=tuple(
                DueAccount(account.key, self._markets[account.key])
                for account in self._accounts
                if isinstance(account, Unreadable)
            ),
        )

    async def _search(self, states: dict[str, DeploymentState]) -> None:
        """Note whom the logs since the cursor touched, as these states understand them."""
        if self._below is None:
            return
        log_filter = merged_filter(states.values())
        logs: Sequence[Log]
        if self._block.number == self._below.number + 1:
            logs = await self._reader.fetch_block_logs(self._target, log_filter)
        else:
            logs = await self._reader.fetch_logs(log_filter, self._below.number + 1, self._block.number)
        for name, state in states.items():
            self._touches[name].add(state, logs)

    def _wants_full(self, name: str) -> bool:
        touches = self._touches[name]
        changed = touches.configuration or touches.rules
        return changed or self._below is None or self._passed(self._options.refresh_blocks)

    def _passed(self, step: int) -> bool:
        before = self._cursor.ref.number if self._cursor is not None else -1
        return passed_multiple(before, self._block.number, step)

    async def _gather_accounts(self) -> None:
        """Accounts to read: the touched ones, and a bounded number of those due from scans or failed reads."""
        async with self._database.read() as session:
            due = await load_due(session, self._reader.chain_id, self._options.due_per_block, self._before)
            wanted = {key: frozenset(found) for t in self._touches.values() for key, found in t.accounts.items()}
            for one in due:
                wanted[one.key] = wanted.get(one.key, frozenset()) | one.markets
            known = await load_known_markets(session, list(wanted))
        self._markets = {key: markets | known.get(key, frozenset()) for key, markets in wanted.items()}

    async def _read_expected_markets(self) -> None:
        """States that lack what the accounts about to be read need are read again, with it, before them."""
        plans: list[ReadPlan[DeploymentState]] = []
        for name, state in {**self._before, **self._now}.items():
            told = state.expecting(key for key in self._markets if key.deployment_id == name)
            if told is not state:
                plans.append(told.read_next(full=False))
        if plans:
            for state in await self._reader.read_all(plans, self._block):
                self._now[state.deployment.id] = state

    async def _continued(self) -> list[AccountState]:
        """The accounts just read; with what their stored states know better, where their protocol asks for that."""
        states = {**self._before, **self._now}
        keys = [
            account.key
            for account in self._accounts
            if isinstance(account, AccountSnapshot) and states[account.key.deployment_id].continues_accounts
        ]
        if not keys:
            return self._accounts
        async with self._database.read() as session:
            before = await load_newest(session, keys)
        return [
            states[account.key.deployment_id].continued(before[account.key], account)
            if isinstance(account, AccountSnapshot) and account.key in before
            else account
            for account in self._accounts
        ]

    async def _load_hints(self, keys: Sequence[AccountKey]) -> dict[AccountKey, frozenset[str]]:
        async with self._database.read() as session:
            known = await load_known_markets(session, keys)
        nothing: frozenset[str] = frozenset()
        return {key: known.get(key, nothing) | self._markets.get(key, nothing) for key in keys}

    async def _stored_borrowers(self, name: str, just_read: Sequence[AccountState]) -> list[AccountState]:
        """Borrowers as stored, without those this block read anew."""
        if self._cursor is None or name not in self._before:
            return []
        async with self._database.read() as session:
            stored = await load_accounts(session, name, self._cursor)
        renewed = {account.key for account in just_read}
        return [account for account in stored if account.key not in renewed and has_debt(account)]

    def _scans(self) -> list[ScanRange]:
        """Blocks below this one whose logs nobody has searched: all of a new deployment, the gap of a jump."""
        ranges = []
        for one in self._followed:
            if one.state is None:
                first = one.deployment.start_block
            elif self._below is None and self._cursor is not None:
                first = self._cursor.ref.number + 1
            else:
                continue
            if first <= self._block.number:
                ranges.append(ScanRange(one.deployment.id, first, self._block.number))
        return ranges


def _new_markets(before: DeploymentState | None, now: DeploymentState) -> list[Market]:
    known = set(before.markets()) if before is not None else set()
    return [market for market in now.markets() if market not in known]


def _new_records(before: DeploymentState | None, now: DeploymentState) -> list[MarketRecord]:
    known = set(before.records()) if before is not None else set()
    return [record for record in now.records() if record not in known]

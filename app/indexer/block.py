"""One block's harvest: from its header to everything the store has to know of it. It reads; the loop commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from app.chain.faults import BlockGone
from app.chain.reader import Header
from app.domain.account import AccountKey, AccountState, Unreadable
from app.domain.batch import BlockBatch, DueAccount
from app.domain.chain import BlockRef, Log, ReadPlan
from app.errors import Refused
from app.indexer.calibrate import calibrate, choose_sample, wants_calibration
from app.indexer.harvest import Followed, Harvest, Sources, new_markets, new_records
from app.indexer.lookups import load_borrowers, load_continued, load_hints
from app.indexer.ranges import LogRanges
from app.indexer.refusal import Refusal, guarded
from app.indexer.rhythm import passed_multiple, passed_retry
from app.indexer.touches import Touches, merged_filter
from app.protocols.base import DeploymentState
from app.store.blocks import StoredBlock
from app.store.deployments import DeploymentTrouble
from app.store.scans import load_due


async def index_block(
    sources: Sources, target: Header, cursor: StoredBlock | None, followed: Sequence[Followed], *, jump: bool
) -> Harvest:
    """Everything block `target` adds to what is stored at `cursor`.

    The logs of all blocks after the cursor are searched; state is read at `target` alone. With `jump` the gap is
    too long to search at once: its logs are left to scans and everything is read in full.

    A deployment that refuses to be read is set aside: nothing of it is in the harvest, and it is tried again at coming
    blocks. When it is read again, the logs since it was set aside are searched with that block, or left to a scan.

    Raises:
        Retryable: nothing is known of the block; ask again from the start.
        Refused: no deployment could be read, and none ever was: this is a fault of configuration.
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
        self._sources = sources
        self._reader = sources.reader
        self._database = sources.database
        self._options = sources.options
        self._target = target
        self._block: BlockRef = target.block
        self._cursor = cursor
        self._followed = followed
        self._below: BlockRef | None = None if jump or cursor is None else cursor.ref
        """The stored block whose successors' logs are searched here; None when scans have to."""
        self._tried = {one.deployment.id: one for one in followed if self._is_tried(one)}
        """What is read at this block: everything that is not set aside, or is to be tried again."""
        at_once = sources.options.search_at_once_blocks
        self._ranges = LogRanges(target.block, cursor.ref if cursor else None, jump, at_once, self._tried)
        self._before = {name: one.state for name, one in self._tried.items() if one.state is not None}
        self._now: dict[str, DeploymentState] = {}
        """States as of this block, as far as read."""
        self._refused: dict[str, str] = {}
        """Why deployments could not be read at this block."""
        self._touches: dict[str, Touches] = {name: Touches() for name in self._before}
        self._accounts: list[AccountState] = []
        self._markets: dict[AccountKey, frozenset[str]] = {}
        """Markets each account being read is known to have held or touched."""
        self._room = self._options.due_per_block
        """Accounts that may still be read besides those that have to be."""
        self._later: list[AccountKey] = []

    async def read_logs(self) -> None:
        """Who was touched since the cursor. For what was set aside that waits until it is known to be readable."""
        await self._search({name: state for name, state in self._before.items() if not self._tried[name].trouble})

    async def read_configuration(self) -> None:
        """Deployments that are new, changed, set aside or due for it are read in full, before any account of theirs.

        A market that was added in these blocks emits from contracts nobody listened to: then the same logs are
        searched again with the new filter.
        """
        plans: list[ReadPlan[DeploymentState | Refusal]] = []
        for name, one in self._tried.items():
            if one.state is None:
                plans.append(guarded(name, one.adapter.read_state(one.deployment)))
            elif self._wants_full(one):
                plans.append(guarded(name, one.state.read_next(full=True)))
        self._take(await self._reader.read_all(plans, self._block))
        read_again = {name: self._before[name] for name in self._now if name in self._before}
        await self._search({name: state for name, state in read_again.items() if self._tried[name].trouble})
        await self._search(
            {
                name: self._now[name]
                for name, old in read_again.items()
                if self._now[name].log_filter() != old.log_filter()
            }
        )

    async def read_states_and_accounts(self) -> None:
        """What moves by itself (prices, indices), and every account to be read: in lock-step, one set of rounds.

        Accounts that this shows may have changed without a log follow in a second set.
        """
        await self._gather_accounts()
        await self._read_expected_markets()
        plans: list[ReadPlan[DeploymentState | AccountState | Refusal]] = [
            guarded(name, state.read_next(full=False)) for name, state in self._standing() if name not in self._now
        ]
        self._take(await self._reader.read_all([*plans, *self._account_plans(self._markets)], self._block))
        if suspects := self._suspects():
            self._markets |= await load_hints(self._database, dict.fromkeys(suspects, frozenset()))
            self._take(await self._reader.read_all(list(self._account_plans(suspects)), self._block))
        for name in self._refused:
            self._now.pop(name, None)
        self._accounts = [account for account in self._accounts if account.key.deployment_id in self._now]
        self._accounts = await load_continued(self._database, self._now, self._accounts)

    async def compare_rules(self) -> None:
        """Where a deployment's rounding rules are new or little tested, compare them with its contract."""
        for name, state in self._now.items():
            just_read = [account for account in self._accounts if account.key.deployment_id == name]
            touched = self._touches.get(name)
            rules_touched = self._is_unwatched(name) or (touched is not None and touched.rules)
            rhythm = self._passed(self._options.calibrate_blocks)
            wanted = self._options.calibration_accounts
            if not wants_calibration(
                state, rules_touched=rules_touched, passed_rhythm=rhythm, just_read=just_read, wanted=wanted
            ):
                continue
            borrowers = just_read
            if self._cursor is not None and name in self._before:
                borrowers = just_read + await load_borrowers(self._database, name, self._cursor, just_read)
            sample = choose_sample(borrowers, wanted)
            if rules_touched or len(sample) > (state.confirmed_samples or 0):
                hints = await load_hints(self._database, {key: self._markets.get(key, frozenset()) for key in sample})
                self._now[name] = await calibrate(
                    self._reader, self._block, state, list(hints.items()), rules_touched=rules_touched
                )

    async def require_canonical(self) -> None:
        """Logs of a range are asked for by number: both its ends must still stand after everything was read.

        Raises:
            BlockGone: one does not.
        """
        if self._below is None or not self._ranges.are_by_number(self._now.keys() & self._before.keys()):
            return
        for end in (self._below, self._block):
            header = await self._reader.fetch_header(end.number)
            if header is None or header.block.hash != end.hash:
                raise BlockGone(f"block {end.number} was replaced while its range was read")

    def harvest(self) -> Harvest:
        """The batch, with only those records and markets that differ from the state before.

        Raises:
            Refused: no deployment could be read, and none ever was.
        """
        if self._refused and all(one.state is None and one.deployment.id not in self._now for one in self._followed):
            raise Refused("; ".join(self._refused.values()))
        followed = tuple(self._renewed(one) for one in self._followed)
        return Harvest(
            batch=BlockBatch(
                block=self._block,
                markets=tuple(m for name, now in self._now.items() for m in new_markets(self._before.get(name), now)),
                records=tuple(r for name, now in self._now.items() for r in new_records(self._before.get(name), now)),
                accounts=tuple(self._accounts),
            ),
            followed=followed,
            troubles=tuple(
                (now.deployment.id, now.trouble)
                for before, now in zip(self._followed, followed, strict=True)
                if now.trouble != before.trouble
            ),
            scans=tuple(self._ranges.left(self._now)),
            unreadable=tuple(
                DueAccount(account.key, self._markets[account.key])
                for account in self._accounts
                if isinstance(account, Unreadable)
            ),
            later=tuple(DueAccount(key, frozenset()) for key in self._later if key.deployment_id in self._now),
        )

    # -- which deployments

    def _is_tried(self, one: Followed) -> bool:
        if one.trouble is None or self._cursor is None:
            return True
        before, step = self._cursor.ref.number, self._options.refresh_blocks
        return passed_retry(one.trouble.since_block, before, self._block.number, step)

    def _standing(self) -> list[tuple[str, DeploymentState]]:
        """Deployments read before and not refused so far, each with its newest state."""
        return [(n, self._now.get(n, state)) for n, state in self._before.items() if n not in self._refused]

    def _wants_full(self, one: Followed) -> bool:
        touches = self._touches[one.deployment.id]
        changed = touches.configuration or touches.rules or one.trouble is not None
        return changed or self._below is None or self._passed(self._options.refresh_blocks)

    def _passed(self, step: int) -> bool:
        before = self._cursor.ref.number if self._cursor is not None else -1
        return passed_multiple(before, self._block.number, step)

    def _is_one_step(self) -> bool:
        """Whether nothing was passed over on the way from the cursor that is usually read."""
        return self._below is not None and self._block.number - self._below.number <= self._sources.sampling_step

    def _is_unwatched(self, name: str) -> bool:
        """Whether blocks have passed that were not read for this deployment as they came."""
        return self._below is None or self._tried[name].trouble is not None

    def _renewed(self, one: Followed) -> Followed:
        """The deployment as this block leaves it."""
        name = one.deployment.id
        if name in self._refused:
            missed = self._cursor.ref.number + 1 if self._cursor is not None else self._block.number
            since = one.trouble.since_block if one.trouble is not None else missed
            return replace(one, trouble=DeploymentTrouble(self._refused[name], since))
        if name not in self._now:
            return one
        read = [account for account in self._accounts if account.key.deployment_id == name]
        unlogged = one.unlogged.renewed(self._now[name], read, self._sources.round_blocks)
        return replace(one, state=self._now[name], trouble=None, unlogged=unlogged)

    # -- logs

    async def _search(self, states: Mapping[str, DeploymentState]) -> None:
        """Note whom the logs not searched yet touched, as these states understand them."""
        for first, names in self._ranges.together(states).items():
            log_filter = merged_filter(states[name] for name in names)
            logs: Sequence[Log]
            if first == self._block.number:
                logs = await self._reader.fetch_block_logs(self._target, log_filter)
            else:
                logs = await self._reader.fetch_logs(log_filter, first, self._block.number)
            for name in names:
                self._touches[name].add(states[name], logs)

    # -- accounts

    async def _gather_accounts(self) -> None:
        """Accounts to read: those touched, those that move by themselves, and a bounded number besides: those due from
        scans or failed reads, and those whose turn it is in the slow round."""
        standing = [name for name, _ in self._standing()]
        async with self._database.read() as session:
            due = await load_due(session, self._reader.chain_id, self._room, standing)
        wanted = {key: frozenset(found) for name in standing for key, found in self._touches[name].accounts.items()}
        for one in due:
            wanted[one.key] = wanted.get(one.key, frozenset()) | one.markets
        self._room -= len(due)
        for name in standing:
            wanted |= {key: frozenset() for key in self._tried[name].unlogged.moving if key not in wanted}
        for key in self._within_room(self._in_turn(standing), wanted):
            wanted[key] = frozenset()
        self._markets = await load_hints(self._database, wanted)

    def _in_turn(self, names: Iterable[str]) -> Iterable[AccountKey]:
        before = self._cursor.ref.number if self._cursor is not None else self._block.number
        for name in names:
            yield from self._tried[name].unlogged.in_turn(before, self._block.number, self._sources.round_blocks)

    def _suspects(self) -> list[AccountKey]:
        """Accounts of deployments whose new state says that some may have changed without a log."""
        keys: list[AccountKey] = []
        for name, state in self._now.items():
            if name in self._refused or name not in self._before or not state.accounts_change_unseen:
                continue
            in_order = self._is_one_step() and not self._is_unwatched(name)
            logs = self._touches[name].logs if in_order else None
            if state.may_have_changed_unseen(self._before[name], logs=logs):
                keys += sorted(self._tried[name].unlogged.suspects)
        return self._within_room(keys, self._markets)

    def _within_room(self, keys: Iterable[AccountKey], taken: Mapping[AccountKey, frozenset[str]]) -> list[AccountKey]:
        """As many of the keys not taken yet as this block may still read; the others are noted for later."""
        fresh = [key for key in keys if key not in taken]
        now, later = fresh[: self._room], fresh[self._room :]
        self._room -= len(now)
        self._later += later
        return now

    def _account_plans(self, keys: Iterable[AccountKey]) -> Iterable[ReadPlan[AccountState | Refusal]]:
        for key in keys:
            name = key.deployment_id
            state = self._now.get(name) or self._before[name]
            yield guarded(name, state.read_account(key, self._block.number, self._markets[key]))

    def _take(self, values: Iterable[DeploymentState | AccountState | Refusal]) -> None:
        for value in values:
            if isinstance(value, Refusal):
                self._refused[value.deployment_id] = value.text
            elif isinstance(value, DeploymentState):
                self._now[value.deployment.id] = value
            else:
                self._accounts.append(value)

    async def _read_expected_markets(self) -> None:
        """States that lack what the accounts about to be read need are read again, with it, before them."""
        plans: list[ReadPlan[DeploymentState | Refusal]] = []
        for name, state in [*self._standing(), *((n, s) for n, s in self._now.items() if n not in self._before)]:
            told = state.expecting(key for key in self._markets if key.deployment_id == name)
            if told is not state:
                plans.append(guarded(name, told.read_next(full=False)))
        if plans:
            self._take(await self._reader.read_all(plans, self._block))

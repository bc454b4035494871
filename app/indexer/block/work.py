"""One block's harvest: from its header to everything the store has to know of it. It reads; the loop commits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from app.chain.faults import BlockGone
from app.chain.reader import Header
from app.domain.account import AccountKey, AccountState, Unreadable
from app.domain.batch import BlockBatch, DueAccount
from app.domain.chain import EMPTY_FILTER, BlockRef, Log, ReadPlan
from app.errors import Refused
from app.indexer.block.ahead import Ahead, StatesAhead
from app.indexer.block.aside import is_tried, set_aside
from app.indexer.block.calibrate import calibrate, choose_sample, wants_calibration
from app.indexer.block.found import Found
from app.indexer.block.harvest import Followed, Harvest, Sources, Stock, take_stock
from app.indexer.block.lookups import load_borrowers, load_continued, load_hints
from app.indexer.block.ranges import LogRanges
from app.indexer.block.refusal import Refusal, guarded
from app.indexer.block.touches import Touches, merged
from app.indexer.block.wanted import Wanted
from app.indexer.rhythm import passed_multiple
from app.protocols.base import DeploymentState
from app.store.blocks import StoredBlock
from app.store.names import Names


async def index_block(
    sources: Sources,
    target: Header,
    cursor: StoredBlock | None,
    followed: Sequence[Followed],
    names: Names,
    *,
    jump: bool,
) -> Harvest:
    """Everything block `target` adds to what is stored at `cursor`.

    The logs of all blocks after the cursor are searched; state is read at `target` alone. With `jump` the gap is
    too long to search at once: its logs are left to scans and everything is read in full.

    A deployment that refuses to be read, or whose adapter fails, is set aside: nothing of it is in the harvest, and it
    is tried again at coming blocks. When it is read again, the logs since it was set aside are searched with that
    block, or left to a scan.

    Raises:
        Retryable: nothing is known of the block; ask again from the start.
        Refused: no deployment could be read, and none ever was: this is a fault of configuration.
    """
    work = _BlockWork(sources, target, cursor, followed, names, jump=jump)
    async with Ahead() as ahead:
        work.begin(ahead)
        with sources.metrics.phase("logs"):
            await work.read_logs()
        with sources.metrics.phase("configuration"):
            await work.read_configuration()
        with sources.metrics.phase("accounts"):
            await work.read_states_and_accounts(ahead)
    work.require_of_this_block()
    with sources.metrics.phase("rules"):
        await work.compare_rules()
    work.take_stock()
    await work.require_canonical()
    return work.harvest()


class _BlockWork:
    """A block being read, step by step. Dropped when any step fails."""

    def __init__(
        self,
        sources: Sources,
        target: Header,
        cursor: StoredBlock | None,
        followed: Sequence[Followed],
        names: Names,
        *,
        jump: bool,
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
        stood, step = cursor.ref if cursor is not None else None, sources.options.refresh_blocks
        self._stood: BlockRef | None = stood
        self._tried = {one.deployment.id: one for one in followed if is_tried(one, stood, target.block, step)}
        """What is read at this block: everything that is not set aside, or is to be tried again."""
        at_once = sources.options.search_at_once_blocks
        self._ranges = LogRanges(target.block, stood, jump, at_once, self._tried)
        self._before = {name: one.state for name, one in self._tried.items() if one.state is not None}
        self._found = Found(target.block)
        self._touches: dict[str, Touches] = {name: Touches() for name in self._before}
        self._wanted = Wanted(sources, target.block, stood, self._tried, names)
        self._ahead = StatesAhead()
        self._stock: dict[str, Stock] = {}

    def begin(self, ahead: Ahead) -> None:
        """What most blocks need whatever their logs say: it is asked together with the logs."""
        usual = {name: state for name, state in self._before.items() if not self._is_due_in_full(self._tried[name])}
        self._ahead.begin(ahead, self._reader, self._block, usual)
        self._wanted.begin(ahead, self._before)

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
            if name in self._found.refused:
                continue
            if one.state is None:
                plans.append(guarded(name, partial(one.adapter.read_state, one.deployment)))
            elif self._wants_full(one):
                plans.append(guarded(name, partial(one.state.read_next, full=True)))
        self._found.take(await self._reader.read_all(plans, self._block))
        read_again = {name: self._before[name] for name in self._found.states if name in self._before}
        await self._search({name: state for name, state in read_again.items() if self._tried[name].trouble})
        await self._search(
            {
                name: self._found.states[name]
                for name, old in read_again.items()
                if self._found.listens_otherwise(name, old)
            }
        )

    async def read_states_and_accounts(self, ahead: Ahead) -> None:
        """Every account to be read, in lock-step; what moves by itself (prices, indices) has been asked for already.

        Accounts that this shows may have changed without a log follow in a second set.
        """
        await self._wanted.gather({name: self._touches[name].accounts for name, _ in self._standing()})
        await self._read_expected_markets()
        looking_up = ahead.begin(self._wanted.look_up())
        await asyncio.sleep(0)  # it asks before the plans are made
        plans = list(self._account_plans(self._wanted.markets))
        self._found.take(await self._reader.read_all(plans, self._block, looking_up))
        self._found.take(await self._ahead.take(name for name, _ in self._standing() if name not in self._found.states))
        if suspects := await self._wanted.add_suspects(self._changed_unseen()):
            self._found.take(await self._reader.read_all(list(self._account_plans(suspects)), self._block))
        self._found.drop_refused()
        continued = await load_continued(self._database, self._found.states, self._found.accounts)
        await looking_up
        self._found.accounts = []
        self._found.take(continued)

    def require_of_this_block(self) -> None:
        """No state is of another block than this, as far as that shows; `BlockGone` when one is."""
        for name, why in self._sources.doubts.check(self._block, self._found.states).items():
            self._found.take([Refusal(name, why, Refused(why))])

    async def compare_rules(self) -> None:
        """Where a deployment's rounding rules are new or little tested, compare them with its contract."""
        self._found.drop_refused()
        for name, state in list(self._found.states.items()):
            await self._compare_rules_of(name, state)

    def take_stock(self) -> None:
        """What all that was read adds to what is stored. The last that adapters are asked."""
        self._found.drop_refused()
        for name, state in self._found.states.items():
            unlogged, read = self._tried[name].unlogged, self._found.accounts_of(name)
            add = partial(take_stock, self._before.get(name), state, unlogged, read, self._sources.round_blocks)
            self._stock[name] = self._found.ask(name, add, Stock())
        self._found.drop_refused()

    async def require_canonical(self) -> None:
        """Logs of a range are asked for by number: both its ends must still stand after everything was read.

        Raises:
            BlockGone: one does not.
        """
        if self._below is None or not self._ranges.are_by_number(self._found.states.keys() & self._before.keys()):
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
        found = self._found
        never_read = all(one.state is None and not one.is_unrestorable for one in self._followed)
        if never_read and found.refused and not found.states and not found.faulty:
            raise Refused("; ".join(found.refused.values()))
        stock = [self._stock[name] for name in found.states]
        return Harvest(
            batch=BlockBatch(
                block=self._block,
                markets=tuple(market for each in stock for market in each.markets),
                records=tuple(record for each in stock for record in each.records),
                accounts=tuple(found.accounts),
            ),
            followed=tuple(self._renewed(one) for one in self._followed),
            scans=tuple(self._ranges.left(found.states)),
            unreadable=tuple(
                DueAccount(account.key, frozenset(self._wanted.markets[account.key]))
                for account in found.accounts
                if isinstance(account, Unreadable)
            ),
            later=tuple(DueAccount(key, frozenset()) for key in self._wanted.later_of(found.states)),
            known=self._wanted.known,
        )

    async def _compare_rules_of(self, name: str, state: DeploymentState) -> None:
        just_read = self._found.accounts_of(name)
        confirmed = self._found.ask(name, lambda: state.confirmed_samples, None)
        touched = self._touches.get(name)
        rules_touched = self._is_unwatched(name) or (touched is not None and touched.rules)
        rhythm, wanted = self._passed(self._options.calibrate_blocks), self._options.calibration_accounts
        if not wants_calibration(
            confirmed, rules_touched=rules_touched, passed_rhythm=rhythm, just_read=just_read, wanted=wanted
        ):
            return
        borrowers = just_read
        if self._cursor is not None and name in self._before:
            borrowers = just_read + await load_borrowers(self._database, name, self._cursor, just_read)
        sample = choose_sample(borrowers, wanted)
        if rules_touched or len(sample) > (confirmed or 0):
            known = {key: frozenset(self._wanted.markets.get(key, ())) for key in sample}
            hints = list((await load_hints(self._database, known)).items())
            compared = await calibrate(self._reader, self._block, state, hints, rules_touched=rules_touched)
            self._found.take([compared])

    # -- which deployments

    def _standing(self) -> list[tuple[str, DeploymentState]]:
        """Deployments read before and not refused so far, each with its newest state."""
        states, refused = self._found.states, self._found.refused
        return [(name, states.get(name, state)) for name, state in self._before.items() if name not in refused]

    def _wants_full(self, one: Followed) -> bool:
        touches = self._touches[one.deployment.id]
        return touches.configuration or touches.rules or self._is_due_in_full(one)

    def _is_due_in_full(self, one: Followed) -> bool:
        """Whether it is read in full whatever logs say."""
        return one.trouble is not None or self._below is None or self._passed(self._options.refresh_blocks)

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
        if name in self._found.refused:
            return set_aside(one, self._found.refused[name], self._stood, self._block)
        if name not in self._found.states:
            return one
        return replace(one, state=self._found.states[name], trouble=None, unlogged=self._stock[name].unlogged)

    # -- logs

    async def _search(self, states: Mapping[str, DeploymentState]) -> None:
        """Note whom the logs not searched yet touched, as these states understand them."""
        for first, names in self._ranges.together(states).items():
            filters = {name: self._found.ask(name, states[name].log_filter, EMPTY_FILTER) for name in names}
            log_filter = merged(filters.values())
            logs: Sequence[Log]
            if first == self._block.number:
                logs = await self._reader.fetch_block_logs(self._target, log_filter)
            else:
                logs = await self._reader.fetch_logs(log_filter, first, self._block.number)
            for name in names:
                touches = self._touches[name]
                self._found.ask(name, partial(touches.add, states[name], logs), touches)

    # -- accounts

    def _changed_unseen(self) -> list[str]:
        """Deployments whose new state says that some of their accounts may have changed without a log."""
        names = []
        for name, state in self._found.states.items():
            if name in self._found.refused or name not in self._before or not state.accounts_change_unseen:
                continue
            in_order = self._is_one_step() and not self._is_unwatched(name)
            logs = self._touches[name].logs if in_order else None
            if self._found.ask(name, partial(state.may_have_changed_unseen, self._before[name], logs=logs), False):
                names.append(name)
        return names

    def _account_plans(self, keys: Iterable[AccountKey]) -> Iterable[ReadPlan[AccountState | Refusal]]:
        for key in keys:
            name = key.deployment_id
            state = self._found.states.get(name) or self._before[name]
            if name not in self._found.refused:
                markets = self._wanted.markets[key]
                yield guarded(name, partial(state.read_account, key, self._block.number, markets))

    async def _read_expected_markets(self) -> None:
        """States that lack what the accounts about to be read need are read again, with it, before them."""
        plans: list[ReadPlan[DeploymentState | Refusal]] = []
        new = [(name, state) for name, state in self._found.states.items() if name not in self._before]
        for name, state in [*self._standing(), *new]:
            keys = [key for key in self._wanted.markets if key.deployment_id == name]
            told = self._found.ask(name, partial(state.expecting, keys), state)
            if told is not state:
                plans.append(guarded(name, partial(told.read_next, full=False)))
        if plans:
            self._found.take(await self._reader.read_all(plans, self._block))

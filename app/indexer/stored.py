"""The chain as the store has it: the cursor, the deployments at it, and the only three ways it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from app.domain.chain import BlockRef
from app.domain.market import Deployment
from app.domain.specs import ChainSpec
from app.indexer.block.aside import troubles_after
from app.indexer.block.harvest import Followed, Harvest
from app.indexer.block.refusal import Refusal, asked
from app.indexer.block.unlogged import NOBODY, is_watched
from app.indexer.rhythm import passed_multiple
from app.protocols.base import Adapter
from app.store.accounts import load_accounts
from app.store.blocks import StoredBlock, drop_blocks_above, load_head, load_recent
from app.store.commit import commit_batch
from app.store.deployments import DeploymentTrouble, load_deployments, load_troubles_at, note_trouble
from app.store.footing import CursorMoved, Footing
from app.store.markets import load_markets, load_records
from app.store.names import Names, load_names
from app.store.postgres.engine import Database
from app.store.postgres.locks import AdvisoryLock
from app.store.postgres.session import ReadSession, WriteSession
from app.store.scans import plan_scan, queue_due

log = logging.getLogger(__name__)


class StoredChain:
    """One chain's stored blocks, and every deployment's state at the newest of them.

    What is held here mirrors the store and changes only after a commit. After any failure it is to be restored:
    then a commit whose outcome is unknown, or half a block's work, cannot leave anything behind.
    """

    def __init__(
        self,
        database: Database,
        spec: ChainSpec,
        deployments: Sequence[Deployment],
        adapter_for: Callable[[str], Adapter],
        *,
        retry_unreadable_blocks: int,
        round_blocks: int,
    ) -> None:
        self._database = database
        self._spec = spec
        self._deployments = deployments
        self._adapter_for = adapter_for
        self._retry_unreadable_blocks = retry_unreadable_blocks
        self._round_blocks = round_blocks
        self.cursor: StoredBlock | None = None
        """The newest stored block; None before the first."""
        self.followed: tuple[Followed, ...] = ()
        """The deployments, with their states at the cursor."""
        self.names = Names()
        """What they and their markets are called in the store."""
        self._spare_ids: list[int] = []
        self._left: frozenset[str] = frozenset()
        """Deployments of the chain that are in the store and not followed."""
        self._noted: Mapping[str, DeploymentTrouble] = {}
        """Those that are not read at the cursor, as the store has it."""
        self._restored_at = -1
        """Number of the block at which it was last tried to restore everything."""

    async def restore(self) -> None:
        """Take everything from the store, whatever was believed before."""
        await self._restore(again=False)

    async def restore_again(self, every_blocks: int) -> None:
        """Try once more what could not be restored, if a multiple of so many blocks was passed since the last time."""
        if self.cursor is None or not any(one.is_unrestorable for one in self.followed):
            return
        if passed_multiple(self._restored_at, self.cursor.ref.number, every_blocks):
            await self._restore(again=True)

    async def _restore(self, *, again: bool) -> None:
        async with self._database.read() as session:
            cursor = await load_head(session, self._spec.chain_id)
            limits = {cursor.ref.chain_id: cursor.id} if cursor is not None else {}
            noted = await load_troubles_at(session, limits)
            known = await load_deployments(session, self._spec.chain_id)
            followed = await self._load_followed(session, cursor, noted, again=again)
            self.names = await load_names(session, [one.id for one in self._deployments])
        self._left = frozenset(one.id for one in known) - {one.id for one in self._deployments}
        self.cursor, self.followed, self._noted = cursor, followed, noted
        if again or self._restored_at < 0:
            self._restored_at = cursor.ref.number if cursor is not None else -1

    async def near(self, head: BlockRef) -> list[BlockRef]:
        """Stored blocks, newest first, enough of them to place `head`; the cursor alone where that is enough."""
        if self.cursor is None or self.cursor.ref.hash in (head.hash, head.parent_hash):
            return [self.cursor.ref] if self.cursor is not None else []
        async with self._database.read() as session:
            stored = await load_recent(session, self._spec.chain_id, self._spec.finality_depth + 1)
        return [one.ref for one in stored]

    async def commit(self, harvest: Harvest, lock: AdvisoryLock) -> Mapping[str, DeploymentTrouble | None]:
        """Store a block's harvest in one transaction, and stand on it.

        Gives the deployments that are not read from this block on, or for another reason than before, or (None) are
        read again.

        Raises:
            Retryable: nothing may be assumed about what was stored: restore.
        """
        footing = Footing(self.cursor, self.names, harvest.known, self._spare_ids)
        retry = self._retry_unreadable_blocks
        first_block = harvest.batch.block.number if self.cursor is None else self.cursor.ref.number + 1
        troubles = troubles_after(harvest.followed, self._left, self._noted, first_block)
        async with lock.write() as session:
            cursor = await commit_batch(session, harvest.batch, retry_unreadable_after=retry, footing=footing)
            # the commit has made unreadable accounts due again; what logs said of them must not get lost meanwhile
            await queue_due(session, harvest.unreadable, cursor.ref.number + retry)
            await queue_due(session, harvest.later, cursor.ref.number + 1)
            for scan in harvest.scans:
                await plan_scan(session, scan)
            for name, trouble in troubles.items():
                await note_trouble(session, name, cursor.id, trouble)
        noted = {**self._noted, **troubles}
        self.cursor, self.followed = cursor, harvest.followed
        self._noted = {name: trouble for name, trouble in noted.items() if trouble is not None}
        return troubles

    async def drop_above(self, ancestor: BlockRef | None, lock: AdvisoryLock) -> int:
        """Forget every block above `ancestor` (all of them if None) and stand on it; how many were forgotten."""
        async with lock.write() as session:
            await self._require_cursor(session)
            number = ancestor.number if ancestor is not None else -1
            dropped = await drop_blocks_above(session, self._spec.chain_id, number)
        await self.restore()
        return dropped

    async def _require_cursor(self, session: WriteSession) -> None:
        head = await load_head(session, self._spec.chain_id)
        if head != self.cursor:
            raise CursorMoved(f"chain {self._spec.chain_id}: the store moved under this indexer")

    async def _load_followed(
        self,
        session: ReadSession,
        cursor: StoredBlock | None,
        troubles: Mapping[str, DeploymentTrouble],
        *,
        again: bool,
    ) -> tuple[Followed, ...]:
        # reading all accounts of a deployment takes a second or so for ten thousand: not after every failed request
        unmoved = cursor is not None and cursor == self.cursor
        held = {one.deployment.id: one for one in self.followed if unmoved and not (again and one.is_unrestorable)}
        return tuple(
            [
                await self._load_one(
                    session,
                    Followed(one, self._adapter_for(one.protocol), None, troubles.get(one.id)),
                    held.get(one.id),
                    cursor,
                )
                for one in self._deployments
            ]
        )

    async def _load_one(
        self, session: ReadSession, bare: Followed, before: Followed | None, cursor: StoredBlock | None
    ) -> Followed:
        """A deployment as stored at `cursor`. `before`: as it was held there until now."""
        if before is not None and before.is_unrestorable:
            return before  # the same records and the same code: most likely the same outcome
        name = bare.deployment.id
        records = await load_records(session, name, cursor) if cursor is not None else ()
        if not records or cursor is None:
            return bare
        markets = await load_markets(session, name, cursor)
        state = asked(name, lambda: bare.adapter.restore_state(bare.deployment, markets, records))
        if isinstance(state, Refusal):
            return _unrestorable(bare, state, cursor)
        if before is not None and before.state is not None:
            return replace(bare, state=state, unlogged=before.unlogged)
        if not is_watched(state):
            return replace(bare, state=state)
        accounts = await load_accounts(session, name, cursor)
        unlogged = asked(name, lambda: NOBODY.renewed(state, accounts, self._round_blocks))
        if isinstance(unlogged, Refusal):
            return _unrestorable(bare, unlogged, cursor)
        return replace(bare, state=state, unlogged=unlogged)


def _unrestorable(bare: Followed, refusal: Refusal, cursor: StoredBlock) -> Followed:
    """A deployment whose adapter cannot make a state of what is stored: set aside until it can."""
    name, chain_id, number = bare.deployment.id, cursor.ref.chain_id, cursor.ref.number
    text = f"what is stored of it cannot be restored: {refusal.text}"
    log.error("chain_id=%d block=%d deployment=%s %s", chain_id, number, name, text, exc_info=refusal.reason)
    since = number + 1 if bare.trouble is None else bare.trouble.since_block
    return replace(bare, trouble=DeploymentTrouble(text, since), is_unrestorable=True)

"""The chain as the store has it: the cursor, the deployments at it, and the only three ways it changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.domain.chain import BlockRef
from app.domain.market import Deployment
from app.domain.specs import ChainSpec
from app.errors import Retryable
from app.indexer.harvest import Followed, Harvest
from app.indexer.unlogged import NOBODY, is_watched
from app.protocols.base import Adapter, DeploymentState
from app.store.accounts import load_accounts
from app.store.blocks import StoredBlock, commit_batch, drop_blocks_above, load_head, load_recent
from app.store.deployments import load_troubles_at, note_trouble
from app.store.engine import Database, ReadSession, WriteSession
from app.store.locks import AdvisoryLock
from app.store.markets import load_markets, load_records
from app.store.scans import plan_scan, queue_due


class CursorMoved(Retryable):
    """The store is not where this process left it: somebody else wrote, or a commit's outcome was misjudged."""


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

    async def restore(self) -> None:
        """Take everything from the store, whatever was believed before."""
        async with self._database.read() as session:
            cursor = await load_head(session, self._spec.chain_id)
            followed = await self._load_followed(session, cursor)
        self.cursor, self.followed = cursor, followed

    async def near(self, head: BlockRef) -> list[BlockRef]:
        """Stored blocks, newest first, enough of them to place `head`; the cursor alone where that is enough."""
        if self.cursor is None or self.cursor.ref.hash in (head.hash, head.parent_hash):
            return [self.cursor.ref] if self.cursor is not None else []
        async with self._database.read() as session:
            stored = await load_recent(session, self._spec.chain_id, self._spec.finality_depth + 1)
        return [one.ref for one in stored]

    async def commit(self, harvest: Harvest, lock: AdvisoryLock) -> None:
        """Store a block's harvest in one transaction, and stand on it.

        Raises:
            Retryable: nothing may be assumed about what was stored: restore.
        """
        await lock.verify()
        async with self._database.write() as session:
            await self._require_cursor(session)
            cursor = await commit_batch(session, harvest.batch, retry_unreadable_after=self._retry_unreadable_blocks)
            # the commit has made unreadable accounts due again; what logs said of them must not get lost meanwhile
            await queue_due(session, harvest.unreadable, cursor.ref.number + self._retry_unreadable_blocks)
            await queue_due(session, harvest.later, cursor.ref.number + 1)
            for scan in harvest.scans:
                await plan_scan(session, scan)
            for name, trouble in harvest.troubles:
                await note_trouble(session, name, cursor.id, trouble)
        self.cursor, self.followed = cursor, harvest.followed

    async def drop_above(self, ancestor: BlockRef | None, lock: AdvisoryLock) -> int:
        """Forget every block above `ancestor` (all of them if None) and stand on it; how many were forgotten."""
        await lock.verify()
        async with self._database.write() as session:
            await self._require_cursor(session)
            number = ancestor.number if ancestor is not None else -1
            dropped = await drop_blocks_above(session, self._spec.chain_id, number)
        await self.restore()
        return dropped

    async def _require_cursor(self, session: WriteSession) -> None:
        head = await load_head(session, self._spec.chain_id)
        if head != self.cursor:
            raise CursorMoved(f"chain {self._spec.chain_id}: the store moved under this indexer")

    async def _load_followed(self, session: ReadSession, cursor: StoredBlock | None) -> tuple[Followed, ...]:
        limits = {cursor.ref.chain_id: cursor.id} if cursor is not None else {}
        troubles = await load_troubles_at(session, limits)
        # reading all accounts of a deployment takes a second or so for ten thousand: not after every failed request
        unmoved = cursor is not None and cursor == self.cursor
        held = {one.deployment.id: one.unlogged for one in self.followed if unmoved and one.state is not None}
        followed = []
        for one in self._deployments:
            state = await self._load_state(session, one, cursor)
            unlogged = NOBODY
            if one.id in held:
                unlogged = held[one.id]
            elif state is not None and cursor is not None and is_watched(state):
                stored = await load_accounts(session, one.id, cursor)
                unlogged = unlogged.renewed(state, stored, self._round_blocks)
            followed.append(Followed(one, self._adapter_for(one.protocol), state, troubles.get(one.id), unlogged))
        return tuple(followed)

    async def _load_state(
        self, session: ReadSession, deployment: Deployment, cursor: StoredBlock | None
    ) -> DeploymentState | None:
        if cursor is None:
            return None
        records = await load_records(session, deployment.id, cursor)
        if not records:
            return None
        markets = await load_markets(session, deployment.id, cursor)
        return self._adapter_for(deployment.protocol).restore_state(deployment, markets, records)

"""Looking wallets up that somebody asked about, before any log has named them.

Only where an account is named by its wallet alone: elsewhere (Morpho's markets) the names are learned from logs. A
wallet is read at the newest stored block; what it has is queued, and so stored with the next block as if a log had
named it. What it does not have leaves no trace but a note that it was looked up.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.domain.batch import DueAccount
from app.domain.chain import Address
from app.errors import Retryable
from app.indexer.block.harvest import Followed, Sources
from app.indexer.block.refusal import guarded
from app.store.blocks import StoredBlock, load_head
from app.store.postgres.locks import AdvisoryLock
from app.store.scans import queue_due
from app.store.tracked import load_pending, note_looked_up

log = logging.getLogger(__name__)


class WalletLookups:
    """One chain's list, worked off between blocks."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def look_up(self, cursor: StoredBlock | None, followed: Sequence[Followed], lock: AdvisoryLock) -> None:
        """Read a bounded number of the wallets that wait. A node that fails leaves them waiting.

        Raises:
            Retryable: the database failed, or the lock is lost.
        """
        if cursor is None:
            return
        async with self._sources.database.read() as session:
            wallets = await load_pending(session, cursor.ref.chain_id, self._sources.options.lookups_per_block)
        if not wallets:
            return
        try:
            read = await self._read(cursor, followed, wallets)
        except Retryable as failure:
            log.warning("chain=%s lookup=%r", self._sources.metrics.chain, str(failure))
            return
        due = [_due(account) for account in read if not isinstance(account, AccountSnapshot) or _has_any(account)]
        found = dict.fromkeys(wallets, 0)
        for one in due:
            found[one.key.wallet] += 1
        async with lock.write() as session:
            if await load_head(session, cursor.ref.chain_id) != cursor:
                return
            await queue_due(session, due)
            await note_looked_up(session, cursor, found)
        log.info("chain=%s looked_up=%d accounts=%d", self._sources.metrics.chain, len(wallets), len(due))

    async def _read(
        self, cursor: StoredBlock, followed: Sequence[Followed], wallets: Sequence[Address]
    ) -> list[AccountState]:
        plans = []
        for one in followed:
            if one.state is None or one.trouble is not None or not one.adapter.accounts_by_wallet:
                continue
            # no log has told where to look: everywhere
            markets = frozenset(market.code for market in one.state.markets())
            for wallet in wallets:
                key = AccountKey(one.deployment.id, wallet)
                read_account = partial(one.state.read_account, key, cursor.ref.number, markets)
                plans.append(guarded(key.deployment_id, read_account))
        read = await self._sources.reader.read_all(plans, cursor.ref)
        # a deployment that refuses is about to be set aside, and then says so itself
        return [account for account in read if isinstance(account, AccountState)]


def _has_any(account: AccountSnapshot) -> bool:
    return bool(account.positions or account.perps)


def _due(account: AccountState) -> DueAccount:
    """To be read with the next block. One that could not be read may have anything: it is unknown, not absent."""
    if isinstance(account, AccountSnapshot):
        held = (*(p.market for p in account.positions), *(p.market for p in account.perps))
        return DueAccount(account.key, frozenset(held))
    return DueAccount(account.key, frozenset())

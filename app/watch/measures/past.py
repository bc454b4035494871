"""A chain some time before a block, as it was stored then: which block that was, its deployments, some accounts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.protocols.base import Adapter
from app.store.blocks import StoredBlock, load_block
from app.store.book import is_stored, load_delta, load_states
from app.store.deployments import load_deployments, load_troubles_at
from app.store.markets import load_markets, load_records
from app.store.postgres.engine import Database
from app.store.postgres.session import ReadSession
from app.valuation.assess import StateAt, restore_at
from app.valuation.faults import note_fault


async def block_at(
    session: ReadSession, head: StoredBlock, timestamp: int, known: StoredBlock | None = None
) -> StoredBlock | None:
    """The newest stored block of `head`'s chain that is not younger than a time, by halving; None where there is none,
    or what is kept of history begins later. `known`: a block of the chain that is old enough."""
    if head.ref.timestamp <= timestamp:
        return head
    low, high = (-1 if known is None else known.ref.number), head.ref.number
    found = known
    while high - low > 1:
        middle = (low + high) // 2
        block = await load_block(session, head.ref.chain_id, middle)
        if block is not None and block.ref.timestamp > timestamp:
            high = block.ref.number
        else:
            low, found = middle, block if block is not None else found
    return found


@dataclass(slots=True)
class Past:
    """One chain at one time ago. Moves along with the blocks that are asked about: what did not change is not read
    again. Bounded by the accounts asked for last."""

    database: Database
    adapters: Callable[[str], Adapter]
    at: StoredBlock | None = None
    """None: nothing is stored of that time."""
    _states: dict[str, StateAt | None] = field(default_factory=dict)
    _accounts: dict[AccountKey, AccountState | None] = field(default_factory=dict)

    async def move(self, head: StoredBlock, window_seconds: int) -> None:
        """To `window_seconds` before a block."""
        async with self.database.read() as session:
            known = self.at if self.at is not None and await is_stored(session, self.at) else None
            when = head.ref.timestamp - window_seconds
            old = known if known is not None and known.ref.timestamp <= when else None
            to = await block_at(session, head, when, old)
            if to is not None and to == known:
                return
            if to is None or known is None or to.ref.number < known.ref.number:
                self._accounts = {}
            else:
                delta = await load_delta(session, head.ref.chain_id, known, to)
                self._accounts |= {one.key: one for one in delta.accounts if one.key in self._accounts}
        self.at, self._states = to, {}

    async def load(self, keys: Collection[AccountKey]) -> None:
        """Have these accounts, and their deployments, at hand; others are forgotten."""
        at = self.at
        if at is None:
            return
        wanted = set(keys)
        self._accounts = {key: state for key, state in self._accounts.items() if key in wanted}
        missing = [key for key in keys if key not in self._accounts]
        names = {key.deployment_id for key in keys} - self._states.keys()
        async with self.database.read() as session:
            if missing:
                found = {state.key: state for state in await load_states(session, missing, at)}
                self._accounts |= {key: found.get(key) for key in missing}
            if names:
                self._states |= await load_states_of(session, names, at, self.adapters)

    def account(self, key: AccountKey) -> AccountSnapshot | None:
        """One that was loaded; None where it was not known then, or not readable."""
        found = self._accounts.get(key)
        return found if isinstance(found, AccountSnapshot) else None

    def state(self, deployment_id: str) -> StateAt | None:
        """Of one that was loaded; None where nothing could be valued in it then."""
        return self._states.get(deployment_id)


async def load_states_of(
    session: ReadSession, names: Collection[str], at: StoredBlock, adapters: Callable[[str], Adapter]
) -> dict[str, StateAt | None]:
    """These deployments as they were at a stored block; None for those that were set aside, not read yet, or of which
    nothing can be made."""
    troubles = await load_troubles_at(session, {at.ref.chain_id: at.id})
    found: dict[str, StateAt | None] = dict.fromkeys(names)
    for deployment in await load_deployments(session, at.ref.chain_id):
        if deployment.id not in found or deployment.id in troubles:
            continue
        records = await load_records(session, deployment.id, at)
        markets = await load_markets(session, deployment.id, at)
        if not records:
            continue
        try:
            found[deployment.id] = restore_at(adapters(deployment.protocol), deployment, markets, records, at.ref)
        except Exception as fault:  # the adapter's own code: see app.valuation.faults
            note_fault(deployment.id, at.ref, fault)
    return found

"""One chain at one block, as measures ask about it: states and verdicts of accounts, each looked up once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from app.book import Keeper, Reading
from app.domain.account import AccountKey, AccountSnapshot, AccountState, NotYetRead
from app.domain.legs import Factor
from app.domain.risk import Health
from app.domain.units import WAD
from app.protocols.base import ProtocolKind
from app.store.blocks import StoredBlock
from app.store.book import load_states
from app.store.postgres.engine import Database
from app.valuation.assess import UNKNOWN_HEALTH, StateAt, assess_account, quick_health
from app.valuation.groups import AssetGroups
from app.watch.measures.asked import Facts, because
from app.watch.measures.members import Unread


@dataclass(slots=True)
class Moment:
    """Good until the keeper moves on."""

    database: Database
    keeper: Keeper
    reading: Reading
    groups: AssetGroups
    unread: Unread
    unfollowed: frozenset[str]
    """Deployments of the chain that rules name and nobody follows."""
    before: StoredBlock | None
    """The block evaluated last."""
    _snapshots: dict[AccountKey, AccountSnapshot] = field(default_factory=dict)
    _healths: dict[AccountKey, Health] = field(default_factory=dict)
    _factors: dict[str, Mapping[str, Factor]] = field(default_factory=dict)

    @property
    def block(self) -> StoredBlock:
        """The block."""
        return self.reading.block

    def state(self, key: AccountKey) -> StateAt | None:
        """Its deployment's; None where that cannot be valued."""
        return None if key.deployment_id in self.reading.unvalued else self.reading.states.get(key.deployment_id)

    def kind(self, deployment_id: str) -> ProtocolKind:
        """Of one of the keeper's deployments."""
        return self.keeper.kept[deployment_id].adapter.kind

    def factors(self, state: StateAt) -> Mapping[str, Factor]:
        """The deployment's factors by name."""
        name = state.deployment.id
        if name not in self._factors:
            self._factors[name] = {factor.name: factor for factor in self.keeper.kept[name].factors}
        return self._factors[name]

    async def snapshots(self, keys: Collection[AccountKey]) -> Mapping[AccountKey, AccountSnapshot]:
        """The raw states of those that there are and that could be read, and of all asked for before.

        Raises:
            BlockReplaced: the block is no longer stored.
        """
        missing = {key for key in keys if key not in self._snapshots}
        if missing:
            self._snapshots |= await self.keeper.snapshots(missing)
        return self._snapshots

    async def healths(self, keys: Collection[AccountKey]) -> Mapping[AccountKey, Health]:
        """The contracts' own verdict and numbers on these accounts, unknown where there are none.

        Raises: as `snapshots`.
        """
        snapshots = await self.snapshots(keys)
        confirmed = self.reading.confirmed
        for key in keys:
            if key not in self._healths:
                known = confirmed.get(key) if key.deployment_id not in self.reading.unvalued else None
                snapshot = snapshots.get(key)
                if known is None:
                    known = UNKNOWN_HEALTH if snapshot is None else quick_health(self.state(key), snapshot)
                self._healths[key] = known
        return self._healths

    async def why_unknown(self, keys: Iterable[AccountKey]) -> dict[AccountKey, Facts]:
        """In words, why nothing is known of these accounts. Reads those that are there, unless none of their deployment
        is known."""
        found: dict[AccountKey, Facts] = {}
        there = []
        for key in keys:
            kept = self.keeper.kept.get(key.deployment_id)
            if kept is None:
                found[key] = because("not_followed", "its deployment is not followed at this block")
            elif key in self.keeper and key.deployment_id not in self.reading.unvalued:
                there.append(key)
            elif key in self.keeper or key in self.unread.keys:
                found[key] = self._assessed(key, NotYetRead(key))
            else:
                found[key] = because("account_missing", "no such account is known at this block")
        if there:
            async with self.database.read() as session:
                states = {state.key: state for state in await load_states(session, there, self.block)}
            found |= {key: self._assessed(key, states.get(key, NotYetRead(key))) for key in there}
        return found

    def _assessed(self, key: AccountKey, account: AccountState | NotYetRead) -> Facts:
        kept = self.keeper.kept[key.deployment_id]
        found = assess_account(
            kept.adapter.kind, kept.state, account, WAD, self.reading.unvalued.get(key.deployment_id)
        )
        for reason in found.assessment.reasons:
            return because(reason.code, reason.detail)
        return because("unknown", "its value cannot be said at this block")

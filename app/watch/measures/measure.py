"""Measures rules over their members, or over markets, at the block a keeper stands at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from app.book import Keeper, Reading
from app.domain.chain import ChainId
from app.domain.watch import Metric
from app.protocols.base import Adapter
from app.protocols.registry import adapter_for
from app.store.blocks import StoredBlock
from app.store.deployments import load_deployments
from app.store.postgres.engine import Database
from app.valuation.groups import DEFAULT_GROUPS, AssetGroups
from app.watch.measures.accounts import AccountMeasure, measure_accounts
from app.watch.measures.asked import Asked, Found
from app.watch.measures.changes import Parameters, ValueChange
from app.watch.measures.distance import PriceDistance, SecondsToLiquidation
from app.watch.measures.health import HealthFactor, Utilization
from app.watch.measures.joint import JointDistance, SigmaDistance
from app.watch.measures.markets import METRICS, Markets
from app.watch.measures.members import MemberIndex, Members, Population, UnreadLookup
from app.watch.measures.moment import Moment
from app.watch.measures.status import measure_status


class Measures:
    """Keeps, for each chain, which accounts the members of the lists have; everything else is of one block.

    Not for several tasks at once.
    """

    def __init__(
        self,
        database: Database,
        *,
        groups: AssetGroups = DEFAULT_GROUPS,
        adapters: Callable[[str], Adapter] = adapter_for,
    ) -> None:
        """Nothing is read before `measure`.

        Args:
            database: The store. Stays the caller's to dispose of.
            groups: Which assets move together.
            adapters: Finds a protocol's code by its slug.
        """
        self._database, self._groups = database, groups
        self._indices: dict[ChainId, MemberIndex] = {}
        self._unread: dict[ChainId, UnreadLookup] = {}
        self._by_metric: Mapping[Metric, AccountMeasure] = {
            Metric.HEALTH_FACTOR: HealthFactor(),
            Metric.UTILIZATION: Utilization(),
            Metric.PRICE_DISTANCE: PriceDistance(),
            Metric.JOINT_DISTANCE: JointDistance(),
            Metric.SIGMA_DISTANCE: SigmaDistance(database),
            Metric.SECONDS_TO_LIQUIDATION: SecondsToLiquidation(),
            Metric.COLLATERAL_CHANGE: ValueChange(database, adapters, of_debt=False),
            Metric.DEBT_CHANGE: ValueChange(database, adapters, of_debt=True),
            Metric.PARAMETERS: Parameters(database, adapters),
        }

    async def measure(
        self, keeper: Keeper, reading: Reading, asked: Sequence[Asked], before: StoredBlock | None
    ) -> list[Found]:
        """One answer for each, in order. `before`: the block evaluated last, None where it is not known.

        Raises:
            BlockReplaced: the block is no longer stored.
            ValueError: a rule that is not measured at blocks.
        """
        chain_id = reading.block.ref.chain_id
        unread = await self._unread.setdefault(chain_id, UnreadLookup(self._database)).at(reading.block)
        unfollowed = await self._unfollowed(keeper, chain_id, asked)
        moment = Moment(self._database, keeper, reading, self._groups, unread, unfollowed, before)
        markets = Markets(moment)
        population = Population(keeper, reading, unread, unfollowed)
        index = self._indices.setdefault(chain_id, MemberIndex())
        chosen = index.choose(keeper, [one.members for one in asked])
        found = []
        for one, wallets in zip(asked, chosen, strict=True):
            if one.rule.metric in METRICS:
                found.append(await markets.measure(one))
            else:
                found.append(await self._measure(moment, population.members(wallets, one.rule), one))
        return found

    async def _unfollowed(self, keeper: Keeper, chain_id: ChainId, asked: Sequence[Asked]) -> frozenset[str]:
        """Those of the rules' deployments that are of this chain, and that nobody follows."""
        named = {one.rule.deployment_id for one in asked} - {None} - keeper.kept.keys()
        if not named:
            return frozenset()
        async with self._database.read() as session:
            return frozenset(one.id for one in await load_deployments(session, chain_id) if one.id in named)

    async def _measure(self, moment: Moment, members: Members, asked: Asked) -> Found:
        metric = asked.rule.metric
        if metric is Metric.STATUS:
            return await measure_status(moment, members, asked)
        if metric in self._by_metric:
            return await measure_accounts(self._by_metric[metric], moment, members, asked)
        raise ValueError(f"{metric.value} is not measured at blocks")

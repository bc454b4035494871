"""The read path as one object: what pages in the same process ask instead of the HTTP routes."""

from __future__ import annotations

from app.api.accounts import Filters, load_accounts_view
from app.api.accuracy import load_accuracy_view
from app.api.deployments import load_deployments_view
from app.api.frame.deps import ReadContext
from app.api.history import load_history_view
from app.api.market_simulation import load_falls
from app.api.risk import load_group_curve, load_summary
from app.api.schemas.accuracy import AccuracyView
from app.api.schemas.risk import CurveView, RiskSimulationView, RiskSummaryView
from app.api.schemas.simulate import SimulationView
from app.api.schemas.tracking import TrackingView
from app.api.schemas.wallets import AccountsView, DeploymentsView, HistoryView, WalletView
from app.api.simulate import load_stresses
from app.api.tracking import Tracker
from app.api.wallets import load_wallet_view
from app.domain.chain import Address, ChainId


class ReadPath:
    """The API's own answers. Every method raises ApiProblem (fit to be shown) or Retryable."""

    def __init__(self, context: ReadContext, tracker: Tracker | None = None) -> None:
        """
        Args:
            tracker: with whom wallets nobody has seen are put on the list to look up; None: they are not.
        """
        self._context = context
        self._tracker = tracker

    async def load_wallet(
        self, wallet: Address, chain_id: ChainId | None = None, block_number: int | None = None
    ) -> WalletView:
        """Everything about one wallet, now or at a past block of one chain."""
        return await load_wallet_view(self._context, wallet, chain_id=chain_id, block_number=block_number)

    async def load_stresses(
        self, wallet: Address, chain_id: ChainId | None = None, block_number: int | None = None
    ) -> list[SimulationView]:
        """One wallet under each of a few fixed price moves."""
        return await load_stresses(self._context, wallet, chain_id, block_number)

    async def load_history(self, wallet: Address, deployment_id: str) -> HistoryView:
        """The recent past of one wallet in one deployment."""
        return await load_history_view(self._context, wallet, deployment_id)

    async def load_riskiest(self, limit: int) -> AccountsView:
        """The riskiest accounts of all deployments."""
        return await load_accounts_view(self._context, Filters(), limit=limit)

    async def load_deployments(self) -> DeploymentsView:
        """Everything that is followed, with how fresh it is."""
        return await load_deployments_view(self._context)

    async def load_accuracy(self) -> AccuracyView:
        """What audits found."""
        return await load_accuracy_view(self._context)

    async def load_risk_summary(self) -> RiskSummaryView:
        """Everybody followed, by status and band."""
        return await load_summary(self._context)

    async def load_group_curve(self, group: str) -> CurveView:
        """What would be liquidatable if a group's prices moved together."""
        return await load_group_curve(self._context, group)

    async def load_falls(self) -> list[RiskSimulationView]:
        """Everybody after each of a few fixed falls of all volatile assets, with what liquidations would do."""
        return await load_falls(self._context)

    async def track(self, wallet: Address, chain_id: ChainId | None) -> TrackingView | None:
        """Have a wallet nobody has seen looked up at the next block, and how that stands."""
        return None if self._tracker is None else await self._tracker.track(wallet, chain_id)

"""Where the pages get their answers: the seam between them and the read path."""

from __future__ import annotations

from typing import Protocol

from app.api.schemas.accuracy import AccuracyView
from app.api.schemas.risk import CurveView, RiskSimulationView, RiskSummaryView
from app.api.schemas.simulate import SimulationView
from app.api.schemas.tracking import TrackingView
from app.api.schemas.wallets import AccountsView, DeploymentsView, HistoryView, WalletView
from app.domain.chain import Address, ChainId


class PageSource(Protocol):
    """The API's own answers, loaded in process. Every method may raise:

    Raises:
        Refused: what was asked for does not exist or cannot be answered; the message is fit to be shown.
        Retryable: the data cannot be reached now.
    """

    async def load_wallet(self, wallet: Address, chain_id: ChainId | None, block_number: int | None) -> WalletView:
        """Everything about one wallet, now or at a past block of one chain."""
        ...

    async def load_stresses(
        self, wallet: Address, chain_id: ChainId | None, block_number: int | None
    ) -> list[SimulationView]:
        """The wallet under each of a few fixed price moves, at the same blocks as `load_wallet`."""
        ...

    async def load_history(self, wallet: Address, deployment_id: str) -> HistoryView:
        """The recent past of one wallet in one deployment."""
        ...

    async def load_riskiest(self, limit: int) -> AccountsView:
        """The riskiest accounts of all deployments."""
        ...

    async def load_deployments(self) -> DeploymentsView:
        """Everything that is followed, with how fresh it is."""
        ...

    async def load_accuracy(self) -> AccuracyView:
        """What audits found."""
        ...

    async def load_risk_summary(self) -> RiskSummaryView:
        """Everybody followed, by status and band."""
        ...

    async def load_group_curve(self, group: str) -> CurveView:
        """What would be liquidatable if a group's prices moved together."""
        ...

    async def load_falls(self) -> list[RiskSimulationView]:
        """Everybody after each of a few fixed falls of all volatile assets, with what liquidations would do."""
        ...

    async def track(self, wallet: Address, chain_id: ChainId | None) -> TrackingView | None:
        """Have a wallet nobody has seen looked up at the next block, and how that stands; None: that is not done."""
        ...

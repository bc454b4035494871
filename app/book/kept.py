"""One deployment as the keeper holds it: its raw records, what they say at the keeper's block, what legs rest on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.domain.chain import BlockRef
from app.domain.legs import Factor
from app.domain.market import Deployment, Market, MarketRecord
from app.protocols.base import Adapter, DeploymentState
from app.valuation.assess import StateAt, state_at


@dataclass(frozen=True, slots=True)
class KeptDeployment:
    """Immutable: moving on gives another one, so that a move that fails half-way has changed nothing."""

    deployment: Deployment
    adapter: Adapter
    markets: tuple[Market, ...]
    records: dict[tuple[str, str], MarketRecord]
    """By kind and subject, in the store's order. Never changed in place."""
    state: StateAt | None
    """None while nothing of it is stored, or nothing can be made of what is."""
    trouble: str | None
    """Why it is set aside at this block; None while it is followed."""
    basis: object
    """What its accounts' legs rest on besides themselves: equal ones mean that legs made before still hold."""
    factors: tuple[Factor, ...]
    contradiction: str | None = None
    """Why nothing can be made of what is stored; None where it can, and where nothing is stored."""

    @property
    def unvalued(self) -> str | None:
        """Why nothing can be said of its accounts; None where they can be valued."""
        if self.trouble is not None:
            return self.trouble
        missing = self.contradiction or "the deployment's markets are not stored at this block"
        return missing if self.state is None else None

    def moved(
        self,
        deployment: Deployment,
        block: BlockRef,
        changed: Iterable[MarketRecord],
        markets: Sequence[Market] | None,
        trouble: str | None,
    ) -> KeptDeployment:
        """The same deployment at a later block. `markets`: None where they are as they were.

        Raises:
            Fatal: the records are not its adapter's, or incomplete.
        """
        news = {(record.kind, record.subject): record for record in changed}
        if not news and markets is None and self.state is not None and deployment == self.deployment:
            now = _accrued(deployment, self.state.state, block)
            return replace(self, state=now[0], basis=now[1], factors=now[2], contradiction=now[3], trouble=trouble)
        return make_kept(
            deployment,
            self.adapter,
            self.markets if markets is None else markets,
            [*(self.records | news).values()],
            block,
            trouble,
        )


def make_kept(
    deployment: Deployment,
    adapter: Adapter,
    markets: Sequence[Market],
    records: Sequence[MarketRecord],
    block: BlockRef,
    trouble: str | None,
) -> KeptDeployment:
    """A deployment from all that is stored of it at a block.

    Raises:
        Fatal: the records are not this adapter's, or incomplete.
    """
    by_name = {(record.kind, record.subject): record for record in records}
    if not records:
        return KeptDeployment(deployment, adapter, tuple(markets), by_name, None, trouble, None, ())
    now = _accrued(deployment, adapter.restore_state(deployment, markets, records), block)
    return KeptDeployment(deployment, adapter, tuple(markets), by_name, now[0], trouble, *now[1:])


def _accrued(
    deployment: Deployment, state: DeploymentState, block: BlockRef
) -> tuple[StateAt | None, object, tuple[Factor, ...], str | None]:
    """The state at a block with its legs' basis and its factors; or why there is none: a node that changed its mind
    while it was read can have given a state that is younger than its block, which then says nothing."""
    try:
        now = state_at(deployment, state, block)
        return now, now.priced.legs_basis(), now.priced.factors(), None
    except ValueError as reason:
        return None, None, (), f"what is stored contradicts itself: {reason}"


def factor_steps(state: StateAt, factors: Sequence[Factor]) -> dict[str, float]:
    """By factor: what the contract's own rounding of amounts can be off by, in whole units of value: the value of one
    unit of the last decimal of the token it prices, and of the dearest token that no factor prices (what perps settle
    in). Nothing where no price is known; nor where each account counts in a token of its own, because then one unit of
    value is one of that token."""
    if state.state.value_currency is None:
        return {}
    least: dict[str, float] = {}
    for code, quote in state.quote_by_code.items():
        market = state.market_by_code.get(code)
        if market is not None and quote.price:
            least[code] = quote.price / 10 ** (state.state.value_unit(code).price_decimals + market.decimals)
    moving = {factor.rises_with for factor in factors}
    settled = max((step for code, step in least.items() if code not in moving), default=0.0)
    return {factor.name: settled + least.get(factor.rises_with or "", 0.0) for factor in factors}

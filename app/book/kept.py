"""One deployment as the keeper holds it: its raw records, what they say at the keeper's block, what legs rest on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.domain.chain import BlockRef
from app.domain.legs import Factor
from app.domain.market import Deployment, Market, MarketRecord
from app.protocols.base import Adapter
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
    """None while nothing of it is stored."""
    trouble: str | None
    """Why it is set aside at this block; None while it is followed."""
    basis: object
    """What its accounts' legs rest on besides themselves: equal ones mean that legs made before still hold."""

    @property
    def unvalued(self) -> str | None:
        """Why nothing can be said of its accounts; None where they can be valued."""
        if self.trouble is not None:
            return self.trouble
        return "the deployment's markets are not stored at this block" if self.state is None else None

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
            now = state_at(deployment, self.state.state, block)
            return replace(self, state=now, trouble=trouble, basis=now.priced.legs_basis())
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
    restored = state_at(deployment, adapter.restore_state(deployment, markets, records), block) if records else None
    basis = None if restored is None else restored.priced.legs_basis()
    return KeptDeployment(deployment, adapter, tuple(markets), by_name, restored, trouble, basis)


def factor_steps(state: StateAt, factors: Iterable[Factor]) -> dict[str, float]:
    """By factor: value of one unit of the last decimal of the token it prices, what the contract's own rounding of
    amounts can be off by. Whole units of value; nothing where no price is known or none moves the factor."""
    steps: dict[str, float] = {}
    for factor in factors:
        market = None if factor.rises_with is None else state.market_by_code.get(factor.rises_with)
        quote = None if market is None else state.quote_by_code.get(market.code)
        if market is None or quote is None or not quote.price:
            continue
        steps[factor.name] = quote.price / 10 ** (state.state.value_unit(market.code).price_decimals + market.decimals)
    return steps

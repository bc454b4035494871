"""Finds what converts an account's values to USD: another deployment's oracle, on the same chain at the same block."""

from __future__ import annotations

from app.api.frame.deps import ReadContext
from app.api.frame.heads import Directory
from app.domain.chain import Address, ChainId
from app.domain.risk import RiskStatus
from app.protocols.base import ProtocolKind
from app.valuation.assess import AccountAssessment
from app.valuation.conversion import Conversion, Unpriced, UsdPrice, counts_in_usd, price_in


async def conversion_of(context: ReadContext, directory: Directory, account: AccountAssessment) -> Conversion | None:
    """What converts the account's values. None where there is nothing to convert: in USD already, or not known.

    Raises:
        Overtaken: the block is no longer stored.
    """
    unit = account.value_unit
    if counts_in_usd(unit) or account.assessment.status is RiskStatus.UNKNOWN:
        return None
    if unit.asset is None:
        return Unpriced("values are not counted in US dollars, nor in a token whose price could be asked for")
    chain_id = directory.deployments[account.key.deployment_id].chain_id
    found = await _usd_price(context, directory, chain_id, unit.asset)
    name = unit.currency or "the token"
    return found or Unpriced(f"no lending pool followed on this chain prices {name} ({unit.asset}) in US dollars")


async def _usd_price(context: ReadContext, directory: Directory, chain_id: ChainId, asset: Address) -> UsdPrice | None:
    """The price of the first deployment, by id, whose oracle has one: always the same one's, so that what is shown
    moves with a market and never with a change of source. Perps are not asked, and of a deployment that is set
    aside there is no state."""
    block = directory.chains[chain_id].block
    for slug in sorted(directory.deployments):
        deployment = directory.deployments[slug]
        is_lending = deployment.chain_id == chain_id and context.kind_of(deployment) is ProtocolKind.LENDING
        state = await context.state_at(deployment, block) if is_lending and block is not None else None
        price = None if state is None else price_in(state, asset)
        if price is not None:
            return price
    return None

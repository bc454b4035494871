"""What a deployment is made of: its markets, and their raw state as the contracts hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.domain.chain import Address, ChainId


@dataclass(frozen=True, slots=True)
class Deployment:
    """One installation of a protocol on one chain: what a user calls "Aave on Arbitrum"."""

    id: str
    """Stable, URL-safe, unique over all chains: `aave-v3-arbitrum`."""
    chain_id: ChainId
    protocol: str
    """Slug of the adapter that understands it."""
    name: str
    address: Address
    """The contract whose own view is the truth about an account (the Aave Pool, the Comet, ...)."""
    start_block: int
    """First block that can hold an event of this deployment; 0 when unknown (the scan is then just longer)."""
    contracts: Mapping[str, Address] = field(default_factory=dict)
    """Further roots by the adapter's own role names, e.g. `pool_addresses_provider`."""
    on_request: bool = False
    """Followed only when it is named: known, but not yet tried on its real chain to the standard of the others."""
    on_request_reason: str = field(default="", compare=False)
    """Why it is followed only when named: one clause, for people. Empty where it is followed by itself."""
    source: str = field(default="", compare=False)
    """Where address and start block are from, for people; empty for those of a deployments file. Like the reason it
    is not part of what the deployment is: the store does not keep it."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What an adapter's answers are worth, in sentences for people who have to rely on them."""

    exact: tuple[str, ...] = ()
    """Equal to the contract's own answer to the last unit; each says how that is proven."""
    calibrated: tuple[str, ...] = ()
    """Chosen, while following, by comparison with the contract; unknown until it agrees."""
    approximate: tuple[str, ...] = ()
    """Right only under an assumption, which is stated."""
    not_modelled: tuple[str, ...] = ()
    """Left out, with what is answered in such a case."""


@dataclass(frozen=True, slots=True)
class Market:
    """What stays the same about one asset of a deployment."""

    deployment_id: str
    code: str
    """The adapter's name of the market inside its deployment: the underlying's lower-case address for Aave."""
    asset: Address
    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True)
class ValueUnit:
    """What an account's values and prices are counted in."""

    currency: str | None
    """`USD`, or the symbol of the asset that is the measure; None when not known."""
    decimals: int
    """Of values."""
    price_decimals: int
    """Of prices."""
    asset: Address | None = None
    """The token that is the measure, where it is one and not a currency: what a conversion to USD asks about."""


@dataclass(frozen=True, slots=True)
class MarketRecord:
    """One group of raw integers that change together, exactly as the contract holds them.

    The adapter chooses the grouping by how often the numbers move (price; indices; configuration), because a
    record is stored again whenever any of its values changed. None is "could not be read", never zero.
    """

    deployment_id: str
    kind: str
    """The adapter's record type, e.g. `price`, `reserve`, `emode`; it fixes the meaning of `values`."""
    subject: str
    """Which one: a market code, an eMode id, or empty for the deployment itself."""
    values: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class MarketQuote:
    """What one market says of itself at a block, for people who look at markets. None is "not known", never zero."""

    market: str
    price: int | None = None
    """Oracle price of one whole token in the deployment's value decimals."""
    price_updated_at: int | None = None
    """Unix seconds at which the oracle says it last moved, where it says so."""
    supply_rate_ray: int | None = None
    """Yearly, before compounding, RAY."""
    borrow_rate_ray: int | None = None
    liquidation_threshold_bps: int | None = None
    """The market's own, outside any special mode; 0 for what never is collateral."""
    max_ltv_bps: int | None = None
    total_supplied_assets: int | None = None
    """In the asset's own units."""
    total_borrowed_assets: int | None = None

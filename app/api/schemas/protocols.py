"""What is said of protocols: what their adapters' answers are worth, and which deployments are built in."""

from __future__ import annotations

from pydantic import Field

from app.api.schemas.base import AddressText, View


class CoverageView(View):
    """What an adapter's answers are worth, in sentences."""

    exact: list[str] = Field(description="Equal to the contract's own answer, each with how that is proven.")
    calibrated: list[str] = Field(description="Chosen by comparison with the contract; unknown until it agrees.")
    approximate: list[str] = Field(description="Right only under an assumption, which is stated.")
    not_modelled: list[str] = Field(description="Left out.")


class KnownDeploymentView(View):
    """A deployment that can be followed. /v1/deployments has those that are."""

    id: str
    chain_id: int
    chain: str
    name: str
    address: AddressText
    start_block: int = Field(description="Where the search of old logs begins; 0: not known.")
    followed_by_default: bool = Field(description="Otherwise only when DEPLOYMENTS names it.")
    on_request_reason: str | None = Field(description="Why it is not followed by default.")
    source: str | None = Field(description="Where address and start block are from; null: a deployments file.")


class ProtocolView(View):
    """A protocol with an adapter."""

    protocol: str
    name: str
    kind: str
    coverage: CoverageView
    deployments: list[KnownDeploymentView]


class ProtocolsView(View):
    """Every protocol with an adapter, by slug; its deployments by chain and id."""

    items: list[ProtocolView]

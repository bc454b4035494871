"""What audits found: how often stored accounts are equal to the contracts' own word, and what was not."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.schemas.base import AddressText, AsOf, DecimalText, View


class AuditFigures(View):
    """Counts of the audits that are still kept."""

    checked_accounts: int = Field(description="Accounts read again and compared; one counts as often as it was drawn.")
    exact_accounts: int = Field(description="Those of them for which nothing at all differed.")
    exact_share: DecimalText | None = Field(description="Rounded down; null when none was checked.")
    state_mismatches: int = Field(description="Times the stored raw state was not the chain's.")
    truth_mismatches: int = Field(description="Times the exact rule gave other numbers than the contract's own view.")
    unreadable: int = Field(description="Times an account could not be read; neither right nor wrong.")
    worst_relative_error: DecimalText | None = Field(
        description="Of any number of the contract's view, against the larger of the two, rounded up; null when no "
        "number was compared."
    )
    open_findings: int = Field(description="Differences found and not yet seen to be gone.")
    since_timestamp: int | None = Field(description="Of the oldest audit kept.")


class DeploymentAccuracy(AuditFigures):
    """One deployment."""

    deployment_id: str
    chain_id: int
    protocol: str
    name: str
    last_checked_block: int | None
    last_checked_timestamp: int | None


class FindingView(View):
    """One account in which something differed."""

    deployment_id: str
    wallet: AddressText
    unit: str
    kind: Literal["state", "truth"] = Field(
        description="`state`: what is stored is not what the contracts hold; `truth`: the rule is not theirs."
    )
    what: list[str] = Field(description="Names of the numbers that differ.")
    expected: list[DecimalText | None] = Field(description="The chain's raw integers, in the order of `what`.")
    got: list[DecimalText | None] = Field(description="What was stored or computed instead.")
    block_number: int
    block_timestamp: int
    repaired_block: int | None = Field(description="Where nothing differed any more; null while it is open.")


class AccuracyView(View):
    """How exact the answers are, by audits of a random sample."""

    as_of: AsOf | None = Field(description="The least fresh of the chains; null when none is followed.")
    total: AuditFigures
    items: list[DeploymentAccuracy]
    findings: list[FindingView] = Field(description="The open ones first, then the newest; at most 50.")

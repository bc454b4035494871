"""States of the model protocols at block 1."""

from __future__ import annotations

from app.valuation.assess import StateAt, restore_at
from tests.fakes.perp import TideAdapter, tide_deployment, tide_markets, tide_records
from tests.fakes.pond import PondAdapter, pond_deployment, pond_markets, pond_records
from tests.fakes.site import block_ref


def pond_state(deployment_id: str = "pond-devnet", **records: object) -> StateAt:
    """The lending pool."""
    stored = pond_records(deployment_id, **records)  # type: ignore[arg-type]
    return restore_at(
        PondAdapter(), pond_deployment(id=deployment_id), pond_markets(deployment_id), stored, block_ref(1)
    )


def tide_state(deployment_id: str = "tide-devnet", **records: object) -> StateAt:
    """The perp exchange."""
    stored = tide_records(deployment_id, **records)  # type: ignore[arg-type]
    return restore_at(
        TideAdapter(), tide_deployment(id=deployment_id), tide_markets(deployment_id), stored, block_ref(1)
    )

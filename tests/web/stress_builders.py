"""Hand-made simulations for pages."""

from __future__ import annotations

from typing import Any

from app.api.examples.simulate import SIMULATION
from app.api.schemas.simulate import SimulationView

_ACCOUNT = SIMULATION["accounts"][0]


def simulated(**overrides: Any) -> dict[str, Any]:
    """One account before and after."""
    return _ACCOUNT | overrides


def simulation(*accounts: dict[str, Any], group: str = "eth", change: str = "-0.2") -> SimulationView:
    """A wallet under one group's move."""
    moves = [{"kind": "group", "name": group, "change": change}]
    return SimulationView.model_validate(SIMULATION | {"moves": moves, "accounts": list(accounts or (_ACCOUNT,))})


def crowded() -> SimulationView:
    """More accounts than are listed, with a name that is long and one that cannot be valued."""
    unknown = {
        **_ACCOUNT["after"],
        **dict.fromkeys(("health_factor", "utilization", "collateral_value", "debt_value")),
        "status": "unknown",
    }
    long_name = "A protocol with quite a long name, third edition"
    return simulation(
        simulated(name=long_name, chain_id=10, kind="perp", unit="0x" + "ab" * 32),
        simulated(after=unknown, net_usd_after=None, change_usd=None),
        *(simulated(deployment_id=f"pool-{number}") for number in range(4)),
        simulated(before={**_ACCOUNT["before"], "status": "no_debt"}, after={**_ACCOUNT["after"], "status": "no_debt"}),
        group="volatile",
        change="-0.3",
    )

"""Every adapter's made-up deployment as a priced state with its accounts: properties hold over all protocols."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from app.domain.account import AccountSnapshot
from app.domain.legs import Factor
from app.domain.market import Market
from app.protocols.base import DeploymentState, PricedState
from app.protocols.registry import adapters
from tests.protocols.conformance import Case, drive

TRUSTED = 20


@dataclass(frozen=True)
class Priced:
    """One adapter's case, valued."""

    state: DeploymentState
    priced: PricedState
    factors: dict[str, Factor]
    markets: dict[str, Market]
    accounts: tuple[AccountSnapshot, ...]


def priced_case(slug: str) -> Priced:
    """The conformance case of one adapter."""
    adapter = adapters()[slug]
    case = importlib.import_module(f"tests.protocols.{slug.replace('-', '_')}.conformance").CASE
    assert isinstance(case, Case)
    state = drive(adapter.read_state(case.deployment), case.contracts)
    told = state.expecting([account.key for account in case.accounts])
    state = state if told is state else drive(told.read_next(full=False), case.contracts)
    state = state.confirmed(samples=TRUSTED, matches=TRUSTED)
    priced = state.at(case.timestamp, case.block_number)
    return Priced(
        state,
        priced,
        {factor.name: factor for factor in priced.factors()},
        {market.code: market for market in state.markets()},
        case.accounts,
    )

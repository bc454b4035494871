"""Morpho's made-up deployment for the suite every adapter has to pass."""

from __future__ import annotations

from dataclasses import replace

from app.domain.account import AccountKey
from app.domain.chain import ZERO_ADDRESS, Address
from app.domain.risk import RiskStatus
from app.domain.units import WAD
from tests.protocols.conformance import Case
from tests.protocols.morpho_blue.builders import (
    DEPLOYMENT,
    NOW,
    FakeContracts,
    holding,
    idle,
    make_market,
    make_raw,
    make_state,
    make_totals,
    named,
)

_ETH = make_market(1)
_BTC = make_market(
    2,
    loan="DAI",
    collateral="WBTC",
    loan_decimals=18,
    collateral_decimals=8,
    lltv_wad=945 * WAD // 1000,
    totals=make_totals(3 * 10**24, 10**24, fee_wad=WAD // 10),
    price=65_000 * 10**46,
)
_FREE = make_market(3, irm=ZERO_ADDRESS, rate_wad=None)
_QUIET = idle(make_market(4))
_RAW = make_raw(_ETH, _BTC, _FREE, _QUIET, fee_recipient=named("treasury"))
_ONE_USDC = 970_000 * 10**6
_POSITIONS = (
    holding(_ETH, borrow_shares=2000 * _ONE_USDC, collateral=10**18),
    holding(_ETH),
    holding(_ETH, supply_shares=10**15),
    holding(_ETH, collateral=10**18),
    holding(_ETH, supply_shares=1, borrow_shares=2570 * _ONE_USDC, collateral=10**18),
    holding(_ETH, borrow_shares=2600 * _ONE_USDC, collateral=10**18),
    holding(_ETH, borrow_shares=1),
    holding(_ETH, borrow_shares=1, collateral=1),
    holding(_BTC, borrow_shares=5 * 10**28, collateral=10**8),
    holding(_FREE, borrow_shares=10**15, collateral=10**18),
    holding(_QUIET, supply_shares=10**15, collateral=10**18),
)
_ACCOUNTS = tuple(
    replace(account, key=AccountKey(DEPLOYMENT.id, Address(bytes([number + 1] * 20)), account.key.unit))
    for number, account in enumerate(_POSITIONS)
)
_PRICED = make_state(raw=_RAW).at(NOW, 1)

CASE = Case(
    deployment=DEPLOYMENT,
    contracts=FakeContracts(
        _RAW,
        _ACCOUNTS,
        {account.key: _PRICED.health(account).status is not RiskStatus.LIQUIDATABLE for account in _ACCOUNTS},
    ),
    accounts=_ACCOUNTS,
    timestamp=NOW,
)

"""Aave's made-up deployment for the suite every adapter has to pass."""

from __future__ import annotations

from dataclasses import replace

from app.domain.account import AccountKey
from app.domain.chain import Address
from app.domain.units import RAY
from app.protocols.aave_v3.raw import EMode
from tests.protocols.aave_v3.builders import (
    DAI,
    DEPLOYMENT,
    NOW,
    USDC,
    WBTC,
    WETH,
    FakeContracts,
    make_raw,
    make_state,
    owed,
    snapshot,
    supplied,
)
from tests.protocols.conformance import Case

_LISTED = (WETH, WBTC, replace(USDC, borrow_rate=RAY // 20, liquidity_rate=RAY // 30), DAI)
_RAW = make_raw(*_LISTED, emodes={1: EMode(9000, 9300, 10100, None, 0b0011, 0, False)})
_POSITIONS = (
    snapshot(),
    snapshot(supplied(WETH, 10**18, collateral=False)),
    snapshot(supplied(WETH, 10**18)),
    snapshot(supplied(WETH, 10 * 10**18), owed(USDC, 20_000 * 10**6)),
    snapshot(supplied(WETH, 10**18), supplied(WBTC, 10**7), owed(USDC, 4000 * 10**6), owed(DAI, 10**20)),
    snapshot(supplied(WETH, 10**18), supplied(WBTC, 10**7), owed(USDC, 7000 * 10**6), emode=1),
    snapshot(supplied(WETH, 10 * 10**18, borrowed=9 * 10**18)),
    snapshot(supplied(USDC, 1), owed(DAI, 1)),
    snapshot(owed(DAI, 10**18)),
)
_ACCOUNTS = tuple(
    replace(account, key=AccountKey(DEPLOYMENT.id, Address(bytes([number + 1] * 20))))
    for number, account in enumerate(_POSITIONS)
)
_PRICED = make_state(raw=_RAW).at(NOW + 100, 1)

CASE = Case(
    deployment=DEPLOYMENT,
    contracts=FakeContracts(
        _RAW,
        {account.key.wallet: account for account in _ACCOUNTS},
        {account.key.wallet: truth for account in _ACCOUNTS if (truth := _PRICED.truth(account)) is not None},
    ),
    accounts=_ACCOUNTS,
    timestamp=NOW + 100,
)

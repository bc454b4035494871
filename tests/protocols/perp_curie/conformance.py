"""The made-up deployment for the suite every adapter has to pass."""

from __future__ import annotations

from dataclasses import replace

from app.domain.account import AccountKey
from app.domain.chain import Address
from tests.protocols.conformance import Case
from tests.protocols.perp_curie.builders import (
    BIG,
    BLOCK,
    BTC,
    DEPLOYMENT,
    ETH,
    FRAX,
    NOW,
    OLD,
    STILL,
    WAD,
    WETH,
    maker,
    snapshot,
    taker,
)
from tests.protocols.perp_curie.contracts import FakeContracts

_USD = 10**6
_POSITIONS = (
    snapshot(),
    snapshot(1_000 * _USD),
    snapshot(0, owed=-5),
    snapshot(1_000 * _USD, taker(ETH, 4 * WAD, -8_040_869_574_096_380_896_409)),
    snapshot(1_000 * _USD, taker(ETH, -4 * WAD), taker(BTC, WAD // 20), owed=-(10**18)),
    snapshot(100 * _USD, taker(ETH, 4 * WAD)),
    snapshot(300 * _USD, taker(BTC, -WAD // 5)),
    snapshot(-200 * _USD, taker(ETH, WAD), tokens={WETH: WAD, FRAX: 50 * _USD, BIG: 3 * 10**21}),
    snapshot(-500 * _USD, taker(ETH, WAD), tokens={WETH: WAD // 3}),
    snapshot(500 * _USD, maker(ETH, 3 * WAD // 2, -3_100 * WAD, fee=WAD // 7, funding=-WAD // 3, orders=2)),
    snapshot(50 * _USD, taker(OLD, 20 * WAD), taker(STILL, -7 * WAD, 70 * WAD)),
    snapshot(1, taker(ETH, 9, -1)),
    snapshot(-1 * _USD, taker(BTC, WAD // 100, -700 * WAD)),
)
_ACCOUNTS = tuple(
    replace(account, key=AccountKey(DEPLOYMENT.id, Address(bytes([index + 1] * 20))))
    for index, account in enumerate(_POSITIONS)
)

CASE = Case(
    deployment=DEPLOYMENT,
    contracts=FakeContracts(_ACCOUNTS),
    accounts=_ACCOUNTS,
    timestamp=NOW,
    block_number=BLOCK,
)

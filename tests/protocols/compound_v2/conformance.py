"""The family's made-up deployment for the suite every adapter has to pass: Venus core, which has the most of it."""

from __future__ import annotations

from dataclasses import replace

from app.domain.account import AccountKey
from app.domain.chain import Address
from app.domain.units import WAD
from app.protocols.compound_v2.raw import Pool
from app.protocols.compound_v2.rules import VENUS_CORE
from tests.protocols.compound_v2.builders import (
    BLOCK,
    BTC,
    DAI,
    DEPLOYMENT,
    ETH,
    NOW,
    USD,
    FakeContracts,
    both,
    make_raw,
    owed,
    snapshot,
    supplied,
)
from tests.protocols.conformance import Case

_POOL = Pool(
    True,
    True,
    {
        **{market.code: (0,) * 7 for market in (BTC, USD, DAI)},
        ETH.code: (1, 90 * WAD // 100, 0, 93 * WAD // 100, 0, 1, 1),
    },
)
_RAW = make_raw(pools={1: _POOL})
_POSITIONS = (
    snapshot(),
    snapshot(supplied(ETH, 10**18, entered=False)),
    snapshot(supplied(ETH, 10**18)),
    snapshot(supplied(ETH, 10 * 10**18), owed(USD, 20_000 * 10**6)),
    snapshot(supplied(ETH, 10**18), supplied(BTC, 10**7), owed(USD, 4000 * 10**6), owed(DAI, 10**20)),
    snapshot(supplied(ETH, 10**18), supplied(BTC, 10**7), owed(USD, 7000 * 10**6), pool=1),
    snapshot(both(ETH, 10 * 10**18, 7 * 10**18)),
    snapshot(supplied(ETH, 10**18), vai=(1000 * 10**18, 10**18, WAD // 2)),
    snapshot(owed(DAI, 10**18)),
)
_ACCOUNTS = tuple(
    replace(account, key=AccountKey(DEPLOYMENT.id, Address(bytes([number + 1] * 20))))
    for number, account in enumerate(_POSITIONS)
)

CASE = Case(
    deployment=DEPLOYMENT,
    contracts=FakeContracts(_RAW, VENUS_CORE, {account.key.wallet: account for account in _ACCOUNTS}),
    accounts=_ACCOUNTS,
    timestamp=NOW + 100,
    block_number=BLOCK,
)

"""The made-up Comet for the suite every adapter has to pass: with as many collaterals as there can be."""

from __future__ import annotations

from dataclasses import replace

from app.domain.account import AccountKey
from app.domain.chain import Address
from tests.protocols.compound_v3.builders import (
    BLOCK,
    COMP,
    DEPLOYMENT,
    LAST,
    NOW,
    WBTC,
    WETH,
    FakeContracts,
    make_raw,
    snapshot,
)
from tests.protocols.conformance import Case

_POSITIONS = (
    snapshot(),
    snapshot(5_000 * 10**6),
    snapshot(0, {WETH: 10**18}),
    snapshot(5_000 * 10**6, {WETH: 10**18, COMP: 1}),
    snapshot(-1_000 * 10**6, {WETH: 10**18}),
    snapshot(-5_000 * 10**6, {WETH: 10**18, WBTC: 5 * 10**6, LAST: 7_000 * 10**6}),
    snapshot(-5_000 * 10**6, {WETH: 10**18, COMP: 3 * 10**19}),
    snapshot(-1, {LAST: 1}),
    snapshot(-(10**6)),
)
_ACCOUNTS = tuple(
    replace(account, key=AccountKey(DEPLOYMENT.id, Address(bytes([number + 1] * 20))))
    for number, account in enumerate(_POSITIONS)
)

CASE = Case(
    deployment=DEPLOYMENT,
    contracts=FakeContracts(make_raw(), {account.key.wallet: account for account in _ACCOUNTS}),
    accounts=_ACCOUNTS,
    timestamp=NOW,
    block_number=BLOCK,
)

"""What the registry says of calibration, tried: every set of rules is told from the others by its numbers alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.units import RAY
from app.protocols.aave_v3.raw import EMode
from app.protocols.aave_v3.rules import ALL_RULES, V3_6, Rules
from app.protocols.aave_v3.state import AaveState
from app.protocols.calibration import choose_rules
from tests.protocols.aave_v3.builders import DAI, NOW, USDC, WBTC, WETH, make_raw, make_state, owed, snapshot, supplied

EARNING = replace(WETH, liquidity_index=RAY * 11 // 10 + 3, liquidity_rate=RAY // 70)
LENT = replace(DAI, borrow_index=RAY * 12 // 10 + 7, borrow_rate=RAY // 11)
EMODE_ONLY = replace(WETH, symbol="emode-only", threshold=0, ltv=0)
RESERVES = (EARNING, WBTC, USDC, LENT, EMODE_ONLY)
EMODES = {1: EMode(9000, 9300, 10100, None, 0b10001, 0, True)}
ACCOUNTS = (
    snapshot(supplied(EARNING, 10**18 + 7), supplied(WBTC, 10**7 + 1), owed(LENT, 1_234 * 10**18 + 1)),
    snapshot(supplied(EARNING, 3 * 10**18 + 1), supplied(WBTC, 12_345), owed(USDC, 1_000_000_001), emode=1),
    snapshot(supplied(EMODE_ONLY, 10**18 + 1), supplied(WBTC, 10**8), owed(LENT, 10**21 + 13), emode=1),
)


@pytest.mark.parametrize("rules", ALL_RULES, ids=lambda rules: rules.name)
def test_a_pool_of_any_version_or_fork_is_recognised_by_its_own_numbers(rules: Rules) -> None:
    raw = make_raw(*RESERVES, emodes=EMODES)
    moment = NOW + 200 * 86_400, 1
    pool = make_state(raw=raw, rules=rules).at(*moment)
    samples = []
    for account in ACCOUNTS:
        truth = pool.truth(account)
        assert truth is not None
        samples.append((account, truth))
    chosen = choose_rules(make_state(raw=raw, rules=V3_6, samples=None), samples, *moment)
    assert isinstance(chosen, AaveState)
    assert chosen.rules == rules
    assert chosen.confirmed_samples == len(ACCOUNTS)

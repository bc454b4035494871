"""The protocol's own front-end library on the same raw state: an independent second opinion, up to its roundings."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from app.domain.account import AccountSnapshot
from app.domain.units import RAY, SECONDS_PER_YEAR
from app.protocols.aave_v3.raw import NO_EMODE
from app.protocols.aave_v3.state import AaveState
from devnet.cache import cache_root
from devnet.fetch import node_binary, pinned_packages
from devnet.world import World
from tests.protocols.aave_v3.devnet_states import calibrated_state, deployments, next_state, read_accounts

pytestmark = pytest.mark.devnet

SCRIPT = """
const user = '@aave/math-utils/dist/cjs/formatters/user/';
const { generateUserReserveSummary } = require(user + 'generate-user-reserve-summary.js');
const { generateRawUserSummary } = require(user + 'generate-raw-user-summary.js');
const input = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const answers = input.accounts.map((account) => {
  const userReserves = account.positions.map((position) => generateUserReserveSummary({
    userReserve: { ...position, reserve: input.reserves[position.market] },
    marketReferencePriceInUsdNormalized: '1',
    marketReferenceCurrencyDecimals: 8,
    currentTimestamp: input.timestamp,
  }));
  const summary = generateRawUserSummary({
    userReserves,
    marketReferencePriceInUsd: '100000000',
    marketReferenceCurrencyDecimals: 8,
    userEmodeCategoryId: account.emode,
  });
  return [
    summary.totalCollateralMarketReferenceCurrency.toFixed(18),
    summary.totalBorrowsMarketReferenceCurrency.toFixed(18),
    summary.healthFactor.toFixed(18),
  ];
});
process.stdout.write(JSON.stringify(answers));
"""


def node_modules(folder: Path) -> Path:
    """The library with what it requires, as node looks for them."""
    packages = pinned_packages()
    (folder / "node_modules" / "@aave").mkdir(parents=True)
    for key, name in (("aave-math-utils", "@aave/math-utils"), ("bignumber", "bignumber.js"), ("tslib", "tslib")):
        (folder / "node_modules" / name).symlink_to(cache_root() / "packages" / packages[key].directory)
    script = folder / "script.cjs"
    script.write_text(SCRIPT)
    return script


def describe_reserves(state: AaveState) -> dict[str, object]:
    """The state in the library's own words, all amounts raw."""
    described: dict[str, object] = {}
    for reserve in state.raw.reserves:
        indices, configuration = state.raw.indices[reserve.code], state.raw.configurations[reserve.code]
        assert indices is not None
        assert configuration is not None
        emodes = [
            {
                "id": number,
                "collateralEnabled": True,
                "ltvzeroEnabled": bool((emode.ltv_zero_bitmap or 0) >> reserve.id & 1),
                "eMode": {"ltv": str(emode.ltv_bps), "liquidationThreshold": str(emode.threshold_bps)},
            }
            for number, emode in state.raw.emodes.items()
            if (emode.collateral_bitmap or 0) >> reserve.id & 1 or configuration.emode_category == number
        ]
        described[reserve.code] = {
            "decimals": reserve.decimals,
            "priceInMarketReferenceCurrency": str(state.raw.prices[reserve.code].value),
            "liquidityIndex": str(indices.liquidity_index),
            "liquidityRate": str(indices.liquidity_rate),
            "variableBorrowIndex": str(indices.borrow_index),
            "variableBorrowRate": str(indices.borrow_rate),
            "lastUpdateTimestamp": indices.updated_at,
            "reserveLiquidationThreshold": str(configuration.threshold_bps),
            "baseLTVasCollateral": str(configuration.ltv_bps),
            "debtCeiling": "0",
            "eModes": emodes,
        }
    return described


def compounding_difference(state: AaveState, now: int) -> float:
    """How far the polynomial of 3.4 and the binomial before it can be apart: half of time x (rate a second)^2."""
    if not state.rules.polynomial_interest:
        return 0.0
    known = [indices for indices in state.raw.indices.values() if indices is not None]
    return max((now - i.updated_at) * (i.borrow_rate / RAY / SECONDS_PER_YEAR) ** 2 for i in known)


def one_unit(state: AaveState, market: str) -> int:
    """What the smallest unit of an asset is worth, rounded up: 1 satoshi is 0.0006 USD."""
    return -(-(state.raw.prices[market].value or 0) // 10 ** state.raw.by_code[market].decimals)


def describe_account(account: AccountSnapshot) -> dict[str, object]:
    return {
        "emode": account.params[0],
        "positions": [
            {
                "market": position.market,
                "scaledATokenBalance": str(position.supplied_raw),
                "scaledVariableDebt": str(position.borrowed_raw),
                "usageAsCollateralEnabledOnUser": position.is_collateral,
            }
            for position in account.positions
        ],
    }


def test_the_front_ends_library_gives_the_same_health(world: World, tmp_path: Path) -> None:
    """Why not to the last digit: the library keeps fractions of an asset's smallest unit and of a base unit, which
    the contract rounds; it truncates the average threshold to whole bps and compounds debt by the binomial of 3.3 in
    every version. So values may differ by one unit of each asset and two base units a position, 1e-9 of themselves
    and what the two ways to compound differ by; the health factor by one bp of threshold and what those make of it.
    """
    script = node_modules(tmp_path)
    states = [calibrated_state(world, deployment) for deployment in deployments(world)]
    for _ in range(4):
        world.step(jumps=False, admin=False)
    compared, in_emode = 0, 0
    for before in states:
        state = next_state(world, before, full=True)
        accounts = [(account, truth) for account, truth in read_accounts(world, state) if truth is not None]
        priced = state.at(world.timestamp, world.block_number)
        compounding = compounding_difference(state, world.timestamp)
        question = {
            "timestamp": world.timestamp,
            "reserves": describe_reserves(state),
            "accounts": [describe_account(account) for account, _ in accounts],
        }
        command = [node_binary(), "--preserve-symlinks", "--preserve-symlinks-main", script]
        done = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        for (account, _), (collateral, debt, factor) in zip(accounts, json.loads(done.stdout), strict=True):
            health = priced.health(account)
            slack = sum(one_unit(state, position.market) + 2 for position in account.positions)
            near = {"rel": 1e-9 + compounding, "abs": slack}
            assert health.collateral_value == pytest.approx(float(collateral), **near)
            assert health.debt_value == pytest.approx(float(debt), **near)
            if not health.debt_value or health.health_factor_wad is None:
                continue
            average = (priced.assess(account).liquidation_threshold_bps or 0) or 1
            part = (
                1 / average + slack / health.debt_value + slack / max(health.collateral_value, 1) + 1e-9 + compounding
            )
            assert health.health_factor_wad / 1e18 == pytest.approx(float(factor), rel=part + 1e-9 + compounding)
            compared += 1
            in_emode += account.params[0] != NO_EMODE
    assert compared > len(world.wallets) // 2
    assert in_emode

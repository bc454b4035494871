"""Against recorded answers of the real contract (see tests/data/README-compound-v3.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from app.domain.account import AccountKey, AccountSnapshot, LendingPosition
from app.domain.chain import Address
from app.domain.risk import RiskStatus
from app.domain.units import WAD
from app.protocols.compound_v3.raw import Base, BaseTerms, Collateral, Curve, Curves, Raw, Terms, Totals
from app.protocols.compound_v3.state import CometState
from tests.protocols.compound_v3.builders import BASE, BASE_ASSET, BASE_FEED, DEPLOYMENT, make_state

DATA = Path(__file__).parents[2] / "data" / "compound_v3_vectors.json"
VECTORS = 390
Vector = Mapping[str, Any]


@cache
def recorded() -> tuple[Curves, list[Vector]]:
    loaded = json.loads(DATA.read_text())
    config = {name: int(value) for name, value in loaded["config"].items()}

    def curve(side: str) -> Curve:
        rate = f"{side}PerSecondInterestRate"
        slopes = (config[f"{rate}SlopeLow"], config[f"{rate}SlopeHigh"])
        return Curve(config[f"{side}Kink"], config[f"{rate}Base"], *slopes)

    return Curves(curve("supply"), curve("borrow")), loaded["vectors"]


def asset(number: int) -> Address:
    return Address(bytes([0x40 + number] * 20))


def collateral(number: int, row: Vector) -> Collateral:
    scale = int(row["scale"])
    factors = (row["borrowCollateralFactor"], row["liquidateCollateralFactor"], row["liquidationFactor"])
    terms = Terms(asset(number), scale, *map(int, factors), 10**30)
    return Collateral(asset(number), str(asset(number)), f"C{number}", len(str(scale)) - 1, terms)


def state_of(vector: Vector) -> CometState:
    curves, _ = recorded()
    books, scale = vector["totals"], int(vector["baseScale"])
    names = ("baseSupplyIndex", "baseBorrowIndex", "totalSupplyBase", "totalBorrowBase", "lastAccrualTime")
    rows = vector["collaterals"]
    raw = Raw(
        Base(BASE_ASSET, BASE, "BASE", len(str(scale)) - 1, BaseTerms(BASE_FEED, scale)),
        tuple(collateral(number, row) for number, row in enumerate(rows)),
        curves,
        "USD",
        Totals(*(int(books[name]) for name in names), 0),
        {BASE: int(vector["basePrice"]), **{str(asset(n)): int(row["price"]) for n, row in enumerate(rows)}},
    )
    return make_state(raw)


def account_of(vector: Vector) -> AccountSnapshot:
    principal, flags = int(vector["principal"]), int(vector["assetsIn"])
    positions = [
        LendingPosition(str(asset(number)), int(row["balance"]), 0, True)
        for number, row in enumerate(vector["collaterals"])
        if flags >> number & 1
    ]
    if principal:
        positions.append(LendingPosition(BASE, max(principal, 0), max(-principal, 0), False))
    key = AccountKey(DEPLOYMENT.id, Address(int(vector["user"]).to_bytes(20, "big")))
    return AccountSnapshot(key, int(vector["block"]), tuple(sorted(positions, key=lambda p: p.market)), (flags,))


def test_the_views_are_met_exactly_with_stored_indices_and_the_balances_with_accrued_ones() -> None:
    met = 0
    for vector in recorded()[1]:
        priced = state_of(vector).at(int(vector["timestamp"]), int(vector["block"]))
        said = vector["truth"]
        assert priced.truth(account_of(vector)) == (
            int(said["isLiquidatable_view"]),
            int(said["isBorrowCollateralized_view"]),
            int(said["borrowBalanceOf"]),
            int(said["balanceOf"]),
        )
        met += 1
    assert met == VECTORS


def test_the_verdict_is_whether_absorb_went_through() -> None:
    seen = {RiskStatus.LIQUIDATABLE: 0, RiskStatus.HEALTHY: 0, RiskStatus.NO_DEBT: 0}
    for vector in recorded()[1]:
        priced, account = state_of(vector).at(int(vector["timestamp"]), int(vector["block"])), account_of(vector)
        health, full = priced.health(account), priced.assess(account)
        seen[health.status] += 1
        assert health.status is full.status
        assert (health.status is RiskStatus.LIQUIDATABLE) == vector["truth"]["absorbable"]
        below = health.health_factor_wad is not None and health.health_factor_wad < WAD
        assert below == vector["truth"]["absorbable"]
    assert sum(seen.values()) == VECTORS
    assert all(seen.values())


def test_amounts_in_an_assessment_are_the_balances_the_contract_states() -> None:
    for vector in recorded()[1]:
        priced = state_of(vector).at(int(vector["timestamp"]), int(vector["block"]))
        base = [p for p in priced.assess(account_of(vector)).positions if p.market == BASE]
        shown = (base[0].borrowed_assets, base[0].supplied_assets) if base else (0, 0)
        assert shown == (int(vector["truth"]["borrowBalanceOf"]), int(vector["truth"]["balanceOf"]))


def test_the_recorded_price_is_past_its_turn_exactly_where_absorb_went_through() -> None:
    proven = 0
    for vector in recorded()[1]:
        priced = state_of(vector).at(int(vector["timestamp"]), int(vector["block"]))
        for position in priced.assess(account_of(vector)).positions:
            found = position.liquidation_price
            if found is None or position.price is None:
                continue
            proven += 1
            reached = position.price <= found.price if position.market != BASE else position.price >= found.price
            assert reached == vector["truth"]["absorbable"]
    assert proven

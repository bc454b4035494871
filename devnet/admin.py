"""What the protocols' admin changes now and then: thresholds, freezes, pauses, fees, caps, eModes."""

from __future__ import annotations

import random

from app.domain.chain import Address
from devnet import aave_v3_0, aave_v3_6
from devnet.assets import ADMIN, LISTINGS_V3_0, LISTINGS_V3_6
from devnet.chain import DevChain
from devnet.codec import call_data
from devnet.deployed import Deployed
from devnet.pool import POOL_GAS

KINDS = ("threshold", "freeze", "pause", "reserve factor", "cap", "emode")
_UNDO = {"freeze": "unfreeze", "pause": "unpause"}
Pending = tuple[tuple[str, str, str], ...]
"""(deployment id, what has to be undone, symbol)"""


class Admin:
    """Changes one thing at a time. What it closed it opens again before it changes anything else there, so that
    a long-running chain never ends up with everything frozen."""

    def __init__(self) -> None:
        self.pending: Pending = ()

    def queue_change(self, chain: DevChain, rng: random.Random, d: Deployed) -> str:
        """Queue one change of `d` and say which."""
        kind, symbol = rng.choice(KINDS), rng.choice(sorted(d.reserves))
        undo = next((row for row in self.pending if row[0] == d.id), None)
        if undo is not None:
            _, kind, symbol = undo
            self.pending = tuple(row for row in self.pending if row != undo)
        elif kind in _UNDO:
            self.pending = (*self.pending, (d.id, _UNDO[kind], symbol))
        calls = [_emode_change(rng, d) if kind == "emode" else _reserve_change(rng, d, kind, symbol)]
        if kind == "unfreeze" and d.version >= (3, 2):
            calls += ltv_restoring_calls(d, symbol)
        label = f"admin: {kind} in {d.id}" if kind == "emode" else f"admin: {kind} of {symbol} in {d.id}"
        for data in calls:
            chain.send(ADMIN, d.configurator, data, gas=POOL_GAS, label=label, must_succeed=False)
        return label


def ltv_restoring_calls(d: Deployed, symbol: str) -> list[bytes]:
    """What gives a V3.6 reserve its borrowing power back: freezing took it, in every eMode too; unfreezing does not
    return it by itself."""
    asset = d.reserves[symbol].asset
    calls = [call_data("setReserveLtvzero(address,bool)", asset, False)]
    for emode in aave_v3_6.EMODES:
        if symbol in emode.collateral and (emode.id, symbol) != aave_v3_6.RETIRED:
            calls.append(call_data("setAssetLtvzeroInEMode(address,uint8,bool)", asset, emode.id, False))
    return calls


def _reserve_change(rng: random.Random, d: Deployed, kind: str, symbol: str) -> bytes:
    listings = LISTINGS_V3_0 if d.version < (3, 2) else LISTINGS_V3_6
    listing = next(row for row in listings if row.symbol == symbol)
    asset = d.reserves[symbol].asset
    match kind:
        case "freeze" | "unfreeze":
            return call_data("setReserveFreeze(address,bool)", asset, kind == "freeze")
        case "pause" | "unpause":
            return call_data("setReservePause(address,bool)", asset, kind == "pause")
        case "threshold" if listing.threshold:
            shift = rng.choice((-100, -50, 0, 50))
            ratios = (listing.ltv + min(shift, 0), listing.threshold + shift, listing.bonus)
            return call_data("configureReserveAsCollateral(address,uint256,uint256,uint256)", asset, *ratios)
        case "reserve factor":
            factor = listing.reserve_factor + rng.choice((-500, 0, 500))
            return call_data("setReserveFactor(address,uint256)", asset, factor)
        case _:
            return call_data("setSupplyCap(address,uint256)", asset, listing.supply_cap * rng.choice((1, 2, 3)))


def _emode_change(rng: random.Random, d: Deployed) -> bytes:
    shift = rng.choice((-50, 0))
    if d.version < (3, 2):
        old = rng.choice(aave_v3_0.EMODES)
        ratios = (old.id, old.ltv + shift, old.threshold + shift, old.bonus)
        signature = "setEModeCategory(uint8,uint16,uint16,uint16,address,string)"
        return call_data(signature, *ratios, Address(bytes(20)), old.label)
    new = rng.choice(aave_v3_6.EMODES)
    ratios = (new.id, new.ltv + shift, new.threshold + shift, new.bonus)
    return call_data("setEModeCategory(uint8,uint16,uint16,uint16,string)", *ratios, new.label)

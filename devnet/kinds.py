"""The kinds of positions wallets are given, and how one of each kind is drawn."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from app.domain.chain import Address
from devnet.deployed import Deployed

STABLES = ("USDC", "USDT", "DAI")
VOLATILE = ("WETH", "wstETH", "WBTC")
MIN_USD, MAX_USD = 200, 200_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What one wallet shall hold in one deployment."""

    deployment_id: str
    wallet: Address
    kind: str
    supplies: tuple[tuple[str, float], ...] = ()
    """(symbol, USD)"""
    units: tuple[tuple[str, int], ...] = ()
    """(symbol, smallest units): supplies too small to be named in USD."""
    emode: int = 0
    switch_on: tuple[str, ...] = ()
    switch_off: tuple[str, ...] = ()
    borrows: tuple[tuple[str, float], ...] = ()
    """(symbol, share of what is still available); a share of 0 is one smallest unit."""
    gives_away: tuple[tuple[str, Address, float], ...] = ()
    """(symbol, receiver, share of the aTokens)"""
    withdraws_all: bool = False


@dataclass(frozen=True, slots=True)
class Draw:
    """What a plan is drawn from."""

    rng: random.Random
    deployment: Deployed
    wallet: Address
    wallets: Sequence[Address]

    def usd(self, low: float = MIN_USD, high: float = MAX_USD) -> float:
        """Log-uniform: as many small accounts as large ones."""
        return round(math.exp(self.rng.uniform(math.log(low), math.log(high))), 2)

    def stable(self) -> str:
        return self.rng.choice(STABLES)

    def collateral_stable(self) -> str:
        """A stablecoin that is collateral outside eModes too."""
        return self.rng.choice(("USDC", "DAI"))

    def volatile(self) -> str:
        return self.rng.choice(VOLATILE)


Maker: TypeAlias = Callable[[Draw, str], Plan]


def kinds_of(deployment: Deployed) -> dict[str, tuple[int, Maker]]:
    """Kind -> (how often it is drawn, how one is made) for one deployment."""
    common: dict[str, tuple[int, Maker]] = {
        "near": (4, _near),
        "several": (5, _several),
        "emode_eth": (3, _emode_eth),
        "emode_stable": (2, _emode_stable),
        "single": (5, _single),
        "supply_only": (4, _supply_only),
        "collateral_off": (2, _collateral_off),
        "same_asset": (1, _same_asset),
        "giver": (2, _giver),
        "dust_debt": (1, _dust_debt),
        "dust_supply": (1, _dust_supply),
        "closed": (1, _closed),
        "empty": (1, _empty),
    }
    if deployment.version < (3, 2):
        return {**common, "isolated": (2, _isolated)}
    return {**common, "emode_overlap": (3, _emode_overlap), "emode_ltv_zero": (2, _emode_ltv_zero)}


def make_plans(rng: random.Random, wallets: Sequence[Address], deployments: Sequence[Deployed]) -> list[Plan]:
    """Plans for all wallets: each third is in the first deployment, in the second, in both.

    The first wallets of each deployment get one kind each, so that all kinds exist; the rest draw theirs.
    """
    plans: list[Plan] = []
    for place, deployment in enumerate(deployments):
        kinds = kinds_of(deployment)
        names = [name for name, (weight, _) in kinds.items() for _ in range(weight)]
        still_missing = iter(kinds)
        for index, wallet in enumerate(wallets):
            if index % 3 in (place, 2):
                kind = next(still_missing, None) or rng.choice(names)
                plans.append(kinds[kind][1](Draw(rng, deployment, wallet, wallets), kind))
    return plans


def _plan(
    draw: Draw,
    kind: str,
    supplies: tuple[tuple[str, float], ...] = (),
    *,
    emode: int = 0,
    switch_on: tuple[str, ...] = (),
    switch_off: tuple[str, ...] = (),
    borrows: tuple[tuple[str, float], ...] = (),
) -> Plan:
    return Plan(
        draw.deployment.id,
        draw.wallet,
        kind,
        supplies,
        emode=emode,
        switch_on=switch_on,
        switch_off=switch_off,
        borrows=borrows,
    )


def _near(draw: Draw, kind: str) -> Plan:
    """Borrowed nearly to the last cent against one or two volatile assets."""
    first, second = draw.rng.sample(("WETH", "wstETH"), 2)
    supplies = ((first, draw.usd(2_000)), (second, draw.usd(1_000)))[: draw.rng.choice((1, 2, 2))]
    borrows = ((draw.stable(), 0.4), (draw.stable(), draw.rng.uniform(0.95, 0.999)))
    return _plan(draw, kind, supplies, borrows=borrows)


def _several(draw: Draw, kind: str) -> Plan:
    """Two volatile collaterals and a stable one; two debts."""
    first, second = draw.rng.sample(VOLATILE, 2)
    supplies = ((first, draw.usd()), (second, draw.usd()), (draw.collateral_stable(), draw.usd()))
    borrows = (
        (draw.stable(), draw.rng.uniform(0.1, 0.6)),
        (draw.rng.choice(("WETH", "WBTC", "USDT")), draw.rng.uniform(0.1, 0.9)),
    )
    return _plan(draw, kind, supplies, borrows=borrows)


def _single(draw: Draw, kind: str) -> Plan:
    share = draw.rng.uniform(0.2, 0.95)
    return _plan(draw, kind, ((draw.volatile(), draw.usd()),), borrows=((draw.stable(), share),))


def _same_asset(draw: Draw, kind: str) -> Plan:
    """Owes the asset it deposited: its own price moves both sides."""
    share = draw.rng.uniform(0.5, 0.95)
    return _plan(draw, kind, (("WETH", draw.usd()),), borrows=(("WETH", share),))


def _supply_only(draw: Draw, kind: str) -> Plan:
    symbols = draw.rng.sample((*VOLATILE, "USDC", "DAI"), draw.rng.randint(1, 3))
    return _plan(draw, kind, tuple((symbol, draw.usd()) for symbol in symbols))


def _collateral_off(draw: Draw, kind: str) -> Plan:
    """Deposited two assets, one of them not as collateral."""
    first, second = draw.rng.sample(VOLATILE, 2)
    supplies = ((first, draw.usd()), (second, draw.usd()))
    borrows = ((draw.stable(), draw.rng.uniform(0.3, 0.9)),)
    return _plan(draw, kind, supplies, switch_off=(second,), borrows=borrows)


def _emode_eth(draw: Draw, kind: str) -> Plan:
    borrows = (("WETH", draw.rng.uniform(0.7, 0.995)),)
    return _plan(draw, kind, (("wstETH", draw.usd()),), emode=1, borrows=borrows)


def _emode_stable(draw: Draw, kind: str) -> Plan:
    """In V3.6 its USDT counts inside the eMode only, and has to be switched on there."""
    borrows = (("USDC", draw.rng.uniform(0.6, 0.99)),)
    supplies = (("DAI", draw.usd()), ("USDT", draw.usd()))
    return _plan(draw, kind, supplies, emode=2, switch_on=("USDT",), borrows=borrows)


def _emode_overlap(draw: Draw, kind: str) -> Plan:
    """V3.6: assets that are in another eMode too, with other ratios there."""
    supplies = (("WETH", draw.usd()), ("wstETH", draw.usd()), ("WBTC", draw.usd()))[: draw.rng.choice((1, 2, 3))]
    borrows = (("USDC", 0.5), ("USDT", draw.rng.uniform(0.3, 0.995)))
    return _plan(draw, kind, supplies, emode=3, borrows=borrows)


def _emode_ltv_zero(draw: Draw, kind: str) -> Plan:
    """V3.6: one collateral that protects but gives no borrowing power in this eMode."""
    supplies = (("WBTC", draw.usd(2_000)), ("wstETH", draw.usd()))
    return _plan(draw, kind, supplies, emode=4, borrows=(("USDC", draw.rng.uniform(0.3, 0.95)),))


def _isolated(draw: Draw, kind: str) -> Plan:
    """V3.0: a collateral under a debt ceiling, alone."""
    share = draw.rng.uniform(0.4, 0.95)
    return _plan(draw, kind, (("LINK", draw.usd()),), switch_on=("LINK",), borrows=((draw.stable(), share),))


def _giver(draw: Draw, kind: str) -> Plan:
    """Gives aTokens to another wallet: collateral that moved without a supply or a withdrawal."""
    receiver = draw.rng.choice([wallet for wallet in draw.wallets if wallet != draw.wallet])
    symbol = draw.rng.choice(("WETH", "WBTC", "DAI"))
    return Plan(
        draw.deployment.id,
        draw.wallet,
        kind,
        supplies=((symbol, draw.usd()),),
        borrows=(("USDC", 0.3),),
        gives_away=((symbol, receiver, draw.rng.uniform(0.05, 0.3)),),
    )


def _dust_debt(draw: Draw, kind: str) -> Plan:
    """Owes one smallest unit: a health factor too large for a double, and still not without debt."""
    symbol = draw.rng.choice(("WETH", "WBTC", "USDC"))
    return _plan(draw, kind, (("wstETH", draw.usd(100, 1_000)),), borrows=((symbol, 0.0),))


def _dust_supply(draw: Draw, kind: str) -> Plan:
    units = ((draw.volatile(), draw.rng.randint(1, 1_000)), ("USDC", draw.rng.randint(1, 9)))
    return Plan(draw.deployment.id, draw.wallet, kind, units=units)


def _closed(draw: Draw, kind: str) -> Plan:
    """Was here and left: events, and nothing held."""
    return Plan(draw.deployment.id, draw.wallet, kind, supplies=((draw.volatile(), draw.usd()),), withdraws_all=True)


def _empty(draw: Draw, kind: str) -> Plan:
    return Plan(draw.deployment.id, draw.wallet, kind)

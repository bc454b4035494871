"""What the contracts themselves say of accounts, asked without any of the adapters' code: the other side of every
comparison. Interest is accrued by the contracts, in the same eth_call, before they are asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from app.domain.chain import Address, ContractCall, Returned
from devnet import pool
from devnet.codec import call_data, wallet_call_data, words
from devnet.comet_life import CometLife
from devnet.curie_life import CurieLife
from devnet.morpho_blue import PARAMS, MorphoLife
from devnet.venus_life import VenusLife
from devnet.world import World

WALLETS_PER_CALL = 40

AccountName: TypeAlias = tuple[str, Address, str]
"""Deployment id, wallet, unit."""


@dataclass(frozen=True, slots=True)
class Word:
    """The contracts' word on one account."""

    liquidatable: bool
    supplied: Mapping[Address, int]
    """Assets by token, interest included; nothing that is 0."""
    borrowed: Mapping[Address, int]
    perps: Mapping[Address, tuple[int, int]] = field(default_factory=dict)
    """Size (above 0 long) and pending funding (above 0 owed) by base token, 18 decimals."""
    equity: int | None = None
    """Perps: account value and maintenance requirement, 18 decimals."""
    requirement: int | None = None


def words_of(world: World, wallets: Sequence[Address]) -> dict[AccountName, Word]:
    """The contracts' word on every account of these wallets, at the newest block. Accounts that hold nothing are
    there too."""
    found: dict[AccountName, Word] = {}
    for row in world.deployments():
        found.update(_BY_PROTOCOL[str(row["protocol"])](world, str(row["id"]), wallets))
    return found


def _aave(world: World, deployment_id: str, wallets: Sequence[Address]) -> Iterator[tuple[AccountName, Word]]:
    """getUserAccountData, and the balances of aTokens and debt tokens."""
    deployed = world.deployed(deployment_id)
    for wallet, view in zip(wallets, pool.read_accounts(world.chain, deployed, wallets), strict=True):
        assert view is not None, "no feed is broken here"
        assets = {symbol: reserve.asset for symbol, reserve in deployed.reserves.items()}
        supplied, borrowed = (_held((assets[s], n) for s, n in side.items()) for side in (view.supplied, view.borrowed))
        yield (deployment_id, wallet, ""), Word(view.health_wad < 10**18, supplied, borrowed)


def _venus(world: World, deployment_id: str, wallets: Sequence[Address]) -> Iterator[tuple[AccountName, Word]]:
    """getAccountLiquidity after every market and VAI accrued, and the balances each market then states."""
    life = world.neighbours["venus"]
    assert isinstance(life, VenusLife)
    venus, markets = life.venus, list(life.venus.markets.values())
    accrue = [ContractCall(market.address, call_data("accrueInterest()")) for market in markets]
    accrue.append(ContractCall(venus.vai_controller, call_data("accrueVAIInterest()")))
    views = ("balanceOfUnderlying(address)", "borrowBalanceStored(address)")
    for part in _parts(wallets):
        calls = [*accrue]
        for wallet in part:
            calls.append(ContractCall(venus.comptroller, wallet_call_data("getAccountLiquidity(address)", wallet)))
            calls += [ContractCall(m.address, wallet_call_data(view, wallet)) for m in markets for view in views]
        answers = iter(_numbers(world, calls)[len(accrue) :])
        for wallet in part:
            error, _, shortfall = next(answers)
            assert not error
            held = [(market.token.address, next(answers)[0], next(answers)[0]) for market in markets]
            supplied, borrowed = _held((a, s) for a, s, _ in held), _held((a, b) for a, _, b in held)
            yield (deployment_id, wallet, ""), Word(shortfall > 0, supplied, borrowed)


def _morpho(world: World, deployment_id: str, wallets: Sequence[Address]) -> Iterator[tuple[AccountName, Word]]:
    """Whether a liquidation comes past "position is healthy", and the balances of the package's own library."""
    life = world.neighbours["morpho-blue"]
    assert isinstance(life, MorphoLife)
    asked = [(market, wallet) for market, wallet in life.accounts if wallet in set(wallets)]
    signature = f"balances(address,{PARAMS},address)"
    calls = []
    for market, wallet in asked:
        arguments = (life.deployed.address, market.params, wallet)
        calls.append(ContractCall(life.deployed.lens, call_data(signature, *arguments)))
        calls.append(
            ContractCall(life.deployed.address, call_data("position(bytes32,address)", market.id, wallet)),
        )
    answers = iter(_numbers(world, calls))
    for market, wallet in asked:
        (lent, borrowed), (_, shares, collateral) = next(answers), next(answers)
        supplied = _held([(market.loan.address, lent), (market.collateral.address, collateral)])
        owing = _held([(market.loan.address, borrowed)])
        liquidatable = bool(shares) and life.is_liquidatable(market, wallet)
        yield (deployment_id, wallet, f"0x{market.id.hex()}"), Word(liquidatable, supplied, owing)


def _curie(world: World, deployment_id: str, wallets: Sequence[Address]) -> Iterator[tuple[AccountName, Word]]:
    """Account value, requirement, sizes and funding, and whether a liquidation is let through."""
    life = world.neighbours["perp-curie"]
    assert isinstance(life, CurieLife)
    curie = life.curie
    for wallet, view in zip(wallets, life.accounts(wallets), strict=True):
        assert view is not None, "no pool is too young here"
        verdict = life.verdict(wallet)
        if verdict.word == "refused":  # whoever has nothing but a loss left cannot be liquidated
            assert not any(one.size for one in view.positions.values()), f"{wallet}: {verdict.reason}"
        short = view.is_below_requirement and verdict.word != "refused"
        assert short == (verdict.word == "liquidatable"), f"{wallet}: {verdict.word}, {view}"
        posted = (curie.settlement.address, view.balance_raw), (curie.collateral.address, view.collateral_raw)
        perps = {curie.markets[name].base: (one.size, one.pending_funding) for name, one in view.positions.items()}
        yield (
            (deployment_id, wallet, ""),
            Word(
                liquidatable=short,
                supplied=_held((asset, max(0, amount)) for asset, amount in posted),
                borrowed=_held((asset, max(0, -amount)) for asset, amount in posted),
                perps={base: one for base, one in perps.items() if one[0]},
                equity=view.account_value,
                requirement=view.requirement,
            ),
        )


def _comet(world: World, deployment_id: str, wallets: Sequence[Address]) -> Iterator[tuple[AccountName, Word]]:
    """isLiquidatable after an accrual, and the balances that the market states."""
    life = world.neighbours["compound-v3"]
    assert isinstance(life, CometLife)
    comet, tokens = life.comet, [token.address for token in life.comet.collaterals.values()]
    views = ("isLiquidatable(address)", "balanceOf(address)", "borrowBalanceOf(address)")
    for part in _parts(wallets):
        calls = [ContractCall(comet.address, wallet_call_data("accrueAccount(address)", part[0]))]
        for wallet in part:
            calls += [ContractCall(comet.address, wallet_call_data(view, wallet)) for view in views]
            calls += [
                ContractCall(comet.address, call_data("userCollateral(address,address)", wallet, token))
                for token in tokens
            ]
        answers = iter(_numbers(world, calls)[1:])
        for wallet in part:
            (liquidatable,), (lent,), (owed,) = next(answers), next(answers), next(answers)
            supplied = _held([(comet.base.address, lent), *((token, next(answers)[0]) for token in tokens)])
            yield (deployment_id, wallet, ""), Word(bool(liquidatable), supplied, _held([(comet.base.address, owed)]))


_BY_PROTOCOL: Mapping[str, Callable[[World, str, Sequence[Address]], Iterable[tuple[AccountName, Word]]]] = {
    "aave-v3": _aave,
    "compound-v2": _venus,
    "morpho-blue": _morpho,
    "perp-curie": _curie,
    "compound-v3": _comet,
}


def _numbers(world: World, calls: Sequence[ContractCall]) -> list[tuple[int, ...]]:
    answers = world.chain.read(calls)
    assert all(isinstance(answer, Returned) for answer in answers)
    return [words(answer.data) for answer in answers]


def _parts(wallets: Sequence[Address]) -> Iterator[Sequence[Address]]:
    for start in range(0, len(wallets), WALLETS_PER_CALL):
        yield wallets[start : start + WALLETS_PER_CALL]


def _held(amounts: Iterable[tuple[Address, int]]) -> dict[Address, int]:
    return {asset: amount for asset, amount in amounts if amount}

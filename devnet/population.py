"""Wallets and what they hold: every kind of position the protocols know, in amounts from dust to millions.

Supplies are made for the wallets through Multicall3, a hundred in a transaction; borrowing, switches and transfers
are the wallets' own transactions. Amounts to borrow come from what the contract says is available.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar

from eth_utils.crypto import keccak

from app.domain.chain import Address, ContractCall
from devnet import pool
from devnet.assets import ADMIN, LIQUIDATOR, LIQUIDITY_PROVIDER
from devnet.chain import MULTICALL3, DevChain
from devnet.codec import aggregate_data, call_data
from devnet.deployed import Deployed
from devnet.kinds import Plan

SUPPLIES_PER_TRANSACTION = 100
TRANSACTIONS_PER_BLOCK = 400
PRICE_UNIT = 10**8
WALLETS_UNDER_CAPS = 2_000
"""A larger population would not fit under the supply caps: they are lifted for it."""

Action: TypeAlias = tuple[Address, ContractCall, str]
"""(sender, call, label)"""
T = TypeVar("T")


def make_wallets(seed: int, count: int) -> list[Address]:
    """`count` addresses that depend on the seed alone."""
    return [Address(keccak(text=f"waterline devnet wallet {seed} {index}")[12:]) for index in range(count)]


def fund(chain: DevChain, deployments: Sequence[Deployed], wallet_count: int, prices: Mapping[str, int]) -> None:
    """Give the liquidity provider, the liquidator and Multicall3 tokens; put liquidity into every reserve."""
    usd = max(2_000_000, 16_000 * wallet_count)
    reserves = deployments[0].reserves
    for symbol in reserves:
        for holder in (LIQUIDITY_PROVIDER, LIQUIDATOR, MULTICALL3):
            call = pool.mint(
                deployments[0], symbol, holder, to_units(10_000 * usd, reserves[symbol].decimals, prices[symbol])
            )
            chain.send(LIQUIDITY_PROVIDER, call.target, call.data, gas=200_000, label="mint")
    for d in deployments:
        approvals = [pool.approve(d, symbol) for symbol in d.reserves]
        for call in approvals:
            for holder in (LIQUIDITY_PROVIDER, LIQUIDATOR):
                chain.send(holder, call.target, call.data, gas=200_000, label="approve")
        _send_aggregate(chain, approvals)
        if wallet_count > WALLETS_UNDER_CAPS:
            for reserve in d.reserves.values():
                lift = call_data("setSupplyCap(address,uint256)", reserve.asset, 0)
                chain.send(ADMIN, d.configurator, lift, gas=200_000, label="lift the cap")
    chain.mine()
    for d in deployments:
        for symbol, reserve in d.reserves.items():
            call = pool.supply(d, symbol, to_units(usd, reserve.decimals, prices[symbol]), LIQUIDITY_PROVIDER)
            chain.send(LIQUIDITY_PROVIDER, call.target, call.data, gas=pool.POOL_GAS, label="supply liquidity")
    chain.mine()


def populate(
    chain: DevChain, deployments: Mapping[str, Deployed], plans: Sequence[Plan], prices: Mapping[str, int]
) -> list[str]:
    """Carry out the plans; the labels of what the contracts refused (nothing is expected to be)."""
    refused: list[str] = []
    for batch in _batches(list(_supply_calls(deployments, plans, prices)), SUPPLIES_PER_TRANSACTION * 10):
        for part in _batches(batch, SUPPLIES_PER_TRANSACTION):
            _send_aggregate(chain, part)
        refused += chain.mine().refused
    refused += _send_all(chain, _switches(deployments, plans))
    for round_index in range(max(len(plan.borrows) for plan in plans)):
        refused += _send_all(chain, _borrows(chain, deployments, plans, round_index, prices))
    refused += _send_all(chain, _endings(chain, deployments, plans))
    return refused


def to_units(usd: float, decimals: int, price: int) -> int:
    """Smallest units worth `usd` at `price` (USD with 8 decimals), rounded down."""
    scale: int = 10**decimals  # an int: no token has negative decimals
    return int(usd * 100) * PRICE_UNIT * scale // (price * 100)


def _supply_calls(
    deployments: Mapping[str, Deployed], plans: Sequence[Plan], prices: Mapping[str, int]
) -> Iterator[ContractCall]:
    for plan in plans:
        d = deployments[plan.deployment_id]
        for symbol, usd in plan.supplies:
            amount = to_units(usd, d.reserves[symbol].decimals, prices[symbol])
            yield pool.supply(d, symbol, amount, plan.wallet)
        for symbol, amount in plan.units:
            yield pool.supply(d, symbol, amount, plan.wallet)


def _switches(deployments: Mapping[str, Deployed], plans: Sequence[Plan]) -> Iterator[Action]:
    for plan in plans:
        d = deployments[plan.deployment_id]
        if plan.emode:
            yield plan.wallet, pool.set_emode(d, plan.emode), f"{plan.kind}: eMode {plan.emode}"
        for symbol in plan.switch_on:
            yield plan.wallet, pool.use_as_collateral(d, symbol, True), f"{plan.kind}: {symbol} on"
        for symbol in plan.switch_off:
            yield plan.wallet, pool.use_as_collateral(d, symbol, False), f"{plan.kind}: {symbol} off"


def _borrows(
    chain: DevChain,
    deployments: Mapping[str, Deployed],
    plans: Sequence[Plan],
    round_index: int,
    prices: Mapping[str, int],
) -> Iterator[Action]:
    for d in deployments.values():
        own = [plan for plan in plans if plan.deployment_id == d.id and len(plan.borrows) > round_index]
        accounts = pool.read_account_data(chain, d, [plan.wallet for plan in own])
        for plan, data in zip(own, accounts, strict=True):
            symbol, share = plan.borrows[round_index]
            available = data[2] if data is not None else 0
            base = available * int(share * 100_000) // 100_000
            amount = base * 10 ** d.reserves[symbol].decimals // prices[symbol] if share else 1
            yield plan.wallet, pool.borrow(d, symbol, amount, plan.wallet), f"{plan.kind}: borrow {symbol}"


def _endings(chain: DevChain, deployments: Mapping[str, Deployed], plans: Sequence[Plan]) -> Iterator[Action]:
    for d in deployments.values():
        own = [p for p in plans if p.deployment_id == d.id and (p.gives_away or p.withdraws_all)]
        for plan, view in zip(own, pool.read_accounts(chain, d, [plan.wallet for plan in own]), strict=True):
            assert view is not None, "no feed is broken yet"
            for symbol, receiver, share in plan.gives_away:
                amount = view.supplied[symbol] * int(share * 1000) // 1000
                yield plan.wallet, pool.transfer_a_token(d, symbol, receiver, amount), f"{plan.kind}: give {symbol}"
            if plan.withdraws_all:
                for symbol, _ in plan.supplies:
                    call = pool.withdraw(d, symbol, pool.MAX_UINT256, plan.wallet)
                    yield plan.wallet, call, f"{plan.kind}: withdraw {symbol}"


def _send_all(chain: DevChain, actions: Iterable[Action]) -> list[str]:
    refused: list[str] = []
    for batch in _batches(list(actions), TRANSACTIONS_PER_BLOCK):
        for sender, call, label in batch:
            chain.send(sender, call.target, call.data, gas=pool.POOL_GAS, label=label, must_succeed=False)
        refused += chain.mine().refused
    return refused


def _send_aggregate(chain: DevChain, calls: Sequence[ContractCall]) -> None:
    data = aggregate_data(calls, may_fail=False)
    chain.send(LIQUIDITY_PROVIDER, MULTICALL3, data, gas=100_000_000, label="aggregate")


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]

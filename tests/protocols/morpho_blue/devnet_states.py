"""The adapter's states and accounts of the devnet, and the contracts' own numbers, read through its own client."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.account import AccountKey, AccountSnapshot
from app.domain.chain import Address, ContractCall, Hash32, Log
from app.domain.market import Deployment
from app.protocols.base import Truth
from app.protocols.morpho_blue import ADAPTER
from app.protocols.morpho_blue.raw import BlueMarket
from app.protocols.morpho_blue.state import MorphoState
from devnet import morpho_blue
from devnet.codec import call_data, words
from devnet.morpho_blue import PARAMS, Market, MorphoLife
from devnet.world import World
from tests.protocols.aave_v3.devnet_states import drive_all
from tests.protocols.aave_v3.test_events import make_log

PIN_SLOT = "0x0"
"""Storage slot of the devnet oracle's pinned price: set there, it moves no block and accrues no interest."""


def life_of(world: World) -> MorphoLife:
    found = world.neighbours["morpho-blue"]
    assert isinstance(found, MorphoLife)
    return found


def deployment_of(world: World) -> Deployment:
    deployed = life_of(world).deployed
    return Deployment(deployed.id, world.chain_id, "morpho-blue", deployed.name, deployed.address, deployed.start_block)


def keys_of(world: World) -> list[AccountKey]:
    """Everybody who may have a position, by what the devnet tried."""
    life = life_of(world)
    return [AccountKey(life.deployed.id, wallet, "0x" + market.id.hex()) for market, wallet in life.accounts]


def followed_state(world: World) -> MorphoState:
    """The state now, following every market."""
    (state,) = drive_all(world, [ADAPTER.read_state(deployment_of(world))])
    return next_state(world, state.expecting(keys_of(world)), full=False)


def next_state(world: World, state: object, *, full: bool) -> MorphoState:
    """The state at the newest block."""
    assert isinstance(state, MorphoState)
    (after,) = drive_all(world, [state.read_next(full=full)])
    assert isinstance(after, MorphoState)
    return after


def read_accounts(world: World, state: MorphoState, keys: list[AccountKey]) -> list[AccountSnapshot]:
    snapshots = []
    for account in drive_all(world, [state.read_account(key, world.block_number, frozenset()) for key in keys]):
        assert isinstance(account, AccountSnapshot), account
        snapshots.append(account)
    return snapshots


def read_truths(world: World, state: MorphoState, keys: list[AccountKey]) -> list[Truth | None]:
    return drive_all(world, [state.read_truth(key) for key in keys])


def contract_market(world: World, state: MorphoState, unit: str) -> Market:
    return next(one for one in life_of(world).deployed.markets if "0x" + one.id.hex() == unit)


@dataclass(frozen=True, slots=True)
class Lens:
    """The package's own library of balances with interest up to the block."""

    world: World
    deployed: morpho_blue.MorphoBlue

    def totals(self, market: Market) -> tuple[int, ...]:
        """Supply assets and shares, borrow assets and shares."""
        signature = f"marketBalances(address,{PARAMS})"
        return words(self.world.chain.call(self.deployed.lens, signature, self.deployed.address, market.params))

    def balances(self, market: Market, wallet: Address) -> tuple[int, ...]:
        """Supplied and borrowed assets."""
        signature = f"balances(address,{PARAMS},address)"
        return words(self.world.chain.call(self.deployed.lens, signature, self.deployed.address, market.params, wallet))

    def stored(self, market: Market) -> tuple[int, ...]:
        """The contract's own six numbers."""
        return words(self.world.chain.call(self.deployed.address, "market(bytes32)", market.id))


def lens_of(world: World) -> Lens:
    return Lens(world, life_of(world).deployed)


def pin(world: World, market: BlueMarket, price: int) -> None:
    """Another oracle price, at once and in the newest block; 0 for the feeds' again."""
    word = "0x" + price.to_bytes(32, "big").hex()
    world.chain.client.call("anvil_setStorageAt", str(market.params.oracle), PIN_SLOT, word)


def logs_of(world: World) -> list[Log]:
    """Every log of the newest block."""
    number = hex(world.block_number)
    rows = world.chain.client.call("eth_getLogs", {"fromBlock": number, "toBlock": number})
    assert isinstance(rows, list)
    logs = []
    for row in rows:
        assert isinstance(row, dict)
        topics = row["topics"]
        assert isinstance(topics, list)
        found = [Hash32.from_hex(str(topic)) for topic in topics]
        logs.append(make_log(Address.from_hex(str(row["address"])), *found, data=bytes.fromhex(str(row["data"])[2:])))
    return logs


def action(world: World, market: Market, name: str, types: str, *arguments: object) -> ContractCall:
    """One call of the contract about a market."""
    return ContractCall(
        life_of(world).deployed.address, call_data(f"{name}({PARAMS},{types})", market.params, *arguments)
    )

"""The adapter's states and accounts of the devnet, and followed as the indexer does: by logs, and by what moves."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.account import AccountKey, AccountSnapshot
from app.domain.market import Deployment
from app.protocols.base import AccountTouched, ConfigurationTouched
from app.protocols.perp_curie import ADAPTER
from app.protocols.perp_curie.state import CurieState
from devnet.assets import LIQUIDATOR, LIQUIDITY_PROVIDER
from devnet.chain import MULTICALL3
from devnet.curie_life import CurieLife
from devnet.curie_mark import MARKET_MOVER
from devnet.world import World
from tests.protocols.aave_v3.devnet_states import drive_all
from tests.protocols.morpho_blue.devnet_states import logs_of


def life_of(world: World) -> CurieLife:
    found = world.neighbours["perp-curie"]
    assert isinstance(found, CurieLife)
    return found


def deployment_of(world: World) -> Deployment:
    """Without any base token named: the state has to learn of them."""
    curie = life_of(world).curie
    return Deployment(curie.id, world.chain_id, "perp-curie", curie.name, curie.clearing_house, curie.start_block)


def keys_of(world: World) -> list[AccountKey]:
    """The population, and whoever else takes part: makers of the pools, liquidator, who moves the price, the fund."""
    life = life_of(world)
    others = (LIQUIDITY_PROVIDER, LIQUIDATOR, MARKET_MOVER, MULTICALL3, life.curie.insurance_fund)
    return [AccountKey(life.curie.id, wallet) for wallet in (*(plan.wallet for plan in life.plans), *others)]


def followed_state(world: World) -> CurieState:
    """The state now, every account told of, taken to be confirmed."""
    (state,) = drive_all(world, [ADAPTER.read_state(deployment_of(world))])
    after = next_state(world, state.expecting(keys_of(world)))
    confirmed = after.confirmed(samples=1, matches=1)
    assert isinstance(confirmed, CurieState)
    return confirmed


def next_state(world: World, state: object, *, full: bool = False) -> CurieState:
    """The state at the newest block."""
    assert isinstance(state, CurieState)
    (after,) = drive_all(world, [state.read_next(full=full)])
    assert isinstance(after, CurieState)
    return after


def read_accounts(world: World, state: CurieState, keys: Iterable[AccountKey]) -> list[AccountSnapshot]:
    read = drive_all(world, [state.read_account(key, world.block_number, frozenset()) for key in keys])
    snapshots = []
    for account in read:
        assert isinstance(account, AccountSnapshot), account
        snapshots.append(account)
    return snapshots


def follow(world: World, before: CurieState, known: dict[AccountKey, AccountSnapshot]) -> CurieState:
    """The state after the newest block; `known` with the accounts its logs touched, and those that move."""
    touches = [touch for log in logs_of(world) for touch in before.touched(log)]
    keys = {touch.key for touch in touches if isinstance(touch, AccountTouched)}
    keys |= {key for key, account in known.items() if before.moves_by_itself(account)}
    state = next_state(world, before, full=True) if ConfigurationTouched() in touches else before
    after = next_state(world, state.expecting(keys))
    known.update((account.key, account) for account in read_accounts(world, after, sorted(keys)))
    return after

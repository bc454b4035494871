"""The chain all indexers follow: the real Morpho Blue, and as many of its events a block as asked for.

Markets bear no interest, so that a block holds exactly the events that move positions, and a position is the sum of
its events: what the peers add up is what we read. Each block is one transaction through Multicall3, which pays for
everybody and whom every wallet has authorised.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias

from eth_utils.crypto import keccak

from app.domain.chain import Address, ContractCall
from devnet.anvil import Anvil
from devnet.assets import ADMIN, LIQUIDITY_PROVIDER, deploy_tokens
from devnet.chain import MULTICALL3, DevChain, TransactionFailed
from devnet.codec import aggregate_data, arguments_data, call_data, words
from devnet.morpho_blue import PARAMS, UINT256_MAX, WAD, Market, MorphoBlue, Terms, deploy
from devnet.node import NodeClient

TERMS = tuple(
    Terms(loan, collateral, 860 * WAD // 1000, model=None)
    for loan, collateral in (("USDC", "WETH"), ("USDC", "WBTC"), ("DAI", "WETH"), ("USDT", "LINK"), ("WETH", "wstETH"))
)
QUIET_BLOCKS = 100
"""Empty blocks at the end: indexers that hold the newest blocks back until they are final hold no event back."""
BLOCK_SECONDS = 12
_COLLATERAL = 10**24
"""Far more than any debt here: no position is ever near its threshold."""
_SHARES = 10**12
_LIQUIDITY = 10**30
"""Shares of the lender in each market: nobody has to wait for somebody's repayment."""
_GAS_A_CALL = 400_000
_SETUP_CALLS = 100

Pair: TypeAlias = "tuple[str, str]"
"""Market id and wallet, both as hex text."""
Holding: TypeAlias = "tuple[int, int, int]"
"""Supply shares, borrow shares, collateral."""


@dataclass(slots=True)
class Account:
    """A wallet in a market, and what its events add up to."""

    market: Market
    wallet: Address
    supply_shares: int = 0
    borrow_shares: int = 0
    collateral: int = 0
    events: int = 0

    @property
    def pair(self) -> Pair:
        return "0x" + self.market.id.hex(), str(self.wallet)

    @property
    def holding(self) -> Holding:
        return self.supply_shares, self.borrow_shares, self.collateral

    def next_call(self, morpho: Address, rng: random.Random) -> ContractCall:
        """The account's next event: each of the six kinds in turn, amounts drawn."""
        kind, amount = self.events % 6, rng.randrange(1, _SHARES)
        self.events += 1
        arguments: Sequence[int | bytes]
        match kind:
            case 0:
                self.collateral += _COLLATERAL + amount
                name, arguments = "supplyCollateral", (_COLLATERAL + amount, self.wallet, b"")
            case 1:
                self.supply_shares += _SHARES + amount
                name, arguments = "supply", (0, _SHARES + amount, self.wallet, b"")
            case 2:
                self.borrow_shares += amount
                name, arguments = "borrow", (0, amount, self.wallet, MULTICALL3)
            case 3:
                amount = max(1, self.borrow_shares // 2)
                self.borrow_shares -= amount
                name, arguments = "repay", (0, amount, self.wallet, b"")
            case 4:
                self.supply_shares -= amount
                name, arguments = "withdraw", (0, amount, self.wallet, MULTICALL3)
            case _:
                self.collateral -= amount
                name, arguments = "withdrawCollateral", (amount, self.wallet, MULTICALL3)
        return ContractCall(morpho, _selector(name) + _params(self.market) + _words(arguments))


@dataclass(slots=True)
class EventChain:
    """A running node with a history of events."""

    node: Anvil
    chain: DevChain
    morpho: MorphoBlue
    accounts: Sequence[Account]
    events_a_block: int
    rng: random.Random
    events: int = 0
    touched: dict[Pair, Account] = field(default_factory=dict)

    @property
    def head(self) -> int:
        """Number of the newest block."""
        return self.chain.client.quantity("eth_blockNumber")

    @property
    def last(self) -> Account:
        """The account of the newest event."""
        return next(reversed(self.touched.values()))

    def expected(self) -> dict[Pair, Holding]:
        """Every account that is not empty, as its events add up."""
        return {pair: account.holding for pair, account in self.touched.items() if any(account.holding)}

    def queue_events(self, accounts: Sequence[Account]) -> None:
        """One event of each of these accounts, in one transaction of the next block."""
        calls = [account.next_call(self.morpho.address, self.rng) for account in accounts]
        for account in accounts:
            self.touched.pop(account.pair, None)  # the one touched last is the last
            self.touched[account.pair] = account
        self.events += len(calls)
        data = aggregate_data(calls, may_fail=False)
        gas = _GAS_A_CALL * len(calls)
        self.chain.send(LIQUIDITY_PROVIDER, MULTICALL3, data, gas=gas, must_succeed=False)

    def mine(self) -> float:
        """Mine a block with what is queued; `perf_counter` when the node had answered."""
        self.chain.client.call("evm_mine")
        return time.perf_counter()

    def mine_events(self, blocks: int) -> None:
        """So many blocks of events, and `QUIET_BLOCKS` empty ones. Some accounts are much busier than others.

        Raises:
            TransactionFailed: the contract does not hold what the events add up to.
        """
        for _ in range(blocks):
            drawn = [int(len(self.accounts) * self.rng.random() ** 2) for _ in range(self.events_a_block)]
            self.queue_events([self.accounts[place] for place in drawn])
            self.mine()
        self.chain.client.call("anvil_mine", hex(QUIET_BLOCKS), hex(BLOCK_SECONDS))
        self._verify()

    @contextmanager
    def mining(self, every_seconds: float) -> Iterator[None]:
        """An empty block now and then, until the block is left."""
        ended = threading.Event()

        def mine() -> None:
            while not ended.wait(every_seconds):
                client.call("evm_mine")

        client = NodeClient(self.node.port)
        client.call("evm_mine")  # connected: the watcher of connections counts from here
        thread = threading.Thread(target=mine, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            client.close()

    def _verify(self) -> None:
        accounts = list(self.touched.values())
        read = [ContractCall(self.morpho.address, _position_data(account)) for account in accounts]
        for account, answer in zip(accounts, self.chain.read(read), strict=True):
            if words(answer.data) != account.holding:
                raise TransactionFailed(f"{account.pair}: {words(answer.data)} is not {account.holding}")


@contextmanager
def event_chain(blocks: int, events_a_block: int, accounts: int, *, seed: int = 7) -> Iterator[EventChain]:
    """A chain with a history, ended with the block.

    Args:
        blocks: with events; `QUIET_BLOCKS` without follow.
        events_a_block: of Morpho, in each of them.
        accounts: pairs of a wallet and a market that events are drawn for.
    """
    with Anvil(timestamp=int(time.time()) - BLOCK_SECONDS * (blocks + 1_000), keep_states=32) as node:
        chain = DevChain(NodeClient(node.port), BLOCK_SECONDS)
        chain.install_multicall()
        tokens = deploy_tokens(chain)
        chain.mine()
        morpho = deploy(chain, tokens, "peers", TERMS)
        count = -(-accounts // len(TERMS))
        wallets = [Address(keccak(text=f"peer wallet {place}")[12:]) for place in range(count)]
        _prepare(chain, morpho, wallets)
        chain.client.call("anvil_setBlockTimestampInterval", BLOCK_SECONDS)
        rng = random.Random(seed)
        pairs = [Account(market, wallet) for wallet in wallets for market in morpho.markets]
        rng.shuffle(pairs)
        made = EventChain(node, chain, morpho, pairs, events_a_block, rng)
        lenders = [Account(market, LIQUIDITY_PROVIDER, _LIQUIDITY) for market in morpho.markets]
        made.touched |= {lender.pair: lender for lender in lenders}
        made.mine_events(blocks)
        yield made


def _prepare(chain: DevChain, morpho: MorphoBlue, wallets: Sequence[Address]) -> None:
    """Give Multicall3 all tokens, the markets money to lend, and Multicall3 every wallet's authorisation."""
    tokens = {token.address for market in morpho.markets for token in (market.loan, market.collateral)}
    calls = []
    for token in sorted(tokens):
        calls.append(ContractCall(token, call_data("mint(address,uint256)", MULTICALL3, 10**60)))
        calls.append(ContractCall(token, call_data("approve(address,uint256)", morpho.address, UINT256_MAX)))
    for market in morpho.markets:
        arguments = (market.params, 0, _LIQUIDITY, LIQUIDITY_PROVIDER, b"")
        data = call_data(f"supply({PARAMS},uint256,uint256,address,bytes)", *arguments)
        calls.append(ContractCall(morpho.address, data))
    chain.send(ADMIN, MULTICALL3, aggregate_data(calls, may_fail=False), gas=20_000_000, label="tokens and liquidity")
    for place, wallet in enumerate(wallets, 1):
        chain.execute(wallet, morpho.address, "setAuthorization(address,bool)", MULTICALL3, True, gas=100_000)
        if place % _SETUP_CALLS == 0:
            chain.mine()
    chain.mine()


_ARGUMENTS = {
    "supply": "uint256,uint256,address,bytes",
    "withdraw": "uint256,uint256,address,address",
    "borrow": "uint256,uint256,address,address",
    "repay": "uint256,uint256,address,bytes",
    "supplyCollateral": "uint256,address,bytes",
    "withdrawCollateral": "uint256,address,address",
}
_PARAMS_WORDS = 5


@cache
def _selector(name: str) -> bytes:
    return keccak(text=f"{name}({PARAMS},{_ARGUMENTS[name]})")[:4]


@cache
def _params(market: Market) -> bytes:
    return arguments_data(("address", "address", "address", "address", "uint256"), *market.params)


def _words(arguments: Sequence[int | bytes]) -> bytes:
    """Numbers, addresses, and at the end perhaps empty bytes, after the market's own words: many times faster than
    the general encoder."""
    encoded = b"".join(part.to_bytes(32) if isinstance(part, int) else part.rjust(32, b"\0") for part in arguments)
    if arguments[-1] != b"":
        return encoded
    return encoded[:-32] + (32 * (_PARAMS_WORDS + len(arguments))).to_bytes(32) + bytes(32)


def _position_data(account: Account) -> bytes:
    return call_data("position(bytes32,address)", account.market.id, account.wallet)

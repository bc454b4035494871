"""Bars 2, 3 and 4: bulk account reads against multicall.py, against the bare node, and against one call at a time.

Two contracts: `mini` (a look-alike view of about 30k gas) and real Aave V3.0 (getUserAccountData, about 105k gas).
Every contestant ends with six ints an account, and all of them must agree.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from struct import Struct
from typing import Any

import multicall.constants
from multicall import Call, Multicall
from web3 import AsyncHTTPProvider, AsyncWeb3, Web3

from app.chain.multicall import MAX_CALLS, Multicaller, encode_aggregate3
from app.chain.reader import ChainReader
from app.chain.rpc import Rpc
from app.chain.wire import body, call_params
from app.domain.chain import Address, BlockRef, ContractCall, ReadPlan, Returned
from app.domain.specs import MULTICALL3, chain_spec
from benchmarks.chain_contracts import ACCOUNT, deploy
from benchmarks.harness import ROUNDS, Figure, Sample, interleave, median_ratio, report, spread
from devnet.anvil import Anvil
from devnet.world import World

SIX = "(uint256,uint256,uint256,uint256,uint256,uint256)"
ACCOUNT_VIEW = "getUserAccountData(address)"
SELECTOR = bytes.fromhex("bf92857c")
AAVE = "aave-v3-0-devnet"
Answer = tuple[int, ...]
_SIX_WORDS = Struct("32s" * 6)


@dataclass(frozen=True, slots=True)
class Subject:
    """A contract and the accounts to be read from it."""

    name: str
    url: str
    target: Address
    wallets: Sequence[Address]
    block: BlockRef


def _plan(call: ContractCall) -> ReadPlan[Answer]:
    (result,) = yield (call,)
    assert isinstance(result, Returned)
    return tuple(map(int.from_bytes, _SIX_WORDS.unpack(result.data)))


async def _read_ours(reader: ChainReader, subject: Subject) -> list[Answer]:
    target, head = subject.target, SELECTOR + bytes(12)
    plans = [_plan(ContractCall(target, head + wallet)) for wallet in subject.wallets]
    return await reader.read_all(plans, subject.block)


async def _read_calls(caller: Multicaller, subject: Subject) -> list[Answer]:
    """The same without plans: one list of calls, as the multicall layer itself takes it."""
    target, head = subject.target, SELECTOR + bytes(12)
    pin = b'{"blockHash":"%b","requireCanonical":true}' % str(subject.block.hash).encode()
    results = await caller.run([ContractCall(target, head + wallet) for wallet in subject.wallets], pin)
    return [tuple(map(int.from_bytes, _SIX_WORDS.unpack(result.data))) for result in results]


def _read_multicall(web3: Web3, subject: Subject) -> list[Answer]:
    """multicall.py as one uses it: chunks of 500 in turn, pinned to the block."""
    answers: list[Answer] = []
    target = Web3.to_checksum_address(str(subject.target))
    signature = ACCOUNT_VIEW + SIX
    for start in range(0, len(subject.wallets), MAX_CALLS):
        chunk = subject.wallets[start : start + MAX_CALLS]
        calls = [Call(target, [signature, str(w)], returns) for w, returns in zip(chunk, _RETURNS, strict=False)]
        found = Multicall(
            calls, block_id=subject.block.number, require_success=False, gas_limit=2_500_000_000, _w3=web3
        )()
        answers += [tuple([found[name] for name, _ in returns]) for _, returns in zip(chunk, _RETURNS, strict=False)]
    return answers


_RETURNS: list[Any] = [[(f"{place}/{field}", None) for field in range(6)] for place in range(MAX_CALLS)]
"""multicall.py wants a name for every value; None leaves the value as decoded."""


def _bodies(subject: Subject) -> list[bytes]:
    pin = b'{"blockHash":"%b","requireCanonical":true}' % str(subject.block.hash).encode()
    calls = [ContractCall(subject.target, SELECTOR + bytes(12) + wallet) for wallet in subject.wallets]
    chunks = [calls[at : at + MAX_CALLS] for at in range(0, len(calls), MAX_CALLS)]
    return [body("eth_call", call_params(MULTICALL3, encode_aggregate3(chunk), pin)) for chunk in chunks]


async def _send_all(rpc: Rpc, bodies: Sequence[bytes], count: int) -> int:
    """The floor: bodies made before, two in flight on the same connections, answers thrown away."""
    running: deque[asyncio.Task[object]] = deque()
    for one in bodies:
        if len(running) == 2:
            await running.popleft()
        running.append(asyncio.create_task(rpc.post(one)))
    for task in running:
        await task
    return count


async def _read_singly(web3: AsyncWeb3[AsyncHTTPProvider], subject: Subject, count: int) -> list[Answer]:
    words = ["uint256"] * 6
    answers: list[Answer] = []
    for wallet in subject.wallets[:count]:
        data = SELECTOR + bytes(12) + wallet
        raw = await web3.eth.call(
            {"to": web3.to_checksum_address(str(subject.target)), "data": web3.to_hex(data)}, subject.block.number
        )
        answers.append(web3.codec.decode(words, raw))
    return answers


def _race(subject: Subject, rounds: int, singly: int) -> dict[str, list[Sample]]:
    multicall.constants.MULTICALL3_ADDRESSES[31337] = Web3.to_checksum_address(str(MULTICALL3))
    with asyncio.Runner() as runner:
        reader, rpc = ChainReader(Rpc(subject.url), chain_spec(31337)), Rpc(subject.url)
        blocking = Web3(Web3.HTTPProvider(subject.url))
        single = AsyncWeb3(AsyncHTTPProvider(subject.url))
        caller = Multicaller(rpc, MULTICALL3)
        bodies = _bodies(subject)
        count = len(subject.wallets)
        try:
            ours = runner.run(_read_ours(reader, subject))
            assert ours == _read_multicall(blocking, subject), "multicall.py and we must read the same"
            assert ours == runner.run(_read_calls(caller, subject))
            assert ours[:singly] == runner.run(_read_singly(single, subject, singly))
            assert len(set(ours)) > 1
            contestants = {
                "ours": lambda: len(runner.run(_read_ours(reader, subject))),
                "calls": lambda: len(runner.run(_read_calls(caller, subject))),
                "multicall.py": lambda: len(_read_multicall(blocking, subject)),
                "floor": lambda: runner.run(_send_all(rpc, bodies, count)),
            }
            if singly:
                contestants["singly"] = lambda: len(runner.run(_read_singly(single, subject, singly)))
            return interleave(contestants, rounds)
        finally:
            runner.run(reader.aclose())
            runner.run(rpc.aclose())
            runner.run(single.provider.disconnect())


def _figures(subject: Subject, samples: dict[str, list[Sample]], wall_goal: float) -> list[Figure]:
    cpu = {name: [sample.cpu_us for sample in found] for name, found in samples.items()}
    wall = {name: [sample.wall_us for sample in found] for name, found in samples.items()}
    letter = subject.name[0]
    name = f"{len(subject.wallets)} account reads, {subject.name}"
    ours_cpu, ours_wall = spread(cpu["ours"], "us CPU a call"), spread(wall["ours"], "us a call")
    figures = [
        Figure(
            f"2{letter}",
            f"{name}: client CPU, one plan a call, multicall.py / ours",
            median_ratio(cpu["multicall.py"], cpu["ours"]),
            10,
            detail=f"ours {ours_cpu}, multicall.py {spread(cpu['multicall.py'], 'us')}",
        ),
        Figure(
            f"2{letter}c",
            f"{name}: the same without plans, multicall.py / ours",
            median_ratio(cpu["multicall.py"], cpu["calls"]),
            10,
            detail=f"ours {spread(cpu['calls'], 'us CPU a call')}",
        ),
        Figure(
            f"3{letter}",
            f"{name}: wall, ours / floor",
            median_ratio(wall["ours"], wall["floor"]),
            1.25,
            at_least=False,
            detail=f"ours {ours_wall}, floor {spread(wall['floor'], 'us')}",
        ),
        Figure(
            f"3{letter}w",
            f"{name}: wall, multicall.py / ours",
            median_ratio(wall["multicall.py"], wall["ours"]),
            wall_goal,
            detail=f"multicall.py {spread(wall['multicall.py'], 'us a call')}",
        ),
    ]
    if "singly" in samples:
        figures.append(
            Figure(
                "4",
                "wall a call: web3 AsyncWeb3 one eth_call at a time / ours",
                median_ratio(wall["singly"], wall["ours"]),
                50,
                detail=f"web3 {spread(wall['singly'], 'us a call')}",
            )
        )
    return figures


def _block(url: str) -> BlockRef:
    async def newest() -> BlockRef:
        reader = ChainReader(Rpc(url), chain_spec(31337))
        try:
            header = await reader.fetch_header("latest")
        finally:
            await reader.aclose()
        assert header is not None
        return header.block

    return asyncio.run(newest())


@contextmanager
def mini_subject(accounts: int) -> Iterator[Subject]:
    """The look-alike on a bare Anvil."""

    async def set_up(url: str) -> None:
        rpc = Rpc(url)
        try:
            await deploy(rpc)
        finally:
            await rpc.aclose()

    with Anvil() as node:
        asyncio.run(set_up(node.url))
        wallets = [Address((0x1000 + 64 * number).to_bytes(20, "big")) for number in range(accounts)]
        yield Subject("mini", node.url, ACCOUNT, wallets, _block(node.url))


@contextmanager
def aave_subject(accounts: int, population: int) -> Iterator[Subject]:
    """Real Aave V3.0 with `population` wallets, read over and over up to `accounts` reads."""
    with World(wallets=population) as world:
        pool = world.deployed(AAVE).pool
        wallets = [plan.wallet for plan in world.plans if plan.deployment_id == AAVE]
        repeated = [wallets[number % len(wallets)] for number in range(accounts)]
        yield Subject("aave", world.rpc_url, pool, repeated, _block(world.rpc_url))


def run(*, rounds: int = ROUNDS, accounts: int = 10_000, aave: bool = True, singly: int = 40) -> list[Figure]:
    """Bars 2, 3, 4 on the look-alike, and 2, 3 on real Aave."""
    with mini_subject(accounts) as subject:
        figures = _figures(subject, _race(subject, rounds, singly), 2.5)
    if aave:
        with aave_subject(accounts * 2 // 5, 300) as subject:
            figures += _figures(subject, _race(subject, rounds, 0), 1.6)
    return figures


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--accounts", type=int, default=10_000)
    arguments.add_argument("--no-aave", action="store_true", help="leave real Aave out")
    given = arguments.parse_args()
    report(run(rounds=given.rounds, accounts=given.accounts, aave=not given.no_aave))

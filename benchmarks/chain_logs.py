"""Bar 5: reading and decoding logs into typed rows, against web3's get_logs and process_log.

Both sides ask the node and end with one tuple of Python values a log; the CPU of this process is compared, a log.
"""

from __future__ import annotations

import asyncio
from struct import Struct

import msgspec
from web3 import AsyncHTTPProvider, AsyncWeb3

from app.chain.reader import ChainReader
from app.chain.rpc import Rpc
from app.chain.wire import body, decode_logs, log_params
from app.domain.chain import Address, Log, LogFilter
from app.domain.specs import chain_spec
from benchmarks.chain_contracts import EMITTER, EVENT_ABI, MOVED, deploy, emit_logs
from benchmarks.harness import ROUNDS, Figure, interleave, median_ratio, report, spread
from devnet.anvil import Anvil

Row = tuple[int, int, bytes, bytes, int, int, int]
"""block, index, reserve, wallet, referral, amount, index value"""

_TWO_WORDS = Struct("32s32s")
WANTED = LogFilter(frozenset({EMITTER}), frozenset({MOVED}))


def _rows(logs: list[Log]) -> list[Row]:
    """What an adapter does with an event's words: slices of known places."""
    word, two_words = int.from_bytes, _TWO_WORDS.unpack_from
    rows: list[Row] = []
    for _, (_, reserve, wallet, referral), data, number, _, _, index in logs:
        amount, growth = two_words(data)
        rows.append((number, index, reserve[12:], wallet[12:], word(referral), word(amount), word(growth)))
    return rows


async def _read_lean(reader: ChainReader, first: int, last: int) -> list[Row]:
    return _rows(await reader.fetch_logs(WANTED, first, last))


async def _raw_answer(rpc: Rpc, first: int, last: int) -> msgspec.Raw:
    where = b'"fromBlock":"%b","toBlock":"%b"' % (hex(first).encode(), hex(last).encode())
    return (await rpc.request(body("eth_getLogs", log_params(WANTED, where)), "eth_getLogs")).copy()


async def _read_web3(web3: AsyncWeb3[AsyncHTTPProvider], first: int, last: int) -> list[Row]:
    event = web3.eth.contract(address=web3.to_checksum_address(str(EMITTER)), abi=[EVENT_ABI]).events.Moved()
    found = await web3.eth.get_logs(
        {
            "fromBlock": first,
            "toBlock": last,
            "address": web3.to_checksum_address(str(EMITTER)),
            "topics": [str(MOVED)],
        }
    )
    rows: list[Row] = []
    for receipt_log in found:
        log = event.process_log(receipt_log)
        given = log["args"]
        rows.append(
            (
                log["blockNumber"],
                log["logIndex"],
                Address.from_hex(given["reserve"]),
                Address.from_hex(given["wallet"]),
                given["referral"],
                given["amount"],
                given["index"],
            )
        )
    return rows


def run(*, rounds: int = ROUNDS, blocks: int = 20, logs_a_block: int = 250) -> list[Figure]:
    """Bar 5 as it is defined (JSON bytes to rows) and 5w, the whole way from the node on both sides.

    The slow side reads a tenth of the blocks: costs are a log.
    """
    with Anvil() as node, asyncio.Runner() as runner:
        rpc = Rpc(node.url)
        reader = ChainReader(rpc, chain_spec(31337))
        web3 = AsyncWeb3(AsyncHTTPProvider(node.url))
        try:
            runner.run(deploy(rpc))
            sender = "0x" + "11" * 20
            first, last = runner.run(emit_logs(rpc, sender, blocks, logs_a_block))
            few = first + max(1, blocks // 10) - 1
            raw = runner.run(_raw_answer(rpc, first, last))
            expected = runner.run(_read_web3(web3, first, few))
            assert runner.run(_read_lean(reader, first, few)) == expected
            assert _rows(decode_logs(raw))[: len(expected)] == expected
            assert len(runner.run(_read_lean(reader, first, last))) == blocks * logs_a_block
            samples = interleave(
                {
                    "decode": lambda: len(_rows(decode_logs(raw))),
                    "whole": lambda: len(runner.run(_read_lean(reader, first, last))),
                    "web3": lambda: len(runner.run(_read_web3(web3, first, few))),
                },
                rounds,
            )
        finally:
            runner.run(reader.aclose())
            runner.run(web3.provider.disconnect())
    cpu = {name: [sample.cpu_us for sample in found] for name, found in samples.items()}
    told = {name: spread(values, "us CPU a log") for name, values in cpu.items()}
    decode, whole = median_ratio(cpu["web3"], cpu["decode"]), median_ratio(cpu["web3"], cpu["whole"])
    against = f"web3 get_logs + process_log {told['web3']}"
    return [
        Figure("5", "JSON bytes of logs to typed rows", decode, 100, detail=f"ours {told['decode']}, {against}"),
        Figure("5w", "the same from the node on", whole, 40, detail=f"ours {told['whole']}, {against}"),
    ]


if __name__ == "__main__":
    report(run())

"""Two tiny contracts for the chain benchmarks, assembled by hand and put in place with anvil_setCode.

`ACCOUNT` answers any call with six words after a bitmap and twelve mapping reads (about 30k gas), like a lending view.
`EMITTER` emits as many Aave-shaped logs (three indexed words, two words of data) as its calldata says.
"""

from __future__ import annotations

from eth_utils.crypto import keccak
from multicall.constants import MULTICALL3_BYTECODE

from app.chain.rpc import Rpc
from app.domain.chain import Address, Hash32
from app.domain.specs import MULTICALL3

ACCOUNT = Address(b"\xac" * 20)
EMITTER = Address(b"\xee" * 20)
EVENT_ABI = {
    "type": "event",
    "name": "Moved",
    "anonymous": False,
    "inputs": [
        {"name": "reserve", "type": "address", "indexed": True},
        {"name": "wallet", "type": "address", "indexed": True},
        {"name": "referral", "type": "uint256", "indexed": True},
        {"name": "amount", "type": "uint256", "indexed": False},
        {"name": "index", "type": "uint256", "indexed": False},
    ],
}
MOVED = Hash32(keccak(text="Moved(address,address,uint256,uint256,uint256)"))


def account_code() -> bytes:
    """Forty bits of a bitmap, twelve reads of a mapping keyed by the argument; argument + sum + j for j in 0..5."""
    code = bytes.fromhex("6000")
    for bit in range(40):
        code += bytes.fromhex(f"60043560{bit:02x}1c60011650")  # calldataload(4) >> bit & 1
    for slot in range(12):
        code += bytes.fromhex(f"60043560005260{slot:02x}60205260406000205401")  # += sload(keccak(argument, slot))
    for word in range(6):
        code += bytes.fromhex(f"806004350160{word:02x}0160{32 * word:02x}52")
    return code + bytes.fromhex("60c06000f3")


def emitter_code() -> bytes:
    """for (i = calldataload(0); i > 0; i--) { mstore(0, i); mstore(32, timestamp); log4(0, 64, topic, this, i, i) }"""
    loop = "5b" + "80600052" + "42602052" + "8080" + "30" + "7f" + MOVED.hex() + "60406000a4" + "60019003" + "80602157"
    # 0x00: calldataload(0), then padding up to the loop's JUMPDEST at 0x21
    start = "600035"
    return bytes.fromhex(start + "5b" * (0x21 - 3) + loop + "00")


async def deploy(rpc: Rpc) -> None:
    """Put both contracts and Multicall3 in place."""
    await rpc.call("anvil_setCode", [str(MULTICALL3), MULTICALL3_BYTECODE])
    await rpc.call("anvil_setCode", [str(ACCOUNT), "0x" + account_code().hex()])
    await rpc.call("anvil_setCode", [str(EMITTER), "0x" + emitter_code().hex()])
    await rpc.call("evm_mine")


async def emit_logs(rpc: Rpc, sender: str, blocks: int, logs_a_block: int) -> tuple[int, int]:
    """Mine `blocks` blocks of logs; their first and last number."""
    numbers = []
    for _ in range(blocks):
        transaction = {
            "from": sender,
            "to": str(EMITTER),
            "data": "0x" + logs_a_block.to_bytes(32, "big").hex(),
            "gas": hex(50_000 + 5_000 * logs_a_block),
            "gasPrice": "0x0",
        }
        await rpc.call("eth_sendTransaction", [transaction])
        await rpc.call("evm_mine")
        numbers.append(int(str(await rpc.call("eth_blockNumber")), 16))
    return numbers[0], numbers[-1]

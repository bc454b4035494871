"""Everything a node can answer besides the truth: an error of each class, and lies that can be told from the truth."""

from __future__ import annotations

from random import Random
from typing import Any

from app.chain.faults import Transport
from app.chain.transport import HttpReply
from tests.fakes.node import Fault, NodeSays

ANYWHERE: tuple[Fault, ...] = (
    Transport("the node hung up"),
    Transport("no answer in time"),
    HttpReply(503, b""),
    HttpReply(502, b"<html>bad gateway</html>"),
    HttpReply(429, b""),
    HttpReply(200, b""),
    HttpReply(200, b'{"jsonrpc":"2.0","id":1,"result":"0x00'),
    NodeSays(-32005, "rate limit exceeded"),
    NodeSays(-32000, "internal error"),
    NodeSays(-32603, "something went wrong"),
    NodeSays(-32002, "request timed out"),
)
"""Of these any request can be the victim, any number of times."""

BY_METHOD: dict[str, tuple[Fault, ...]] = {
    "eth_call": (
        HttpReply(200, b'{"jsonrpc":"2.0","id":1,"result":"0x"}'),
        NodeSays(-32000, "header not found"),
        NodeSays(-32000, "hash is not currently canonical"),
        NodeSays(-32602, "invalid argument 1: json: cannot unmarshal object into Go value of type string"),
    ),
    "eth_getLogs": (
        NodeSays(-32000, "unknown block"),
        NodeSays(-32005, "block range is too wide, max 3"),
        NodeSays(-32602, "query returned more than 10000 results"),
    ),
}
"""What only these methods are answered with."""


FALSE_WORDS: dict[str, tuple[Fault, ...]] = {
    "eth_getCode": (HttpReply(200, b'{"jsonrpc":"2.0","id":1,"result":"0x"}'),),
    "eth_chainId": (HttpReply(200, b'{"jsonrpc":"2.0","id":1,"result":"0x5"}'),),
    "eth_syncing": (HttpReply(200, b'{"jsonrpc":"2.0","id":1,"result":true}'),),
}
"""What an endpoint of a pool may say of itself for a moment: a bare reader would believe it."""


def draw_fault(method: str, random: Random, *, pooled: bool) -> Fault:
    """A failure that a request of this method can meet."""
    own = BY_METHOD.get(method, ()) + (FALSE_WORDS.get(method, ()) if pooled else ())
    return random.choice(ANYWHERE + own * 2)


def lie_about_logs(params: Any, logs: list[dict[str, Any]], random: Random) -> list[dict[str, Any]]:
    """Logs as a broken node gives them. Only in ways that a header or the answer itself contradicts: nobody can know
    that one of many logs of a range is missing, or one of several of the same contract and event."""
    if not logs:
        return logs
    kind = random.randrange(4)
    if kind == 3:
        return _leave_one_out(params, logs, random) if "blockHash" in params[0] else logs
    if kind == 0 and "blockHash" in params[0]:
        return []
    if kind == 1:
        return [*logs, logs[-1]]
    spoiled = {**logs[-1], "blockHash": "0x" + "77" * 32}
    if "blockHash" in params[0] or any(log["blockNumber"] == spoiled["blockNumber"] for log in logs[:-1]):
        return [*logs[:-1], spoiled]
    return logs


def _leave_one_out(params: Any, logs: list[dict[str, Any]], random: Random) -> list[dict[str, Any]]:
    """All but one, where the bloom or the numbers of the rest give that away."""
    place = random.randrange(len(logs))
    rest = logs[:place] + logs[place + 1 :]
    missed = logs[place]
    if "address" in params[0]:
        shows = all(missed["address"] != log["address"] for log in rest)
        shows |= all(missed["topics"][0] != log["topics"][0] for log in rest)
    else:
        told = {item for log in rest for item in (log["address"], *log["topics"])}
        shows = place < len(rest) or not {missed["address"], *missed["topics"]} <= told
    return rest if shows else logs

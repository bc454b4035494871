"""What can go wrong between us and a node, one class a reaction, and the one place that tells them apart.

Nodes agree on little: the same refusal comes as -32005, -32602, HTTP 400 or a sentence. The patterns below were
collected from what providers answer; an answer none of them knows is a `NodeError` and is tried again.
"""

from __future__ import annotations

import re
from typing import Final

from app.errors import Fatal, Retryable, WaterlineError


class Transport(Retryable):
    """No usable HTTP answer: connection refused or cut, a timeout, a 5xx."""


class NodeError(Retryable):
    """The node answered with an error that fits no class below."""


class Malformed(Retryable):
    """The answer does not have the shape the protocol promises, or contradicts itself."""


class Throttled(Retryable):
    """Too many requests for the moment."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds the node asked us to wait, if it did."""


class QuotaSpent(Retryable):
    """The plan does not pay for this any more, or never did. Not asked again for a while: a person has to look."""


class RangeTooWide(Retryable):
    """A range of logs the node will not search in one request: split it."""

    def __init__(self, message: str, limit: int | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        """The widest range in blocks, if the refusal named it."""


class ResponseTooLarge(Retryable):
    """The request or its answer is larger than the node allows: ask for less at once."""


class OutOfGas(Retryable):
    """A call as a whole (never one inside a multicall) ran out of the gas or time the node gives it."""


class ExecutionReverted(Retryable):
    """A call as a whole reverted with `data`. Never repeated by itself: at this block the answer stays the same."""

    def __init__(self, message: str, data: bytes = b"") -> None:
        super().__init__(message)
        self.data = data


class NotThereYet(Retryable):
    """The node does not have the block (yet): it lags, or another behind the same address answered."""


class BlockGone(Retryable):
    """The block is not on the node's chain any more: whatever was read there is void."""


class Pruned(Retryable):
    """The block's state has been thrown away: only an archive node has it. Newer blocks can be read."""


class LogsDoubtful(Retryable):
    """The logs contradict the block's header or each other."""


class ParamsRefused(Fatal):
    """The node does not understand this form of request."""


class MethodMissing(Fatal):
    """The node does not offer the method at all."""


class Unauthorised(Fatal):
    """The node refuses our credentials."""


class WrongChain(Fatal):
    """The endpoint serves another chain than configured, or one without Multicall3."""


ChainFault = Retryable | Fatal

_ANSWERS: Final = (
    RangeTooWide,
    ResponseTooLarge,
    OutOfGas,
    ExecutionReverted,
    NotThereYet,
    BlockGone,
    Pruned,
    ParamsRefused,
    MethodMissing,
)


def is_answer(fault: WaterlineError) -> bool:
    """Whether a failure says something of the question rather than of the endpoint's health."""
    return isinstance(fault, _ANSWERS)


_I: Final = re.IGNORECASE
_OUT_OF_GAS = re.compile(r"out\s*of\s*gas|MemoryOOG|\bOOG\b|gas required exceeds|execution aborted|evm timeout", _I)
_REVERTED = re.compile(r"execution reverted|^reverted\b|\bVM execution error\b|revert(ed)? with", _I)
_HEIGHT = re.compile(r"block height is (\d+) but requested was (\d+)", _I)
_PRUNED = re.compile(
    r"missing trie node|pruned|state (is |at block \S+ is |for block \S+ is )?(not|un)\s?available|archive"
    r"|historical state|state already discarded|required historical|BlockOutOfRange|no state available",
    _I,
)
_GONE = re.compile(r"not (currently )?canonical|non-canonical|is not in the canonical chain", _I)
_NOT_THERE = re.compile(
    r"header (for hash )?not found|(block|header) \S* ?(is |was )?not found|unknown block|block not found|BlockNotFound"
    r"|does not have the requested block|resource not found|could not find block|after last accepted block"
    r"|unfinalized data|block (number )?\S* ?(is )?(not yet|too high|in the future)",
    _I,
)
_TOO_LARGE = re.compile(
    r"response (is )?too (large|big)|response size|too large|body limit|entity too large|exceeds? max results"
    r"|more than \d+ results|query returned more than|logs matched by query exceeds|max(imum)? message size"
    r"|log response size exceeded|result set too|too many logs",
    _I,
)
_RANGE = re.compile(
    r"block range|range (is )?too|range \S+ exceeds|max(imum)? range|range limit|exceed(s|ed)? maximum block range"
    r"|blocks? distance|limited to (a )?[\d,]+|up to (a )?[\d,]+ block|query timeout exceeded|eth_getLogs.{0,40}limit"
    r"|too many blocks",
    _I,
)
_RANGE_LIMIT = re.compile(
    r"(?:max(?:imum)?(?: block)? range(?: is)?:?|limited to(?: a)?|up to(?: a)?|exceeds? (?:the )?limit(?: of)?:?"
    r"|less than|at most)\s*([\d,]+)(k?)",
    _I,
)
_THROTTLED = re.compile(
    r"rate.?limit|too many requests|throttl|compute units|capacity|quota|requests? per (second|minute|day)"
    r"|request count exceeded|exceeded.{0,40}limit|limit exceeded|usage limit|credits",
    _I,
)
_UNAUTHORISED = re.compile(r"unauthori[sz]ed|forbidden|api.?key|authenticat|invalid project|access denied", _I)
_METHOD = re.compile(r"method .*(not found|not supported|not available|does not exist)|unsupported method", _I)
_PARAMS = re.compile(r"invalid (argument|params|type|request|block)|cannot unmarshal|missing value|unknown field", _I)
_SLOW = re.compile(r"timed? ?out|timeout|temporarily|overloaded|try again", _I)


def classify(code: int | None, message: str, data: object = None, status: int = 200) -> ChainFault:
    """The failure a JSON-RPC error object means.

    Args:
        code: The error object's code, None if it has none.
        message: Its text, already free of secrets; it becomes the failure's own text.
        data: Its data member: revert data or more text.
        status: HTTP status the error came with.
    """
    text = f"{message} {data}" if isinstance(data, str) and not data.startswith("0x") else message
    shown = f"{message[:300]} (code {code})" if code is not None else message[:300]
    if _OUT_OF_GAS.search(text):
        return OutOfGas(shown)
    if code == 3 or _REVERTED.search(text):
        return ExecutionReverted(shown, _revert_data(data))
    if height := _HEIGHT.search(text):
        has, wanted = int(height[1]), int(height[2])
        return NotThereYet(shown) if wanted > has else Pruned(shown)
    if code == -32043 or _PRUNED.search(text):
        return Pruned(shown)
    if _GONE.search(text):
        return BlockGone(shown)
    if code in (-39001, -38001) or _NOT_THERE.search(text):
        return NotThereYet(shown)
    if status != 429 and code != 429:
        if _RANGE.search(text):
            return RangeTooWide(shown, _range_limit(text))
        if status == 413 or _TOO_LARGE.search(text):
            return ResponseTooLarge(shown)
    return _classify_refusal(code, text, shown, status)


def _classify_refusal(code: int | None, text: str, shown: str, status: int) -> ChainFault:
    """The rest of `classify`: refusals that are not about the block or the amount asked for."""
    if 402 in (status, code) or code == -32052:
        return QuotaSpent(shown)
    if status == 429 or code in (429, -32005, -32029, -32097, 42903) or _THROTTLED.search(text):
        return Throttled(shown)
    if status in (401, 403) or code in (401, 403) or _UNAUTHORISED.search(text):
        return Unauthorised(shown)
    if code == -32601 or _METHOD.search(text):
        return MethodMissing(shown)
    if code == -32002 or _SLOW.search(text):
        return Transport(shown)
    if code in (-32602, -32600, -32700) or _PARAMS.search(text):
        return ParamsRefused(shown)
    if status >= 500:
        return Transport(shown)
    return NodeError(shown)


def classify_status(status: int, retry_after: float | None) -> ChainFault:
    """The failure an HTTP status means when its body says nothing in JSON-RPC."""
    said = f"HTTP status {status}"
    if status == 402:
        return QuotaSpent(f"{said}: the endpoint wants to be paid")
    if status == 429:
        return Throttled(said, retry_after)
    if status in (401, 403):
        return Unauthorised(said)
    if status == 413:
        return ResponseTooLarge(said)
    if status in (404, 405):
        return MethodMissing(f"{said}: no JSON-RPC endpoint at this address")
    return Transport(said)


def _range_limit(text: str) -> int | None:
    found = _RANGE_LIMIT.search(text)
    if not found:
        return None
    limit = int(found[1].replace(",", "") or 0) * (1000 if found[2] else 1)
    return limit or None


def _revert_data(data: object) -> bytes:
    """Revert data from where nodes put it: `data` itself, `data.data`, or behind a word (`Reverted 0x..`)."""
    if isinstance(data, dict):
        data = data.get("data")
    if not isinstance(data, str):
        return b""
    found = re.search(r"0x([0-9a-fA-F]*)$", data.strip())
    digits = found[1] if found else ""
    return bytes.fromhex(digits) if len(digits) % 2 == 0 else b""

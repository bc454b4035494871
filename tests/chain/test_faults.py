"""What providers answer, and which of our classes it is. Texts as providers send them."""

from __future__ import annotations

import pytest

from app.chain import faults
from app.chain.faults import classify, classify_status
from app.errors import Fatal, Retryable

SAID = [
    (-32602, "query exceeds max block range 500, range 1000 exceeds limit", 200, faults.RangeTooWide),
    (-32600, "block range is too wide", 200, faults.RangeTooWide),
    (-32005, "query exceeds max results 20000, retry with the range 0x1-0x2", 200, faults.ResponseTooLarge),
    (
        -32047,
        "Invalid eth_getLogs request. 'fromBlock'-'toBlock' range too large. Max range: 800",
        400,
        faults.RangeTooWide,
    ),
    (-32614, "eth_getLogs is limited to a 10,000 range", 413, faults.RangeTooWide),
    (-32000, "You can make eth_getLogs requests with up to a 10k block range", 400, faults.RangeTooWide),
    (-32005, "query returned more than 10000 results", 200, faults.ResponseTooLarge),
    (-32008, "backend response too large", 200, faults.ResponseTooLarge),
    (-32602, "Log response size exceeded. You can make requests with up to a 2K block range", 200, faults.RangeTooWide),
    (None, "logs matched by query exceeds limit of 10000", 200, faults.ResponseTooLarge),
    (429, "Your app has exceeded its compute units per second capacity", 429, faults.Throttled),
    (-32005, "daily request count exceeded, request rate limited", 200, faults.Throttled),
    (-32029, "Too many requests", 429, faults.Throttled),
    (None, "call rate limit exhausted, retry in 10s", 200, faults.Throttled),
    (42903, "upgrade your tier", 200, faults.Throttled),
    (-32052, "API key is not allowed to access this", 403, faults.QuotaSpent),
    (402, "Payment required", 200, faults.QuotaSpent),
    (None, "monthly quota used up, upgrade your plan", 402, faults.QuotaSpent),
    (-32000, "header not found", 200, faults.NotThereYet),
    (-32603, "upstream does not have the requested block yet", 200, faults.NotThereYet),
    (-32001, "Resource not found", 200, faults.NotThereYet),
    (-32000, "unknown block", 200, faults.NotThereYet),
    (-39001, "Unknown block", 200, faults.NotThereYet),
    (-32602, "BlockOutOfRangeError: block height is 1 but requested was 153", 200, faults.NotThereYet),
    (-32602, "BlockOutOfRangeError: block height is 153 but requested was 1", 200, faults.Pruned),
    (-32000, "hash 1234 is not currently canonical", 200, faults.BlockGone),
    (-32000, "missing trie node 8bb0 (path ) state 0xbd is not available, not found", 200, faults.Pruned),
    (-32043, "data not available", 200, faults.Pruned),
    (-32000, "required historical state unavailable (reexec=128)", 200, faults.Pruned),
    (-32603, "EVM error OutOfGas", 200, faults.OutOfGas),
    (-32603, "EVM error MemoryOOG", 200, faults.OutOfGas),
    (-32000, "out of gas: gas required exceeds: 50000000", 200, faults.OutOfGas),
    (-32015, "VM execution error: out of gas", 200, faults.OutOfGas),
    (-32000, "execution aborted (timeout = 5s)", 200, faults.OutOfGas),
    (3, "execution reverted: 27", 200, faults.ExecutionReverted),
    (-32603, "execution reverted", 200, faults.ExecutionReverted),
    (-32015, "VM execution error.", 200, faults.ExecutionReverted),
    (-32601, "the method eth_foo does not exist/is not available", 200, faults.MethodMissing),
    (-32002, "request timed out", 200, faults.Transport),
    (-32602, "invalid argument 1: json: cannot unmarshal object into Go value", 200, faults.ParamsRefused),
    (-32602, "unknown field `blockHash`", 200, faults.ParamsRefused),
    (-32000, "Unauthorized: invalid token", 401, faults.Unauthorised),
    (-32603, "internal error", 200, faults.NodeError),
    (None, "", 200, faults.NodeError),
]


@pytest.mark.parametrize(("code", "message", "status", "kind"), SAID, ids=lambda value: str(value)[:40])
def test_an_answer_is_classified(code: int | None, message: str, status: int, kind: type[Exception]) -> None:
    assert type(classify(code, message, None, status)) is kind


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        ("'fromBlock'-'toBlock' range too large. Max range: 800", 800),
        ("eth_getLogs is limited to a 10,000 range", 10_000),
        ("requests with up to a 10k block range", 10_000),
        ("block range is too wide", None),
    ],
)
def test_the_widest_range_is_taken_from_the_refusal(message: str, limit: int | None) -> None:
    fault = classify(-32602, message)
    assert isinstance(fault, faults.RangeTooWide)
    assert fault.limit == limit


@pytest.mark.parametrize(
    ("data", "bytes_"),
    [
        ("0x1234", b"\x12\x34"),
        ("Reverted 0x1234", b"\x12\x34"),
        ({"data": "0x1234"}, b"\x12\x34"),
        (None, b""),
        ("0x123", b""),
        (["0x12"], b""),
    ],
)
def test_revert_data_is_found_where_nodes_put_it(data: object, bytes_: bytes) -> None:
    fault = classify(3, "execution reverted", data)
    assert isinstance(fault, faults.ExecutionReverted)
    assert fault.data == bytes_


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, faults.Throttled),
        (402, faults.QuotaSpent),
        (401, faults.Unauthorised),
        (403, faults.Unauthorised),
        (404, faults.MethodMissing),
        (413, faults.ResponseTooLarge),
        (500, faults.Transport),
        (502, faults.Transport),
        (520, faults.Transport),
    ],
)
def test_a_bare_http_status_is_classified(status: int, kind: type[Exception]) -> None:
    assert type(classify_status(status, None)) is kind


def test_every_fault_says_whether_to_go_on() -> None:
    for name, kind in vars(faults).items():
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == faults.__name__:
            assert issubclass(kind, Retryable) != issubclass(kind, Fatal), name

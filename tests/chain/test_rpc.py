"""The RPC client: bounded tries, one class a failure, and not a trace of the URL."""

from __future__ import annotations

import asyncio
import logging
import logging.config
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app.chain.faults import (
    ExecutionReverted,
    Malformed,
    MethodMissing,
    NodeError,
    ParamsRefused,
    QuotaSpent,
    Throttled,
    Transport,
    Unauthorised,
)
from app.chain.rpc import RetryPolicy, Rpc
from app.chain.transport import SILENT, HttpReply, describe_endpoint
from app.errors import Refused, WaterlineError
from tests.fakes.node import IMPATIENT, FakeNode, NodeSays

MARKER = "s3cr3t-m4rk3r"
MARKED_URL = f"https://us3r-{MARKER}:p4ss-{MARKER}@node.example:8443/v3/{MARKER}?key={MARKER}"
CHAIN_ID = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'


async def ask(rpc: Rpc, lean: bool) -> object:
    return await (rpc.request(CHAIN_ID, "eth_chainId") if lean else rpc.call("eth_chainId"))


both_paths = pytest.mark.parametrize("lean", [True, False], ids=["lean", "through web3"])


async def test_both_paths_give_the_result() -> None:
    rpc = FakeNode(chain_id=10).rpc()
    assert await rpc.call("eth_chainId") == "0xa"
    assert bytes(await rpc.request(CHAIN_ID, "eth_chainId")) == b'"0xa"'


async def test_a_null_result_is_a_result() -> None:
    rpc = FakeNode().rpc()
    assert await rpc.call("eth_getBlockByNumber", ["0x63", False]) is None


@both_paths
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (NodeSays(429, "slow down"), Throttled),
        (HttpReply(429, b"slow down"), Throttled),
        (HttpReply(503, b"<html>"), Transport),
        (NodeSays(-32603, "internal error"), NodeError),
        (Transport("cut"), Transport),
        (HttpReply(200, b"<html>"), Malformed),
        (HttpReply(200, b"[]"), Malformed),
        (HttpReply(200, b'{"jsonrpc":"2.0","id":1}'), Malformed),
    ],
    ids=repr,
)
async def test_what_may_pass_is_tried_again_and_then_raised(lean: bool, fault: object, kind: type[Exception]) -> None:
    node = FakeNode()
    node.fail("eth_chainId", fault, times=IMPATIENT.attempts - 1)  # type: ignore[arg-type]
    assert await ask(node.rpc(), lean)
    node.fail("eth_chainId", fault, times=IMPATIENT.attempts)  # type: ignore[arg-type]
    with pytest.raises(kind):
        await ask(node.rpc(), lean)
    assert node.faults == []


@both_paths
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (NodeSays(3, "execution reverted", "0x12"), ExecutionReverted),
        (NodeSays(-32602, "invalid params"), ParamsRefused),
        (HttpReply(401, b"no"), Unauthorised),
        (HttpReply(402, b"pay"), QuotaSpent),
    ],
    ids=repr,
)
async def test_what_cannot_pass_is_asked_once(lean: bool, fault: object, kind: type[Exception]) -> None:
    node = FakeNode()
    node.fail("eth_chainId", fault)  # type: ignore[arg-type]
    with pytest.raises(kind):
        await ask(node.rpc(), lean)
    assert node.count("eth_chainId") == 1


@both_paths
async def test_a_missing_method_is_tried_once_more(lean: bool) -> None:
    node = FakeNode()
    node.fail("eth_chainId", NodeSays(-32601, "method not found"), times=9)
    with pytest.raises(MethodMissing):
        await ask(node.rpc(), lean)
    assert node.count("eth_chainId") == 2


async def test_a_json_rpc_error_under_an_http_error_status_is_read() -> None:
    node = FakeNode()
    body = b'{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"execution reverted","data":"0x99"}}'
    node.fail("eth_chainId", HttpReply(400, body))
    with pytest.raises(ExecutionReverted) as caught:
        await ask(node.rpc(), lean=True)
    assert caught.value.data == b"\x99"


async def test_a_node_that_never_answers_is_given_up() -> None:
    async def never(body: bytes) -> HttpReply:
        await asyncio.Event().wait()
        raise AssertionError

    rpc = Rpc("http://fake.node", post=never, policy=RetryPolicy(attempts=3, attempt_seconds=0.01, total_seconds=0.02))
    with pytest.raises(Transport, match="in time"):
        await rpc.call("eth_chainId")


async def test_a_wait_longer_than_the_time_left_is_not_waited() -> None:
    node = FakeNode()
    node.fail("eth_chainId", HttpReply(429, b"", retry_after=3600), times=9)
    with pytest.raises(Throttled) as caught:
        await ask(node.rpc(), lean=True)
    assert caught.value.retry_after == 3600
    assert node.count("eth_chainId") == 1


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("7", 7.0),
        (timedelta(hours=1), 3600.0),
        (timedelta(hours=-1), 0.0),
        ("soon", None),
        ("-1", None),
        ("999999", None),
        (None, None),
    ],
)
async def test_how_long_to_wait_is_read_as_seconds_or_as_a_moment(
    given: str | timedelta | None, seconds: float | None
) -> None:
    header = given
    if isinstance(given, timedelta):
        header = format_datetime(datetime.now(UTC) + given, usegmt=True)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": str(header)} if header is not None else {})

    app = web.Application()
    app.router.add_post("/", answer)
    async with TestServer(app) as server:
        rpc = Rpc(str(server.make_url("/")))
        reply = await rpc.post(CHAIN_ID)
        await rpc.aclose()
    assert reply.retry_after == (seconds if seconds is None else pytest.approx(seconds, abs=600))


@pytest.mark.parametrize(
    "url", ["", "node.example", "ftp://node.example", "http://", "http://[::1", f"https:/{MARKER}"]
)
def test_what_is_not_a_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(Refused) as caught:
        Rpc(url)
    assert MARKER not in str(caught.value)
    assert caught.value.__context__ is None


def test_the_label_is_scheme_host_and_port() -> None:
    assert Rpc(MARKED_URL, post=FakeNode().post).label == "https://node.example:8443"
    assert describe_endpoint("http://[::1]:8545/x", ("http",)).label == "http://[::1]:8545"
    assert describe_endpoint("https://node.example/x", ("https",)).label == "https://node.example"


def everything_said(error: BaseException) -> str:
    """Text, repr, traceback and the same of every exception behind it, shown or suppressed."""
    said, seen = "", [error]
    while seen:
        one = seen.pop()
        said += f"{one} {one!r} {one.args} " + "".join(traceback.format_exception(one))
        seen += [inner for inner in (one.__cause__, one.__context__) if inner is not None]
    return said


@both_paths
@pytest.mark.parametrize(
    "fault",
    [
        NodeSays(-32603, f"no such project {MARKER}"),
        NodeSays(-32000, "denied", f"key {MARKER} is unknown"),
        HttpReply(403, f"key {MARKER}".encode()),
        HttpReply(200, f"key {MARKER}".encode()),
        HttpReply(200, f'{{"error": "{MARKER} is unknown"}}'.encode()),
    ],
    ids=["message", "data", "status body", "no json", "odd error"],
)
async def test_a_node_that_echoes_the_url_does_not_get_it_into_our_errors(lean: bool, fault: object) -> None:
    node = FakeNode()
    node.fail("eth_chainId", fault, times=9)  # type: ignore[arg-type]
    rpc = Rpc(MARKED_URL, post=node.post, policy=IMPATIENT)
    with pytest.raises(WaterlineError) as caught:
        await ask(rpc, lean)
    assert MARKER not in everything_said(caught.value)


@both_paths
async def test_nothing_of_the_url_is_said_when_the_network_fails(lean: bool, caplog: pytest.LogCaptureFixture) -> None:
    """No listener at that port: aiohttp's and web3's own exceptions and loggers hold the whole URL."""
    caplog.set_level(logging.DEBUG)
    url = f"http://{MARKER}:{MARKER}@127.0.0.1:1/v3/{MARKER}?key={MARKER}"
    rpc = Rpc(url, policy=RetryPolicy(attempts=2, first_pause_seconds=0))
    with pytest.raises(Transport) as caught:
        await ask(rpc, lean)
    await rpc.aclose()
    assert MARKER not in everything_said(caught.value)
    assert MARKER not in caplog.text
    assert MARKER not in f"{rpc!r} {rpc} {rpc._provider!r} {rpc._provider}"


def test_no_configuration_of_logging_makes_the_silent_logger_speak(caplog: pytest.LogCaptureFixture) -> None:
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    SILENT.disabled = False
    SILENT.error("a URL with a key")
    assert caplog.text == ""

"""A JSON-RPC proxy that spoils what passes through it: HTTP and WebSocket, in front of a real node, from a seed.

It listens on a free port of this machine, takes any path and any credentials, and every fault can be switched while
it runs. What it does at random follows its seed and the order of requests.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from aiohttp import web

_WITHOUT_FAULTS: Final = frozenset({"eth_subscribe", "eth_unsubscribe"})


@dataclass
class Faults:
    """What goes wrong. Rates are shares of requests, 0 to 1; they are drawn in this order."""

    error_rate: float = 0.0
    """HTTP 500, a cut connection, half an answer, or a JSON-RPC error: one of them each time."""
    timeout_rate: float = 0.0
    """No answer for `hang_seconds`."""
    hang_seconds: float = 60.0
    throttle_rate: float = 0.0
    """HTTP 429 with Retry-After."""
    retry_after_seconds: int = 1
    empty_logs_rate: float = 0.0
    """eth_getLogs answers with nothing."""
    range_blocks: int | None = None
    """Wider ranges of logs are refused."""
    chain_id: int | None = None
    """Told in place of the node's own."""
    frozen_at: int | None = None
    """Blocks above this one do not exist here."""
    mute: bool = False
    """Sockets stay open and announce nothing."""
    heads_per_socket: int | None = None
    """Sockets are cut after so many heads."""
    dead: bool = False
    """Every connection is cut at once."""
    echo_url: bool = False
    """Errors repeat the path and query they were asked at."""


@dataclass
class FaultyProxy:
    """The proxy. `faults` may be changed at any time."""

    upstream: str
    """http:// URL of the node."""
    seed: int = 1
    faults: Faults = field(default_factory=Faults)
    spoiled: Counter[str] = field(default_factory=Counter)
    """How often each kind of fault happened."""
    requests: Counter[str] = field(default_factory=Counter)
    """Requests by method."""
    port: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._session: aiohttp.ClientSession | None = None
        self._sockets: set[web.WebSocketResponse] = set()

    def url(self, scheme: str = "http", credentials: str = "", path: str = "") -> str:
        """Where it listens."""
        return f"{scheme}://{credentials}127.0.0.1:{self.port}/{path}"

    async def die(self) -> None:
        """Cut every connection, and every later one."""
        self.faults.dead = True
        for socket in list(self._sockets):
            await _cut(socket)

    def revive(self) -> None:
        """Answer again."""
        self.faults.dead = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FaultyProxy]:
        """Listen until the block is left."""
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{anything:.*}", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self._session = aiohttp.ClientSession()
        try:
            yield self
        finally:
            for socket in list(self._sockets):
                await _cut(socket)
            await self._session.close()
            await runner.cleanup()

    # ------------------------------------------------------------------------------------------ HTTP

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.faults.dead:
            self.spoiled["dead"] += 1
            return _abort(request)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_socket(request)
        body = await request.read()
        asked = json.loads(body)
        status, answer, headers = await self._answer(asked, str(request.rel_url))
        if self.faults.dead or status == 0:
            return _abort(request)
        return web.Response(status=status, body=answer, headers=headers, content_type="application/json")

    async def _answer(self, asked: dict[str, Any], url: str) -> tuple[int, bytes, dict[str, str]]:
        """(status, body, headers); status 0 cuts the connection."""
        method, faults = asked["method"], self.faults
        self.requests[method] += 1
        drawn = self._random.random()
        if (drawn := drawn - faults.error_rate) < 0:
            return self._error(asked, url)
        if (drawn := drawn - faults.timeout_rate) < 0:
            self.spoiled["timeout"] += 1
            await asyncio.sleep(faults.hang_seconds)
            return 0, b"", {}
        if (drawn := drawn - faults.throttle_rate) < 0:
            self.spoiled["throttled"] += 1
            return 429, b"too many requests", {"Retry-After": str(faults.retry_after_seconds)}
        if method == "eth_getLogs" and drawn < faults.empty_logs_rate:
            self.spoiled["empty logs"] += 1
            return 200, _result(asked, []), {}
        lie = await self._lie(asked)
        return (200, lie, {}) if lie is not None else (200, await self._ask(asked), {})

    def _error(self, asked: dict[str, Any], url: str) -> tuple[int, bytes, dict[str, str]]:
        kind = self._random.choice(("status", "cut", "truncated", "error"))
        self.spoiled[kind] += 1
        said = f"internal error at {url}" if self.faults.echo_url else "internal error"
        if kind == "status":
            return 500, said.encode(), {}
        if kind == "cut":
            return 0, b"", {}
        if kind == "truncated":
            return 200, b'{"jsonrpc":"2.0","id":1,"resu', {}
        return (
            200,
            json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32603, "message": said}}).encode(),
            {},
        )

    async def _lie(self, asked: dict[str, Any]) -> bytes | None:
        """What is told in place of the node's answer; None where the node may speak."""
        method, params, faults = asked["method"], asked.get("params") or [], self.faults
        if method == "eth_chainId" and faults.chain_id is not None:
            return _result(asked, hex(faults.chain_id))
        if method == "eth_getLogs" and faults.range_blocks is not None and "fromBlock" in params[0]:
            width = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
            if width > faults.range_blocks:
                self.spoiled["range"] += 1
                return _refusal(asked, -32005, f"block range is too wide, limited to a {faults.range_blocks}")
        if faults.frozen_at is not None:
            return await self._frozen(asked, method, params, faults.frozen_at)
        return None

    async def _frozen(self, asked: dict[str, Any], method: str, params: list[Any], last: int) -> bytes | None:
        if method == "eth_blockNumber":
            return _result(asked, hex(last))
        if method == "eth_getBlockByNumber" and params[0] == "latest":
            return await self._ask({**asked, "params": [hex(last), *params[1:]]})
        at = params[0] if method in ("eth_getBlockByNumber", "eth_getBlockByHash") else None
        if method == "eth_call" and isinstance(params[1], dict):
            at = params[1]["blockHash"]
        if method == "eth_getLogs":
            at = params[0].get("blockHash")
        if at is None:
            return None
        by_hash = len(at) == 66
        block = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockBy" + ("Hash" if by_hash else "Number")}
        found = json.loads(await self._ask({**block, "params": [at, False]})).get("result")
        if found is not None and int(found["number"], 16) <= last:
            return None
        self.spoiled["frozen"] += 1
        if method in ("eth_call", "eth_getLogs"):
            return _refusal(asked, -32000, "header not found")
        return _result(asked, None)

    async def _ask(self, asked: dict[str, Any]) -> bytes:
        assert self._session is not None
        async with self._session.post(self.upstream, json=asked) as answer:
            return await answer.read()

    # ------------------------------------------------------------------------------------------ sockets

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        client = web.WebSocketResponse(max_msg_size=2**26)
        await client.prepare(request)
        self._sockets.add(client)
        url = str(request.rel_url)
        try:
            async with self._session.ws_connect("ws" + self.upstream.removeprefix("http"), max_msg_size=2**26) as node:
                telling = asyncio.create_task(self._tell(node, client))
                try:
                    async for message in client:
                        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                            break
                        asked = json.loads(message.data)
                        if asked["method"] in _WITHOUT_FAULTS:
                            await node.send_str(json.dumps(asked))
                            continue
                        status, answer, _ = await self._answer(asked, url)
                        if status != 200:
                            break
                        await client.send_str(answer.decode())
                finally:
                    telling.cancel()
                    await asyncio.gather(telling, return_exceptions=True)
        finally:
            self._sockets.discard(client)
            await _cut(client)
        return client

    async def _tell(self, node: aiohttp.ClientWebSocketResponse, client: web.WebSocketResponse) -> None:
        """Pass on what the node announces and how it answers subscriptions."""
        heads = 0
        async for message in node:
            told = json.loads(message.data)
            if told.get("method") == "eth_subscription":
                heads += 1
                if self.faults.mute or self._is_hidden(told):
                    self.spoiled["muted head"] += 1
                    continue
                if self.faults.heads_per_socket is not None and heads > self.faults.heads_per_socket:
                    self.spoiled["socket cut"] += 1
                    break
            await client.send_str(message.data)
        await _cut(client)

    def _is_hidden(self, told: dict[str, Any]) -> bool:
        last = self.faults.frozen_at
        return last is not None and int(told["params"]["result"]["number"], 16) > last


def _result(asked: dict[str, Any], result: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}).encode()


def _refusal(asked: dict[str, Any], code: int, message: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": code, "message": message}}).encode()


def _abort(request: web.Request) -> web.Response:
    """Cut the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _cut(socket: web.WebSocketResponse) -> None:
    with suppress(Exception):
        async with asyncio.timeout(0.2):
            await socket.close(code=1011)

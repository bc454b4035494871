"""JSON-RPC with one node: two request paths, one meaning for every failure, bounded retries.

`call` goes through web3's provider and suits the odd request. `request` takes a finished body and gives the
result's raw JSON back: no formatting on the way, for reads that happen thousands of times a second. Both share
the session, the classification and the retries. No message, repr, log line or exception chain holds the URL.
"""

from __future__ import annotations

import asyncio
import random
from binascii import unhexlify
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import msgspec
from web3.types import RPCEndpoint

from app.chain.faults import (
    ChainFault,
    Malformed,
    MethodMissing,
    NodeError,
    Throttled,
    Transport,
    classify,
    classify_status,
)
from app.chain.transport import HttpReply, NodeProvider, Post, describe_endpoint
from app.chain.wire import decode_bytes
from app.errors import WaterlineError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a request is tried. Only failures that may pass by themselves are: never reverts, never refusals."""

    attempts: int = 5
    first_pause_seconds: float = 0.125
    longest_pause_seconds: float = 8.0
    attempt_seconds: float = 30.0
    """One attempt takes no longer."""
    total_seconds: float = 45.0
    """All attempts and pauses together take no longer."""
    sits_out_quotas: bool = True
    """Whether being throttled is waited for here; False where another endpoint can be asked meanwhile."""


class RequestWatch(Protocol):
    """Told of every attempt, and says how long the next may take: how the pool knows its endpoints."""

    def patience_seconds(self, method: str) -> float: ...

    def tried(self, method: str, seconds: float, fault: WaterlineError | None) -> None: ...


class _ErrorObject(msgspec.Struct, gc=False):
    code: int | None = None
    message: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Envelope(msgspec.Struct, gc=False):
    result: msgspec.Raw = msgspec.Raw(b"")
    error: msgspec.Raw = msgspec.Raw(b"null")


_envelope: Final = msgspec.json.Decoder(_Envelope)
_error_object: Final = msgspec.json.Decoder(_ErrorObject)
_HEX_RESULT: Final = b'{"jsonrpc":"2.0","id":1,"result":"0x'
_TRANSIENT: Final = (Throttled, Transport, NodeError, Malformed, MethodMissing)
# MethodMissing: some load balancers say so for a moment about methods they do have; it is tried once more.


class Rpc:
    """One node's JSON-RPC endpoint over HTTP. Belongs to one event loop; close it with `aclose`."""

    def __init__(
        self,
        url: str,
        *,
        post: Post | None = None,
        policy: RetryPolicy | None = None,
        watch: RequestWatch | None = None,
    ) -> None:
        """Nothing is sent before the first request.

        Args:
            url: http:// or https:// URL; never shown again. With `post`, ws:// and wss:// too.
            post: Takes the place of HTTP: a socket, or a fake node.
            policy: How long to try.
            watch: Is told of every attempt.

        Raises:
            Refused: the URL is not one.
        """
        schemes = ("http", "https") if post is None else ("http", "https", "ws", "wss")
        self._endpoint = describe_endpoint(url, schemes)
        self._provider = NodeProvider(url, self._endpoint.label, post)
        self._policy = policy or RetryPolicy()
        self._watch = watch

    @property
    def label(self) -> str:
        """Scheme, host and port of the node: what may be shown."""
        return self._endpoint.label

    def __repr__(self) -> str:
        return f"Rpc({self.label})"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._provider.disconnect()

    async def call(self, method: str, params: Sequence[object] = ()) -> object:
        """One request through web3's provider; the result as plain JSON values.

        Raises:
            A class of `app.chain.faults`.
        """

        async def once() -> object:
            try:
                answer = await self._provider.make_request(RPCEndpoint(method), list(params))
            except ValueError:  # covers JSON decoding errors
                answer = None
            if not isinstance(answer, dict):
                raise Malformed(f"{method}: the answer is not JSON-RPC")
            error = answer.get("error")
            if error:
                raise self._classified(msgspec.json.encode(error), 200)
            if "result" not in answer:
                raise Malformed(f"{method}: neither result nor error in the answer")
            return answer["result"]

        return await self._persist(once, method)

    async def request(self, body: bytes, method: str) -> msgspec.Raw:
        """The lean path: send a finished JSON-RPC body, get the result's raw JSON (`null` included).

        Args:
            body: A whole JSON-RPC request object.
            method: Its method, for messages.

        Raises:
            A class of `app.chain.faults`.
        """

        async def once() -> msgspec.Raw:
            return self._opened(await self._provider.post(body), method)

        return await self._persist(once, method)

    async def request_bytes(self, body: bytes, method: str) -> bytes:
        """The leanest path, for results that are one string of hex: its bytes.

        Raises:
            A class of `app.chain.faults`.
        """

        async def once() -> bytes:
            reply = await self._provider.post(body)
            content = reply.body
            if reply.status == 200 and content.startswith(_HEX_RESULT) and content.endswith(b'"}'):
                # nothing but hex between these two is the whole of a well-formed answer: no JSON parser needed
                with suppress(ValueError):
                    return unhexlify(memoryview(content)[len(_HEX_RESULT) : -2])
            return decode_bytes(self._opened(reply, method))

        return await self._persist(once, method)

    async def post(self, body: bytes) -> HttpReply:
        """One HTTP exchange as it is: no retry, no reading of the answer.

        Raises:
            Transport: nothing usable came back.
        """
        return await self._provider.post(body)

    def _opened(self, reply: HttpReply, method: str) -> msgspec.Raw:
        try:
            envelope = _envelope.decode(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            envelope = None
        if envelope is None or (reply.status != 200 and bytes(envelope.error) == b"null"):
            if reply.status != 200:
                raise classify_status(reply.status, reply.retry_after)
            raise Malformed(f"{method}: the answer is not JSON-RPC")
        if bytes(envelope.error) != b"null":
            fault = self._classified(bytes(envelope.error), reply.status)
            if isinstance(fault, Throttled):
                fault.retry_after = reply.retry_after
            raise fault
        if not bytes(envelope.result):
            raise Malformed(f"{method}: neither result nor error in the answer")
        return envelope.result

    def _classified(self, error: bytes, status: int) -> ChainFault:
        """The failure an error object means, its text cleaned of the URL's parts."""
        try:
            parsed = _error_object.decode(error)
            data = msgspec.json.decode(parsed.data)
        except msgspec.DecodeError:
            return classify(None, self._endpoint.redact(error[:300].decode("utf-8", "replace")), None, status)
        if isinstance(data, str):
            data = self._endpoint.redact(data)
        return classify(parsed.code, self._endpoint.redact(parsed.message), data, status)

    async def _persist(self, once: Callable[[], Awaitable[T]], method: str) -> T:
        """Try, pause, try again, within the policy's bounds. The last failure is the one raised."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._policy.total_seconds
        attempt = 0
        while True:
            attempt += 1
            started = clock()
            fault: WaterlineError
            try:
                async with asyncio.timeout(min(self._patience_seconds(method), deadline - started)):
                    result = await once()
                self._note(method, clock() - started, None)
                return result
            except TimeoutError:
                fault = Transport(f"{method}: no answer from {self.label} in time")
            except WaterlineError as error:
                fault = error
            self._note(method, clock() - started, fault)
            if not isinstance(fault, _TRANSIENT):
                raise fault
            tries = self._tries(fault)
            pause = self._pause(attempt, fault)
            if attempt >= tries or clock() + pause >= deadline:
                raise fault
            await asyncio.sleep(pause)

    def _tries(self, fault: WaterlineError) -> int:
        if isinstance(fault, Throttled) and not self._policy.sits_out_quotas:
            return 1
        return 2 if isinstance(fault, MethodMissing) else self._policy.attempts

    def _patience_seconds(self, method: str) -> float:
        most = self._policy.attempt_seconds
        return most if self._watch is None else min(most, self._watch.patience_seconds(method))

    def _note(self, method: str, seconds: float, fault: WaterlineError | None) -> None:
        if self._watch is not None:
            self._watch.tried(method, seconds, fault)

    def _pause(self, attempt: int, fault: WaterlineError) -> float:
        """Exponential with full jitter on its upper half, never shorter than the node asked for."""
        ceiling = min(self._policy.first_pause_seconds * 2.0 ** (attempt - 1), self._policy.longest_pause_seconds)
        pause = ceiling * (0.5 + random.random() / 2)  # spreads clients out; nothing depends on the value
        asked = fault.retry_after if isinstance(fault, Throttled) else None
        return max(pause, asked or 0.0)

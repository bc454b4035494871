"""A small blocking JSON-RPC client for the devnet's own node: one kept-alive connection, no retries."""

from __future__ import annotations

import http.client
import itertools
import socket
from typing import TypeAlias

import orjson

from app.errors import Fatal

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class NodeError(Fatal):
    """The node answered a request with an error."""

    def __init__(self, method: str, code: int, message: str, data: Json) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.code = code
        self.reason = message
        self.data = data


class NodeClient:
    """Calls one node on this machine. Not for use by several threads at once."""

    def __init__(self, port: int, *, timeout_seconds: float = 300) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
        self._ids = itertools.count(1)

    def call(self, method: str, *params: Json) -> Json:
        """The `result` of one request.

        Raises:
            NodeError: the node answered with an error.
            OSError: the node is not there (any more).
        """
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        answer = self._post(orjson.dumps(request))
        error = answer.get("error")
        if isinstance(error, dict):
            code = error.get("code")
            raise NodeError(method, code if isinstance(code, int) else 0, str(error.get("message")), error.get("data"))
        return answer.get("result")

    def text(self, method: str, *params: Json) -> str:
        """A call whose result is a string.

        Raises:
            NodeError: it is not.
        """
        result = self.call(method, *params)
        if not isinstance(result, str):
            raise NodeError(method, 0, f"expected text, got {type(result).__name__}", None)
        return result

    def quantity(self, method: str, *params: Json) -> int:
        """A call whose result is a hex number."""
        return int(self.text(method, *params), 16)

    def record(self, method: str, *params: Json) -> dict[str, Json]:
        """A call whose result is an object.

        Raises:
            NodeError: it is not, null included.
        """
        result = self.call(method, *params)
        if not isinstance(result, dict):
            raise NodeError(method, 0, f"expected an object, got {type(result).__name__}", None)
        return result

    def rows(self, method: str, *params: Json) -> list[Json]:
        """A call whose result is a list.

        Raises:
            NodeError: it is not, null included.
        """
        result = self.call(method, *params)
        if not isinstance(result, list):
            raise NodeError(method, 0, f"expected a list, got {type(result).__name__}", None)
        return result

    def close(self) -> None:
        self._connection.close()

    def _post(self, body: bytes) -> dict[str, Json]:
        connection = self._connection
        if connection.sock is None:
            connection.connect()
            opened: socket.socket | None = connection.sock
            assert opened is not None
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = orjson.loads(connection.getresponse().read())
        except (http.client.HTTPException, OSError, orjson.JSONDecodeError):
            connection.close()
            raise
        if not isinstance(answer, dict):
            raise NodeError("request", 0, "the node answered with something that is not an object", None)
        return answer


def integer(value: Json) -> int:
    """A hex quantity inside an answer, as a number.

    Raises:
        NodeError: it is none.
    """
    if not isinstance(value, str):
        raise NodeError("answer", 0, f"expected a hex quantity, got {type(value).__name__}", None)
    return int(value, 16)

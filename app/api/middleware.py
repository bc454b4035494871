"""Around every request: an id, security headers, a count, and a problem answer for whatever nobody caught."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.metrics import RequestMetrics
from app.api.problems import BAD_REQUEST, METHOD_NOT_ALLOWED, ApiProblem, problem_of, problem_response

logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
POSTED = frozenset({"/v1/simulate", "/v1/risk/simulate"})
"""Questions too long for a query. They store nothing."""
_TRACKED = re.compile(r"/v1/wallets/[^/]+/track")
"""Asked for with POST, without a body."""
MOST_BODY_BYTES = 65_536

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}
"""Set where the answer does not say otherwise itself: a page brings its own Content-Security-Policy."""


class Envelope:
    """The outermost layer. A caller's `X-Request-ID` is kept when it is harmless, else one is made."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope["request_id"] = request_id
        started = time.perf_counter()
        status = 0

        async def send_enveloped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            _require_allowed(scope)
            await self._app(scope, receive, send_enveloped)
        except Exception as error:
            problem = problem_of(error)
            if problem.kind.status >= 500 and "Retry-After" not in problem.headers:
                logger.exception("request %s failed", request_id)
            if status:
                raise
            response = problem_response(Request(scope), problem)
            await response(scope, receive, send_enveloped)
        finally:
            self._metrics.count(scope, status or 499, time.perf_counter() - started)


def _require_allowed(scope: Scope) -> None:
    """Refuse methods here, because mounted pages take whatever no route matches."""
    if scope["method"] in _READING:
        return
    if scope["method"] == "POST" and _TRACKED.fullmatch(scope["path"]):
        headers = Headers(scope=scope)
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            raise ApiProblem(BAD_REQUEST, "this takes no body")
        return
    if scope["method"] != "POST" or scope["path"] not in POSTED:
        raise ApiProblem(METHOD_NOT_ALLOWED, "everything here is read with GET", {"Allow": "GET"})
    length = Headers(scope=scope).get("content-length", "")
    if not length.isdecimal() or int(length) > MOST_BODY_BYTES:
        raise ApiProblem(BAD_REQUEST, f"the body has to say its length, at most {MOST_BODY_BYTES} bytes")


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)

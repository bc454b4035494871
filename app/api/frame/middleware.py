"""Around every request: an id, security headers, a count, and a problem answer for whatever nobody caught."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.frame.methods import require_allowed
from app.api.frame.metrics import RequestMetrics
from app.api.frame.problems import problem_of, problem_response

logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

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
            require_allowed(scope)
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


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)

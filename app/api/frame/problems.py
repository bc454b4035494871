"""Errors as RFC 9457 problem details. Every kind has a stable path under /problems that explains it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.errors import Retryable

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """One sort of error, the same in every answer that reports it."""

    slug: str
    status: int
    title: str
    meaning: str

    @property
    def type(self) -> str:
        """The stable identifier programs compare."""
        return f"/problems/{self.slug}"


INVALID_ADDRESS = ProblemKind(
    "invalid-address", 400, "Not a wallet address", "The address is malformed, or its mixed case fails EIP-55."
)
INVALID_PARAMETER = ProblemKind(
    "invalid-parameter", 422, "A parameter is not valid", "The detail names the parameter and what it accepts."
)
INVALID_CURSOR = ProblemKind(
    "invalid-cursor", 400, "Not a cursor of this listing", "Use next_cursor with the very filters it came with."
)
CURSOR_EXPIRED = ProblemKind(
    "cursor-expired", 410, "The listing is too old to go on", "Its blocks are too old or were replaced: start again."
)
UNKNOWN_CHAIN = ProblemKind("unknown-chain", 404, "Chain not followed", "The detail lists the chains that are.")
UNKNOWN_DEPLOYMENT = ProblemKind(
    "unknown-deployment", 404, "Deployment not followed", "/v1/deployments lists those that are."
)
BLOCK_NOT_STORED = ProblemKind(
    "block-not-stored", 404, "Block not stored", "The detail says from which block to which this chain is stored."
)
NOT_FOUND = ProblemKind("not-found", 404, "Nothing here", "No resource has this path; /docs lists them.")
METHOD_NOT_ALLOWED = ProblemKind(
    "method-not-allowed",
    405,
    "Method not allowed",
    "The Allow header names the methods this path takes.",
)
UNAUTHORIZED = ProblemKind(
    "unauthorized", 401, "A key is needed", "Send a key of this installation: Authorization: Bearer wl_…"
)
FORBIDDEN = ProblemKind("forbidden", 403, "The key does not allow this", "The detail names the scope that is missing.")
CROSS_SITE = ProblemKind(
    "cross-site", 403, "Asked by another site", "A key in a cookie changes things only from this site's own pages."
)
UNKNOWN_ID = ProblemKind("unknown-id", 404, "Nothing has this id", "The listing of its kind names those there are.")
CONFLICT = ProblemKind("conflict", 409, "Not as things are", "A name is taken, or a bound is reached: see the detail.")
TOO_LARGE = ProblemKind("too-large", 413, "Too large a body", "The detail says how large one may be.")
INVALID_RULE = ProblemKind(
    "invalid-rule", 422, "The rule is not sound", "`faults` says everything that is wrong with it."
)
INVALID_LINES = ProblemKind(
    "invalid-lines", 422, "Some lines are not members", "`faults` names them; nothing was stored."
)
TOO_MANY_REQUESTS = ProblemKind(
    "too-many-requests", 429, "Too many requests", "The same request may succeed after Retry-After."
)
TOO_MANY_STREAMS = ProblemKind(
    "too-many-streams", 503, "Too many open streams", "All stream places are taken: try again after Retry-After."
)
UNAVAILABLE = ProblemKind(
    "temporarily-unavailable", 503, "Temporarily unavailable", "The same request may succeed after Retry-After."
)
INTERNAL = ProblemKind("internal-error", 500, "Internal error", "A fault of the service: report the request_id.")
BAD_REQUEST = ProblemKind("bad-request", 400, "Bad request", "The request cannot be understood as it is.")

KINDS = {
    kind.slug: kind
    for kind in (
        INVALID_ADDRESS,
        INVALID_PARAMETER,
        INVALID_CURSOR,
        CURSOR_EXPIRED,
        UNKNOWN_CHAIN,
        UNKNOWN_DEPLOYMENT,
        BLOCK_NOT_STORED,
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        UNAUTHORIZED,
        FORBIDDEN,
        CROSS_SITE,
        UNKNOWN_ID,
        CONFLICT,
        TOO_LARGE,
        INVALID_RULE,
        INVALID_LINES,
        TOO_MANY_REQUESTS,
        TOO_MANY_STREAMS,
        UNAVAILABLE,
        INTERNAL,
        BAD_REQUEST,
    )
}


class ApiProblem(Exception):
    """Raised anywhere below a route to end it with a problem answer. `detail` is shown to the caller."""

    def __init__(
        self,
        kind: ProblemKind,
        detail: str,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        """
        Args:
            extensions: members of the body besides the standard ones.
        """
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})


def problem_of(error: Exception) -> ApiProblem:
    """What to tell the caller of an exception: nothing of its own text unless it was written to be shown."""
    match error:
        case ApiProblem():
            return error
        case RequestValidationError():
            return ApiProblem(INVALID_PARAMETER, _what_failed(error))
        case HTTPException(status_code=404):
            return ApiProblem(NOT_FOUND, "no resource has this path; /docs lists those there are")
        case HTTPException(status_code=405):
            return ApiProblem(
                METHOD_NOT_ALLOWED,
                "this resource takes another method: see the Allow header",
                dict(error.headers or {}),
            )
        case HTTPException(status_code=status) if status < 500:
            return ApiProblem(BAD_REQUEST, "the request cannot be understood as it is")
        case Retryable():
            return ApiProblem(UNAVAILABLE, "the data is out of reach at this moment; try again", {"Retry-After": "1"})
        case _:
            return ApiProblem(INTERNAL, "something failed inside; the request_id finds it in the service's log")


def problem_response(request: Request, problem: ApiProblem) -> Response:
    """The answer that carries a problem."""
    body = {
        "type": problem.kind.type,
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "instance": request.url.path,
        "request_id": request.scope.get("request_id", ""),
        **problem.extensions,
    }
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(_dump(body), problem.kind.status, headers, media_type=MEDIA_TYPE)


def _dump(body: Mapping[str, object]) -> bytes:
    """JSON; a path may hold lone surrogates, which UTF-8 cannot carry: they become question marks."""
    clean = {k: v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for k, v in body.items()}
    return orjson.dumps(clean)


def _what_failed(error: RequestValidationError) -> str:
    """`limit: Input should be less than or equal to 200`, one clause a fault, without repeating the input."""
    faults = [
        f"{'.'.join(str(part) for part in fault['loc'][1:]) or fault['loc'][0]}: {fault['msg']}"
        for fault in error.errors()
    ]
    return "; ".join(faults)[:1000]

"""What may be asked with something else than GET: the one list of it, with how large a body each takes.

Checked before any route, because mounted pages take whatever no route matches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from app.api.frame.problems import BAD_REQUEST, METHOD_NOT_ALLOWED, TOO_LARGE, ApiProblem

READING = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_BODY_BYTES = 65_536
MOST_CSV_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Accepted:
    """A method on the paths of one form."""

    method: str
    path: re.Pattern[str]
    most_bytes: int = MOST_BODY_BYTES
    """Of its body; 0: it takes none."""


def _accepted(method: str, path: str, most_bytes: int = MOST_BODY_BYTES) -> Accepted:
    pattern = re.escape(path).replace(re.escape("{}"), "[^/]+")
    return Accepted(method, re.compile(pattern), most_bytes)


ACCEPTED = (
    # Questions too long for a query. They store nothing.
    _accepted("POST", "/v1/simulate"),
    _accepted("POST", "/v1/risk/simulate"),
    # Open to all: one bounded list.
    _accepted("POST", "/v1/wallets/{}/track", 0),
    # With a key that may write.
    _accepted("POST", "/v1/watchlists"),
    _accepted("PATCH", "/v1/watchlists/{}"),
    _accepted("DELETE", "/v1/watchlists/{}", 0),
    _accepted("POST", "/v1/watchlists/{}/members"),
    _accepted("DELETE", "/v1/watchlists/{}/members/{}", 0),
    _accepted("POST", "/v1/watchlists/{}/members.csv", MOST_CSV_BYTES),
    _accepted("POST", "/v1/watchlists/{}/rules"),
    _accepted("PUT", "/v1/watchlists/{}/rules/{}"),
    _accepted("DELETE", "/v1/watchlists/{}/rules/{}", 0),
    _accepted("PUT", "/v1/watchlists/{}/routes/{}"),
    _accepted("DELETE", "/v1/watchlists/{}/routes/{}", 0),
    _accepted("POST", "/v1/channels"),
    _accepted("PATCH", "/v1/channels/{}"),
    _accepted("DELETE", "/v1/channels/{}", 0),
    _accepted("POST", "/v1/channels/{}/test", 0),
    _accepted("POST", "/v1/episodes/{}/acknowledge", 0),
    _accepted("POST", "/v1/deliveries/{}/replay", 0),
    # Forms of pages: the key is in a cookie, and the form was made for its holder.
    _accepted("POST", "/login"),
    _accepted("POST", "/logout"),
    _accepted("POST", "/watchlists"),
    _accepted("POST", "/watchlists/{}"),
    _accepted("POST", "/wallet/{}/watch"),
)


def require_allowed(scope: Scope) -> None:
    """Make sure that a request's method is one its path takes, and that its body is not too large.

    Raises:
        ApiProblem: it is not.
    """
    method, path = scope["method"], scope["path"]
    if method in READING:
        return
    on_path = [one for one in ACCEPTED if one.path.fullmatch(path)]
    found = next((one for one in on_path if one.method == method), None)
    if found is None:
        allowed = ", ".join(dict.fromkeys(["GET", *(one.method for one in on_path)]))
        raise ApiProblem(METHOD_NOT_ALLOWED, f"this path takes {allowed}", {"Allow": allowed})
    headers = Headers(scope=scope)
    if not found.most_bytes:
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            raise ApiProblem(BAD_REQUEST, "this takes no body")
        return
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdecimal()):
        raise ApiProblem(BAD_REQUEST, "the body has to say its length")
    if len(length) > 18 or int(length) > found.most_bytes:
        raise ApiProblem(TOO_LARGE, f"a body here has at most {found.most_bytes} bytes")

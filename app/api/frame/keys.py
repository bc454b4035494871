"""Who asks: keys of the API, in the Authorization header or in a cookie of a browser, and what they may do.

A key is `wl_<id>_<secret>`; the id is no secret, the secret is 256 random bits of which only the SHA-256 is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Security
from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection
from starlette.responses import Response

from app.api.frame.deps import Clock
from app.api.frame.limits import Limits, client_address
from app.api.frame.problems import CROSS_SITE, FORBIDDEN, UNAUTHORIZED, ApiProblem
from app.store.watch.keys import ApiKey, KeyRing, Scope

COOKIE = "waterline_key"
_KEY = re.compile(r"wl_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST_KNOWN = 1_000
_COOKIE_SECONDS = 30 * 86_400
_BEARER = HTTPBearer(auto_error=False, description="A key of `waterline key create`, as `Authorization: Bearer wl_…`.")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `text` is shown once and kept nowhere."""

    id: str
    text: str = field(repr=False)
    secret_hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, by a key that is good."""

    key_id: str
    name: str
    scopes: frozenset[Scope]
    is_browser: bool = False
    """The key came as a cookie."""

    @property
    def label(self) -> str:
        """How the log of changes names him."""
        return f"key:{self.key_id} {self.name}"


def new_key() -> NewKey:
    """A key nobody has."""
    key_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(12))
    secret = secrets.token_urlsafe(32)
    return NewKey(key_id, f"wl_{key_id}_{secret}", _hash(secret))


class Doorkeeper:
    """Finds out who asks. One a process."""

    def __init__(self, ring: KeyRing, limits: Limits, clock: Clock) -> None:
        self._ring = ring
        self._limits = limits
        self._clock = clock
        self._known: OrderedDict[bytes, str] = OrderedDict()
        """SHA-256 of whole keys that were good when they were last shown -> id. They are still looked up each time."""

    async def authenticate(self, connection: HTTPConnection) -> Actor | None:
        """Who asks; None where no key came, or one that is wrong or revoked.

        Raises:
            ApiProblem: too many wrong keys came from that address; or a browser would write, and it cannot be told that
                this installation's own page asked it to.
            Retryable: the database is out of reach.
        """
        text, is_browser = _shown(connection)
        if text is None:
            return None
        key = await self._find(text, client_address(connection))
        if key is None:
            return None
        if is_browser and connection.scope["method"] not in _READING:
            _require_same_site(connection)
        await self._ring.note_use(key, self._clock())
        return Actor(key.id, key.name, key.scopes, is_browser)

    def known_key(self, connection: HTTPConnection) -> str | None:
        """The id of the key that came, where it was good when it last came; without asking the database."""
        text, _ = _shown(connection)
        return None if text is None else self._known.get(_hash(text))

    async def check(self, text: str, address: str) -> Actor | None:
        """Whose key `text` is, for a login form; None when it is wrong or revoked. May raise as `authenticate`."""
        key = await self._find(text.strip(), address)
        return None if key is None else Actor(key.id, key.name, key.scopes, True)

    async def _find(self, text: str, address: str) -> ApiKey | None:
        digest = _hash(text)
        if digest not in self._known and self._limits.is_locked_out(address):
            self._limits.take_failure(address)
        key = await self._good(text)
        if key is None:
            self._known.pop(digest, None)
            self._limits.take_failure(address)
            return None
        self._known[digest] = key.id
        self._known.move_to_end(digest)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return key

    async def _good(self, text: str) -> ApiKey | None:
        match = _KEY.fullmatch(text)
        if match is None:
            return None
        key = await self._ring.find(match[1])
        if key is None or key.revoked_at is not None:
            return None
        return key if hmac.compare_digest(key.secret_hash, _hash(match[2])) else None


async def authenticate(connection: HTTPConnection) -> Actor | None:
    """Who asks; see `Doorkeeper.authenticate`. For pages: None means that they have to show the form to log in."""
    return await doorkeeper_of(connection).authenticate(connection)


def doorkeeper_of(connection: HTTPConnection) -> Doorkeeper:
    """The process's doorkeeper."""
    doorkeeper = connection.app.state.doorkeeper
    assert isinstance(doorkeeper, Doorkeeper)
    return doorkeeper


def require_scope(actor: Actor | None, scope: Scope) -> Actor:
    """The actor, who may do that.

    Raises:
        ApiProblem: nobody with a good key asked (401), or the key has not that scope (403).
    """
    if actor is None:
        challenge = 'Bearer realm="waterline"'
        raise ApiProblem(UNAUTHORIZED, "this needs a key: Authorization: Bearer wl_…", {"WWW-Authenticate": challenge})
    if scope not in actor.scopes:
        challenge = f'Bearer realm="waterline", error="insufficient_scope", scope="{scope.value}"'
        detail = f"the key lacks the scope {scope.value}"
        raise ApiProblem(FORBIDDEN, detail, {"WWW-Authenticate": challenge})
    return actor


def _requires(scope: Scope) -> Callable[..., Awaitable[Actor]]:
    async def actor_of(connection: HTTPConnection, _: Annotated[object, Security(_BEARER)]) -> Actor:
        return require_scope(await authenticate(connection), scope)

    return actor_of


WatchReader = Annotated[Actor, Depends(_requires(Scope.WATCH_READ))]
WatchWriter = Annotated[Actor, Depends(_requires(Scope.WATCH_WRITE))]
Operator = Annotated[Actor, Depends(_requires(Scope.OPS))]


def keep_in_cookie(response: Response, key_text: str, *, is_secure: bool) -> None:
    """Have a browser show this key from now on, to this site only and not to scripts."""
    response.set_cookie(
        COOKIE, key_text, max_age=_COOKIE_SECONDS, path="/", secure=is_secure, httponly=True, samesite="strict"
    )


def drop_cookie(response: Response) -> None:
    """Have a browser forget its key."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def is_same_site(connection: HTTPConnection) -> bool:
    """Whether a page of this very origin made a browser ask this. By Sec-Fetch-Site where the browser says it (on
    https and on localhost), else by Origin, which every browser sends with a POST."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(connection.headers.get("origin", ""))
    return bool(origin.netloc) and origin.netloc == connection.headers.get("host")


def _require_same_site(connection: HTTPConnection) -> None:
    if not is_same_site(connection):
        raise ApiProblem(CROSS_SITE, "a key in a cookie changes things only from this site's own pages")


def _shown(connection: HTTPConnection) -> tuple[str | None, bool]:
    """The key that came, and whether as a cookie. A header goes before a cookie."""
    header = connection.headers.get("authorization")
    if header is not None:
        scheme, _, text = header.partition(" ")
        return (text.strip(), False) if scheme.lower() == "bearer" else (None, False)
    return connection.cookies.get(COOKIE) or None, True


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()

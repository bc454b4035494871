"""How an answer leaves: as JSON with a validator keyed by the blocks it is made at, or as 304."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from app.api.frame.deps import Overtaken
from app.api.frame.freshness import cache_seconds
from app.api.schemas.base import AsOf, View

T = TypeVar("T")

_ATTEMPTS = 3


async def restarting(load_once: Callable[[], Awaitable[T]]) -> T:
    """Run a reading that a reorg may overtake; start it over when one does.

    Raises:
        Overtaken: three times in a row.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return await load_once()
        except Overtaken:
            continue
    return await load_once()


def answer(
    request: Request, view: View, chains: Sequence[AsOf], *, volatile: object = "", body: str | None = None
) -> Response:
    """The answer `view` made at the blocks `chains`.

    Its ETag is weak and names the request and its blocks: `lag_seconds` alone moves under the same tag. Whatever
    else can change between two blocks goes into `volatile`. `body` is the view's JSON where that is made already.
    """
    headers = {
        "ETag": entity_tag(request, chains, volatile),
        "Cache-Control": f"public, max-age={cache_seconds(chains)}, must-revalidate",
    }
    if _matches(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(body or view.model_dump_json(), headers=headers, media_type="application/json")


def entity_tag(request: Request, chains: Sequence[AsOf], volatile: object = "") -> str:
    """A weak validator over the request, its blocks, their finality and their staleness."""
    parts = [request.url.path, request.url.query]
    parts += [f"{a.chain_id} {a.block_hash} {a.finality} {a.stale}" for a in chains]
    parts.append(str(volatile))
    digest = hashlib.blake2b("\n".join(parts).encode("utf-8", "replace"), digest_size=12).hexdigest()
    return f'W/"{digest}"'


def _matches(if_none_match: str, tag: str) -> bool:
    """Weak comparison (RFC 9110, 8.8.3.2): `W/` does not count; `*` matches anything."""
    given = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return "*" in given or tag.removeprefix("W/") in given

"""The opaque cursors of listings: where the last page ended, and for which filters; for the ranking also its blocks."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.api.frame.problems import INVALID_CURSOR, ApiProblem
from app.domain.chain import Address, Hash32
from app.valuation.ranking import Place

MAX_LENGTH = 4096

C = TypeVar("C", "Cursor", "MarketCursor", "ChangeCursor", "PlaceCursor")

_Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_BlockNumber = Annotated[int, Field(ge=0, le=2**63 - 1)]


class Cursor(BaseModel):
    """What a cursor carries. One-letter names keep it short."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    b: dict[str, tuple[_BlockNumber, _Hex32]]
    """Chain id -> block number and hash."""
    f: str
    """Digest of the filters."""
    o: Annotated[int, Field(ge=0, le=9)]
    h: str = Field(pattern=r"^-?[0-9]{1,90}$")
    d: str = Field(max_length=200)
    w: str = Field(pattern=r"^[0-9a-f]{40}$")
    u: str = Field(max_length=200)

    @property
    def place(self) -> Place:
        """Where the last page ended."""
        return Place(self.o, int(self.h), self.d, bytes.fromhex(self.w), self.u)

    @property
    def blocks(self) -> dict[int, tuple[int, Hash32]]:
        """Number and hash by chain id."""
        return {int(chain): (number, Hash32(bytes.fromhex(text))) for chain, (number, text) in self.b.items()}


def make_cursor(blocks: Mapping[int, tuple[int, Hash32]], place: Place, filters: object) -> str:
    """The cursor of the page after `place`."""
    cursor = Cursor(
        b={str(chain): (number, block_hash.hex()) for chain, (number, block_hash) in blocks.items()},
        f=_digest(filters),
        o=place.order,
        h=str(place.health_factor_wad),
        d=place.deployment_id,
        w=Address(place.wallet).hex(),
        u=place.unit,
    )
    return _encode(cursor)


def read_cursor(text: str, filters: object) -> Cursor:
    """What `make_cursor` made for the same filters.

    Raises:
        ApiProblem: it did not.
    """
    cursor = _decode(text, Cursor, filters)
    if not all(chain.isascii() and chain.isdecimal() and len(chain) < 19 for chain in cursor.b):
        raise _not_ours()
    return cursor


class MarketCursor(BaseModel):
    """Where a page of markets ended. It names no block: markets are found again by their names at any."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    f: str
    """Digest of the filters."""
    d: str = Field(max_length=200)
    """Deployment of the last market shown."""
    m: str = Field(max_length=200)
    """Its code."""


def make_market_cursor(deployment_id: str, market: str, filters: object) -> str:
    """The cursor of the page after this market."""
    return _encode(MarketCursor(f=_digest(filters), d=deployment_id, m=market))


def read_market_cursor(text: str, filters: object) -> tuple[str, str]:
    """Deployment and market that `make_market_cursor` was given for the same filters.

    Raises:
        ApiProblem: it made none such.
    """
    cursor = _decode(text, MarketCursor, filters)
    return cursor.d, cursor.m


class ChangeCursor(BaseModel):
    """Where a page of changes of status ended. A fork takes changes away and never puts one below another's place."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    f: str
    """Digest of the filters."""
    i: _BlockNumber
    """Surrogate id of the block of the last change shown."""
    a: Annotated[int, Field(ge=0, le=2**31 - 1)]
    """Surrogate id of its account."""


def make_change_cursor(block_id: int, account_id: int, filters: object) -> str:
    """The cursor of the page after this change."""
    return _encode(ChangeCursor(f=_digest(filters), i=block_id, a=account_id))


def read_change_cursor(text: str, filters: object) -> tuple[int, int]:
    """Block's and account's surrogate ids that `make_change_cursor` was given for the same filters.

    Raises:
        ApiProblem: it made none such.
    """
    cursor = _decode(text, ChangeCursor, filters)
    return cursor.i, cursor.a


class PlaceCursor(BaseModel):
    """Where a page of what people set up ended: a number, and a text where numbers may be equal."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    f: str
    """Digest of the filters."""
    n: _BlockNumber
    t: str = Field("", pattern="^[a-z0-9_]{0,100}$")


def make_place_cursor(number: int, filters: object, text: str = "") -> str:
    """The cursor of the page after this place."""
    return _encode(PlaceCursor(f=_digest(filters), n=number, t=text))


def read_place_cursor(cursor_text: str | None, filters: object) -> tuple[int, str] | None:
    """Number and text that `make_place_cursor` was given for the same filters; None for no cursor.

    Raises:
        ApiProblem: it made none such.
    """
    if cursor_text is None:
        return None
    cursor = _decode(cursor_text, PlaceCursor, filters)
    return cursor.n, cursor.t


def _encode(cursor: BaseModel) -> str:
    return base64.urlsafe_b64encode(cursor.model_dump_json().encode()).rstrip(b"=").decode()


def _decode(text: str, kind: type[C], filters: object) -> C:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = kind.model_validate_json(raw)
    except (binascii.Error, ValidationError, ValueError):
        raise _not_ours() from None
    if cursor.f != _digest(filters):
        raise ApiProblem(INVALID_CURSOR, "cursor: given out for other filters; repeat them or start again")
    return cursor


def _not_ours() -> ApiProblem:
    return ApiProblem(INVALID_CURSOR, "cursor: not one that this listing gave out")


def _digest(filters: object) -> str:
    return blake2b(repr(filters).encode(), digest_size=6).hexdigest()

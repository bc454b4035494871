"""Forms of pages that change something: their fields, and the token that shows whose page a form was on.

The key is in a cookie that no other site's page sends (SameSite=Strict), the doorkeeper refuses what a browser says
comes from elsewhere, and each form carries a word that only the key's holder could have been given.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from app.api.frame.keys import COOKIE
from app.api.frame.problems import BAD_REQUEST, CROSS_SITE, ApiProblem

FIELD = "form"
_MOST_FIELDS = 200
_FORM = "application/x-www-form-urlencoded"


def token_of(request: Request) -> str:
    """The word for forms of whoever holds the cookie's key; empty without one."""
    key = request.cookies.get(COOKIE, "")
    return hmac.new(key.encode("utf-8", "surrogateescape"), b"form", hashlib.sha256).hexdigest()[:32] if key else ""


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields of a form without files; of several of one name the last, trimmed. `request` bounds its own body.

    Raises:
        ApiProblem: it is no such form.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise ApiProblem(BAD_REQUEST, "this takes a form of one of the pages here")
    try:
        text = (await request.body()).decode()
        found = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise ApiProblem(BAD_REQUEST, "the form cannot be read") from None
    return {name: value.strip() for name, value in found}


def require_token(request: Request, form: Mapping[str, str]) -> None:
    """Make sure that the form was made for the holder of the cookie's key.

    Raises:
        ApiProblem: it was not.
    """
    wanted = token_of(request)
    if not wanted or not hmac.compare_digest(form.get(FIELD, "").encode(), wanted.encode()):
        raise ApiProblem(CROSS_SITE, "this form is not of this login any more: load the page again")

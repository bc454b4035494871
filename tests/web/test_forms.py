from __future__ import annotations

import pytest
from starlette.requests import Request

from app.api.frame.problems import ApiProblem
from app.web.forms import read_form, require_token, token_of

FORM = "application/x-www-form-urlencoded"


def request(body: bytes = b"", kind: str = FORM, cookie: str = "waterline_key=wl_a") -> Request:
    sent = iter([{"type": "http.request", "body": body}])
    headers = [(b"content-type", kind.encode()), (b"cookie", cookie.encode())]

    async def receive() -> dict[str, object]:
        return next(sent)

    return Request({"type": "http", "method": "POST", "headers": headers, "path": "/", "query_string": b""}, receive)


async def test_fields_are_read_trimmed_and_the_last_of_a_name_counts() -> None:
    form = await read_form(request(b"a=+1+&b=%E2%82%AC&a=2&empty=", f"{FORM}; charset=utf-8"))
    assert form == {"a": "2", "b": "€", "empty": ""}
    assert await read_form(request()) == {}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", "application/json"),
        (b"a=1", "text/plain"),
        (b"a=1", ""),
        (b"\xff=1", FORM),
        (b"a=1&" * 300 + b"b=2", FORM),
    ],
)
async def test_what_is_no_form_of_these_pages_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(ApiProblem):
        await read_form(request(body, kind))


def test_a_token_is_of_one_key_and_of_nobody_without_one() -> None:
    mine, other, nobody = request(), request(cookie="waterline_key=wl_b"), request(cookie="x=1")
    require_token(mine, {"form": token_of(mine)})
    assert "wl_a" not in token_of(mine)
    for asking, token in ((mine, token_of(other)), (mine, ""), (nobody, ""), (nobody, token_of(nobody))):
        with pytest.raises(ApiProblem):
            require_token(asking, {"form": token})

"""How the service is set up."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from app.processes.serve import _server_config
from app.settings import load_settings


async def _client_seen(forwarded: str, **environ: str) -> str:
    """Whom the application takes a request of 127.0.0.1 to be from."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["client"][0])

    config = _server_config(app, load_settings(environ))
    config.load()
    headers = [(b"x-forwarded-for", forwarded.encode())]
    scope = {"type": "http", "client": ("127.0.0.1", 1), "headers": headers, "scheme": "http"}
    await config.loaded_app(scope, None, None)  # type: ignore[arg-type, operator]
    return seen[0]


async def test_a_header_says_who_the_client_is_only_where_a_trusted_proxy_sent_it() -> None:
    assert await _client_seen("192.0.2.1") == "127.0.0.1"
    assert await _client_seen("192.0.2.1", TRUSTED_PROXIES="10.0.0.0/8") == "127.0.0.1"
    assert await _client_seen("192.0.2.1", TRUSTED_PROXIES="127.0.0.0/8") == "192.0.2.1"
    assert await _client_seen("6.6.6.6, 192.0.2.1, 127.0.0.2", TRUSTED_PROXIES="127.0.0.0/8") == "192.0.2.1"

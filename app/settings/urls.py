"""URLs in settings: they may hold keys, and are never shown whole."""

from __future__ import annotations

from urllib.parse import urlsplit


class SecretUrl:
    """A URL that may hold a key: prints as scheme, host and port only; `reveal()` is for the connection itself."""

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def reveal(self) -> str:
        """The whole URL. Never log it."""
        return self._url

    def __str__(self) -> str:
        parts = urlsplit(self._url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}"

    def __repr__(self) -> str:
        return f"SecretUrl({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretUrl) and self._url == other._url

    def __hash__(self) -> int:
        return hash(self._url)


def is_url(text: str, schemes: tuple[str, ...]) -> bool:
    """Whether it is a URL of one of these schemes, with a host."""
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False

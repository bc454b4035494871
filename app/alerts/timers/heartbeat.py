"""A dead man's switch: URLs that are fetched as long as all is well. Whoever watches them notices silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

from app.alerts.destination import Policy
from app.alerts.http import HttpClient, judged
from app.alerts.outcome import Outcome

log = logging.getLogger(__name__)


class Heartbeat:
    """Fetches each URL. They are the operator's own, so they may be local and plain http; redirects are refused."""

    def __init__(self, client: HttpClient, urls: Sequence[str]) -> None:
        """
        Args:
            client: made with `heartbeat_policy` of the same URLs; stays the caller's to close.
        """
        self._client = client
        self._urls = tuple(urls)

    async def beat(self, now: int) -> int:
        """Fetch every URL once; how many took it. What fails is logged by its number: the URL is a secret."""
        taken = await asyncio.gather(*(self._fetch(number, url, now) for number, url in enumerate(self._urls, 1)))
        return sum(taken)

    async def _fetch(self, number: int, url: str, now: int) -> bool:
        answer = await self._client.get(url)
        outcome = answer if isinstance(answer, Outcome) else judged(answer, now)
        if outcome.error is not None:
            log.warning("heartbeat=%d failed=%r", number, outcome.error)
        return outcome.error is None


def heartbeat_policy(urls: Sequence[str]) -> Policy:
    """Lets the hosts of these URLs be reached wherever they are, and no others."""
    return Policy([host for url in urls if (host := _host(url))])


def _host(url: str) -> str | None:
    parts = urlsplit(url)
    host = parts.hostname
    if host is None:
        return None
    return f"[{host}]" if ":" in host else host

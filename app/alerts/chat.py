"""Telegram, Slack and what takes Slack's incoming webhooks (Mattermost, Discord's /slack).

Sources: Telegram Bot API, sendMessage and "Making requests"; Slack, "Sending messages using incoming webhooks".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from app.alerts import render
from app.alerts.http import Answer, HttpClient, judged
from app.alerts.outcome import Outcome, Outgoing

TELEGRAM_API = "https://api.telegram.org"
_JSON = {"Content-Type": "application/json"}
_LONGEST_WAIT_SECONDS = 86_400


class TelegramSender:
    """A bot that writes to one chat."""

    def __init__(
        self, client: HttpClient, token: str, chat_id: str, *, public_url: str | None, api_url: str = TELEGRAM_API
    ) -> None:
        self._client = client
        self._url = f"{api_url.rstrip('/')}/bot{token}/sendMessage"
        self._chat_id = chat_id
        self._public_url = public_url

    async def send(self, message: Outgoing) -> Outcome:
        """Send one message, as plain text: nothing in it is markup."""
        said = {
            "chat_id": self._chat_id,
            "text": render.text(message.body, self._public_url),
            "link_preview_options": {"is_disabled": True},
        }
        answer = await self._client.post(self._url, _JSON, json.dumps(said).encode())
        if isinstance(answer, Outcome):
            return answer
        outcome = judged(answer, message.at)
        wait = _told_to_wait(answer) if answer.status == 429 else None
        return outcome if wait is None else replace(outcome, retry_after_seconds=wait)


def _told_to_wait(answer: Answer) -> int | None:
    """Telegram says in the body, as `parameters.retry_after`, how many seconds to wait."""
    try:
        parameters = json.loads(answer.start)["parameters"]
        seconds = parameters["retry_after"] if isinstance(parameters, Mapping) else None
    except (ValueError, KeyError, TypeError):
        return None
    return max(0, min(seconds, _LONGEST_WAIT_SECONDS)) if isinstance(seconds, int) else None


class SlackSender:
    """An incoming webhook: whoever has its URL may write."""

    def __init__(self, client: HttpClient, url: str, *, public_url: str | None) -> None:
        self._client = client
        self._url = url
        self._public_url = public_url

    async def send(self, message: Outgoing) -> Outcome:
        """Post once: the text for notifications, and blocks of plain text, in which nothing is markup."""
        title, lines = render.title(message.body), render.lines(message.body, self._public_url)
        said = {
            "text": _escaped("\n".join((title, *lines))),
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}},
                {"type": "section", "text": {"type": "plain_text", "text": "\n".join(lines) or title, "emoji": False}},
            ],
        }
        answer = await self._client.post(self._url, _JSON, json.dumps(said).encode())
        return answer if isinstance(answer, Outcome) else judged(answer, message.at)


def _escaped(said: str) -> str:
    """Slack reads &, < and > as its own: mentions of everybody among them."""
    return said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

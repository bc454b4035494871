"""Standard Webhooks: the body signed with every key that is valid, under three headers.

Source: the Standard Webhooks specification 1.0 (standardwebhooks.com); the package `standardwebhooks` signs.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook

from app.alerts.http import HttpClient, judged
from app.alerts.outcome import Outcome, Outgoing
from app.errors import Refused

PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key messages are signed with."""

    secret: str = field(repr=False)
    """whsec_ and its bytes in base64."""
    until: int | None = None
    """Unix seconds; None: not replaced yet."""


def new_secret() -> str:
    """A signing secret of 192 random bits."""
    return PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def check_secret(secret: str) -> str:
    """The secret itself, when it is one.

    Raises:
        Refused: it is not. The message does not repeat it.
    """
    try:
        size = len(base64.b64decode(secret.removeprefix(PREFIX), validate=True))
    except ValueError:
        size = 0
    if not secret.startswith(PREFIX) or size not in _KEY_BYTES:
        raise Refused("the signing secret must be whsec_ and 24 to 64 bytes in base64")
    return secret


def signed_headers(message: Outgoing, body: str, keys: Sequence[SigningKey]) -> dict[str, str]:
    """The headers of one try, with a signature of each key that is valid then."""
    at = datetime.fromtimestamp(message.at, UTC)
    valid = [key for key in keys if key.until is None or message.at < key.until]
    signatures = [Webhook(key.secret).sign(message.id, at, body) for key in valid]
    return {
        "Content-Type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": str(message.at),
        "webhook-signature": " ".join(signatures),
    }


class WebhookSender:
    """Posts the body itself, signed."""

    def __init__(self, client: HttpClient, url: str, keys: Sequence[SigningKey]) -> None:
        self._client = client
        self._url = url
        self._keys = keys

    async def send(self, message: Outgoing) -> Outcome:
        """Post once; any 2xx took it."""
        body = json.dumps(message.body, ensure_ascii=False, separators=(",", ":"))
        answer = await self._client.post(self._url, signed_headers(message, body, self._keys), body.encode())
        return answer if isinstance(answer, Outcome) else judged(answer, message.at)

"""The message that shows whether a channel works."""

from __future__ import annotations

from datetime import UTC, datetime

from app.domain.watch import Severity
from app.store.watch.channels import Channel
from app.store.watch.outbox import NewMessage, new_message_id


def trial_message(channel: Channel, now: int) -> NewMessage:
    """A message that says it is a test; each is a new one."""
    id = new_message_id()
    text = f"This is a test of the channel {channel.name}: alerts arrive here."
    timestamp = datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z")
    body = {"type": "test", "timestamp": timestamp, "data": {"channel": channel.name, "text": text}}
    return NewMessage(id, channel.id, None, "test", f"test:{id}", Severity.INFO, body, now)

"""What came of one try to send something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

Body: TypeAlias = Mapping[str, object]
"""A message as JSON: type, timestamp, data."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way."""

    id: str
    """The same at each try."""
    body: Body
    at: int
    """Unix seconds of this try."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether it was taken, and what the receiver said of it. Nothing here holds a secret or the receiver's words."""

    status: int | None
    """The receiver's answer in its protocol's own numbers; None: there was none."""
    error: str | None = None
    """Why it was not taken; None: it was."""
    retry_after_seconds: int | None = None
    """How long the receiver wants to be left alone."""
    is_gone: bool = False
    """The receiver wants nothing more, ever."""

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has it now."""
        return self.error is None


class Sender(Protocol):
    """Sends messages to one channel."""

    async def send(self, message: Outgoing) -> Outcome:
        """Try once. Never raises for what the receiver or the network does; it takes 15 s at most."""
        ...

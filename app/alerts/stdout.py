"""Standard output, for whoever reads this process's: one JSON object a line, or a sentence."""

from __future__ import annotations

import json
import sys
from typing import TextIO

from app.alerts.outcome import Outcome, Outgoing
from app.alerts.render import text


class StdoutSender:
    """Prints messages."""

    def __init__(self, stream: TextIO | None = None, *, is_text: bool = False, public_url: str | None = None) -> None:
        """
        Args:
            is_text: for people in place of programs.
        """
        self._stream = stream
        self._is_text = is_text
        self._public_url = public_url

    async def send(self, message: Outgoing) -> Outcome:
        """Print it; it is taken when it is written."""
        stream = self._stream or sys.stdout
        as_json = {"id": message.id, **message.body}
        said = text(message.body, self._public_url) + "\n" if self._is_text else json.dumps(as_json, ensure_ascii=True)
        try:
            stream.write(said + "\n")
            stream.flush()
        except (OSError, ValueError) as error:
            return Outcome(None, f"standard output: {type(error).__name__}")
        return Outcome(None)

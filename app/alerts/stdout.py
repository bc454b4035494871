"""Standard output: one JSON object a line, for whoever reads this process's output."""

from __future__ import annotations

import json
import sys
from typing import TextIO

from app.alerts.outcome import Outcome, Outgoing


class StdoutSender:
    """Prints messages."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    async def send(self, message: Outgoing) -> Outcome:
        """Print one line; it is taken when it is written."""
        stream = self._stream or sys.stdout
        try:
            stream.write(json.dumps({"id": message.id, **message.body}, ensure_ascii=True) + "\n")
            stream.flush()
        except (OSError, ValueError) as error:
            return Outcome(None, f"standard output: {type(error).__name__}")
        return Outcome(None)

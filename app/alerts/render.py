"""A message's body as people read it: a line that says what it is, and a few that say the rest. Plain text only."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from app.alerts.outcome import Body

LONGEST = 1_500
"""Characters; what is longer is cut. Below what Telegram (4,096) and Slack (3,000 a block) take."""
_LONGEST_TITLE = 150
_HAPPENED = {
    "episode.opened": "",
    "episode.escalated": "worse",
    "episode.cleared": "cleared",
    "episode.retracted": "retracted",
    "episode.reminded": "still open",
}


def title(body: Body) -> str:
    """One line: how bad, which list and rule, what happened."""
    kind = str(body.get("type", ""))
    episode = _part(_part(body, "data"), "episode")
    if not episode:
        name = _part(body, "data").get("watchlist")
        return _one_line(": ".join(str(part) for part in (f"Waterline {kind}", name) if part))
    severity = str(episode.get("severity", "")).upper()
    what = f"{severity} {episode.get('watchlist', '')} / {episode.get('rule', '')}".strip()
    happened = _HAPPENED.get(kind, kind)
    return _one_line(f"{what}: {happened}" if happened else what)


def lines(body: Body, public_url: str | None) -> list[str]:
    """What it says, as of when, and where more is to be seen, if this installation has a public address."""
    data = _part(body, "data")
    found = [_plain(str(data.get("text", "")))[:LONGEST]]
    as_of = _part(data, "as_of")
    if as_of.get("block_number") is not None:
        found.append(f"Block {as_of['block_number']} of chain {as_of.get('chain_id')}, {body.get('timestamp')}")
    elif body.get("timestamp"):
        found.append(str(body["timestamp"]))
    address = _part(data, "subject").get("address")
    if public_url and address:
        found.append(f"{public_url.rstrip('/')}/wallet/{address}")
    return [line for line in found if line]


def text(body: Body, public_url: str | None) -> str:
    """Title and lines together."""
    return "\n".join((title(body), *lines(body, public_url)))


def _part(body: Body, name: str) -> Body:
    found = body.get(name)
    return found if isinstance(found, Mapping) else {}


def _one_line(said: str) -> str:
    return " ".join(_plain(said).split())[:_LONGEST_TITLE]


def _plain(said: str) -> str:
    """Without characters that are not seen or that turn the direction of others: labels are other people's words."""
    return "".join(one for one in said if one == "\n" or unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Co"))

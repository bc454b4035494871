"""The shapes of the log of changes."""

from __future__ import annotations

from pydantic import Field

from app.api.schemas.base import View


class ChangeView(View):
    """One change."""

    id: int
    at: int
    actor: str = Field(description="cli, or key: with the key's id and name.")
    action: str = Field(description="What was done, such as rule.create.")
    subject: str = Field(description="What it was done to, such as watchlist:7.")
    detail: dict[str, str | int | bool | list[str] | None]


class ChangesView(View):
    """A page of changes, newest first."""

    items: list[ChangeView]
    next_cursor: str | None

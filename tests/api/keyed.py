"""Keys for tests: made in the store, as the command line makes them."""

from __future__ import annotations

from collections.abc import Collection

from app.api.frame.keys import NewKey, new_key
from app.store.postgres.engine import Database
from app.store.watch.keys import Scope, store_key


async def make_key(database: Database, *scopes: Scope, name: str = "desk", created_at: int = 1) -> NewKey:
    """A key that is good; with every scope when none is named."""
    made = new_key()
    given: Collection[Scope] = scopes or tuple(Scope)
    async with database.write() as session:
        await store_key(session, made.id, name, made.secret_hash, given, created_at)
    return made


def bearer(key: NewKey) -> dict[str, str]:
    """The header that shows it."""
    return {"Authorization": f"Bearer {key.text}"}

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.store.postgres.engine import Database
from tests.fakes.site import Site, open_site


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    """The API over an empty, migrated database."""
    opened = open_site(database)
    yield opened
    await opened.client.aclose()
    await opened.app.state.read_context.aclose()

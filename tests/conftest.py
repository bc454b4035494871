"""Fixtures shared by every test, by what they need: a database, the devnet, a browser. And the order of the files."""

from __future__ import annotations

import pytest

pytest_plugins: list[str] = [
    "tests.fixtures.browser",
    "tests.fixtures.database",
    "tests.fixtures.devnet",
]

LONGEST_FIRST = ("integration", "indexer", "simulation_watch", "simulation")
"""Folders whose files take longest: of two workers, neither is to begin one of them when the other is done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of many seconds first, otherwise as they come."""
    ranks = {folder: rank for rank, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: min((ranks[part] for part in item.path.parts if part in ranks), default=len(ranks)))

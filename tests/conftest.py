"""Fixtures shared by every test, by what they need: a database, the devnet, a browser."""

from __future__ import annotations

pytest_plugins: list[str] = [
    "tests.fixtures.browser",
    "tests.fixtures.database",
    "tests.fixtures.devnet",
]

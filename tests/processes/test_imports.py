"""Each command imports what its process needs: a start that waits for what others need is a slower recovery."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("aiohttp", "alembic", "fastapi", "numpy", "sqlalchemy", "uvicorn", "web3", "app.api", "devnet", "app.chain")
ROOM = {
    "app.cli": set(),
    "app.processes.index": {"aiohttp", "sqlalchemy", "web3", "app.chain"},
    "app.processes.monitor": {"numpy", "sqlalchemy"},
    "app.processes.serve": set(HEAVY) - {"alembic", "web3", "app.chain", "devnet"},
    "app.commands.delivery": {"aiohttp", "sqlalchemy"},
    "app.commands.watching": {"aiohttp", "numpy", "sqlalchemy"},
}


@pytest.mark.parametrize("module", ROOM)
def test_a_process_imports_no_more_than_it_needs(module: str) -> None:
    seen = f"import {module}, sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", seen], check=True, capture_output=True, text=True)
    assert set(told.stdout.split()) == ROOM[module]

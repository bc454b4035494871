"""Solidity to bytecode with solc-js under Node, cached: the one part of set-up that takes more than a moment."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from devnet.artifacts import Artifact
from devnet.cache import DevnetUnavailable, cache_root, locked, write_atomically
from devnet.fetch import node_binary, package_path, pinned_packages

COMPILER_TIMEOUT_SECONDS = 900
_IMPORT = re.compile(r"""^\s*import\s+(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]\s*;""", re.MULTILINE | re.DOTALL)

# Reads standard JSON on stdin, answers on stdout. soljson exports the compiler as one C function.
_DRIVER = """
const solc = require(process.argv[1]);
const run = () => {
  const compile = solc.cwrap('solidity_compile', 'string', ['string', 'number', 'number']);
  process.stdout.write(compile(require('fs').readFileSync(0, 'utf8'), 0, 0));
};
if (solc.calledRun) run(); else solc.onRuntimeInitialized = run;
"""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is compiled together: entry files, where the roots of their imports lie, and the settings."""

    name: str
    entries: tuple[str, ...]
    roots: Mapping[str, str]
    """Import prefix -> `package key:folder in it`; `devnet:` is this package."""
    evm_version: str = "shanghai"
    compiler: str = "solc"
    """Package key."""
    optimizer_runs: int = 200

    def settings(self) -> dict[str, Any]:
        return {
            "optimizer": {"enabled": True, "runs": self.optimizer_runs},
            "evmVersion": self.evm_version,
            "metadata": {"bytecodeHash": "none"},
            "outputSelection": {"*": {"*": ["evm.bytecode.object", "evm.bytecode.linkReferences"]}},
        }


_AAVE = "aave/src/contracts/"
_AAVE_ENTRIES = (
    "instances/PoolInstance",
    "instances/PoolConfiguratorInstance",
    "instances/ATokenInstance",
    "instances/VariableDebtTokenInstance",
    "misc/AaveOracle",
    "misc/DefaultReserveInterestRateStrategyV2",
    "protocol/configuration/PoolAddressesProvider",
    "protocol/configuration/PoolAddressesProviderRegistry",
    "protocol/configuration/ACLManager",
    "helpers/AaveProtocolDataProvider",
    "helpers/LiquidationDataProvider",
    "helpers/UiPoolDataProviderV3",
    "rewards/RewardsController",
)
AAVE_V3_6 = Unit(
    name="aave-v3.6",
    entries=tuple(f"{_AAVE}{entry}.sol" for entry in _AAVE_ENTRIES),
    roots={
        "aave/": "aave-v3-origin:",
        "solidity-utils/": "solidity-utils:src",
        "openzeppelin-contracts/contracts/": "openzeppelin:",
        "openzeppelin-contracts-upgradeable/contracts/": "openzeppelin-upgradeable:",
        "@openzeppelin/contracts/": "openzeppelin:",
        "@openzeppelin/contracts-upgradeable/": "openzeppelin-upgradeable:",
    },
)
MORPHO_BLUE = Unit(
    name="morpho-blue",
    entries=(
        "morpho/src/Morpho.sol",
        "morpho/src/mocks/IrmMock.sol",
        "own/DriftingIrm.sol",
        "own/FeedOracle.sol",
        "own/MorphoLens.sol",
    ),
    roots={"morpho/": "morpho-blue:", "own/": "devnet:contracts"},
    evm_version="paris",
    compiler="solc-0.8.19",
)
OWN_CONTRACTS = Unit(name="devnet", entries=("own/PriceFeed.sol",), roots={"own/": "devnet:contracts"})


def compiled(unit: Unit) -> dict[str, Artifact]:
    """Every contract of `unit` that has code, by contract name; compiled first when the cache has it not.

    Raises:
        DevnetUnavailable: a package cannot be fetched, or the compiler failed.
    """
    root = cache_root()
    path = root / "compiled" / f"{unit.name}-{_cache_key(unit)}.json"
    if not path.exists():
        with locked(root, path.stem):
            if not path.exists():
                write_atomically(path, json.dumps(_compile(unit)).encode())
    rows: dict[str, dict[str, Any]] = json.loads(path.read_bytes())
    return {name: Artifact(name, row["bytecode"], row["links"]) for name, row in rows.items()}


def is_compiled(unit: Unit) -> bool:
    """Whether `compiled` would answer from the cache."""
    return (cache_root() / "compiled" / f"{unit.name}-{_cache_key(unit)}.json").exists()


def _cache_key(unit: Unit) -> str:
    """Changes with the compiler, the packages, our own sources, and the settings."""
    packages = pinned_packages()
    keys = sorted({place.partition(":")[0] for place in unit.roots.values()} - {"devnet"} | {unit.compiler})
    parts = [f"{key} {packages[key].sha512}" for key in keys]
    parts += [json.dumps([unit.settings(), sorted(unit.roots.items()), unit.entries], sort_keys=True)]
    own = tuple(prefix for prefix, place in unit.roots.items() if place.startswith("devnet:"))
    contracts = Path(__file__).parent / "contracts"
    parts += [(contracts / PurePosixPath(entry).name).read_text() for entry in unit.entries if entry.startswith(own)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _compile(unit: Unit) -> dict[str, dict[str, Any]]:
    request = {"language": "Solidity", "sources": _sources(unit), "settings": unit.settings()}
    command = [str(node_binary()), "-e", _DRIVER, str(package_path(unit.compiler) / "soljson.js")]
    try:
        done = subprocess.run(  # noqa: S603 - our own command line, no shell
            command,
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=COMPILER_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DevnetUnavailable(f"compiling {unit.name} took over {COMPILER_TIMEOUT_SECONDS} s: try again") from error
    if done.returncode != 0:
        raise DevnetUnavailable(f"the Solidity compiler stopped on {unit.name}: {done.stderr.decode()[-300:]}")
    answer = json.loads(done.stdout)
    faults = [row["formattedMessage"] for row in answer.get("errors", []) if row["severity"] == "error"]
    if faults:
        raise DevnetUnavailable(f"{unit.name} does not compile: {faults[0]}")
    return {
        name: {"bytecode": output["evm"]["bytecode"]["object"], "links": output["evm"]["bytecode"]["linkReferences"]}
        for contracts in answer["contracts"].values()
        for name, output in contracts.items()
        if output["evm"]["bytecode"]["object"]
    }


def _sources(unit: Unit) -> dict[str, dict[str, str]]:
    """Every file reachable from the entries by its import name: solc-js has no file system of its own."""
    folders = {prefix: _folder(place) for prefix, place in unit.roots.items()}
    found: dict[str, dict[str, str]] = {}
    queue = list(unit.entries)
    while queue:
        name = queue.pop()
        if name in found:
            continue
        text = _locate(name, folders).read_text()
        found[name] = {"content": text}
        queue += (_resolve(name, target) for target in _imports(text))
    return found


def _imports(text: str) -> Iterable[str]:
    return _IMPORT.findall(text)


def _resolve(importer: str, target: str) -> str:
    return normpath(f"{PurePosixPath(importer).parent}/{target}") if target.startswith(".") else target


def _folder(place: str) -> Path:
    key, _, inner = place.partition(":")
    return Path(__file__).parent / inner if key == "devnet" else package_path(key) / inner


def _locate(name: str, folders: Mapping[str, Path]) -> Path:
    prefix = max((p for p in folders if name.startswith(p)), key=len, default=None)
    path = folders[prefix] / name[len(prefix) :] if prefix is not None else None
    if path is None or not path.exists():
        raise DevnetUnavailable(f"import {name} is in none of the pinned packages: devnet/packages.json is incomplete")
    return path

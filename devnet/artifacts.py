"""Contract bytecode with unresolved library references, and how it becomes init code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.domain.chain import Address
from devnet.fetch import package_path


@dataclass(frozen=True, slots=True)
class Artifact:
    """Creation bytecode as hex without 0x; `links` is source file -> library -> places, in bytes."""

    name: str
    bytecode: str
    links: Mapping[str, Mapping[str, list[dict[str, int]]]]
    functions: tuple[str, ...] = ()
    """Signatures of its functions, where the package's artifacts have them."""

    def linked(self, libraries: Mapping[str, Address]) -> bytes:
        """Init code with each library reference replaced by the library's address.

        Raises:
            KeyError: a library is missing.
        """
        code = self.bytecode
        for references in self.links.values():
            for library, places in references.items():
                for place in places:
                    start = place["start"] * 2
                    code = code[:start] + libraries[library].hex() + code[start + 40 :]
        return bytes.fromhex(code)


def aave_v3_0_artifact(path: str) -> Artifact:
    """A contract of the Aave V3.0 package by its path without suffix, e.g. `protocol/pool/Pool`."""
    name = path.rpartition("/")[2]
    file = package_path("aave-core-v3") / "artifacts" / "contracts" / f"{path}.sol" / f"{name}.json"
    return _from_hardhat(file)


def venus_artifact(path: str, folder: str = "contracts") -> Artifact:
    """A contract of the Venus package by its path without suffix, e.g. `Lens/ComptrollerLens`."""
    name = path.rpartition("/")[2]
    return _from_hardhat(package_path("venus") / "artifacts" / folder / f"{path}.sol" / f"{name}.json")


def curie_artifact(name: str) -> Artifact:
    """A contract of Perpetual Protocol v2, e.g. `ClearingHouse`."""
    return _of_package("perp-curie", name)


def perp_oracle_artifact(name: str) -> Artifact:
    """A contract of Perpetual Protocol's price feeds, e.g. `PriceFeedDispatcher`."""
    return _of_package("perp-oracle", name)


def uniswap_v3_artifact(name: str) -> Artifact:
    """A contract of Uniswap V3's core; its factory brings the pool's code."""
    return _of_package("uniswap-v3-core", name)


def _of_package(key: str, name: str) -> Artifact:
    return _from_hardhat(package_path(key) / "artifacts" / "contracts" / f"{name}.sol" / f"{name}.json")


def _from_hardhat(file: Path) -> Artifact:
    row: dict[str, Any] = json.loads(file.read_bytes())
    functions = tuple(
        f"{entry['name']}({','.join(_canonical(argument) for argument in entry['inputs'])})"
        for entry in row["abi"]
        if entry["type"] == "function"
    )
    return Artifact(row["contractName"], row["bytecode"].removeprefix("0x"), row["linkReferences"], functions)


def _canonical(argument: Mapping[str, Any]) -> str:
    """The type of one ABI argument as signatures spell it: a tuple is the list of its members."""
    kind = str(argument["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_canonical(member) for member in argument['components'])}){kind[5:]}"

"""The JSON files that settings name: further deployments, and groups of assets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from app.domain.chain import Address
from app.domain.market import Deployment


def faults_of(error: ValidationError) -> list[tuple[str, str]]:
    """(place, message) of each of pydantic's findings, without the values found: they may be secrets."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [(".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in found]


def _check_address(text: str) -> str:
    Address.from_hex(text)
    return text


_AddressText = Annotated[str, AfterValidator(_check_address)]


class _DeploymentEntry(BaseModel):
    """One entry of the deployments file, in the shape of `Deployment`."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    chain_id: Annotated[int, Field(ge=1)]
    protocol: Annotated[str, StringConstraints(min_length=1)]
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    address: _AddressText
    start_block: Annotated[int, Field(ge=0)] = 0
    contracts: dict[str, _AddressText] = {}

    def deployment(self) -> Deployment:
        contracts = {role: Address.from_hex(address) for role, address in self.contracts.items()}
        address = Address.from_hex(self.address)
        return Deployment(self.id, self.chain_id, self.protocol, self.name, address, self.start_block, contracts)


def extra_deployments(path: str | None, faults: list[str]) -> tuple[Deployment, ...]:
    """What DEPLOYMENTS_FILE holds; what is wrong with it is added to `faults`."""
    if path is None:
        return ()
    try:
        entries = json.loads(Path(path).read_text())
        if not isinstance(entries, list):
            raise ValueError("must hold a JSON list of deployments")
        return tuple(_DeploymentEntry.model_validate(entry).deployment() for entry in entries)
    except ValidationError as error:
        faults += [f"DEPLOYMENTS_FILE: {path}: {place}: {message}" for place, message in faults_of(error)]
    except (OSError, ValueError) as error:
        faults.append(f"DEPLOYMENTS_FILE: {path}: {error}")
    return ()


_GROUPS_FILE = TypeAdapter(
    dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")],
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=100)], ...],
    ]
)


def asset_groups(path: str | None, faults: list[str]) -> dict[str, tuple[str, ...]]:
    """What ASSET_GROUPS_FILE holds; what is wrong with it is added to `faults`."""
    if path is None:
        return {}
    try:
        return _GROUPS_FILE.validate_python(json.loads(Path(path).read_text()))
    except ValidationError as error:
        faults += [f"ASSET_GROUPS_FILE: {path}: {place}: {message}" for place, message in faults_of(error)]
    except (OSError, ValueError) as error:
        faults.append(f"ASSET_GROUPS_FILE: {path}: {error}")
    return {}

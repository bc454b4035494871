"""Every setting, read from the environment (and a `.env` file) in one place, checked whole before anything starts.

Settings whose name carries a chain id (`RPC_URL_1`, `WS_URL_1`, `FROM_BLOCK_1`) are collected into one
`ChainSettings` a chain. URLs are secrets, because they hold keys: they are kept as `SecretUrl` and only ever
shown as scheme, host and port.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from app.domain.chain import Address
from app.domain.market import Deployment
from app.errors import Refused

_CHAIN_SETTING = re.compile(r"(RPC_URL|WS_URL|FROM_BLOCK)_(.+)", re.IGNORECASE)
_OF_A_CHANNEL = "channel_secret_"
_FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_POSTGRES_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")


class SecretUrl:
    """A URL that may hold a key: prints as scheme, host and port only; `reveal()` is for the connection itself."""

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def reveal(self) -> str:
        """The whole URL. Never log it."""
        return self._url

    def __str__(self) -> str:
        parts = urlsplit(self._url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or ''}{port}"

    def __repr__(self) -> str:
        return f"SecretUrl({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretUrl) and self._url == other._url

    def __hash__(self) -> int:
        return hash(self._url)


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """One endpoint of a chain."""

    url: SecretUrl
    """Where it is read: http(s), or ws(s)."""
    ws_url: SecretUrl | None = None
    """Where it announces new blocks; None: it is asked."""


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """How one chain is reached."""

    chain_id: int
    endpoints: tuple[EndpointSettings, ...]
    """At least one, the preferred ones first."""
    from_block: int | None = None
    """First block to search for accounts; None: each deployment's own start block."""


class Settings(BaseModel):
    """All settings of a process. Field names in upper case are the names of the environment variables."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    database_url: SecretUrl | None = None
    """PostgreSQL >= 15. Unset: `waterline up` and `waterline demo` start an embedded one."""
    data_dir: Path = Path(".waterline")
    """Where the embedded Postgres of `waterline up` keeps its files."""
    deployments_file: Path | None = None
    """JSON list of further deployments to follow, beside the built-in ones."""
    deployments: tuple[str, ...] = ()
    """Ids of the deployments to follow, comma-separated. Empty: all of every configured chain."""
    asset_groups_file: Path | None = None
    """JSON object of groups of assets by symbol, beside and before the built-in ones."""
    host: Annotated[str, StringConstraints(min_length=1)] = "127.0.0.1"
    """Address the API and the page listen on."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    """Port the API and the page listen on."""
    devnet_port: Annotated[int, Field(ge=1, le=65535)] = 8545
    """Port of the local chain of `waterline devnet` and `waterline demo`."""
    devnet_seed: Annotated[int, Field(ge=0)] = 1
    """Seed of the local chain: the same seed gives the same population and history."""
    devnet_wallets: Annotated[int, Field(ge=10, le=5000)] = 300
    """How many wallets the local chain is populated with."""
    poll_seconds: Annotated[float, Field(gt=0, le=60)] = 2.0
    """How often a chain without WS_URL is asked for a new head."""
    metrics_port: Annotated[int | None, Field(ge=1, le=65535)] = None
    """Port on which `waterline index` serves its own Prometheus metrics. Unset: not served."""
    monitor_metrics_port: Annotated[int | None, Field(ge=1, le=65535)] = None
    """Port on which `waterline monitor` serves its own Prometheus metrics. Unset: not served."""
    audit_accounts: Annotated[int, Field(ge=0, le=200)] = 8
    """How many stored accounts are read again, every ten seconds of chain time, and held against the contracts."""
    retention_days: Annotated[int | None, Field(ge=1, le=36_500)] = None
    """How many days of history are kept. Unset: all of it."""
    risk_snapshot_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """How many days hourly snapshots of accounts with debt are kept."""
    secrets_key: SecretStr | None = None
    """Keys that encrypt the secrets of channels, comma-separated; the first encrypts, all decrypt."""
    alert_allowed_hosts: tuple[str, ...] = ()
    """Hosts (`host` or `host:port`) alerts may be sent to though they are not on the public internet, or use plain
    http."""
    public_url: str | None = None
    """Where people reach this installation's pages, for links in alerts. Unset: there are no links."""
    deliver_metrics_port: Annotated[int | None, Field(ge=1, le=65535)] = None
    """Port on which `waterline deliver` serves its own Prometheus metrics. Unset: not served."""
    heartbeat_url: tuple[SecretUrl, ...] = ()
    """URLs, comma-separated, that `waterline deliver` fetches as long as every chain is read and evaluated."""
    heartbeat_seconds: Annotated[int, Field(ge=5, le=86_400)] = 60
    """How often they are fetched."""
    blind_warning_seconds: Annotated[int, Field(ge=1, le=86_400)] = 120
    """So long without current data opens an episode of its own on every watchlist without a rule about it."""
    blind_critical_seconds: Annotated[int, Field(ge=1, le=604_800)] = 600
    """So long, and it is critical."""
    rate_limit_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 600
    """Requests a minute that the service answers one client address. 0: as many as come."""
    key_rate_limit_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 3000
    """Requests a minute that the service answers one key of its API. 0: as many as come."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed. Empty: none."""
    ens_chain: Annotated[int, Field(ge=1)] = 1
    """Chain on which names of wallets are resolved, where it has an RPC_URL_<chain id>."""
    log_level: Annotated[
        str, AfterValidator(str.upper), StringConstraints(pattern="(?i)^(debug|info|warning|error)$")
    ] = "INFO"
    """debug, info, warning or error."""

    chains: Mapping[int, ChainSettings] = Field(default_factory=dict)
    """From RPC_URL_<chain id>, WS_URL_<chain id>, FROM_BLOCK_<chain id>."""
    extra_deployments: tuple[Deployment, ...] = ()
    """What DEPLOYMENTS_FILE holds."""
    asset_groups: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """What ASSET_GROUPS_FILE holds: symbols by name of the group."""
    channel_secrets: Mapping[str, SecretStr] = Field(default_factory=dict)
    """From CHANNEL_SECRET_<NAME>, by the whole name: secrets of channels that are not kept in the database."""

    @field_validator("database_url", mode="before")
    @classmethod
    def _is_postgres_url(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if urlsplit(value).scheme not in _POSTGRES_SCHEMES:
            raise ValueError("must start with postgresql://")
        return SecretUrl(value)

    @field_validator("deployments", "alert_allowed_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return _parts(value) if isinstance(value, str) else value

    @field_validator("heartbeat_url", mode="before")
    @classmethod
    def _is_urls(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = _parts(value)
        if not all(_is_url(part, ("http", "https")) for part in parts):
            raise ValueError("must be a URL that starts with https:// or http://, or several with commas between them")
        return tuple(map(SecretUrl, parts))

    @field_validator("secrets_key")
    @classmethod
    def _is_keys(cls, value: SecretStr | None) -> SecretStr | None:
        for key in () if value is None else _parts(value.get_secret_value()):
            if not _FERNET_KEY.fullmatch(key):
                raise ValueError("must be keys as `waterline channel key` makes them, with commas between them")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            try:
                ip_network(one)
            except ValueError:
                raise ValueError("must be addresses or networks such as 10.0.0.0/8, with commas between them") from None
        return value

    @field_validator("public_url")
    @classmethod
    def _is_public_url(cls, value: str | None) -> str | None:
        if value is not None and (not _is_url(value, ("http", "https")) or urlsplit(value).query):
            raise ValueError("must be a URL that starts with https:// or http://, without a query")
        return value

    @property
    def secrets_keys(self) -> tuple[str, ...]:
        """The keys in SECRETS_KEY, the one that encrypts first. Never log them."""
        return () if self.secrets_key is None else _parts(self.secrets_key.get_secret_value())

    def require_database_url(self) -> SecretUrl:
        """DATABASE_URL.

        Raises:
            Refused: it is not set.
        """
        if self.database_url is None:
            raise Refused("DATABASE_URL is not set: name a PostgreSQL >= 15, or run `waterline up`, which brings one")
        return self.database_url

    def require_chain(self, chain_id: int) -> ChainSettings:
        """How to reach one chain.

        Raises:
            Refused: RPC_URL_<chain id> is not set.
        """
        if chain_id not in self.chains:
            raise Refused(f"RPC_URL_{chain_id} is not set: name a JSON-RPC endpoint of chain {chain_id}")
        return self.chains[chain_id]


ENVIRONMENT_FIELDS = frozenset(Settings.model_fields) - {
    "chains",
    "extra_deployments",
    "asset_groups",
    "channel_secrets",
}
"""The fields that are an environment variable of the same name."""


def load_settings(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> Settings:
    """Read and check every setting.

    Args:
        environ: the variables; None takes the process's own, with those of `.env` (or `env_file`) beneath them.

    Raises:
        Refused: one message that lists every fault with the name of its setting. It never repeats a value.
    """
    if environ is None:
        environ = {**_dotenv(env_file or Path(".env")), **os.environ}
    values = {name.lower(): value for name, value in environ.items() if value != ""}
    faults: list[str] = []
    chains = _chain_settings(values, faults)
    extra = _extra_deployments(values.get("deployments_file"), faults)
    groups = _asset_groups(values.get("asset_groups_file"), faults)
    plain = {name: value for name, value in values.items() if name in ENVIRONMENT_FIELDS}
    try:
        collected = {"chains": chains, "extra_deployments": extra, "asset_groups": groups}
        settings = Settings.model_validate({**plain, **collected, "channel_secrets": _channel_secrets(values)})
    except ValidationError as error:
        faults += [f"{place.upper()}: {message}" for place, message in _faults(error)]
    if faults:
        raise Refused("these settings are wrong:\n" + "\n".join(f"  {fault}" for fault in sorted(faults)))
    return settings


def environment_with(**changes: str) -> dict[str, str]:
    """The process's own environment with some variables set: what a child process is given."""
    return {**os.environ, **changes}


def _parts(text: str) -> tuple[str, ...]:
    """What commas part."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _channel_secrets(values: Mapping[str, str]) -> dict[str, SecretStr]:
    """The variables that hold secrets of channels; `values` has names in lower case."""
    return {name.upper(): SecretStr(value) for name, value in values.items() if name.startswith(_OF_A_CHANNEL)}


def _dotenv(path: Path) -> dict[str, str]:
    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def _faults(error: ValidationError) -> list[tuple[str, str]]:
    """(place, message) of each of pydantic's findings, without the values found: they may be secrets."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [(".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in found]


def _chain_settings(values: Mapping[str, str], faults: list[str]) -> dict[int, ChainSettings]:
    by_chain: dict[int, dict[str, str]] = {}
    for name, value in values.items():
        match = _CHAIN_SETTING.fullmatch(name)
        if match and match[2].isdecimal():
            by_chain.setdefault(int(match[2]), {})[match[1].upper()] = value
        elif match:
            faults.append(f"{name.upper()}: must end in a chain id, as RPC_URL_1 does for Ethereum")
    chains: dict[int, ChainSettings] = {}
    for chain_id, given in sorted(by_chain.items()):
        rpc_urls = _urls(given.get("RPC_URL"), f"RPC_URL_{chain_id}", ("http", "https", "ws", "wss"), faults)
        ws_urls = _urls(given.get("WS_URL"), f"WS_URL_{chain_id}", ("ws", "wss"), faults)
        from_block = given.get("FROM_BLOCK")
        if from_block is not None and not from_block.isdecimal():
            faults.append(f"FROM_BLOCK_{chain_id}: must be a block number")
        elif "RPC_URL" not in given:
            faults.append(f"RPC_URL_{chain_id}: is missing, though another setting of chain {chain_id} is given")
        elif rpc_urls:
            first = None if from_block is None else int(from_block)
            chains[chain_id] = ChainSettings(chain_id, _endpoints(rpc_urls, ws_urls), first)
    return chains


def _endpoints(rpc_urls: tuple[SecretUrl, ...], ws_urls: tuple[SecretUrl, ...]) -> tuple[EndpointSettings, ...]:
    """Each socket belongs to the first endpoint on its host that has none; one left over is an endpoint of its own."""
    left = list(ws_urls)
    endpoints: list[EndpointSettings] = []
    for url in rpc_urls:
        parts = urlsplit(url.reveal())
        if parts.scheme in ("ws", "wss"):
            socket: SecretUrl | None = url
        else:
            same_host = (one for one in left if urlsplit(one.reveal()).hostname == parts.hostname)
            socket = next(same_host, None)
            if socket is not None:
                left.remove(socket)
        endpoints.append(EndpointSettings(url, socket))
    return (*endpoints, *(EndpointSettings(url, url) for url in left))


def _urls(value: str | None, name: str, schemes: tuple[str, ...], faults: list[str]) -> tuple[SecretUrl, ...]:
    """The URLs of a setting, which commas or white space part; none where it is not given or has a fault."""
    parts = [part for part in re.split(r"[,\s]+", value or "") if part]
    if len(set(parts)) < len(parts):
        faults.append(f"{name}: names an endpoint twice")
        return ()
    if not all(_is_url(part, schemes) for part in parts):
        wanted = " or ".join(scheme + "://" for scheme in schemes)
        faults.append(f"{name}: must be a URL that starts with {wanted}, or several with commas between them")
        return ()
    return tuple(map(SecretUrl, parts))


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


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


def _extra_deployments(path: str | None, faults: list[str]) -> tuple[Deployment, ...]:
    if path is None:
        return ()
    try:
        entries = json.loads(Path(path).read_text())
        if not isinstance(entries, list):
            raise ValueError("must hold a JSON list of deployments")
        return tuple(_DeploymentEntry.model_validate(entry).deployment() for entry in entries)
    except ValidationError as error:
        faults += [f"DEPLOYMENTS_FILE: {path}: {place}: {message}" for place, message in _faults(error)]
    except (OSError, ValueError) as error:
        faults.append(f"DEPLOYMENTS_FILE: {path}: {error}")
    return ()


_GROUPS_FILE = TypeAdapter(
    dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")],
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=100)], ...],
    ]
)


def _asset_groups(path: str | None, faults: list[str]) -> dict[str, tuple[str, ...]]:
    if path is None:
        return {}
    try:
        return _GROUPS_FILE.validate_python(json.loads(Path(path).read_text()))
    except ValidationError as error:
        faults += [f"ASSET_GROUPS_FILE: {path}: {place}: {message}" for place, message in _faults(error)]
    except (OSError, ValueError) as error:
        faults.append(f"ASSET_GROUPS_FILE: {path}: {error}")
    return {}

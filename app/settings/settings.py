"""Every setting, read from the environment (and a `.env` file) in one place, checked whole before anything starts.

Settings whose name carries a chain id (`RPC_URL_1`, `WS_URL_1`, `FROM_BLOCK_1`) are collected into one
`ChainSettings` a chain. URLs are secrets, because they hold keys: they are kept as `SecretUrl` and only ever
shown as scheme, host and port.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
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
    ValidationError,
    field_validator,
)

from app.domain.market import Deployment
from app.errors import Refused
from app.settings.chains import ChainSettings, chain_settings
from app.settings.files import asset_groups, extra_deployments, faults_of
from app.settings.urls import SecretUrl, is_url

_OF_A_CHANNEL = "channel_secret_"
_FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_POSTGRES_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")


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
    alert_retention_days: Annotated[int, Field(ge=14, le=36_500)] = 365
    """How many days messages, their tries and episodes that are over are kept."""
    change_log_days: Annotated[int, Field(ge=14, le=36_500)] = 1095
    """How many days the log of who changed what is kept."""
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
        if not all(is_url(part, ("http", "https")) for part in parts):
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
        if value is not None and (not is_url(value, ("http", "https")) or urlsplit(value).query):
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
    chains = chain_settings(values, faults)
    extra = extra_deployments(values.get("deployments_file"), faults)
    groups = asset_groups(values.get("asset_groups_file"), faults)
    plain = {name: value for name, value in values.items() if name in ENVIRONMENT_FIELDS}
    try:
        collected = {"chains": chains, "extra_deployments": extra, "asset_groups": groups}
        settings = Settings.model_validate({**plain, **collected, "channel_secrets": _channel_secrets(values)})
    except ValidationError as error:
        faults += [f"{place.upper()}: {message}" for place, message in faults_of(error)]
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

"""Where something may be sent, judged by its URL or host alone; `app.alerts.http` judges the addresses behind it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from urllib.parse import urlsplit

from app.alerts.addresses import is_public, parse_address
from app.errors import Refused

HTTPS_PORTS = (443, 8443)
SMTP_PORTS = (25, 465, 587, 2525)
_LONGEST_URL = 2_000
_PRINTABLE = re.compile(r"[!-~]+")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCAL_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa", "onion")
_LISTED = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^:\[\]]+)(:(?P<port>[0-9]{1,5}))?")


class BadDestination(Refused):
    """Nothing is sent there. The message does not repeat the URL."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A place that may be sent to, as far as its name shows."""

    scheme: str
    host: str
    """A name, an IPv4 address, or an IPv6 address without brackets."""
    port: int
    target: str = field(repr=False)
    """Path and query; may hold a secret."""
    is_listed: bool
    """Whether the operator listed the host: then its addresses may be any."""

    @property
    def url(self) -> str:
        """The whole URL. Never log it."""
        return f"{self.scheme}://{self.label}{self.target}"

    @property
    def label(self) -> str:
        """Host and port, fit to be shown."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class Policy:
    """What may be sent to: https on its usual ports at public addresses, and what the operator lists."""

    def __init__(self, allowed_hosts: Collection[str] = ()) -> None:
        """
        Args:
            allowed_hosts: `host` or `host:port`. They may be reached by plain http too, at any address.

        Raises:
            Refused: an entry is neither.
        """
        self._listed = {_listed(entry.lower()) for entry in allowed_hosts}

    def check_url(self, url: str) -> Destination:
        """The destination a URL names.

        Raises:
            BadDestination: nothing may be sent there.
        """
        if len(url) > _LONGEST_URL or not _PRINTABLE.fullmatch(url) or "\\" in url:
            raise BadDestination(f"the URL must be plain ASCII without spaces, of at most {_LONGEST_URL:,} characters")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise BadDestination("the URL cannot be understood") from None
        if parts.scheme not in ("https", "http"):
            raise BadDestination("the URL must start with https://")
        if "@" in parts.netloc:
            raise BadDestination("the URL must not hold a user or a password")
        if parts.fragment:
            raise BadDestination("the URL must not have a fragment")
        port = {"https": 443, "http": 80}[parts.scheme] if port is None else port
        if parts.scheme == "http" and not self._lists(host, port):
            raise BadDestination("the URL must start with https://; http is for hosts in ALERT_ALLOWED_HOSTS only")
        is_listed = self._check_host(host, port, HTTPS_PORTS)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Destination(parts.scheme, host, port, target, is_listed)

    def check_server(self, host: str, port: int) -> Destination:
        """A mail server as a destination.

        Raises:
            BadDestination: nothing may be sent there.
        """
        host = host.lower()
        return Destination("smtp", host, port, "", self._check_host(host, port, SMTP_PORTS))

    def _lists(self, host: str, port: int) -> bool:
        return (host, None) in self._listed or (host, port) in self._listed

    def _check_host(self, host: str, port: int, ports: tuple[int, ...]) -> bool:
        """Whether the operator listed this host; refuses what may not be reached, as far as the name tells."""
        address = parse_address(host)
        if address is None:
            labels = host.removesuffix(".").split(".")
            if not all(map(_LABEL.fullmatch, labels)) or len(host) > 253:
                raise BadDestination("the host is not a name or an address in its usual spelling")
            if _NUMBER.fullmatch(labels[-1]):
                raise BadDestination("the host is an address in an unusual spelling")
        elif isinstance(address, IPv6Address) and address.scope_id is not None:
            raise BadDestination("the host is an address of one network only")
        if not 0 < port < 65536:
            raise BadDestination("the port must be between 1 and 65535")
        if self._lists(host, port):
            return True
        if port not in ports:
            raise BadDestination(f"the port must be one of {', '.join(map(str, ports))}")
        plain = host.removesuffix(".")
        if address is not None and not is_public(address):
            raise BadDestination("the host is not on the public internet; the operator can list it")
        if address is None and ("." not in plain or plain.endswith(tuple(f".{name}" for name in _LOCAL_NAMES))):
            raise BadDestination("the host is not on the public internet; the operator can list it")
        return False


def _listed(entry: str) -> tuple[str, int | None]:
    found = _LISTED.fullmatch(entry)
    if found is None:
        raise Refused("ALERT_ALLOWED_HOSTS: entries must be a host, or a host and a port: hooks.lan:8080")
    return found["host"].strip("[]"), None if found["port"] is None else int(found["port"])

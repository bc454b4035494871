"""Setting a channel up: what people give is checked, and parted into what may be shown and what is sealed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parseaddr

from app.alerts.destination import BadDestination, Policy
from app.alerts.kinds import FROM_ENV, KINDS, SECRET_NAMES, secret_from_text, signing_keys
from app.alerts.smtp import MailTls
from app.alerts.vault import Vault
from app.alerts.webhook import check_secret, new_secret
from app.errors import Refused
from app.store.watch.channels import Channel, NewChannel

ENV_NAME = re.compile(r"CHANNEL_SECRET_[A-Z0-9_]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}")
_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{20,100}")
_CHAT = re.compile(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{4,64}")
_KEPT_SECONDS = 86_400
_MOST_RECIPIENTS = 20


@dataclass(frozen=True, slots=True)
class Made:
    """A channel ready to be stored."""

    new: NewChannel
    shown_once: str | None = field(default=None, repr=False)
    """The signing secret that was made for a webhook: for the receiver, and never to be seen again."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a kind makes of what was given."""

    settings: dict[str, object]
    secret: dict[str, object]
    shown_once: str | None = None


def make_channel(
    name: str,
    kind: str,
    given: Mapping[str, object],
    *,
    vault: Vault,
    policy: Policy,
    environment: Mapping[str, str],
) -> Made:
    """Check what was given and seal what is secret of it.

    Args:
        given: webhook: `url`, perhaps `secret` (one is made without); slack: `url`; telegram: `chat_id`, `token`,
            perhaps `api_url`; smtp: `host`, `port`, `tls`, `sender`, `recipients`, perhaps `username` and `password`;
            stdout: perhaps `format` (json, text). In place of what is secret of it: `secret_from_env`, the name of a
            variable that holds it.
        environment: the variables there are, by name.

    Raises:
        Refused: something is missing, wrong or unknown, or a secret cannot be kept. No message repeats a secret.
    """
    if not _NAME.fullmatch(name):
        raise Refused("name: letters, digits, spaces and . _ - only, 63 at most")
    if kind not in KINDS:
        raise Refused(f"kind: one of {', '.join(KINDS)}")
    left = {key: value for key, value in given.items() if value is not None}
    variable = left.pop(FROM_ENV, None)
    if variable is not None:
        left |= _from_environment(kind, str(variable), left, environment)
    parts = _FORMS[kind](left, policy)
    unknown = set(left) - _KNOWN[kind]
    if unknown:
        raise Refused(f"a {kind} channel has no {', '.join(sorted(unknown))}")
    if variable is not None:
        return Made(NewChannel(name, kind, {**parts.settings, FROM_ENV: str(variable)}))
    sealed = vault.seal(parts.secret) if parts.secret else None
    return Made(NewChannel(name, kind, parts.settings, sealed), parts.shown_once)


def rotated(channel: Channel, vault: Vault, now: int, *, kept_seconds: int = _KEPT_SECONDS) -> tuple[bytes, str]:
    """A webhook's secret with a new signing key before the old ones, sealed, and the new key. The old ones sign too
    for `kept_seconds`.

    Raises:
        Refused: it is no webhook, or its secret is not kept here.
    """
    if channel.kind != "webhook":
        raise Refused(f"{channel.name} is no webhook: only those are signed")
    if channel.sealed is None:
        raise Refused(f"the secret of {channel.name} is in the environment: change it there")
    secret = vault.open(channel.sealed)
    old = [key for key in signing_keys(secret) if key.until is None or key.until > now]
    ends = [now + kept_seconds if key.until is None else min(key.until, now + kept_seconds) for key in old]
    made = new_secret()
    keys: list[dict[str, object]] = [{"secret": made, "until": None}]
    keys += [{"secret": key.secret, "until": end} for key, end in zip(old, ends, strict=True) if end > now]
    return vault.seal({**secret, "keys": keys}), made


def _from_environment(
    kind: str, variable: str, given: Mapping[str, object], environment: Mapping[str, str]
) -> dict[str, object]:
    """What a variable holds, in place of what would be given. Only variables meant for this may be named: anything else
    could be sent anywhere by whoever may set channels up."""
    if not ENV_NAME.fullmatch(variable):
        raise Refused(f"{FROM_ENV}: must be the name of a variable CHANNEL_SECRET_<NAME>")
    names = {SECRET_NAMES.get(kind, ""), "secret" if kind == "webhook" else ""} - {""}
    if not names or names & set(given):
        raise Refused(f"{FROM_ENV}: in place of the secret itself, for kinds that have one")
    if variable not in environment:
        raise Refused(f"{FROM_ENV}: {variable} is not set in this environment")
    held = dict(secret_from_text(kind, environment[variable]))
    keys = held.pop("keys", None)
    if isinstance(keys, Sequence):
        if not keys:
            raise Refused(f"{FROM_ENV}: {variable} must hold the URL and a signing secret, a space between them")
        for key in keys:
            check_secret(str(key["secret"]))
        held["secret"] = str(keys[0]["secret"])
    return held


def _text(given: Mapping[str, object], name: str, pattern: re.Pattern[str] | None = None) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value or (pattern is not None and not pattern.fullmatch(value)):
        raise Refused(f"{name}: is missing or wrong")
    return value


def _url(given: Mapping[str, object], policy: Policy) -> tuple[str, str]:
    """The URL, and what of it may be shown."""
    url = _text(given, "url")
    try:
        return url, policy.check_url(url).label
    except BadDestination as error:
        raise Refused(f"url: {error}") from None


def _webhook(given: Mapping[str, object], policy: Policy) -> _Parts:
    url, label = _url(given, policy)
    own = given.get("secret")
    signing = new_secret() if own is None else check_secret(str(own))
    secret: dict[str, object] = {"url": url, "keys": [{"secret": signing, "until": None}]}
    return _Parts({"host": label}, secret, signing if own is None else None)


def _slack(given: Mapping[str, object], policy: Policy) -> _Parts:
    url, label = _url(given, policy)
    return _Parts({"host": label}, {"url": url})


def _telegram(given: Mapping[str, object], policy: Policy) -> _Parts:
    settings: dict[str, object] = {"chat_id": _text({"chat_id": str(given.get("chat_id", ""))}, "chat_id", _CHAT)}
    if "api_url" in given:
        settings["api_url"] = _text(given, "api_url")
        try:
            policy.check_url(_text(given, "api_url"))
        except BadDestination as error:
            raise Refused(f"api_url: {error}") from None
    return _Parts(settings, {"token": _text(given, "token", _TOKEN)})


def _smtp(given: Mapping[str, object], policy: Policy) -> _Parts:
    host, tls = _text(given, "host").lower(), str(given.get("tls", MailTls.STARTTLS))
    if tls not in list(MailTls):
        raise Refused(f"tls: one of {', '.join(MailTls)}")
    try:
        port = int(str(given.get("port", 465 if tls == MailTls.TLS else 587)))
        place = policy.check_server(host, port)
    except BadDestination as error:
        raise Refused(f"host: {error}") from None
    except ValueError:
        raise Refused("port: must be a number") from None
    if tls == MailTls.NONE and not place.is_listed:
        raise Refused("tls: none is for hosts in ALERT_ALLOWED_HOSTS only")
    wanted = given.get("recipients")
    recipients = wanted.split(",") if isinstance(wanted, str) else list(wanted) if isinstance(wanted, Sequence) else []
    if not 0 < len(recipients) <= _MOST_RECIPIENTS:
        raise Refused(f"recipients: from 1 to {_MOST_RECIPIENTS} mail addresses")
    settings: dict[str, object] = {"host": host, "port": port, "tls": tls}
    settings |= {"sender": _mail_address(given.get("sender"), "sender")}
    settings |= {"recipients": [_mail_address(one, "recipients") for one in recipients]}
    if "username" not in given:
        if "password" in given:
            raise Refused("username: is missing, though a password is given")
        return _Parts(settings, {})
    settings["username"] = _text(given, "username")
    return _Parts(settings, {"password": _text(given, "password")})


def _mail_address(given: object, name: str) -> str:
    text = given.strip() if isinstance(given, str) else ""
    address = parseaddr(text)[1]
    if not re.fullmatch(r"[^@\s<>,]+@[A-Za-z0-9.-]+", address) or not text.isprintable() or len(text) > 200:
        raise Refused(f"{name}: must be a mail address")
    return text


def _stdout(given: Mapping[str, object], policy: Policy) -> _Parts:
    format = given.get("format", "json")
    if format not in ("json", "text"):
        raise Refused("format: json or text")
    return _Parts({"format": format}, {})


_FORMS: Mapping[str, Callable[[Mapping[str, object], Policy], _Parts]] = {
    "webhook": _webhook,
    "slack": _slack,
    "telegram": _telegram,
    "smtp": _smtp,
    "stdout": _stdout,
}
_KNOWN: Mapping[str, frozenset[str]] = {
    "webhook": frozenset({"url", "secret"}),
    "slack": frozenset({"url"}),
    "telegram": frozenset({"chat_id", "token", "api_url"}),
    "smtp": frozenset({"host", "port", "tls", "sender", "recipients", "username", "password"}),
    "stdout": frozenset({"format"}),
}

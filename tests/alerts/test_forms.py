"""Setting channels up: what is wrong is refused by its name, and what is secret is seen by nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.alerts.destination import Policy
from app.alerts.forms import Made, make_channel, rotated
from app.alerts.http import HttpClient
from app.alerts.kinds import SenderContext, secret_of, sender_of, signing_keys
from app.alerts.vault import Vault, new_key
from app.alerts.webhook import WebhookSender, new_secret
from app.errors import Refused
from app.store.watch.channels import Channel

MARKER = "SECRETMARKER"
VAULT = Vault([new_key()])
POLICY = Policy(["relay.lan"])
URL = f"https://hooks.example/{MARKER}"
TOKEN = f"123456:{MARKER}{'a' * 20}"
MAIL = {"host": "mail.example", "sender": "Waterline <alerts@own.example>", "recipients": "a@b.example, c@d.example"}


def make(kind: str, given: dict[str, Any], vault: Vault = VAULT, **environment: str) -> Made:
    return make_channel("one", kind, given, vault=vault, policy=POLICY, environment=environment)


def stored(made: Made) -> Channel:
    new = made.new
    return Channel(1, new.name, new.kind, new.settings, new.sealed, True, None, 0)


def context(vault: Vault = VAULT, **environment: str) -> SenderContext:
    return SenderContext(HttpClient(POLICY), vault, environment)


@pytest.mark.parametrize(
    ("kind", "given", "settings", "secret"),
    [
        ("slack", {"url": URL}, {"host": "hooks.example:443"}, {"url": URL}),
        ("telegram", {"chat_id": "-100", "token": TOKEN}, {"chat_id": "-100"}, {"token": TOKEN}),
        ("telegram", {"chat_id": 5, "token": TOKEN}, {"chat_id": "5"}, {"token": TOKEN}),
        (
            "smtp",
            {**MAIL, "username": "u", "password": MARKER},
            {
                "host": "mail.example",
                "port": 587,
                "tls": "starttls",
                "sender": MAIL["sender"],
                "recipients": ["a@b.example", "c@d.example"],
                "username": "u",
            },
            {"password": MARKER},
        ),
    ],
)
def test_settings_and_secret_are_parted(
    kind: str, given: dict[str, Any], settings: dict[str, Any], secret: dict[str, str]
) -> None:
    made = make(kind, given)
    assert made.new.settings == settings
    assert made.new.sealed is not None
    assert VAULT.open(made.new.sealed) == secret
    assert MARKER not in repr(made) + made.new.sealed.decode()
    assert made.shown_once is None
    sender_of(stored(made), context())


def test_a_webhook_is_given_a_secret_that_is_shown_once() -> None:
    made = make("webhook", {"url": URL})
    assert made.shown_once is not None
    assert made.new.settings == {"host": "hooks.example:443"}
    (key,) = signing_keys(secret_of(stored(made), context()))
    assert (key.secret, key.until) == (made.shown_once, None)
    assert made.shown_once not in repr(made) + repr(key)
    own = new_secret()
    brought = make("webhook", {"url": URL, "secret": own})
    assert brought.shown_once is None
    assert signing_keys(secret_of(stored(brought), context()))[0].secret == own


def test_what_has_no_secret_needs_no_key() -> None:
    assert make("stdout", {}, Vault()).new.sealed is None
    assert make("smtp", MAIL, Vault()).new.sealed is None


def test_without_a_key_a_secret_is_refused_with_what_to_do() -> None:
    with pytest.raises(Refused, match=r"SECRETS_KEY is not set.*waterline channel key") as refusal:
        make("slack", {"url": URL}, Vault())
    assert MARKER not in str(refusal.value)


def test_a_secret_may_stay_in_the_environment() -> None:
    held = {"CHANNEL_SECRET_HOOK": f"{URL} {new_secret()} {new_secret()}", "CHANNEL_SECRET_BOT": TOKEN}
    hook = make("webhook", {"secret_from_env": "CHANNEL_SECRET_HOOK"}, Vault(), **held)
    assert (hook.new.settings, hook.new.sealed, hook.shown_once) == (
        {"host": "hooks.example:443", "secret_from_env": "CHANNEL_SECRET_HOOK"},
        None,
        None,
    )
    assert len(signing_keys(secret_of(stored(hook), context(Vault(), **held)))) == 2
    assert isinstance(sender_of(stored(hook), context(Vault(), **held)), WebhookSender)
    bot = make("telegram", {"chat_id": "5", "secret_from_env": "CHANNEL_SECRET_BOT"}, Vault(), **held)
    assert secret_of(stored(bot), context(Vault(), **held)) == {"token": TOKEN}
    with pytest.raises(Refused, match="CHANNEL_SECRET_HOOK is not set"):
        sender_of(stored(hook), context(Vault()))


@pytest.mark.parametrize(
    ("kind", "given", "wrong"),
    [
        ("pigeon", {}, "kind"),
        ("webhook", {}, "url"),
        ("webhook", {"url": f"http://hooks.example/{MARKER}"}, "url: .*https"),
        ("webhook", {"url": f"https://127.0.0.1/{MARKER}"}, "url: .*public"),
        ("webhook", {"url": URL, "secret": MARKER}, "signing secret"),
        ("webhook", {"url": URL, "secret": f"whsec_{MARKER}"}, "signing secret"),
        ("webhook", {"url": URL, "token": MARKER}, "no token"),
        ("slack", {"url": 5}, "url"),
        ("telegram", {"chat_id": "5"}, "token"),
        ("telegram", {"chat_id": "5", "token": f"{MARKER}/../x"}, "token"),
        ("telegram", {"chat_id": "5 6", "token": TOKEN}, "chat_id"),
        ("telegram", {"chat_id": "5", "token": TOKEN, "api_url": "https://10.0.0.1"}, "api_url"),
        ("smtp", {}, "host|recipients|sender"),
        ("smtp", {**MAIL, "host": "127.0.0.1"}, "host"),
        ("smtp", {**MAIL, "port": 80}, "host: the port"),
        ("smtp", {**MAIL, "port": "x"}, "port"),
        ("smtp", {**MAIL, "tls": "none"}, "tls"),
        ("smtp", {**MAIL, "tls": "maybe"}, "tls"),
        ("smtp", {**MAIL, "sender": "nobody"}, "sender"),
        ("smtp", {**MAIL, "sender": "a@b.example\r\nBcc: c@d.example"}, "sender"),
        ("smtp", {**MAIL, "recipients": []}, "recipients"),
        ("smtp", {**MAIL, "recipients": ["a@b.example"] * 21}, "recipients"),
        ("smtp", {**MAIL, "password": MARKER}, "username"),
        ("stdout", {"url": URL}, "no url"),
        ("stdout", {"format": "xml"}, "format: json or text"),
        ("stdout", {"secret_from_env": "CHANNEL_SECRET_A"}, "secret_from_env"),
        ("slack", {"secret_from_env": "DATABASE_URL"}, "CHANNEL_SECRET_"),
        ("slack", {"secret_from_env": "CHANNEL_SECRET_B"}, "CHANNEL_SECRET_B is not set"),
        ("slack", {"url": URL, "secret_from_env": "CHANNEL_SECRET_A"}, "in place of"),
        ("webhook", {"secret_from_env": "CHANNEL_SECRET_A"}, "and a signing secret"),
    ],
)
def test_what_is_wrong_is_refused_by_name_and_no_secret_repeated(kind: str, given: dict[str, Any], wrong: str) -> None:
    with pytest.raises(Refused, match=wrong) as refusal:
        make(kind, given, CHANNEL_SECRET_A=URL, DATABASE_URL=f"postgresql://{MARKER}")
    assert MARKER not in str(refusal.value)


@pytest.mark.parametrize("name", ["", "a" * 64, "a\nb", "-a", "a/b"])
def test_names_of_channels_are_plain(name: str) -> None:
    with pytest.raises(Refused, match="name"):
        make_channel(name, "stdout", {}, vault=VAULT, policy=POLICY, environment={})


def test_a_mail_server_of_the_list_may_be_talked_to_in_the_clear() -> None:
    made = make("smtp", {**MAIL, "host": "relay.lan", "port": 25, "tls": "none"})
    assert made.new.settings["tls"] == "none"


def test_a_rotated_key_signs_first_and_the_old_one_for_a_while() -> None:
    channel = stored(make("webhook", {"url": URL}))
    (first,) = signing_keys(secret_of(channel, context()))
    sealed, second = rotated(channel, VAULT, 1000, kept_seconds=50)
    keys = signing_keys(VAULT.open(sealed))
    assert [(key.secret, key.until) for key in keys] == [(second, None), (first.secret, 1050)]
    assert VAULT.open(sealed)["url"] == URL
    sealed, third = rotated(replace(channel, sealed=sealed), VAULT, 1049, kept_seconds=50)
    assert [key.until for key in signing_keys(VAULT.open(sealed))] == [None, 1099, 1050]
    sealed, fourth = rotated(replace(channel, sealed=sealed), VAULT, 1060, kept_seconds=0)
    assert [key.secret for key in signing_keys(VAULT.open(sealed))] == [fourth]
    assert third != fourth


def test_only_webhooks_kept_here_are_rotated() -> None:
    with pytest.raises(Refused, match="no webhook"):
        rotated(stored(make("stdout", {})), VAULT, 0)
    held = {"CHANNEL_SECRET_HOOK": f"{URL} {new_secret()}"}
    with pytest.raises(Refused, match="in the environment"):
        rotated(stored(make("webhook", {"secret_from_env": "CHANNEL_SECRET_HOOK"}, **held)), VAULT, 0)


def test_a_channel_that_lacks_something_is_refused_without_its_secret() -> None:
    sealed = VAULT.seal({"token": MARKER})
    for broken in (
        Channel(1, "a", "telegram", {}, sealed, True, None, 0),
        Channel(1, "a", "webhook", {}, sealed, True, None, 0),
        Channel(1, "a", "pigeon", {}, sealed, True, None, 0),
        Channel(1, "a", "webhook", {}, VAULT.seal({"url": MARKER, "keys": []}), True, None, 0),
    ):
        with pytest.raises(Refused) as refusal:
            sender_of(broken, context())
        assert MARKER not in str(refusal.value)

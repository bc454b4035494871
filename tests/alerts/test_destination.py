"""What a URL or a host name shows by itself: each trick is refused before anything is resolved."""

from __future__ import annotations

import pytest

from app.alerts.destination import BadDestination, Policy
from app.errors import Refused
from tests.alerts.test_addresses import PUBLIC, REFUSED

ADDRESSES = [text for texts in REFUSED.values() for text in texts]
TRICKS = {
    "scheme": [
        "http://hooks.example/",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "gopher://hooks.example",
        "x",
        "",
    ],
    "userinfo": ["https://a@hooks.example/", "https://hooks.example:443@127.0.0.1/", "https://@hooks.example/"],
    "port": [
        "https://hooks.example:22/",
        "https://hooks.example:80/",
        "https://hooks.example:0/",
        "https://a.b:99999/",
    ],
    "spelling": [
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://127.0.0.1./",
        "https://0x/",
        "https://hooks.0x7f/",
        "https://１２７.0.0.1/",
        "https://127。0。0。1/",
        "https://%31%32%37.0.0.1/",
        "https://[fe80::1%25eth0]/",
        "https://[::ffff:7f00:1]/",
        "https://[0:0:0:0:0:ffff:127.0.0.1]/",
    ],
    "local names": [
        "https://localhost/",
        "https://localhost./",
        "https://LOCALHOST/",
        "https://a.localhost/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://intranet/",
    ],
    "parsing": [
        "https://hooks.example\\@127.0.0.1/",
        "https://hooks.example/\r\nX: y",
        "https://hooks.example /",
        "https://hooks..example/",
        "https://-hooks.example/",
        "https://hooks.example#@127.0.0.1/",
        "https:///path",
        "https://[::1",
        "https://" + "a" * 64 + ".example/",
        "https://hooks.example/" + "a" * 2000,
        "https://hooks.example\t/",
        "https://hooks.exämple/",
    ],
}


@pytest.mark.parametrize("url", [url for urls in TRICKS.values() for url in urls])
def test_a_trick_is_refused_and_its_url_not_repeated(url: str) -> None:
    with pytest.raises(BadDestination) as refusal:
        Policy().check_url(url)
    assert len(url) < 9 or url not in str(refusal.value)


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_that_is_not_public_is_refused(text: str) -> None:
    host = f"[{text.replace('%', '%25')}]" if ":" in text else text
    with pytest.raises(BadDestination):
        Policy().check_url(f"https://{host}/hook")
    with pytest.raises(BadDestination):
        Policy().check_server(text, 587)


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_a_destination(text: str) -> None:
    host = f"[{text}]" if ":" in text else text
    found = Policy().check_url(f"https://{host}/hook")
    assert (found.host, found.port, found.is_listed) == (text, 443, False)
    assert found.url == f"https://{host}:443/hook"


def test_a_usual_url_is_a_destination_and_its_path_is_not_shown() -> None:
    found = Policy().check_url("https://Hooks.Example:8443/services/SECRET?key=SECRET")
    assert (found.scheme, found.host, found.port) == ("https", "hooks.example", 8443)
    assert found.target == "/services/SECRET?key=SECRET"
    assert "SECRET" not in repr(found) + found.label


def test_only_what_the_operator_lists_may_be_local_or_plain() -> None:
    policy = Policy(["127.0.0.1", "relay.lan:2525", "[::1]:9000"])
    assert policy.check_url("http://127.0.0.1:1234/").is_listed
    assert policy.check_url("http://[::1]:9000/").is_listed
    assert policy.check_server("Relay.LAN", 2525).is_listed
    for refused in ("http://127.0.0.2/", "http://[::1]:9001/", "https://127.0.0.1.:443/", "http://hooks.example/"):
        with pytest.raises(BadDestination):
            policy.check_url(refused)
    for host, port in (("relay.lan", 80), ("relay.lan", 0), ("mail.example", 80), ("localhost", 587)):
        with pytest.raises(BadDestination):
            policy.check_server(host, port)
    assert not policy.check_server("mail.example", 587).is_listed


@pytest.mark.parametrize("entry", ["", "a b:c", "http://host", "host:port", "[::1", "::1"])
def test_a_wrong_entry_of_the_list_is_refused(entry: str) -> None:
    with pytest.raises(Refused, match="ALERT_ALLOWED_HOSTS"):
        Policy([entry])

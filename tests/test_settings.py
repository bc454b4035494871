"""Settings: all faults at once, by name, and never a secret in the message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.errors import Refused
from app.settings import ENVIRONMENT_FIELDS, EndpointSettings, SecretUrl, load_settings

ROOT = Path(__file__).parent.parent
MARKER = "s3cr3t-marker"


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = load_settings({})
    assert (settings.host, settings.port, settings.devnet_port) == ("127.0.0.1", 8000, 8545)
    assert settings.database_url is None
    assert not settings.chains


def test_chain_settings_are_collected_by_chain_id() -> None:
    settings = load_settings(
        {
            "RPC_URL_1": "https://node.example/key",
            "WS_URL_1": "wss://node.example/key",
            "RPC_URL_10": "http://127.0.0.1",
        }
        | {"FROM_BLOCK_10": "123"}
    )
    assert set(settings.chains) == {1, 10}
    only = EndpointSettings(SecretUrl("https://node.example/key"), SecretUrl("wss://node.example/key"))
    assert settings.require_chain(1).endpoints == (only,)
    assert settings.require_chain(10).from_block == 123


def test_a_chain_may_have_several_endpoints_http_and_websocket_mixed() -> None:
    settings = load_settings(
        {
            "RPC_URL_1": "https://a.example/k, wss://b.example/k\nhttps://c.example",
            "WS_URL_1": "wss://c.example wss://d",
        }
    )
    endpoints = settings.require_chain(1).endpoints
    assert [(one.url.reveal(), one.ws_url and one.ws_url.reveal()) for one in endpoints] == [
        ("https://a.example/k", None),
        ("wss://b.example/k", "wss://b.example/k"),
        ("https://c.example", "wss://c.example"),
        ("wss://d", "wss://d"),
    ]


def test_one_wrong_endpoint_of_several_is_refused_by_the_setting_s_name_alone() -> None:
    for wrong in (f"https://a.example,ftp://x/{MARKER}", f"https://a/{MARKER} https://a/{MARKER}"):
        with pytest.raises(Refused, match="RPC_URL_1") as refused:
            load_settings({"RPC_URL_1": wrong})
        assert MARKER not in str(refused.value)


def test_every_fault_is_named_in_one_message() -> None:
    with pytest.raises(Refused) as refused:
        load_settings(
            {
                "PORT": "0",
                "LOG_LEVEL": "loud",
                "DATABASE_URL": "mysql://h/db",
                "RPC_URL_1": "ftp://x",
                "WS_URL_5": "ws://x",
            }
            | {"RPC_URL_mainnet": "https://x", "FROM_BLOCK_1": "-1", "DEPLOYMENTS_FILE": "/nowhere.json"}
        )
    message = str(refused.value)
    for name in ("PORT", "LOG_LEVEL", "DATABASE_URL", "RPC_URL_1", "RPC_URL_5", "RPC_URL_MAINNET", "FROM_BLOCK_1"):
        assert f"  {name}:" in message
    assert "DEPLOYMENTS_FILE: /nowhere.json" in message


@pytest.mark.parametrize(
    "environ",
    [
        {"RPC_URL_1": f"ftp://user:{MARKER}@host/{MARKER}"},
        {"RPC_URL_1": f"https://host:notaport/{MARKER}"},
        {"DATABASE_URL": f"mysql://user:{MARKER}@host/db"},
        {"WS_URL_1": f"https://host/{MARKER}", "RPC_URL_1": "http://h"},
    ],
)
def test_a_refusal_never_shows_the_value_of_a_url(environ: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        load_settings(environ)
    assert MARKER not in str(refused.value)


def test_settings_never_print_a_secret() -> None:
    settings = load_settings(
        {"RPC_URL_1": f"https://u:{MARKER}@node.example:8443/{MARKER}?k={MARKER}"}
        | {"DATABASE_URL": f"postgresql://u:{MARKER}@db/waterline"}
    )
    shown = (
        repr(settings)
        + str(settings)
        + repr(settings.chains)
        + settings.model_dump_json(exclude={"chains"}, fallback=str)
    )
    assert MARKER not in shown
    assert "https://node.example:8443" in shown
    assert settings.require_database_url().reveal().count(MARKER) == 1


def test_what_a_command_needs_and_lacks_is_refused_by_name() -> None:
    settings = load_settings({})
    with pytest.raises(Refused, match="DATABASE_URL is not set"):
        settings.require_database_url()
    with pytest.raises(Refused, match="RPC_URL_8453 is not set"):
        settings.require_chain(8453)


def test_the_file_of_asset_groups_is_read_and_its_faults_are_placed(tmp_path: Path) -> None:
    path = tmp_path / "groups.json"
    path.write_text(json.dumps({"sol": ["SOL", "mSOL"], "other": ["ezETH"]}))
    found = load_settings({"ASSET_GROUPS_FILE": str(path)}).asset_groups
    assert found == {"sol": ("SOL", "mSOL"), "other": ("ezETH",)}
    for wrong in ('{"sol": "SOL"}', '{"Sol": ["SOL"]}', '["SOL"]', "{"):
        path.write_text(wrong)
        with pytest.raises(Refused, match=r"ASSET_GROUPS_FILE: .*groups\.json"):
            load_settings({"ASSET_GROUPS_FILE": str(path)})
    assert not load_settings({}).asset_groups


def test_the_deployments_file_is_read_and_its_faults_are_placed(tmp_path: Path) -> None:
    path = tmp_path / "deployments.json"
    entry = {"id": "mine", "chain_id": 31337, "protocol": "aave-v3", "name": "Mine", "address": "0x" + "11" * 20}
    path.write_text(json.dumps([entry]))
    (deployment,) = load_settings({"DEPLOYMENTS_FILE": str(path)}).extra_deployments
    assert deployment.id == "mine"
    path.write_text(json.dumps([entry | {"address": "0x12"}]))
    with pytest.raises(Refused, match=r"DEPLOYMENTS_FILE.*address"):
        load_settings({"DEPLOYMENTS_FILE": str(path)})
    path.write_text("{")
    with pytest.raises(Refused, match="DEPLOYMENTS_FILE"):
        load_settings({"DEPLOYMENTS_FILE": str(path)})


def test_a_dotenv_file_lies_beneath_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("PORT=9001\nHOST=0.0.0.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOST", "127.0.0.9")
    monkeypatch.delenv("PORT", raising=False)
    settings = load_settings()
    assert (settings.port, settings.host) == (9001, "127.0.0.9")


def test_every_setting_is_explained_in_the_example_file_and_nothing_else_is() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    documented = {line.lstrip("# ").partition("=")[0].lower() for line in lines if "=" in line}
    per_chain = {"rpc_url_1", "ws_url_1", "from_block_1"}
    assert documented - per_chain == ENVIRONMENT_FIELDS
    assert per_chain <= documented


def test_keys_and_secrets_of_channels_are_read_and_never_shown() -> None:
    key = MARKER + "A" * (43 - len(MARKER)) + "="
    given = {"SECRETS_KEY": f"{key}, {'B' * 43}=", "CHANNEL_SECRET_OPS": MARKER, "ALERT_ALLOWED_HOSTS": "a, b:1"}
    settings = load_settings(given)
    assert settings.secrets_keys == (key, "B" * 43 + "=")
    assert settings.channel_secrets["CHANNEL_SECRET_OPS"].get_secret_value() == MARKER
    assert settings.alert_allowed_hosts == ("a", "b:1")
    assert MARKER not in repr(settings) + str(settings) + settings.model_dump_json(exclude={"chains"}, fallback=str)
    with pytest.raises(Refused, match="SECRETS_KEY: must be keys") as refused:
        load_settings({"SECRETS_KEY": MARKER})
    assert MARKER not in str(refused.value)
    assert load_settings({}).secrets_keys == ()


def test_the_public_address_is_a_url() -> None:
    assert load_settings({"PUBLIC_URL": "https://waterline.example/a"}).public_url == "https://waterline.example/a"
    for wrong in ("waterline.example", "ftp://a", "https://a/?b=c"):
        with pytest.raises(Refused, match="PUBLIC_URL"):
            load_settings({"PUBLIC_URL": wrong})


def test_heartbeats_are_secret_urls() -> None:
    settings = load_settings({"HEARTBEAT_URL": f"https://a.example/{MARKER}, http://127.0.0.1:9/{MARKER}"})
    assert [url.reveal() for url in settings.heartbeat_url] == [
        f"https://a.example/{MARKER}",
        f"http://127.0.0.1:9/{MARKER}",
    ]
    assert MARKER not in repr(settings)
    with pytest.raises(Refused, match="HEARTBEAT_URL") as refusal:
        load_settings({"HEARTBEAT_URL": f"ftp://{MARKER}"})
    assert MARKER not in str(refusal.value)


def test_trusted_proxies_are_addresses_or_networks() -> None:
    assert load_settings({}).trusted_proxies == ()
    given = load_settings({"TRUSTED_PROXIES": "10.0.0.0/8, ::1", "RATE_LIMIT_PER_MINUTE": "0"})
    assert (given.trusted_proxies, given.rate_limit_per_minute) == (("10.0.0.0/8", "::1"), 0)
    for wrong in ("proxy.lan", "*", "10.0.0.1/8"):
        with pytest.raises(Refused, match="TRUSTED_PROXIES"):
            load_settings({"TRUSTED_PROXIES": wrong})

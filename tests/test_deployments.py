"""Which deployments a set of settings follows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.deployments import followed_deployments, is_followed, known_deployments, registered_deployments
from app.errors import Refused
from app.settings import Settings, load_settings

MINE = {
    "id": "mine",
    "chain_id": 31337,
    "protocol": "aave-v3",
    "name": "Mine",
    "address": "0x" + "11" * 20,
    "start_block": 5,
}


def settings_with(folder: Path, *entries: dict[str, object], **environ: str) -> Settings:
    path = folder / "deployments.json"
    path.write_text(json.dumps(entries))
    return load_settings({"DEPLOYMENTS_FILE": str(path), "RPC_URL_31337": "http://127.0.0.1:1", **environ})


def test_the_deployments_of_the_file_join_the_built_in_ones(tmp_path: Path) -> None:
    known = {deployment.id: deployment for deployment in known_deployments(settings_with(tmp_path, MINE))}
    assert known["mine"].start_block == 5
    assert known["aave-v3-ethereum"].chain_id == 1


def test_an_id_that_is_taken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="'aave-v3-ethereum' is already taken"):
        known_deployments(settings_with(tmp_path, MINE | {"id": "aave-v3-ethereum"}))


def test_a_protocol_without_an_adapter_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"mine: no protocol 'bank'; there are: .*aave-v3"):
        known_deployments(settings_with(tmp_path, MINE | {"protocol": "bank"}))


def test_deployments_narrows_down_and_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    narrowed = settings_with(tmp_path, MINE, DEPLOYMENTS="mine, spark-ethereum")
    assert {deployment.id for deployment in known_deployments(narrowed)} == {"mine", "spark-ethereum"}
    with pytest.raises(Refused, match="DEPLOYMENTS: unknown: nowhere"):
        known_deployments(settings_with(tmp_path, MINE, DEPLOYMENTS="mine,nowhere"))


def test_following_a_chain_without_deployments_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="RPC_URL_424242: no deployment is known"):
        followed_deployments(settings_with(tmp_path, RPC_URL_424242="http://127.0.0.1:1"), 424242)


def test_from_block_moves_where_the_search_for_accounts_begins(tmp_path: Path) -> None:
    (deployment,) = followed_deployments(settings_with(tmp_path, MINE, FROM_BLOCK_31337="77"), 31337)
    assert deployment.start_block == 77
    (unmoved,) = followed_deployments(settings_with(tmp_path, MINE), 31337)
    assert unmoved.start_block == 5


def test_what_is_followed_on_request_only_has_to_be_named(tmp_path: Path) -> None:
    chain = {"RPC_URL_1": "http://127.0.0.1:1"}
    by_default = {deployment.id for deployment in followed_deployments(settings_with(tmp_path, **chain), 1)}
    assert "aave-v3-ethereum" in by_default
    assert "compound-v2-ethereum" not in by_default
    named = settings_with(tmp_path, DEPLOYMENTS="compound-v2-ethereum", **chain)
    assert {deployment.id for deployment in followed_deployments(named, 1)} == {"compound-v2-ethereum"}


def test_what_is_registered_does_not_depend_on_what_is_chosen(tmp_path: Path) -> None:
    plain, choosing = settings_with(tmp_path, MINE), settings_with(tmp_path, MINE, DEPLOYMENTS="venus-core-bnb")
    registered = registered_deployments(choosing)
    assert registered == registered_deployments(plain)
    assert [(one.chain_id, one.id) for one in registered] == sorted((one.chain_id, one.id) for one in registered)
    assert {one.id for one in registered if is_followed(choosing, one)} == {"venus-core-bnb"}
    by_default = {one.id for one in registered if is_followed(plain, one)}
    assert {"mine", "aave-v3-base"} <= by_default
    assert "venus-core-bnb" not in by_default

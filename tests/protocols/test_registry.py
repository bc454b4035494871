"""The registry of real deployments: where each is from, what is said of it, and that documents repeat it."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from app.api.frame.addresses import to_checksum
from app.api.protocols import markdown, protocols_view
from app.domain.chain import Address
from app.domain.market import Deployment
from app.protocols.aave_v3 import rules as aave_rules
from app.protocols.base import Adapter
from app.protocols.compound_v2 import rules as compound_rules
from app.protocols.registry import adapters

ROOT = Path(__file__).parents[2]
CHAINS = {1, 10, 56, 137, 8453, 42161, 43114}
"""Ethereum, Optimism, BNB Smart Chain, Polygon, Base, Arbitrum, Avalanche."""
ADDRESS = re.compile("0x[0-9a-fA-F]{40}")

every_adapter = pytest.mark.parametrize("adapter", adapters().values(), ids=adapters())


def known() -> list[Deployment]:
    return [deployment for adapter in adapters().values() for deployment in adapter.deployments()]


def written_addresses(adapter: Adapter) -> list[str]:
    """The addresses in the text of an adapter's list, as they are written there."""
    module = sys.modules[f"{type(adapter).__module__.rpartition('.')[0]}.deployments"]
    nodes = ast.walk(ast.parse(inspect.getsource(module)))
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [text for text in texts if ADDRESS.fullmatch(text)]


def test_every_chain_has_a_deployment_that_is_followed_by_itself() -> None:
    assert {one.chain_id for one in known() if not one.on_request} >= CHAINS


@every_adapter
def test_every_address_is_written_with_its_checksum_and_belongs_to_a_deployment(adapter: Adapter) -> None:
    written = written_addresses(adapter)
    assert [text for text in written if to_checksum(Address.from_hex(text)) != text] == []
    used = {address for one in adapter.deployments() for address in (one.address, *one.contracts.values())}
    assert {Address.from_hex(text) for text in written} == used


@every_adapter
def test_no_contract_is_listed_twice_on_its_chain(adapter: Adapter) -> None:
    places = Counter((one.chain_id, one.address) for one in adapter.deployments())
    names = Counter(one.name for one in adapter.deployments())
    assert [place for place, count in (*places.items(), *names.items()) if count > 1] == []
    assert all(any(one.address) for one in adapter.deployments())


@every_adapter
def test_every_deployment_names_its_source_and_why_it_waits_to_be_asked_for(adapter: Adapter) -> None:
    for one in adapter.deployments():
        assert one.source, one.id
        assert bool(one.on_request_reason) is one.on_request, one.id
        assert one.start_block or "start block not found" in one.source, one.id


@every_adapter
def test_every_adapter_says_what_its_answers_are_worth(adapter: Adapter) -> None:
    coverage = adapter.coverage
    assert coverage.exact
    assert coverage.calibrated
    assert coverage.not_modelled
    sentences = (*coverage.exact, *coverage.calibrated, *coverage.approximate, *coverage.not_modelled)
    assert len(sentences) == len(set(sentences))
    assert [sentence for sentence in sentences if not re.fullmatch(r"[A-Z0-9].*\.", sentence)] == []


@pytest.mark.parametrize(
    ("slug", "names"),
    [
        ("aave-v3", [rules.name.partition(",")[0] for rules in aave_rules.ALL_RULES]),
        ("compound-v2", [rules.name.partition(" by ")[0] for rules in compound_rules.ALL_RULES]),
    ],
)
def test_every_set_of_rules_an_adapter_has_is_named_where_it_says_how_they_are_chosen(
    slug: str, names: list[str]
) -> None:
    said = " ".join(adapters()[slug].coverage.calibrated)
    assert [name for name in names if name not in said] == []


def test_the_document_repeats_the_registry() -> None:
    """Run `waterline protocols --markdown` and put what it prints between the two marks."""
    text = (ROOT / "docs" / "protocols.md").read_text()
    between = re.search(r"<!-- written by .*? -->\n\n(.*)\n\n<!-- end -->", text, re.DOTALL)
    assert between is not None
    assert between.group(1) == markdown(protocols_view(adapters().values(), known()))

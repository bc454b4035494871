"""A rule is sound, or everything that is wrong with it is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.domain.risk import RiskStatus
from app.domain.rules import METRICS, Known, faults_of, format_level, parse_level
from app.domain.units import WAD
from app.domain.watch import Metric, Rule, Severity

WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL
LOW = {WARNING: 11 * WAD // 10, CRITICAL: 102 * WAD // 100}
HEALTH = Rule(1, 1, "health", Metric.HEALTH_FACTOR, LOW, 115 * WAD // 100)
FALL = Rule(1, 1, "fall", Metric.COLLATERAL_CHANGE, {WARNING: WAD // 10}, WAD // 20, window_seconds=3600)
AT_RISK = Rule(1, 1, "r", Metric.DEBT_AT_RISK, {WARNING: WAD // 10}, WAD // 20, group="eth", move_wad=-WAD // 5)
FLAG = Rule(1, 1, "s", Metric.STATUS, {CRITICAL: 1}, 1, statuses=frozenset({RiskStatus.LIQUIDATABLE}))


def test_every_metric_says_its_unit_and_parameters() -> None:
    assert set(METRICS) == set(Metric)


@pytest.mark.parametrize(
    "rule", [HEALTH, FALL, FLAG, replace(AT_RISK, chain_id=1), replace(HEALTH, clear_at=LOW[WARNING])]
)
def test_a_sound_rule_has_no_fault(rule: Rule) -> None:
    assert faults_of(rule) == []


@pytest.mark.parametrize(
    ("rule", "changes", "fault"),
    [
        (HEALTH, {"levels": {}}, "at least one severity"),
        (HEALTH, {"levels": {WARNING: WAD, CRITICAL: WAD}}, "worse severity has a lower level"),
        (HEALTH, {"levels": {WARNING: WAD, CRITICAL: 2 * WAD}}, "worse severity has a lower level"),
        (HEALTH, {"clear_at": WAD}, "clear_at is at or above the mildest level, 1.1"),
        (HEALTH, {"levels": {WARNING: -1}}, "not below 0"),
        (HEALTH, {"asset": "WETH"}, "health_factor takes no asset"),
        (HEALTH, {"name": " "}, "a name has"),
        (HEALTH, {"name": "a\nb"}, "a name has"),
        (HEALTH, {"cooldown_seconds": -1}, "cooldown_seconds"),
        (FALL, {"window_seconds": None}, "collateral_change needs window_seconds"),
        (FALL, {"window_seconds": 59}, "window_seconds is between"),
        (FALL, {"clear_at": WAD // 5}, "clear_at is at or below the mildest level, 0.1"),
        (FALL, {"levels": {WARNING: WAD // 2, CRITICAL: WAD // 4}}, "worse severity has a higher level"),
        (FALL, {"clear_at": 0}, "above 0"),
        (FLAG, {"levels": {CRITICAL: 2}}, "its level and clear_at are 1"),
        (FLAG, {"levels": {WARNING: 1, CRITICAL: 1}}, "one severity"),
        (FLAG, {"statuses": frozenset()}, "status needs statuses"),
        (FLAG, {"statuses": frozenset({RiskStatus.HEALTHY})}, "worth an alert"),
        (AT_RISK, {}, "one deployment_id or of one chain_id"),
        (AT_RISK, {"chain_id": 1, "deployment_id": "x"}, "one deployment_id or of one chain_id"),
        (AT_RISK, {"chain_id": 1, "move_wad": 0}, "not 0"),
        (AT_RISK, {"chain_id": 1, "move_wad": -2 * WAD}, "move is between"),
        (AT_RISK, {"chain_id": 1, "move_wad": None}, "debt_at_risk needs move"),
    ],
)
def test_what_is_wrong_is_said(rule: Rule, changes: dict[str, Any], fault: str) -> None:
    (found,) = faults_of(replace(rule, **changes))
    assert fault in found


def test_names_of_things_that_are_not_there_are_faults_where_they_are_known() -> None:
    known = Known(groups={"eth"}, deployment_ids={"pond"}, chain_ids={1})
    assert faults_of(replace(AT_RISK, chain_id=1), known) == []
    found = faults_of(replace(AT_RISK, group="none", chain_id=5), known)
    assert [fault for fault in found if "'none'" in fault]
    assert "chain 5 is not followed" in found
    assert "'lake'" in faults_of(replace(HEALTH, deployment_id="lake"), known)[0]


def test_levels_are_written_in_their_metrics_unit() -> None:
    assert parse_level(Metric.HEALTH_FACTOR, "1.05") == 105 * WAD // 100
    assert parse_level(Metric.BLIND, "300") == 300
    assert format_level(Metric.HEALTH_FACTOR, 105 * WAD // 100) == "1.05"
    assert format_level(Metric.HEALTH_FACTOR, 10 * WAD) == "10"
    assert format_level(Metric.BLIND, 300) == "300"
    for metric, text in ((Metric.BLIND, "1.5"), (Metric.HEALTH_FACTOR, "1e3"), (Metric.HEALTH_FACTOR, "9" * 61)):
        with pytest.raises(ValueError, match="a level"):
            parse_level(metric, text)

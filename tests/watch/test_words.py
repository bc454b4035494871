from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.rules import METRICS, LevelUnit, format_value
from app.domain.units import WAD, parse_units
from app.domain.watch import BEYOND, ChainSubject, EventKind, MarketSubject, Metric, Severity
from app.watch.words import duration, finding_words, level_shown, sentence, shown
from tests.watch.builders import event, told

RATIOS = [metric for metric in Metric if METRICS[metric].unit is LevelUnit.RATIO]


def test_an_opening_is_one_plain_sentence() -> None:
    assert sentence(told()) == (
        "0x0000…00AB on Aave V3: health factor 1.0423 is at or below 1.05 (critical) as of block 123"
    )


def test_a_wallet_with_a_label_is_called_by_it() -> None:
    assert sentence(told(label="cold")).startswith("cold (0x0000…00AB) on Aave V3: ")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (EventKind.ESCALATED, "worse, health factor 1.0423 is at or below 1.05 (now critical) as of block 123"),
        (EventKind.REMINDED, "still open since 2026-11-18 11:06 UTC, health factor 1.0423 is at or below 1.05"),
        (EventKind.RETRACTED, "taken back, block 123 was replaced and what was said of it does not hold"),
    ],
)
def test_each_step_has_its_own_words(kind: EventKind, said: str) -> None:
    assert said in sentence(told(event=event(kind)))


def test_a_clearing_says_what_it_is_past() -> None:
    cleared = event(EventKind.CLEARED, value=12 * WAD // 10)

    assert "cleared, health factor 1.2000 is above 1.1 as of block 123" in sentence(told(event=cleared))


def test_a_clearing_without_a_measure_says_why() -> None:
    cleared = event(EventKind.CLEARED, value=None, block=None, inputs={"reason": "the rule was deleted"})

    assert sentence(told(event=cleared, clear_at=None)).endswith("cleared, the rule was deleted")


def test_blindness_says_of_which_chain_how_long_and_why() -> None:
    blind = event(value=605, level=600, block=None, inputs={"reason": "nobody follows this chain"})

    assert sentence(told(metric=Metric.BLIND, subject=ChainSubject(1), event=blind)) == (
        "Ethereum: no current data for 10 min 5 s: nobody follows this chain (critical)"
    )


def test_a_market_is_called_by_its_name() -> None:
    found = event(value=WAD // 4, level=WAD // 5)
    text = sentence(told(metric=Metric.LONG_SHARE, subject=MarketSubject("curie"), place="Perp", event=found))

    assert text.startswith("Perp: longs' share of open interest 25.00 % is at or above 20 %")


def test_what_is_not_known_is_not_said_as_a_number() -> None:
    assert finding_words(Metric.HEALTH_FACTOR, event(value=None)) == "health factor is not known now"


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        (Metric.HEALTH_FACTOR, WAD - 1, "0.9999"),
        (Metric.HEALTH_FACTOR, 123_456_789 * WAD // 1000, "123456.78"),
        (Metric.UTILIZATION, WAD - 1, "99.99 %"),
        (Metric.UTILIZATION, WAD, "100.00 %"),
        (Metric.UTILIZATION, 971_401 * WAD // 1_000_000, "97.15 %"),
        (Metric.SIGMA_DISTANCE, 25 * WAD // 10, "2.5000"),
        (Metric.BLIND, 3_725, "1 h 2 min"),
        (Metric.PARAMETERS, 2, "2"),
    ],
)
def test_numbers_for_people_are_never_better_than_the_truth(metric: Metric, value: int, said: str) -> None:
    assert shown(metric, value) == said


@given(metric=st.sampled_from(RATIOS), value=st.integers(-(10**30), 10**40))
def test_exact_numbers_lose_nothing_and_have_no_trailing_zeros(metric: Metric, value: int) -> None:
    text = format_value(metric, value)

    assert text is not None
    assert parse_units(text, 18) == value
    assert not ("." in text and text[-1] in "0.")


def test_counts_and_seconds_are_whole() -> None:
    assert format_value(Metric.STATUS, 1) == "1"
    assert format_value(Metric.BLIND, 600) == "600"


def test_what_is_not_known_or_beyond_every_number_is_no_number() -> None:
    assert format_value(Metric.BLIND, None) is None
    assert format_value(Metric.HEALTH_FACTOR, BEYOND) is None
    assert shown(Metric.UTILIZATION, BEYOND) == "beyond any number"


@pytest.mark.parametrize("metric", [Metric.HEALTH_FACTOR, Metric.JOINT_DISTANCE, Metric.SECONDS_TO_LIQUIDATION])
def test_whoever_repaid_is_not_told_of_a_giant_number(metric: Metric) -> None:
    said = sentence(told(metric=metric, event=event(EventKind.CLEARED, value=BEYOND)))
    assert "any more" in said
    assert "1157" not in said


def test_levels_are_said_as_they_were_set() -> None:
    assert level_shown(Metric.UTILIZATION, 95 * WAD // 100) == "95 %"
    assert level_shown(Metric.HEALTH_FACTOR, WAD) == "1"
    assert level_shown(Metric.PRICE_DISTANCE, 0) == "0 %"


def test_durations_are_rounded_down_to_two_units() -> None:
    assert [duration(s) for s in (0, 59, 60, 86_400, 90_061)] == ["0 s", "59 s", "1 min", "1 d", "1 d 1 h"]


def test_every_metric_and_kind_has_a_sentence() -> None:
    for metric in Metric:
        for kind in EventKind:
            for value in (None, 1):
                said = sentence(told(metric=metric, event=event(kind, Severity.INFO, value, value)))
                assert said
                assert "None" not in said

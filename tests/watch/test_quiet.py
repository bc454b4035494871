from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from app.domain.watch import Severity
from app.watch.quiet import local_day, quiet_until, send_after
from tests.watch.builders import route

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")
MINUTES = st.integers(0, 1_439)
TIMES = st.integers(1_700_000_000, 1_900_000_000)
NEAR_A_CHANGE = st.sampled_from(
    [
        int(datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp()),  # Berlin: 02:00 becomes 03:00
        int(datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp()),  # Berlin: 03:00 becomes 02:00
        int(datetime(2026, 3, 8, 7, tzinfo=UTC).timestamp()),  # New York
        int(datetime(2026, 10, 3, 15, 30, tzinfo=UTC).timestamp()),  # Lord Howe: half an hour
    ]
).flatmap(lambda change: st.integers(change - 100_000, change + 100_000))


def _inside(zone: str, from_minute: int, to_minute: int, at: int) -> bool:
    """The window itself, said differently: minutes since it began are fewer than it is long."""
    local = datetime.fromtimestamp(at, ZoneInfo(zone))
    since = (60 * local.hour + local.minute - from_minute) % 1_440
    return since < (to_minute - from_minute) % 1_440


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@given(zone=st.sampled_from(ZONES), start=MINUTES, end=MINUTES, at=TIMES | NEAR_A_CHANGE)
def test_a_message_waits_for_the_end_of_the_window_and_not_a_second_longer(
    zone: str, start: int, end: int, at: int
) -> None:
    until = quiet_until(zone, start, end, at)

    assert until >= at
    assert not _inside(zone, start, end, until)
    if until > at:
        assert _inside(zone, start, end, at)
        assert all(_inside(zone, start, end, second) for second in range(at, until, 37))
        assert _inside(zone, start, end, until - 1)


@given(start=MINUTES, end=MINUTES, at=TIMES | NEAR_A_CHANGE, severity=st.sampled_from(Severity))
def test_only_what_overrides_quiet_hours_is_sent_within_them(start: int, end: int, at: int, severity: Severity) -> None:
    where = route(
        timezone="Europe/Berlin",
        quiet_from_minute=start,
        quiet_to_minute=end,
        quiet_override=Severity.CRITICAL,
    )

    sent = send_after(where, severity, at)

    if severity >= Severity.CRITICAL:
        assert sent == at
    else:
        assert not _inside("Europe/Berlin", start, end, sent)


def test_nothing_overrides_where_no_override_is_set() -> None:
    where = route(quiet_from_minute=0, quiet_to_minute=600)

    assert send_after(where, Severity.CRITICAL, _at("2026-11-22T03:00:30+00:00")) == _at("2026-11-22T10:00:00+00:00")


def test_a_night_ends_in_the_morning_of_the_reader() -> None:
    late = _at("2026-11-22T23:30:00+01:00")

    assert quiet_until("Europe/Berlin", 22 * 60, 7 * 60, late) == _at("2026-11-23T07:00:00+01:00")


def test_where_the_clock_jumps_over_the_end_quiet_ends_with_the_jump() -> None:
    before = _at("2026-03-29T01:30:00+01:00")

    assert quiet_until("Europe/Berlin", 22 * 60, 2 * 60 + 30, before) == _at("2026-03-29T03:00:00+02:00")


def test_the_night_on_which_clocks_go_back_is_an_hour_longer() -> None:
    before = _at("2026-10-25T00:30:00+02:00")

    assert quiet_until("Europe/Berlin", 22 * 60, 7 * 60, before) == _at("2026-10-25T07:00:00+01:00")


def test_a_zone_nobody_knows_silences_nothing() -> None:
    for name in ("Mars/Olympus", "", "../etc/passwd", "Europe"):
        assert quiet_until(name, 0, 1_439, 1_800_000_000) == 1_800_000_000


def test_equal_ends_are_no_window() -> None:
    assert quiet_until("UTC", 600, 600, _at("2026-11-22T10:00:00+00:00")) == _at("2026-11-22T10:00:00+00:00")


def test_the_local_day_is_the_readers() -> None:
    assert local_day("Asia/Tokyo", _at("2026-11-22T23:30:00+00:00")) == ("2026-11-23", 8 * 60 + 30)

"""Quiet hours: when a message may be sent, by the wall clock of whoever is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from app.domain.watch import Severity
from app.store.watch.channels import Route

MINUTES_PER_DAY = 1_440


def send_after(route: Route, severity: Severity, at: int) -> int:
    """The first second, from `at` on, at which `route` may be told something of this severity.

    Within quiet hours that is their end, unless the severity overrides them. The end is the first moment whose wall
    clock lies outside the window: where clocks go back into it, it goes on; where they jump over its end, it ends
    with the jump.
    """
    if route.quiet_override is not None and severity >= route.quiet_override:
        return at
    if route.quiet_from_minute is None or route.quiet_to_minute is None:
        return at
    return quiet_until(route.timezone, route.quiet_from_minute, route.quiet_to_minute, at)


def quiet_until(timezone: str, from_minute: int, to_minute: int, at: int) -> int:
    """`at` itself outside the window, else the moment the window ends.

    Args:
        timezone: an IANA name. One that nobody knows (any more) silences nothing.
        from_minute: minute of the local day at which quiet begins, inclusive.
        to_minute: minute at which it ends, exclusive; below `from_minute` it ends on the next day. Equal: no window.
    """
    zone = zone_of(timezone)
    if zone is None or from_minute == to_minute:
        return at
    local = datetime.fromtimestamp(at, UTC).astimezone(zone)
    if not _is_inside(_minute(local), from_minute, to_minute):
        return at
    end = at - local.second + 60 * ((to_minute - _minute(local)) % MINUTES_PER_DAY)
    if datetime.fromtimestamp(end, UTC).astimezone(zone).utcoffset() == local.utcoffset():
        return end
    return _end_across_a_change(zone, from_minute, to_minute, at - local.second)


def local_day(timezone: str, at: int) -> tuple[str, int]:
    """The local date, as `2026-11-22`, and minute of the day; in UTC where nobody knows the zone."""
    local = datetime.fromtimestamp(at, UTC).astimezone(zone_of(timezone) or UTC)
    return local.date().isoformat(), _minute(local)


@lru_cache(maxsize=256)
def zone_of(timezone: str) -> ZoneInfo | None:
    """The zone of an IANA name; None when there is none of that name."""
    try:
        return ZoneInfo(timezone)
    except (ValueError, OSError, ModuleNotFoundError, KeyError):  # what zoneinfo raises for names and for files
        return None


def _end_across_a_change(zone: ZoneInfo, from_minute: int, to_minute: int, start: int) -> int:
    """Minute by minute: on the two nights a year on which the clock is set, at most two days' worth."""
    moment = datetime.fromtimestamp(start, UTC)
    for _ in range(2 * MINUTES_PER_DAY):
        if not _is_inside(_minute(moment.astimezone(zone)), from_minute, to_minute):
            break
        moment += timedelta(minutes=1)
    return int(moment.timestamp())


def _is_inside(minute: int, from_minute: int, to_minute: int) -> bool:
    if from_minute < to_minute:
        return from_minute <= minute < to_minute
    return minute >= from_minute or minute < to_minute


def _minute(local: datetime) -> int:
    return 60 * local.hour + local.minute

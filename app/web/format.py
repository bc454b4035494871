"""Decimal strings made short for reading. Rounding leans to the cautious side and says which way in each name.

Nothing is calculated here: every number was stated by the API's models, and the page keeps the full string in a
`title` or `data-value` beside what is shown.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

_WIDE = Context(prec=120)
"""A uint256 with decimals never loses a digit before it is rounded on purpose."""

NONE = "–"
"""Shown where there is no number to show."""


def _decimals_for(value: Decimal) -> int:
    """Few digits at rest: two decimals from 1,000 up, four from 1 up, five significant digits below."""
    size = abs(value)
    if size >= 1000 or not size:
        return 2
    if size >= 1:
        return 4
    return min(18, 4 - size.adjusted())


def _fixed(value: Decimal, decimals: int, rounding: str) -> str:
    rounded = value.quantize(Decimal(1).scaleb(-decimals), rounding=rounding, context=_WIDE)
    return f"{rounded if rounded else abs(rounded):,f}".replace("-", "−")


def amount(text: str | None, rounding: str = ROUND_HALF_EVEN) -> str:
    """A token amount: `1204.553312` -> `1,204.55`, `0.000123456` -> `0.00012346`, `0` -> `0`."""
    if text is None:
        return NONE
    value = Decimal(text)
    return _fixed(value, _decimals_for(value), rounding) if value else "0"


def amount_up(text: str | None) -> str:
    """An amount somebody has to pay: doing what is shown must suffice."""
    return amount(text, ROUND_CEILING)


def money(text: str | None, rounding: str = ROUND_HALF_EVEN) -> str:
    """A value in a currency named elsewhere, two decimals; something too small for them is not called zero."""
    if text is None:
        return NONE
    value = Decimal(text)
    shown = _fixed(value, 2, rounding)
    return "< 0.01" if shown == "0.00" and value > 0 else shown


def money_down(text: str | None) -> str:
    """A value somebody may count on."""
    return money(text, ROUND_FLOOR)


def gain(text: str | None) -> str:
    """A result in a currency named elsewhere, two decimals with its sign, rounded down."""
    if text is None:
        return NONE
    shown = _fixed(Decimal(text), 2, ROUND_FLOOR)
    return "+" + shown if Decimal(text) > 0 else shown


def times(text: str | None) -> str:
    """A leverage: `5.0612` -> `5.07x`, never shown smaller than it is."""
    return NONE if text is None else _fixed(Decimal(text), 2, ROUND_CEILING) + "x"


def price(text: str | None, rounding: str = ROUND_HALF_EVEN) -> str:
    """A price: two decimals from 100 up, four from 1 up, else five significant digits."""
    if text is None:
        return NONE
    value = Decimal(text)
    decimals = 2 if abs(value) >= 100 else _decimals_for(value)
    return _fixed(value, decimals, rounding)


def liquidation_price(text: str, direction: str) -> str:
    """The price that turns the verdict, shown so that it is met no later than the exact one."""
    return price(text, ROUND_CEILING if direction == "fall" else ROUND_FLOOR)


def ratio_down(text: str | None, decimals: int = 4) -> str:
    """A health factor: 0.99999 never reads as 1.0000."""
    return NONE if text is None else _fixed(Decimal(text), decimals, ROUND_FLOOR)


def percent(text: str | None, rounding: str = ROUND_HALF_EVEN, decimals: int | None = None) -> str:
    """A fraction as a percentage: one decimal, two below 10 %."""
    if text is None:
        return NONE
    value = Decimal(text) * 100
    places = decimals if decimals is not None else (2 if abs(value) < 10 else 1)
    return _fixed(value, places, rounding) + " %"


def percent_up(text: str | None) -> str:
    """Utilisation: what is used is never shown smaller than it is, except that it never reads 100 before it is."""
    if text is None:
        return NONE
    value = Decimal(text)
    return percent(text, ROUND_DOWN if Decimal("0.995") <= value < 1 else ROUND_CEILING)


def share_down(text: str | None) -> str:
    """A share of a whole: `0.9999975` -> `99.9997 %`; only all of it reads `100 %`."""
    if text is None:
        return NONE
    return "100 %" if Decimal(text) == 1 else percent(text, ROUND_DOWN, decimals=4)


def error_up(text: str | None) -> str:
    """A relative error, rounded up: `0.0243902` -> `2.44 %`; only none at all reads `0`."""
    if text is None:
        return NONE
    error = Decimal(text)
    if not error:
        return "0"
    return "under 0.0001 %" if error < Decimal("0.000001") else percent(text, ROUND_CEILING, 2 - (error.adjusted() + 2))


def threshold(text: str | None) -> str:
    """A protocol parameter, exact: `0.8300` -> `83.00 %`, as the contracts state them in whole basis points."""
    return percent(text, decimals=2)


def distance(text: str | None) -> str:
    """A signed distance, its size rounded down: `-0.12345` -> `−12.3 %`."""
    if text is None:
        return NONE
    shown = percent(text, ROUND_DOWN)
    return "+" + shown if Decimal(text) > 0 else shown


def room(text: str) -> str:
    """The size of a distance without its sign, rounded down: what is left, never more."""
    return percent(text.removeprefix("-"), ROUND_DOWN)


_UNITS = ((86_400, "day", "days"), (3_600, "hour", "hours"), (60, "minute", "minutes"), (1, "second", "seconds"))


def duration(seconds: int) -> str:
    """Whole units, rounded down: `41 days`, `3 hours`, `45 seconds`."""
    for size, one, many in _UNITS:
        if seconds >= size:
            count = seconds // size
            return f"{count:,} {one if count == 1 else many}"
    return "0 seconds"


def age(seconds: int | None) -> str:
    """An age in a narrow place: `8 s`, `12 min`, `3 h`, `2 d`. Below zero (a clock ahead of ours) reads as 0 s."""
    if seconds is None:
        return NONE
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:,} {unit}"
    return f"{max(0, seconds)} s"


def integer(value: int | None) -> str:
    """A block number or a count, grouped."""
    return NONE if value is None else f"{value:,}"


def short_hex(text: str | None, keep: int = 4) -> str:
    """`0x1234…abcd`: for recognising, with the whole in a title beside it."""
    if text is None:
        return NONE
    return text if len(text) <= 2 * keep + 3 else f"{text[: keep + 2]}…{text[-keep:]}"


def sentence(text: str) -> str:
    """A message as a sentence: capital first letter, full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""

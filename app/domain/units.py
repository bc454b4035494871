"""Fixed-point units of the protocols, and integer division with its rounding in the name. Integers only."""

WAD = 10**18
"""1.0 with 18 decimals: health factors and ratios."""
RAY = 10**27
"""1.0 with 27 decimals: interest indices and rates."""
BPS = 10_000
"""1.0 in basis points: thresholds and bonuses."""
SECONDS_PER_YEAR = 31_536_000
UINT256_MAX = 2**256 - 1


def mul_div_down(a: int, b: int, c: int) -> int:
    """floor(a * b / c) for non-negative operands."""
    return a * b // c


def mul_div_up(a: int, b: int, c: int) -> int:
    """ceil(a * b / c) for non-negative operands."""
    return -(-a * b // c)


def mul_div_half_up(a: int, b: int, c: int) -> int:
    """a * b / c rounded to nearest, half up, for non-negative operands: Aave's rayMul, wadDiv, percentMul."""
    return (a * b + c // 2) // c


def div_truncated(a: int, b: int) -> int:
    """a / b rounded towards zero, as the EVM's SDIV does for signed operands."""
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def format_units(value: int, decimals: int) -> str:
    """Exact decimal string of `value` / 10^`decimals`, every decimal kept: (1_050000, 6) -> '1.050000'."""
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), 10**decimals)
    return f"{sign}{whole}.{fraction:0{decimals}d}" if decimals else f"{sign}{whole}"


def parse_units(text: str, decimals: int) -> int:
    """Inverse of `format_units`; fewer decimals are allowed, more are refused.

    Raises:
        ValueError: not a plain decimal number, or it has more than `decimals` decimals.
    """
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole, _, fraction = digits.partition(".")
    if not (whole + fraction).isascii() or not (whole + fraction).isdigit() or len(fraction) > decimals:
        raise ValueError(f"not a decimal number with at most {decimals} decimals: {text[:80]!r}")
    return sign * int((whole or "0") + fraction.ljust(decimals, "0"))

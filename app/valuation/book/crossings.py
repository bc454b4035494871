"""At which moves of the prices each account is liquidatable: see `app.valuation.book.curve`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.valuation.book.arrays import Flags, Floats, Positions
from app.valuation.book.bucket import Bucket
from app.valuation.book.kernel import ONE_BPS, Scratch, Values, value_pairs
from app.valuation.book.tally import Tally

MARGIN = 1e-11
"""Far above the floats' own error in sums of a few terms, far below what moves a verdict elsewhere."""
BLOCK_ROWS = 32_768
_PAIRS_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True)
class Exposure:
    """The factors, split by what the moved prices do to them; each is 0 where another part holds the factor."""

    constant: Floats
    rising: Floats
    falling: Floats
    table: Floats
    """[move, column]: all factors at each move, the very numbers `shocked` would use."""
    has_falling: bool
    """Whether any factor falls with the moved prices."""
    has_negative: bool
    """Whether any factor that is known is below 0."""

    @classmethod
    def of(cls, values: Floats, rises: Flags, falls: Flags, moves: Floats) -> Exposure:
        """`rises`, `falls`: by column, from `FactorTable.moved_by`."""
        up, down = rises & ~falls, falls & ~rises
        column = moves[:, None]
        return cls(
            np.where(up | down, 0.0, values),
            np.where(up, values, 0.0),
            np.where(down, values, 0.0),
            values * np.where(rises, column, 1.0) / np.where(falls, column, 1.0),
            bool(np.any(down)),
            bool(np.any(values < 0)),
        )

    @property
    def parts(self) -> tuple[Floats, ...]:
        """By power of m: 0, 1, and -1 where anything falls."""
        return (self.constant, self.rising, self.falling) if self.has_falling else (self.constant, self.rising)


def candidates(bucket: Bucket, values: Values, exposure: Exposure, moves: Floats, scratch: Scratch) -> Positions:
    """Rows that may be liquidatable at some move."""
    lowest, highest = float(moves[0]), float(moves[-1])
    widest = max(1.0, highest, 1 / lowest if exposure.has_falling else 1.0)
    if _may_cancel(bucket, exposure):
        return np.flatnonzero(~np.isnan(values.capacity - values.requirement))
    chosen = []
    for start in range(0, bucket.count, BLOCK_ROWS):
        stop = min(bucket.count, start + BLOCK_ROWS)
        part = values.part(start, stop)
        rising = _slope(bucket, start, stop, exposure.rising, scratch)
        room = part.capacity - part.requirement
        at_lowest, at_highest = rising * (lowest - 1), rising * (highest - 1)
        if exposure.has_falling:
            falling = _slope(bucket, start, stop, exposure.falling, scratch)
            at_lowest += falling * (1 / lowest - 1)
            at_highest += falling * (1 / highest - 1)
        least = np.minimum(at_lowest, at_highest)
        least += room
        slack = part.capacity + part.requirement
        slack *= MARGIN * widest
        if bucket.shape.is_truncated:
            slack += part.collateral * (ONE_BPS * widest)
        is_chosen = least < slack
        if exposure.has_falling:
            is_chosen |= (rising != 0) & (falling != 0)
        chosen.append(np.flatnonzero(is_chosen) + start)
    rows = np.concatenate(chosen)
    return rows[values.requirement[rows] > 0]


def _slope(bucket: Bucket, start: int, stop: int, factors: Floats, scratch: Scratch) -> Floats:
    """Capacity - requirement by these factors alone."""
    total = np.zeros(stop - start)
    owed = np.zeros(stop - start)
    for term in range(bucket.shape.supplies):
        found = scratch.gather(factors, bucket.supply_columns[term, start:stop])
        scratch.add_product(found, bucket.capacity[term, start:stop], total, first=term == 0)
    for term in range(bucket.shape.debts):
        found = scratch.gather(factors, bucket.debt_columns[term, start:stop])
        scratch.add_product(found, bucket.requirement[term, start:stop], owed, first=term == 0)
    total -= owed
    return total


def _may_cancel(bucket: Bucket, exposure: Exposure) -> bool:
    return bucket.is_signed or exposure.has_negative


def count_crossings(bucket: Bucket, rows: Positions, exposure: Exposure, moves: Floats, tally: Tally) -> None:
    """Add these accounts to the tally: by their crossings where that is certain, else move by move."""
    held, carried, owed = _parts(bucket, rows, exposure.parts)
    rises = (carried[1] != 0) | (owed[1] != 0)
    falls = (carried[2] != 0) | (owed[2] != 0) if exposure.has_falling else np.zeros(rows.size, np.bool_)
    is_open = rises & falls
    if _may_cancel(bucket, exposure):
        _, carried_size, owed_size = _parts(bucket, rows, [np.abs(part) for part in exposure.parts], absolute=True)
        size = [carry + owe for carry, owe in zip(carried_size, owed_size, strict=True)]
        is_open |= np.any(np.array(owed) < 0, axis=0) | (sum(owed) <= MARGIN * sum(size))
    else:
        size = [carry + owe for carry, owe in zip(carried, owed, strict=True)]
    room = [carry - owe for carry, owe in zip(carried, owed, strict=True)]
    above = _line([d + MARGIN * s for d, s in zip(room, size, strict=True)], falls)
    lost = [ONE_BPS * part for part in held] if bucket.shape.is_truncated else [np.zeros(1)] * len(held)
    below = _line([d - MARGIN * s - cut for d, s, cut in zip(room, size, lost, strict=True)], falls)
    is_fall, place = _crossing(*above, moves)
    # is the next move, where it is not certainly liquidatable any more, certainly safe?
    following = np.where(is_fall, place, place - 1)
    is_within = (following >= 0) & (following < moves.size)
    level = below[0] + below[1] * moves[np.clip(following, 0, moves.size - 1)]
    is_open |= is_fall != (below[1] >= 0)
    is_doubtful = is_open | (is_within & (level < 0))
    nowhere = np.where(is_fall, 0, moves.size)
    certain = np.where(is_open, nowhere, place) if is_open.any() else place
    tally.add_crossings(bucket.ledgers.take(rows).astype(np.intp), is_fall, certain, owed, held)
    doubtful = np.flatnonzero(is_doubtful)
    if doubtful.size:
        _, until = _crossing(below[0][doubtful], below[1][doubtful], moves)
        down, whole = is_fall[doubtful], is_open[doubtful]
        start = np.where(whole, 0, np.where(down, place[doubtful], until))
        stop = np.where(whole, moves.size, np.where(down, until, place[doubtful]))
        _revalue(bucket, rows[doubtful], start, stop, exposure, tally)


def _line(parts: Sequence[Floats], falls: Flags) -> tuple[Floats, Floats]:
    """Intercept and slope in m: of D, or of m x D for accounts that depend on what falls with the prices."""
    if len(parts) == 2:
        return parts[0], parts[1]
    return np.where(falls, parts[2], parts[0]), np.where(falls, parts[0], parts[1])


def _crossing(intercept: Floats, slope: Floats, moves: Floats) -> tuple[Flags, Positions]:
    """Whether the line is below 0 at the moves before the place (else: from the place on), and the place."""
    is_flat = slope == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        at = -intercept / slope
    if is_flat.any():
        at = np.where(is_flat, np.where(intercept < 0, np.inf, -np.inf), at)
    return slope >= 0, _first_not_below(moves, at)


def _first_not_below(moves: Floats, at: Floats) -> Positions:
    """`np.searchsorted(moves, at)`, by a guess that is right or one off where moves are evenly spaced: four times as
    fast as searching, which takes a third of the curve's time."""
    pace = (moves[-1] - moves[0]) / max(1, moves.size - 1)
    even = moves[0] + pace * np.arange(moves.size)
    if moves.size < 2 or np.any(np.abs(moves - even) > pace * 1e-4):
        return np.searchsorted(moves, at)
    # a thousandth too far, so that rounding never makes it fall short by one more
    inside = np.clip(at, moves[0], moves[-1])
    guess: Positions = ((inside - moves[0]) * (1 / pace) + 1e-3).astype(np.intp)
    fenced = np.concatenate(([np.nan], moves, [np.nan]))
    guess += fenced.take(guess + 1) < at
    guess -= fenced.take(guess) >= at
    return guess


def _parts(
    bucket: Bucket, rows: Positions, factors: Sequence[Floats], *, absolute: bool = False
) -> tuple[list[Floats], list[Floats], list[Floats]]:
    """Collateral, capacity (not truncated) and requirement of some accounts by each part of the factors."""
    zero = np.zeros(rows.size)
    held, carried, owed = [zero] * len(factors), [zero] * len(factors), [zero] * len(factors)
    for term in range(bucket.shape.supplies):
        columns = bucket.supply_columns[term].take(rows)
        collateral, capacity = bucket.collateral[term].take(rows), bucket.capacity[term].take(rows)
        if absolute:
            collateral, capacity = np.abs(collateral), np.abs(capacity)
        for power, part in enumerate(factors):
            found = part.take(columns)
            held[power] = held[power] + found * collateral
            carried[power] = carried[power] + found * capacity
    for term in range(bucket.shape.debts):
        columns, requirement = bucket.debt_columns[term].take(rows), bucket.requirement[term].take(rows)
        if absolute:
            requirement = np.abs(requirement)
        for power, part in enumerate(factors):
            owed[power] = owed[power] + part.take(columns) * requirement
    return held, carried, owed


def _revalue(
    bucket: Bucket, rows: Positions, first: Positions, after: Positions, exposure: Exposure, tally: Tally
) -> None:
    """Value accounts at each of moves[first:after] and add those that are liquidatable."""
    counts = np.maximum(after - first, 0)
    chosen = np.flatnonzero(counts)
    ends = np.cumsum(counts[chosen])
    done = 0
    while done < chosen.size:
        until = max(done + 1, int(np.searchsorted(ends, (ends[done - 1] if done else 0) + _PAIRS_AT_ONCE, "right")))
        some = chosen[done:until]
        of = np.repeat(some, counts[some])
        within = np.arange(of.size) - np.repeat(np.cumsum(counts[some]) - counts[some], counts[some])
        moves = first[of] + within
        values = value_pairs(bucket, rows[of], exposure.table, moves)
        hit = np.flatnonzero(values.health < 1)
        ledgers = bucket.ledgers[rows[of[hit]]].astype(np.intp)
        tally.add_single(ledgers, moves[hit], values.requirement[hit], values.collateral[hit])
        done = until

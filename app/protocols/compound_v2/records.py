"""Raw state and rules as storable records and back. A record groups what moves together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple

from app.domain.chain import Address
from app.domain.market import Deployment, Market, MarketRecord
from app.errors import Fatal
from app.protocols.calibration import Confirmation
from app.protocols.compound_v2.raw import Listing, Numbers, Pool, Raw, Roots
from app.protocols.compound_v2.rules import Rules, rules_by_code
from app.protocols.stored import Values, address_number, known, read_address, values_by_kind

_UNREAD: Values = (None,)


def to_records(deployment_id: str, raw: Raw, rules: Rules, confirmation: Confirmation) -> Iterator[MarketRecord]:
    """The state as records, in a fixed order."""

    def record(kind: str, subject: str, *values: int | None) -> MarketRecord:
        return MarketRecord(deployment_id, kind, subject, values)

    yield record("roots", "", address_number(raw.roots.oracle), address_number(raw.roots.vai_controller))
    yield record("listing", "", *(address_number(listing.token) for listing in raw.listings))
    yield record("rules", "", rules.code, confirmation.samples, confirmation.matches)
    yield record("vai", "", raw.vai_index)
    for listing in raw.listings:
        code, numbers = listing.code, raw.numbers[listing.code]
        yield record("config", code, listing.reserve_factor, *(_UNREAD if listing.words is None else listing.words))
        yield record("books", code, *(_UNREAD if numbers is None else astuple(numbers)))
        yield record("price", code, raw.prices[code])
    yield record("pools", "", *raw.pools)
    for number, pool in raw.pools.items():
        yield record("pool", str(number), _flag(pool.active), _flag(pool.falls_back))
        for code, words in pool.markets.items():
            yield record("pool_market", f"{number}:{code}", *(_UNREAD if words is None else words))


def from_records(
    deployment: Deployment, markets: Sequence[Market], records: Iterable[MarketRecord]
) -> tuple[Raw, Rules, Confirmation]:
    """Inverse of `to_records`. Records of markets no longer listed are passed over.

    Raises:
        Fatal: a record or market is missing or is not of the shape this adapter writes.
    """
    by_kind = values_by_kind(records)
    try:
        return _decode(by_kind, {market.code: market for market in markets})
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise Fatal(
            f"deployment {deployment.id}: its stored records are not complete Compound V2 records"
            f" ({type(error).__name__}: {error})"
        ) from error


def _decode(
    by_kind: Mapping[str, Mapping[str, Values]], markets: Mapping[str, Market]
) -> tuple[Raw, Rules, Confirmation]:
    oracle, controller = by_kind["roots"][""]
    rules_code, samples, matches = by_kind["rules"][""]
    rules = rules_by_code(known(rules_code))
    if rules is None:
        raise ValueError(f"no rules have the code {rules_code}")
    listings = tuple(_listing(by_kind["config"][code], markets[code]) for code in map(_code, by_kind["listing"][""]))
    codes = [listing.code for listing in listings]
    raw = Raw(
        roots=Roots(read_address(oracle), None if controller is None else read_address(controller)),
        listings=listings,
        numbers={code: _numbers(by_kind["books"][code]) for code in codes},
        prices={code: by_kind["price"][code][0] for code in codes},
        pools={known(number): _pool(by_kind, known(number), codes) for number in by_kind["pools"][""]},
        vai_index=by_kind["vai"][""][0],
    )
    return raw, rules, Confirmation(samples, known(matches))


def _listing(values: Values, market: Market) -> Listing:
    factor, *words = values
    token = Address.from_hex(market.code)
    return Listing(token, market.code, market.asset, market.symbol, market.decimals, _all_known(tuple(words)), factor)


def _numbers(values: Values) -> Numbers | None:
    known = _all_known(values)
    return None if known is None else Numbers(*known)


def _pool(by_kind: Mapping[str, Mapping[str, Values]], number: int, codes: Sequence[str]) -> Pool:
    active, falls_back = by_kind["pool"][str(number)]
    markets = {code: _all_known(by_kind["pool_market"][f"{number}:{code}"]) for code in codes}
    return Pool(None if active is None else bool(active), None if falls_back is None else bool(falls_back), markets)


def _all_known(values: Values) -> tuple[int, ...] | None:
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(values) else None


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _code(value: int | None) -> str:
    return str(read_address(value))

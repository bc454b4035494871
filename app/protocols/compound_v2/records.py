"""Raw state and rules as storable records and back. A record groups what moves together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass

from app.domain.chain import Address
from app.domain.market import Deployment, Market, MarketRecord
from app.errors import Fatal
from app.protocols.compound_v2.raw import Listing, Numbers, Pool, Raw, Roots
from app.protocols.compound_v2.rules import Rules, rules_by_code

Values = tuple[int | None, ...]
_UNREAD: Values = (None,)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How the rules in use compare with the contract."""

    samples: int | None = None
    """Accounts compared; None when never."""
    matches: int = 0

    @property
    def failed(self) -> bool:
        """The rules are known not to fit."""
        return self.samples is not None and self.matches < self.samples


def to_records(deployment_id: str, raw: Raw, rules: Rules, confirmation: Confirmation) -> Iterator[MarketRecord]:
    """The state as records, in a fixed order."""

    def record(kind: str, subject: str, *values: int | None) -> MarketRecord:
        return MarketRecord(deployment_id, kind, subject, values)

    yield record("roots", "", _number(raw.roots.oracle), _number(raw.roots.vai_controller))
    yield record("listing", "", *(_number(listing.token) for listing in raw.listings))
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
    by_kind: dict[str, dict[str, Values]] = {}
    for record in records:
        by_kind.setdefault(record.kind, {})[record.subject] = record.values
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
    rules = rules_by_code(_known(rules_code))
    if rules is None:
        raise ValueError(f"no rules have the code {rules_code}")
    listings = tuple(_listing(by_kind["config"][code], markets[code]) for code in map(_code, by_kind["listing"][""]))
    codes = [listing.code for listing in listings]
    raw = Raw(
        roots=Roots(_address(oracle), None if controller is None else _address(controller)),
        listings=listings,
        numbers={code: _numbers(by_kind["books"][code]) for code in codes},
        prices={code: by_kind["price"][code][0] for code in codes},
        pools={_known(number): _pool(by_kind, _known(number), codes) for number in by_kind["pools"][""]},
        vai_index=by_kind["vai"][""][0],
    )
    return raw, rules, Confirmation(samples, _known(matches))


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


def _number(address: Address | None) -> int | None:
    return None if address is None else int.from_bytes(address, "big")


def _address(value: int | None) -> Address:
    return Address(_known(value).to_bytes(20, "big"))


def _code(value: int | None) -> str:
    return str(_address(value))


def _known(value: int | None) -> int:
    if value is None:
        raise ValueError("a number that is always known is missing")
    return value

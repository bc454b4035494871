"""Raw state as storable records and back. A record groups what moves together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass

from app.domain.chain import Address
from app.domain.market import Deployment, Market, MarketRecord
from app.errors import Fatal
from app.protocols.compound_v3.raw import Base, BaseTerms, Collateral, Curve, Curves, Raw, Terms, Totals

Values = tuple[int | None, ...]
_UNREAD: Values = (None,)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How the rules compare with the contract."""

    samples: int | None = None
    """Accounts compared; None when never."""
    matches: int = 0

    @property
    def failed(self) -> bool:
        """The rules are known not to fit."""
        return self.samples is not None and self.matches < self.samples


def to_records(deployment_id: str, raw: Raw, confirmation: Confirmation) -> Iterator[MarketRecord]:
    """The state as records, in a fixed order."""

    def record(kind: str, subject: str, *values: int | None) -> MarketRecord:
        return MarketRecord(deployment_id, kind, subject, values)

    base = raw.base.terms
    yield record("listing", "", _number(raw.base.asset), *(_number(one.asset) for one in raw.collaterals))
    yield record("currency", "", int.from_bytes(raw.currency.encode(), "big"))
    yield record("rules", "", confirmation.samples, confirmation.matches)
    yield record("base", "", *(_UNREAD if base is None else (_number(base.feed), base.scale)))
    curves = raw.curves
    yield record("curves", "", *(_UNREAD if curves is None else (*curves.supply, *curves.borrow)))
    yield record("totals", "", *(_UNREAD if raw.totals is None else astuple(raw.totals)))
    yield record("price", raw.base.code, raw.prices[raw.base.code])
    for one in raw.collaterals:
        yield record("config", one.code, *(_UNREAD if one.terms is None else _terms_values(one.terms)))
        yield record("price", one.code, raw.prices[one.code])


def from_records(
    deployment: Deployment, markets: Sequence[Market], records: Iterable[MarketRecord]
) -> tuple[Raw, Confirmation]:
    """Inverse of `to_records`. Records of collaterals no longer listed are passed over.

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
            f"deployment {deployment.id}: its stored records are not complete Compound V3 records"
            f" ({type(error).__name__}: {error})"
        ) from error


def _decode(by_kind: Mapping[str, Mapping[str, Values]], markets: Mapping[str, Market]) -> tuple[Raw, Confirmation]:
    base_code, *codes = (str(_address(value)) for value in by_kind["listing"][""])
    (currency,) = by_kind["currency"][""]
    samples, matches = by_kind["rules"][""]
    raw = Raw(
        base=_base(by_kind["base"][""], markets[base_code]),
        collaterals=tuple(_collateral(by_kind["config"][code], markets[code]) for code in codes),
        curves=_curves(by_kind["curves"][""]),
        currency=_known(currency).to_bytes(32, "big").lstrip(b"\0").decode(),
        totals=_totals(by_kind["totals"][""]),
        prices={code: by_kind["price"][code][0] for code in (base_code, *codes)},
    )
    return raw, Confirmation(samples, _known(matches))


def _base(values: Values, market: Market) -> Base:
    known = _all_known(values)
    terms = None if known is None else BaseTerms(_address(known[0]), known[1])
    return Base(market.asset, market.code, market.symbol, market.decimals, terms)


def _collateral(values: Values, market: Market) -> Collateral:
    known = _all_known(values)
    terms = None
    if known is not None:
        feed, *numbers = known
        terms = Terms(_address(feed), *numbers)
    return Collateral(market.asset, market.code, market.symbol, market.decimals, terms)


def _terms_values(terms: Terms) -> Values:
    return (
        _number(terms.feed),
        terms.scale,
        terms.borrow_factor,
        terms.liquidate_factor,
        terms.liquidation_factor,
        terms.supply_cap,
    )


def _curves(values: Values) -> Curves | None:
    known = _all_known(values)
    return None if known is None else Curves(Curve(*known[:4]), Curve(*known[4:]))


def _totals(values: Values) -> Totals | None:
    known = _all_known(values)
    return None if known is None else Totals(*known)


def _all_known(values: Values) -> tuple[int, ...] | None:
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(values) else None


def _number(address: Address) -> int:
    return int.from_bytes(address, "big")


def _address(value: int | None) -> Address:
    return Address(_known(value).to_bytes(20, "big"))


def _known(value: int | None) -> int:
    if value is None:
        raise ValueError("a number that is always known is missing")
    return value

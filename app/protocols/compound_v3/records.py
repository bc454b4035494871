"""Raw state as storable records and back. A record groups what moves together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple

from app.domain.market import Deployment, Market, MarketRecord
from app.errors import Fatal
from app.protocols.calibration import Confirmation
from app.protocols.compound_v3.raw import Base, BaseTerms, Collateral, Curve, Curves, Raw, Terms, Totals
from app.protocols.stored import Values, address_number, known, read_address, values_by_kind

_UNREAD: Values = (None,)


def to_records(deployment_id: str, raw: Raw, confirmation: Confirmation) -> Iterator[MarketRecord]:
    """The state as records, in a fixed order."""

    def record(kind: str, subject: str, *values: int | None) -> MarketRecord:
        return MarketRecord(deployment_id, kind, subject, values)

    base = raw.base.terms
    yield record("listing", "", address_number(raw.base.asset), *(address_number(one.asset) for one in raw.collaterals))
    yield record("currency", "", int.from_bytes(raw.currency.encode(), "big"))
    yield record("rules", "", confirmation.samples, confirmation.matches)
    yield record("base", "", *(_UNREAD if base is None else (address_number(base.feed), base.scale)))
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
    by_kind = values_by_kind(records)
    try:
        return _decode(by_kind, {market.code: market for market in markets})
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise Fatal(
            f"deployment {deployment.id}: its stored records are not complete Compound V3 records"
            f" ({type(error).__name__}: {error})"
        ) from error


def _decode(by_kind: Mapping[str, Mapping[str, Values]], markets: Mapping[str, Market]) -> tuple[Raw, Confirmation]:
    base_code, *codes = (str(read_address(value)) for value in by_kind["listing"][""])
    (currency,) = by_kind["currency"][""]
    samples, matches = by_kind["rules"][""]
    raw = Raw(
        base=_base(by_kind["base"][""], markets[base_code]),
        collaterals=tuple(_collateral(by_kind["config"][code], markets[code]) for code in codes),
        curves=_curves(by_kind["curves"][""]),
        currency=known(currency).to_bytes(32, "big").lstrip(b"\0").decode(),
        totals=_totals(by_kind["totals"][""]),
        prices={code: by_kind["price"][code][0] for code in (base_code, *codes)},
    )
    return raw, Confirmation(samples, known(matches))


def _base(values: Values, market: Market) -> Base:
    known = _all_known(values)
    terms = None if known is None else BaseTerms(read_address(known[0]), known[1])
    return Base(market.asset, market.code, market.symbol, market.decimals, terms)


def _collateral(values: Values, market: Market) -> Collateral:
    known = _all_known(values)
    terms = None
    if known is not None:
        feed, *numbers = known
        terms = Terms(read_address(feed), *numbers)
    return Collateral(market.asset, market.code, market.symbol, market.decimals, terms)


def _terms_values(terms: Terms) -> Values:
    return (
        address_number(terms.feed),
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

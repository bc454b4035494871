"""Raw state as storable records and back. A record groups what moves together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from app.domain.market import Deployment, Market, MarketRecord
from app.errors import Fatal
from app.protocols.calibration import Confirmation
from app.protocols.perp_curie.raw import (
    BASE_DECIMALS,
    Collateral,
    Growth,
    PerpMarket,
    Raw,
    Roots,
    Settlement,
    Status,
    Terms,
)
from app.protocols.stored import Values, address_number, known, read_address, values_by_kind

_UNREAD: Values = (None,)


def to_markets(deployment_id: str, raw: Raw) -> Iterator[Market]:
    """The settlement token, other collaterals, then the base tokens."""
    settlement = raw.settlement
    yield Market(deployment_id, settlement.code, settlement.asset, settlement.symbol, settlement.decimals)
    for one in raw.collaterals.values():
        yield Market(deployment_id, one.code, one.asset, one.symbol, one.decimals or 0)
    for market in raw.markets.values():
        yield Market(deployment_id, market.code, market.base, market.symbol, BASE_DECIMALS)


def to_records(deployment_id: str, raw: Raw, confirmation: Confirmation) -> Iterator[MarketRecord]:
    """The state as records, in a fixed order."""

    def record(kind: str, subject: str, *values: int | None) -> MarketRecord:
        return MarketRecord(deployment_id, kind, subject, values)

    settlement = raw.settlement
    yield record("roots", "", *map(address_number, raw.roots))
    yield record("settlement", "", address_number(settlement.asset))
    yield record("rules", "", confirmation.samples, confirmation.matches)
    yield record("terms", "", *(_UNREAD if raw.terms is None else raw.terms))
    yield record("time", "", raw.timestamp)
    for code, one in raw.collaterals.items():
        yield record("collateral", code, address_number(one.asset), one.decimals, one.feed_decimals, one.ratio)
        yield record("price", code, one.price)
    for code, market in raw.markets.items():
        growth = (None, None) if market.growth is None else market.growth
        status = None if market.status is None else int(market.status)
        yield record("market", code, address_number(market.base), status, market.fixed_price)
        yield record("mark", code, market.mark_price)
        yield record("funding", code, *growth, market.premium_x96)
        yield record("witnesses", code, *map(address_number, market.witnesses))


def from_records(
    deployment: Deployment, markets: Sequence[Market], records: Iterable[MarketRecord]
) -> tuple[Raw, Confirmation]:
    """Inverse of `to_records` and `to_markets`.

    Raises:
        Fatal: a record or market is missing or is not of the shape this adapter writes.
    """
    by_kind = values_by_kind(records)
    try:
        return _decode(by_kind, {market.code: market for market in markets})
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise Fatal(
            f"deployment {deployment.id}: its stored records are not complete Perpetual Protocol v2 records"
            f" ({type(error).__name__}: {error})"
        ) from error


def _decode(by_kind: Mapping[str, Mapping[str, Values]], listed: Mapping[str, Market]) -> tuple[Raw, Confirmation]:
    (token,) = by_kind["settlement"][""]
    settlement = listed[str(read_address(token))]
    samples, matches = by_kind["rules"][""]
    (timestamp,) = by_kind["time"][""]
    terms = by_kind["terms"][""]
    raw = Raw(
        Roots(*map(read_address, by_kind["roots"][""])),
        Settlement(settlement.asset, settlement.code, settlement.symbol, settlement.decimals),
        None if terms == _UNREAD else Terms(*map(known, terms)),
        timestamp,
        {code: _market(code, by_kind, listed) for code in sorted(by_kind.get("market", {}))},
        {code: _collateral(code, by_kind, listed) for code in sorted(by_kind.get("collateral", {}))},
    )
    return raw, Confirmation(samples, known(matches))


def _market(code: str, by_kind: Mapping[str, Mapping[str, Values]], listed: Mapping[str, Market]) -> PerpMarket:
    base, status, fixed_price = by_kind["market"][code]
    growth, anchor, premium = by_kind["funding"][code]
    (mark,) = by_kind["mark"][code]
    return PerpMarket(
        read_address(base),
        code,
        listed[code].symbol,
        None if status is None else Status(status),
        fixed_price,
        mark,
        None if growth is None else Growth(growth, anchor),
        premium,
        tuple(map(read_address, by_kind["witnesses"][code])),
    )


def _collateral(code: str, by_kind: Mapping[str, Mapping[str, Values]], listed: Mapping[str, Market]) -> Collateral:
    asset, decimals, feed_decimals, ratio = by_kind["collateral"][code]
    (price,) = by_kind["price"][code]
    return Collateral(read_address(asset), code, listed[code].symbol, decimals, feed_decimals, ratio, price)

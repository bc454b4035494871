"""Raw state as storable records and back. A record groups what moves together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.domain.chain import Address
from app.domain.market import Deployment, Market, MarketRecord
from app.errors import Fatal
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

Values = tuple[int | None, ...]
_UNREAD: Values = (None,)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How the rules compare with the contracts."""

    samples: int | None = None
    """Accounts compared; None when never."""
    matches: int = 0

    @property
    def failed(self) -> bool:
        """The rules are known not to fit."""
        return self.samples is not None and self.matches < self.samples


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
    yield record("roots", "", *map(_number, raw.roots))
    yield record("settlement", "", _number(settlement.asset))
    yield record("rules", "", confirmation.samples, confirmation.matches)
    yield record("terms", "", *(_UNREAD if raw.terms is None else raw.terms))
    yield record("time", "", raw.timestamp)
    for code, one in raw.collaterals.items():
        yield record("collateral", code, _number(one.asset), one.decimals, one.feed_decimals, one.ratio)
        yield record("price", code, one.price)
    for code, market in raw.markets.items():
        growth = (None, None) if market.growth is None else market.growth
        status = None if market.status is None else int(market.status)
        yield record("market", code, _number(market.base), status, market.fixed_price)
        yield record("mark", code, market.mark_price)
        yield record("funding", code, *growth, market.premium_x96)
        yield record("witnesses", code, *map(_number, market.witnesses))


def from_records(
    deployment: Deployment, markets: Sequence[Market], records: Iterable[MarketRecord]
) -> tuple[Raw, Confirmation]:
    """Inverse of `to_records` and `to_markets`.

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
            f"deployment {deployment.id}: its stored records are not complete Perpetual Protocol v2 records"
            f" ({type(error).__name__}: {error})"
        ) from error


def _decode(by_kind: Mapping[str, Mapping[str, Values]], listed: Mapping[str, Market]) -> tuple[Raw, Confirmation]:
    (token,) = by_kind["settlement"][""]
    settlement = listed[str(_address(token))]
    samples, matches = by_kind["rules"][""]
    (timestamp,) = by_kind["time"][""]
    terms = by_kind["terms"][""]
    raw = Raw(
        Roots(*map(_address, by_kind["roots"][""])),
        Settlement(settlement.asset, settlement.code, settlement.symbol, settlement.decimals),
        None if terms == _UNREAD else Terms(*map(_known, terms)),
        timestamp,
        {code: _market(code, by_kind, listed) for code in sorted(by_kind.get("market", {}))},
        {code: _collateral(code, by_kind, listed) for code in sorted(by_kind.get("collateral", {}))},
    )
    return raw, Confirmation(samples, _known(matches))


def _market(code: str, by_kind: Mapping[str, Mapping[str, Values]], listed: Mapping[str, Market]) -> PerpMarket:
    base, status, fixed_price = by_kind["market"][code]
    growth, anchor, premium = by_kind["funding"][code]
    (mark,) = by_kind["mark"][code]
    return PerpMarket(
        _address(base),
        code,
        listed[code].symbol,
        None if status is None else Status(status),
        fixed_price,
        mark,
        None if growth is None else Growth(growth, anchor),
        premium,
        tuple(map(_address, by_kind["witnesses"][code])),
    )


def _collateral(code: str, by_kind: Mapping[str, Mapping[str, Values]], listed: Mapping[str, Market]) -> Collateral:
    asset, decimals, feed_decimals, ratio = by_kind["collateral"][code]
    (price,) = by_kind["price"][code]
    return Collateral(_address(asset), code, listed[code].symbol, decimals, feed_decimals, ratio, price)


def _number(address: Address) -> int:
    return int.from_bytes(address, "big")


def _address(value: int | None) -> Address:
    return Address(_known(value).to_bytes(20, "big"))


def _known(value: int | None) -> int:
    if value is None:
        raise ValueError("a number that is always known is missing")
    return value

"""Raw state and rules as storable records and back. A record groups what moves together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.domain.chain import ZERO_ADDRESS, Address
from app.domain.market import Deployment, Market, MarketRecord
from app.errors import Fatal
from app.protocols.aave_v3.raw import EMode, FeedForm, Indices, Price, Raw, Reserve, Roots
from app.protocols.aave_v3.rules import Rules, rules_by_code

Values = tuple[int | None, ...]


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

    roots = raw.roots
    yield record(
        "roots",
        "",
        _number(roots.pool),
        _number(roots.configurator),
        _number(roots.oracle),
        _number(roots.sentinel),
        roots.revision,
        _number(roots.base_currency),
        roots.base_unit,
        int.from_bytes(roots.base_symbol.encode()[:32], "big"),
    )
    yield record("listing", "", *map(_number, raw.listing))
    yield record("rules", "", rules.code, confirmation.samples, confirmation.matches)
    yield record("sentinel", "", None if raw.liquidation_allowed is None else int(raw.liquidation_allowed))
    for reserve in raw.reserves:
        yield record(
            "config",
            reserve.code,
            reserve.id,
            reserve.word,
            reserve.decimals,
            _number(reserve.a_token),
            _number(reserve.variable_debt_token),
            _number(reserve.stable_debt_token),
            reserve.grace_until,
            _number(reserve.source),
            int(reserve.feed_form),
        )
        indices = raw.indices[reserve.code]
        yield record("index", reserve.code, *(_NO_INDICES if indices is None else _index_values(indices)))
        price = raw.prices[reserve.code]
        yield record("price", reserve.code, price.value, price.updated_at)
    yield record("emodes", "", *raw.emodes)
    for number, emode in raw.emodes.items():
        yield record(
            "emode",
            str(number),
            emode.ltv_bps,
            emode.threshold_bps,
            emode.bonus_bps,
            _number(emode.price_source),
            emode.collateral_bitmap,
            emode.ltv_zero_bitmap,
            None if emode.isolated is None else int(emode.isolated),
        )
    for number, value in raw.emode_prices.items():
        yield record("emode_price", str(number), value)


def from_records(
    deployment: Deployment, markets: Sequence[Market], records: Iterable[MarketRecord]
) -> tuple[Raw, Rules, Confirmation]:
    """Inverse of `to_records`. Records of reserves no longer listed are passed over.

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
            f"deployment {deployment.id}: its stored records are not complete Aave V3 records"
            f" ({type(error).__name__}: {error})"
        ) from error


_NO_INDICES: Values = (None,) * 5


def _decode(
    by_kind: Mapping[str, Mapping[str, Values]], markets: Mapping[str, Market]
) -> tuple[Raw, Rules, Confirmation]:
    pool, configurator, oracle, sentinel, revision, currency, unit, symbol = by_kind["roots"][""]
    rules_code, samples, matches = by_kind["rules"][""]
    rules = rules_by_code(_known(rules_code))
    if rules is None:
        raise ValueError(f"no rules have the code {rules_code}")
    listing = tuple(_address(value) for value in by_kind["listing"][""])
    (allowed,) = by_kind["sentinel"][""]
    reserves = tuple(
        _reserve(by_kind["config"][str(asset)], markets[str(asset)])
        for asset in listing
        if asset != ZERO_ADDRESS and str(asset) in by_kind.get("config", {})
    )
    emodes = {_known(number): _emode(by_kind["emode"][str(number)]) for number in by_kind["emodes"][""]}
    raw = Raw(
        roots=Roots(
            _address(pool),
            _address(configurator),
            _address(oracle),
            _address(sentinel),
            _known(revision),
            _address(currency),
            _known(unit),
            _known(symbol).to_bytes(32, "big").lstrip(b"\0").decode(),
        ),
        listing=listing,
        reserves=reserves,
        indices={reserve.code: _indices(by_kind["index"][reserve.code]) for reserve in reserves},
        prices={reserve.code: _price(by_kind["price"][reserve.code]) for reserve in reserves},
        emodes=emodes,
        emode_prices={
            number: by_kind["emode_price"][str(number)][0]
            for number, emode in emodes.items()
            if emode.price_source not in (None, ZERO_ADDRESS)
        },
        liquidation_allowed=None if allowed is None else bool(allowed),
    )
    return raw, rules, Confirmation(samples, _known(matches))


def _reserve(values: Values, market: Market) -> Reserve:
    number, word, decimals, a_token, variable, stable, grace_until, source, form = values
    return Reserve(
        id=_known(number),
        asset=market.asset,
        code=market.code,
        symbol=market.symbol,
        decimals=_known(decimals),
        word=word,
        a_token=_address(a_token),
        variable_debt_token=_address(variable),
        stable_debt_token=_address(stable),
        grace_until=grace_until,
        source=None if source is None else _address(source),
        feed_form=FeedForm(_known(form)),
    )


def _index_values(indices: Indices) -> Values:
    return (
        indices.liquidity_index,
        indices.liquidity_rate,
        indices.borrow_index,
        indices.borrow_rate,
        indices.updated_at,
    )


def _indices(values: Values) -> Indices | None:
    if values == _NO_INDICES:
        return None
    liquidity_index, liquidity_rate, borrow_index, borrow_rate, updated_at = map(_known, values)
    return Indices(liquidity_index, liquidity_rate, borrow_index, borrow_rate, updated_at)


def _price(values: Values) -> Price:
    value, updated_at = values
    return Price(value, updated_at)


def _emode(values: Values) -> EMode:
    ltv, threshold, bonus, source, collateral, ltv_zero, isolated = values
    return EMode(
        ltv,
        threshold,
        bonus,
        None if source is None else _address(source),
        collateral,
        ltv_zero,
        None if isolated is None else bool(isolated),
    )


def _number(address: Address | None) -> int | None:
    return None if address is None else int.from_bytes(address, "big")


def _address(value: int | None) -> Address:
    return Address(_known(value).to_bytes(20, "big"))


def _known(value: int | None) -> int:
    if value is None:
        raise ValueError("a number that is always known is missing")
    return value

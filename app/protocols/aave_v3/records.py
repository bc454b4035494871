"""Raw state and rules as storable records and back. A record groups what moves together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from app.domain.chain import ZERO_ADDRESS
from app.domain.market import Deployment, Market, MarketRecord
from app.errors import Fatal
from app.protocols.aave_v3.raw import EMode, FeedForm, Indices, Price, Raw, Reserve, Roots
from app.protocols.aave_v3.rules import Rules, rules_by_code
from app.protocols.calibration import Confirmation
from app.protocols.stored import Values, address_number, known, read_address, values_by_kind


def to_records(deployment_id: str, raw: Raw, rules: Rules, confirmation: Confirmation) -> Iterator[MarketRecord]:
    """The state as records, in a fixed order."""

    def record(kind: str, subject: str, *values: int | None) -> MarketRecord:
        return MarketRecord(deployment_id, kind, subject, values)

    roots = raw.roots
    yield record(
        "roots",
        "",
        address_number(roots.pool),
        address_number(roots.configurator),
        address_number(roots.oracle),
        address_number(roots.sentinel),
        roots.revision,
        address_number(roots.base_currency),
        roots.base_unit,
        int.from_bytes(roots.base_symbol.encode()[:32], "big"),
    )
    yield record("listing", "", *map(address_number, raw.listing))
    yield record("rules", "", rules.code, confirmation.samples, confirmation.matches)
    yield record("sentinel", "", None if raw.liquidation_allowed is None else int(raw.liquidation_allowed))
    for reserve in raw.reserves:
        yield record(
            "config",
            reserve.code,
            reserve.id,
            reserve.word,
            reserve.decimals,
            address_number(reserve.a_token),
            address_number(reserve.variable_debt_token),
            address_number(reserve.stable_debt_token),
            reserve.grace_until,
            address_number(reserve.source),
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
            address_number(emode.price_source),
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
    by_kind = values_by_kind(records)
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
    rules = rules_by_code(known(rules_code))
    if rules is None:
        raise ValueError(f"no rules have the code {rules_code}")
    listing = tuple(read_address(value) for value in by_kind["listing"][""])
    (allowed,) = by_kind["sentinel"][""]
    reserves = tuple(
        _reserve(by_kind["config"][str(asset)], markets[str(asset)])
        for asset in listing
        if asset != ZERO_ADDRESS and str(asset) in by_kind.get("config", {})
    )
    emodes = {known(number): _emode(by_kind["emode"][str(number)]) for number in by_kind["emodes"][""]}
    raw = Raw(
        roots=Roots(
            read_address(pool),
            read_address(configurator),
            read_address(oracle),
            read_address(sentinel),
            known(revision),
            read_address(currency),
            known(unit),
            known(symbol).to_bytes(32, "big").lstrip(b"\0").decode(),
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
    return raw, rules, Confirmation(samples, known(matches))


def _reserve(values: Values, market: Market) -> Reserve:
    number, word, decimals, a_token, variable, stable, grace_until, source, form = values
    return Reserve(
        id=known(number),
        asset=market.asset,
        code=market.code,
        symbol=market.symbol,
        decimals=known(decimals),
        word=word,
        a_token=read_address(a_token),
        variable_debt_token=read_address(variable),
        stable_debt_token=read_address(stable),
        grace_until=grace_until,
        source=None if source is None else read_address(source),
        feed_form=FeedForm(known(form)),
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
    liquidity_index, liquidity_rate, borrow_index, borrow_rate, updated_at = map(known, values)
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
        None if source is None else read_address(source),
        collateral,
        ltv_zero,
        None if isolated is None else bool(isolated),
    )

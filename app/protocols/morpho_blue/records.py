"""A state as storable records, and back. Records are grouped by how often their numbers move."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from app.domain.market import Deployment, Market, MarketRecord
from app.errors import Fatal
from app.protocols.calibration import Confirmation
from app.protocols.morpho_blue.raw import BlueMarket, Params, Raw, Token, Totals
from app.protocols.stored import Values, address_number, known, read_address, values_by_kind


def to_markets(deployment_id: str, raw: Raw) -> Iterator[Market]:
    """Two descriptions of each market: what is lent and borrowed in it, and what is collateral."""
    for market in raw.markets.values():
        loan, collateral = market.params.loan_token, market.params.collateral_token
        yield Market(deployment_id, market.loan_code, loan, market.loan.symbol, market.loan_decimals)
        yield Market(
            deployment_id, market.collateral_code, collateral, market.collateral.symbol, market.collateral_decimals
        )


def to_records(deployment_id: str, raw: Raw, confirmation: Confirmation) -> Iterator[MarketRecord]:
    """The state as records, in a fixed order."""

    def record(kind: str, subject: str, *values: int | None) -> MarketRecord:
        return MarketRecord(deployment_id, kind, subject, values)

    yield record("root", "", address_number(raw.fee_recipient))
    yield record("rules", "", confirmation.samples, confirmation.matches)
    for unit, market in raw.markets.items():
        params = market.params
        addresses = (params.loan_token, params.collateral_token, params.oracle, params.irm)
        decimals = (market.loan.decimals, market.collateral.decimals)
        yield record("params", unit, *map(address_number, addresses), params.lltv_wad, *decimals)
        yield record("totals", unit, *(_NO_TOTALS if market.totals is None else market.totals.values()))
        yield record("rate", unit, market.rate_wad)
        yield record("price", unit, market.price)
        witness = None if market.witness is None else address_number(market.witness)
        yield record("standing", unit, market.misses, witness, None if market.agrees is None else int(market.agrees))
    for unit in raw.dropped:
        yield record("params", unit, *_NO_PARAMS)


def from_records(
    deployment: Deployment, markets: Sequence[Market], records: Iterable[MarketRecord]
) -> tuple[Raw, Confirmation]:
    """Inverse of `to_records` and `to_markets`.

    Raises:
        Fatal: a record or market is missing or is not of the shape this adapter writes.
    """
    by_kind = values_by_kind(records)
    symbols = {market.code: market.symbol for market in markets}
    try:
        (recipient,) = by_kind["root"][""]
        samples, matches = by_kind["rules"][""]
        params = by_kind.get("params", {})
        found = {unit: _market(unit, by_kind, symbols) for unit in sorted(params) if params[unit] != _NO_PARAMS}
        return Raw(read_address(recipient), found), Confirmation(samples, known(matches))
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise Fatal(
            f"deployment {deployment.id}: its stored records are not complete Morpho Blue records"
            f" ({type(error).__name__}: {error})"
        ) from error


_NO_TOTALS: Values = (None,) * 6
_NO_PARAMS: Values = (None,) * 7
"""Of a market that is not followed any more."""


def _market(unit: str, by_kind: Mapping[str, Mapping[str, Values]], symbols: Mapping[str, str]) -> BlueMarket:
    loan, collateral, oracle, irm, lltv, loan_decimals, collateral_decimals = by_kind["params"][unit]
    totals = by_kind["totals"][unit]
    (rate,), (price,) = by_kind["rate"][unit], by_kind["price"][unit]
    misses, witness, agrees = by_kind["standing"][unit]
    params = Params(read_address(loan), read_address(collateral), read_address(oracle), read_address(irm), known(lltv))
    return BlueMarket(
        unit,
        params,
        Token(symbols[f"{unit}-loan"], loan_decimals),
        Token(symbols[f"{unit}-collateral"], collateral_decimals),
        None if totals == _NO_TOTALS else Totals(*map(known, totals)),
        rate,
        price,
        known(misses),
        None if witness is None else read_address(witness),
        None if agrees is None else bool(agrees),
    )

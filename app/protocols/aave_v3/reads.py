"""The read plan of a whole deployment, from its roots. (What moves each block: `price_reads`.)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from app.domain.chain import ZERO_ADDRESS, Address, ReadPlan
from app.domain.market import Deployment
from app.errors import Refused
from app.protocols.aave_v3 import calls
from app.protocols.aave_v3.deployments import PROVIDER_ROLE
from app.protocols.aave_v3.emode_reads import BitmapScan, CategoryScan, ModelProbe
from app.protocols.aave_v3.price_reads import RESERVE_DATA_WORDS, decode_indices, read_prices
from app.protocols.aave_v3.raw import FeedForm, Indices, Raw, Reserve, Roots
from app.protocols.abi import address_word, decode_address, decode_text, decode_uint, decode_words, uint_word
from app.protocols.rounds import Round, describe

MAX_RESERVES = 128
"""Reserve ids are bit pairs of one 256-bit word."""


def read_raw(deployment: Deployment, previous: Raw | None = None) -> ReadPlan[Raw]:
    """The whole deployment from its addresses provider.

    With `previous`, what does not answer keeps its address while its numbers become None.

    Raises:
        Refused: a root contract does not answer as Aave V3 and there is no earlier state to keep it from.
    """
    roots = yield from _read_roots(deployment, previous.roots if previous else None)

    probe = Round()
    count_ticket = probe.ask(roots.pool, calls.GET_RESERVES_COUNT)
    model_probe = ModelProbe(probe, roots.pool)
    probe.answer((yield probe.calls))
    count, model = decode_uint(probe[count_ticket]), model_probe.model()

    scan = Round()
    ids = range(MAX_RESERVES if count is None else min(count, MAX_RESERVES))
    assets = [scan.ask(roots.pool, calls.GET_RESERVE_ADDRESS_BY_ID + uint_word(number)) for number in ids]
    category_scan = CategoryScan(scan, roots.pool, model)
    scan.answer((yield scan.calls))
    listing = _decode_listing(deployment, [decode_address(scan[ticket]) for ticket in assets], previous)
    while count is None and listing and listing[-1] == ZERO_ADDRESS:
        listing = listing[:-1]

    ask = Round()
    bitmap_scan = BitmapScan(ask, roots.pool, model, category_scan.categories())
    tickets = {
        number: _ReserveQuestions(ask, roots, asset) for number, asset in enumerate(listing) if asset != ZERO_ADDRESS
    }
    symbol = ask.ask(roots.base_currency, calls.SYMBOL)
    ask.answer((yield ask.calls))

    if roots.base_currency != ZERO_ADDRESS:
        roots = replace(roots, base_symbol=(decode_text(ask[symbol]) or roots.base_symbol)[:8])
    known = previous.by_code if previous else {}
    found = [ticket.decode(number, known) for number, ticket in tickets.items()]
    return (
        yield from read_prices(
            Raw(
                roots=roots,
                listing=listing,
                reserves=tuple(reserve for reserve, _ in found if reserve is not None),
                indices={reserve.code: indices for reserve, indices in found if reserve is not None},
                prices={},
                emodes=bitmap_scan.emodes(),
                emode_prices={},
                liquidation_allowed=None,
            )
        )
    )


def _read_roots(deployment: Deployment, kept: Roots | None) -> ReadPlan[Roots]:
    """The deployment's contracts by its addresses provider; `kept` stands in for what does not answer."""
    where = f"deployment {deployment.id}"
    provider = deployment.contracts.get(PROVIDER_ROLE)
    if provider is None:
        raise Refused(f"{where}: contracts.{PROVIDER_ROLE} is missing")
    first = Round()
    pool_ticket = first.ask(provider, calls.GET_POOL)
    configurator_ticket = first.ask(provider, calls.GET_POOL_CONFIGURATOR)
    oracle_ticket = first.ask(provider, calls.GET_PRICE_ORACLE)
    sentinel_ticket = first.ask(provider, calls.GET_PRICE_ORACLE_SENTINEL)
    first.answer((yield first.calls))

    def root(ticket: int, role: str, kept_address: Address | None) -> Address:
        address = decode_address(first[ticket]) or kept_address
        if address is None or address == ZERO_ADDRESS:
            fault = "names none" if address is not None else describe(first[ticket])
            raise Refused(f"{where}: {PROVIDER_ROLE} {provider}, asked for the {role}, {fault}")
        return address

    pool = root(pool_ticket, "pool", kept.pool if kept else None)
    configurator = root(configurator_ticket, "pool configurator", kept.configurator if kept else None)
    oracle = root(oracle_ticket, "price oracle", kept.oracle if kept else None)
    sentinel = decode_address(first[sentinel_ticket]) or (kept.sentinel if kept else ZERO_ADDRESS)
    if pool != deployment.address:
        raise Refused(f"{where}: its address is {deployment.address}, but {provider} names the pool {pool}")

    second = Round()
    revision_ticket = second.ask(pool, calls.POOL_REVISION)
    currency_ticket = second.ask(oracle, calls.BASE_CURRENCY)
    unit_ticket = second.ask(oracle, calls.BASE_CURRENCY_UNIT)
    second.answer((yield second.calls))
    revision, unit = decode_uint(second[revision_ticket]), decode_uint(second[unit_ticket])
    currency = decode_address(second[currency_ticket])
    if kept is not None:
        revision = kept.revision if revision is None else revision
        unit = kept.base_unit if unit is None else unit
        currency = currency or kept.base_currency
    if revision is None:
        fault = describe(second[revision_ticket])
        raise Refused(f"{where}: pool {pool}, asked for POOL_REVISION, {fault}")
    if unit is None or currency is None or str(unit).rstrip("0") != "1":
        raise Refused(f"{where}: price oracle {oracle} states no base currency with a decimal unit")
    name = "USD" if currency == ZERO_ADDRESS else str(currency)[:10]
    return Roots(pool, configurator, oracle, sentinel, revision, currency, unit, name)


def _decode_listing(deployment: Deployment, assets: list[Address | None], previous: Raw | None) -> tuple[Address, ...]:
    """Assets by reserve id; the previous listing if any slot is unread."""
    listing = [asset for asset in assets if asset is not None]
    if len(listing) < len(assets):
        if previous is None:
            raise Refused(f"deployment {deployment.id}: pool {deployment.address} does not list its reserves")
        return previous.listing
    return tuple(listing)


class _ReserveQuestions:
    """The questions about one reserve's configuration, and their answers."""

    def __init__(self, ask: Round, roots: Roots, asset: Address) -> None:
        word = address_word(asset)
        self.ask = ask
        self.asset = asset
        self.data = ask.ask(roots.pool, calls.GET_RESERVE_DATA + word)
        self.grace = ask.ask(roots.pool, calls.GET_LIQUIDATION_GRACE_PERIOD + word)
        self.source = ask.ask(roots.oracle, calls.GET_SOURCE_OF_ASSET + word)
        self.symbol = ask.ask(asset, calls.SYMBOL)

    def decode(self, number: int, known: Mapping[str, Reserve]) -> tuple[Reserve | None, Indices | None]:
        """The reserve; its former self without numbers when unread; None when it never was read."""
        code = str(self.asset)
        old = known.get(code)
        words = decode_words(self.ask[self.data], RESERVE_DATA_WORDS)
        if words is None:
            return (replace(old, word=None) if old is not None and old.id == number else None), None
        reserve = Reserve(
            id=number,
            asset=self.asset,
            code=code,
            symbol=(decode_text(self.ask[self.symbol]) or (old.symbol if old else code[:10]))[:32],
            decimals=words[0] >> 48 & 0xFF,
            word=words[0],
            a_token=_address(words[8]),
            variable_debt_token=_address(words[10]),
            stable_debt_token=_address(words[9]),
            grace_until=decode_uint(self.ask[self.grace]),
            source=decode_address(self.ask[self.source]),
            feed_form=FeedForm.SILENT,
        )
        return reserve, decode_indices(words)


def _address(word: int) -> Address:
    return Address((word & (1 << 160) - 1).to_bytes(20, "big"))

"""The read plan of a whole Comet, from its own address. (What moves each block: `moving_reads`.)

Everything read here is a constant of the Comet's code: it changes only when the proxy is upgraded.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.chain import Address, CallResult, ContractCall, ReadPlan
from app.domain.market import Deployment
from app.errors import Refused
from app.protocols.abi import decode_address, decode_text, decode_uint, decode_words, uint_word
from app.protocols.compound_v3 import calls
from app.protocols.compound_v3.currency import UNKNOWN_CURRENCY, price_currency
from app.protocols.compound_v3.moving_reads import read_moving
from app.protocols.compound_v3.raw import (
    MAX_COLLATERALS,
    Base,
    BaseTerms,
    Collateral,
    Curve,
    Curves,
    Raw,
    Terms,
)
from app.protocols.rounds import describe

_MAX_DECIMALS = 18
"""A scale is a power of ten that fits 64 bits."""
_SCALES = {10**places: places for places in range(_MAX_DECIMALS + 1)}


def read_raw(deployment: Deployment, previous: Raw | None = None) -> ReadPlan[Raw]:
    """The whole deployment.

    With `previous`, what does not answer keeps its place while its numbers become None.

    Raises:
        Refused: the contract does not answer as a Comet and there is no earlier state to keep its assets from.
    """
    comet = deployment.address
    roots = (calls.BASE_TOKEN, calls.BASE_PRICE_FEED, calls.BASE_SCALE, calls.NUM_ASSETS, *calls.CURVES)
    token, feed, scale, count, *curves = yield [ContractCall(comet, view) for view in roots]
    base = _base(deployment, (token, feed, scale), previous)
    number = decode_uint(count)
    if number is None and previous is None:
        raise Refused(_fault(deployment, "the number of its collaterals", count))
    known = previous.collaterals if previous is not None else ()
    wanted = min(len(known) if number is None else number, MAX_COLLATERALS)
    questions = [ContractCall(comet, calls.GET_ASSET_INFO + uint_word(index)) for index in range(wanted)]
    infos = (yield questions) if questions else ()
    collaterals = _collaterals(deployment, infos, known if previous is not None else None)
    base, collaterals, description = yield from _described(base, collaterals)
    raw = Raw(base, collaterals, _curves(curves), UNKNOWN_CURRENCY, None, {})
    raw = yield from read_moving(comet, raw)
    currency = price_currency(description, base.symbol, raw.prices[base.code])
    if description is None and previous is not None:
        currency = previous.currency
    return Raw(raw.base, raw.collaterals, raw.curves, currency, raw.totals, raw.prices)


def _base(deployment: Deployment, answers: Sequence[CallResult], previous: Raw | None) -> Base:
    """The base asset, its symbol still to be asked for when it is new (then empty)."""
    asset, feed, scale = decode_address(answers[0]), decode_address(answers[1]), decode_uint(answers[2])
    decimals = None if scale is None else _SCALES.get(scale)
    if asset is None or feed is None or scale is None or decimals is None:
        if previous is not None:
            old = previous.base
            return Base(old.asset, old.code, old.symbol, old.decimals, None)
        roles = ("its base token", "its base price feed", "its base scale")
        role, answer = next(
            (role, answer)
            for role, answer, value in zip(roles, answers, (asset, feed, decimals), strict=True)
            if value is None
        )
        raise Refused(_fault(deployment, role, answer))
    same = previous is not None and previous.base.asset == asset
    symbol = previous.base.symbol if same and previous is not None else ""
    return Base(asset, str(asset), symbol, decimals, BaseTerms(feed, scale))


def _collaterals(
    deployment: Deployment, answers: Sequence[CallResult], known: tuple[Collateral, ...] | None
) -> tuple[Collateral, ...]:
    """In the Comet's order, up to the first new one that does not answer: places are what flags count by."""
    found: list[Collateral] = []
    old_symbols = {one.code: one.symbol for one in known or ()}
    for index, answer in enumerate(answers):
        collateral = _collateral(answer, old_symbols)
        if collateral is None:
            if known is None:
                raise Refused(_fault(deployment, f"its collateral {index}", answer))
            if index >= len(known):
                break
            old = known[index]
            collateral = Collateral(old.asset, old.code, old.symbol, old.decimals, None)
        found.append(collateral)
    return tuple(found)


def _collateral(answer: CallResult, symbols: dict[str, str]) -> Collateral | None:
    words = decode_words(answer, 8)
    if words is None or words[1] >> 160 or words[2] >> 160 or words[3] not in _SCALES:
        return None
    asset, feed = (Address(word.to_bytes(20, "big")) for word in words[1:3])
    code = str(asset)
    return Collateral(asset, code, symbols.get(code, ""), _SCALES[words[3]], Terms(feed, *words[3:]))


def _described(
    base: Base, collaterals: tuple[Collateral, ...]
) -> ReadPlan[tuple[Base, tuple[Collateral, ...], str | None]]:
    """Both with the symbols of assets seen for the first time, and what the base asset's feed says of itself."""
    assets: tuple[Base | Collateral, ...] = (base, *collaterals)
    new = [one for one in assets if not one.symbol]
    questions = [ContractCall(one.asset, calls.SYMBOL) for one in new]
    if base.terms is not None:
        questions.append(ContractCall(base.terms.feed, calls.DESCRIPTION))
    if not questions:
        return base, collaterals, None
    answers = yield questions
    symbols = {one.code: (decode_text(answer) or one.code[:10])[:32] for one, answer in zip(new, answers, strict=False)}
    named = Base(base.asset, base.code, symbols.get(base.code, base.symbol), base.decimals, base.terms)
    all_named = tuple(
        Collateral(one.asset, one.code, symbols.get(one.code, one.symbol), one.decimals, one.terms)
        for one in collaterals
    )
    return named, all_named, decode_text(answers[-1]) if base.terms is not None else None


def _curves(answers: Sequence[CallResult]) -> Curves | None:
    values = [value for answer in answers if (value := decode_uint(answer)) is not None]
    return Curves(Curve(*values[:4]), Curve(*values[4:])) if len(values) == len(calls.CURVES) else None


def _fault(deployment: Deployment, role: str, answer: CallResult) -> str:
    return f"deployment {deployment.id}: comet {deployment.address}, asked for {role}, {describe(answer)}"

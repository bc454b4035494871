"""Reading the efficiency modes, in whichever of the two models the pool answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from app.domain.chain import Address, CallResult, Returned
from app.protocols.aave_v3 import calls
from app.protocols.aave_v3.raw import EMode
from app.protocols.abi import decode_uint, decode_words, uint_word
from app.protocols.rounds import Round

CATEGORIES = range(1, 256)

_UNREAD = EMode(None, None, None)


@dataclass(frozen=True, slots=True)
class EModeModel:
    """Which eMode views the pool has."""

    bitmaps: bool
    """Categories name their assets (3.2 and later); otherwise assets name their category."""
    ltv_zero: bool
    isolation: bool


class ModelProbe:
    """Finds out the model by asking for category 1."""

    def __init__(self, ask: Round, pool: Address) -> None:
        self._ask = ask
        one = uint_word(1)
        self._bitmap = ask.ask(pool, calls.GET_EMODE_COLLATERAL_BITMAP + one)
        self._ltv_zero = ask.ask(pool, calls.GET_EMODE_LTV_ZERO_BITMAP + one)
        self._isolated = ask.ask(pool, calls.GET_EMODE_ISOLATED + one)

    def model(self) -> EModeModel:
        """What answered. Call after the round was answered."""
        return EModeModel(
            bitmaps=decode_uint(self._ask[self._bitmap]) is not None,
            ltv_zero=decode_uint(self._ask[self._ltv_zero]) is not None,
            isolation=decode_uint(self._ask[self._isolated]) is not None,
        )


class CategoryScan:
    """Asks for every category there can be."""

    def __init__(self, ask: Round, pool: Address, model: EModeModel) -> None:
        self._ask = ask
        self._model = model
        view = calls.GET_EMODE_COLLATERAL_CONFIG if model.bitmaps else calls.GET_EMODE_CATEGORY_DATA
        self._tickets = {number: ask.ask(pool, view + uint_word(number)) for number in CATEGORIES}

    def categories(self) -> dict[int, EMode]:
        """Those in use and those unread, still without bitmaps. Call after the round was answered."""
        decode = _decode_config if self._model.bitmaps else _decode_category
        found = {number: decode(self._ask[ticket]) for number, ticket in self._tickets.items()}
        return {number: emode for number, emode in found.items() if emode.threshold_bps != 0}


class BitmapScan:
    """Asks for the bitmaps of the categories found."""

    def __init__(self, ask: Round, pool: Address, model: EModeModel, categories: Mapping[int, EMode]) -> None:
        self._ask = ask
        self._categories = categories
        self._tickets: dict[int, tuple[int, int | None, int | None]] = {}
        if not model.bitmaps:
            return
        for number in categories:
            word = uint_word(number)
            self._tickets[number] = (
                ask.ask(pool, calls.GET_EMODE_COLLATERAL_BITMAP + word),
                ask.ask(pool, calls.GET_EMODE_LTV_ZERO_BITMAP + word) if model.ltv_zero else None,
                ask.ask(pool, calls.GET_EMODE_ISOLATED + word) if model.isolation else None,
            )

    def emodes(self) -> dict[int, EMode]:
        """The categories, complete. Call after the round was answered."""
        emodes = dict(self._categories)
        for number, (bitmap, ltv_zero, isolated) in self._tickets.items():
            flag = self._uint(isolated)
            emodes[number] = replace(
                emodes[number],
                collateral_bitmap=self._uint(bitmap),
                ltv_zero_bitmap=self._uint(ltv_zero),
                isolated=None if flag is None else bool(flag),
            )
        return emodes

    def _uint(self, ticket: int | None) -> int | None:
        return None if ticket is None else decode_uint(self._ask[ticket])


def _decode_config(result: CallResult) -> EMode:
    words = decode_words(result, 3)
    return _UNREAD if words is None else EMode(words[0], words[1], words[2])


def _decode_category(result: CallResult) -> EMode:
    """The struct of 3.0 and 3.1: ltv, threshold, bonus, price source, label (a string, hence the offset first)."""
    if type(result) is not Returned or len(result.data) < 32 * 7 or int.from_bytes(result.data[:32], "big") != 32:
        return _UNREAD
    ltv, threshold, bonus = (int.from_bytes(result.data[at : at + 32], "big") for at in (32, 64, 96))
    return EMode(ltv, threshold, bonus, price_source=Address(result.data[140:160]))

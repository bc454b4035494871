"""Read plans of a deployment: its fee recipient, markets met for the first time, and what moves each block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from app.domain.chain import ZERO_ADDRESS, Address, CallResult, ContractCall, ReadPlan
from app.domain.market import Deployment
from app.errors import Refused
from app.protocols.abi import decode_address, decode_text, decode_uint, decode_words
from app.protocols.morpho_blue import calls
from app.protocols.morpho_blue.raw import MOST_MISSES, BlueMarket, Params, Raw, Token, Totals, market_id
from app.protocols.rounds import describe

MOST_DECIMALS = 77
"""More decimals than a 256-bit number has digits are no decimals."""
_PARAMS_WORDS, _TOTALS_WORDS = 5, 6


def read_root(deployment: Deployment, previous: Raw | None = None) -> ReadPlan[Raw]:
    """The fee recipient; the markets stay those of `previous`.

    Raises:
        Refused: the contract does not answer as Morpho Blue and there is no earlier state to keep.
    """
    contract = deployment.address
    recipient, owner = yield (ContractCall(contract, calls.FEE_RECIPIENT), ContractCall(contract, calls.OWNER))
    found = decode_address(recipient)
    if previous is not None:
        return replace(previous, fee_recipient=found or previous.fee_recipient)
    if found is None or decode_address(owner) is None:
        failed = recipient if found is None else owner
        role = "fee recipient" if found is None else "owner"
        raise Refused(f"deployment {deployment.id}: contract {contract}, asked for its {role}, {describe(failed)}")
    return Raw(found, {})


def read_markets(contract: Address, raw: Raw, wanted: Sequence[str]) -> ReadPlan[Raw]:
    """The state with the markets of these ids besides: two rounds, none without ids.

    Ids the contract knows no market for, or does not answer about, are left out.
    """
    if not wanted:
        return raw
    ids = {unit: found for unit in wanted if (found := market_id(unit)) is not None}
    answers = yield [ContractCall(contract, calls.ID_TO_MARKET_PARAMS + found) for found in ids.values()]
    params = {
        unit: decoded
        for unit, answer in zip(ids, answers, strict=True)
        if (decoded := _decode_params(decode_words(answer, _PARAMS_WORDS))) is not None
    }
    tokens = yield from read_tokens(t for p in params.values() for t in (p.loan_token, p.collateral_token))
    markets = {
        unit: BlueMarket(unit, p, tokens[p.loan_token], tokens[p.collateral_token]) for unit, p in params.items()
    }
    return replace(raw, markets=dict(sorted({**raw.markets, **markets}.items())))


def read_tokens(addresses: Iterable[Address]) -> ReadPlan[dict[Address, Token]]:
    """What tokens say of themselves: one round, none without tokens."""
    wanted = list(dict.fromkeys(addresses))
    if not wanted:
        return {}
    answers = yield [ContractCall(token, data) for token in wanted for data in (calls.SYMBOL, calls.DECIMALS)]
    tokens = {}
    for token, symbol, decimals in zip(wanted, answers[::2], answers[1::2], strict=True):
        number = decode_uint(decimals)
        known = number if number is not None and number <= MOST_DECIMALS else None
        tokens[token] = Token((decode_text(symbol) or str(token)[:10])[:32], known)
    return tokens


def read_moving(contract: Address, raw: Raw, *, full: bool) -> ReadPlan[Raw]:
    """Totals, rates and prices at the driven block.

    A market's model is asked with the very totals it would be given by the contract at this block. They are guessed
    to be the last known ones, so that a block in which nobody acts is one round; where they were not, or somebody
    has begun to borrow, a second round asks again. Of a market nobody borrows in only the totals are read. An oracle
    that has been silent for long is asked with `full`, and when its market's totals have moved: whoever borrows,
    takes out collateral or liquidates has had a price.
    """
    if not raw.markets:
        return raw
    first = _Questions(contract)
    for market in raw.markets.values():
        first.totals(market)
        first.rate_and_price(market, ask_price=False)
    for market in raw.markets.values():  # what anybody may have written comes last: it can spoil only what follows
        first.rate_and_price(market, ask_rate=False, ask_price=full or not market.is_silent)
    first.answer((yield first.calls))
    found = {unit: first.decode(market) for unit, market in raw.markets.items()}

    second = _Questions(contract)
    for unit, market in found.items():
        moved = market.totals != raw.markets[unit].totals
        second.rate_and_price(market, ask_rate=moved, ask_price=moved and not first.asked_price(market))
    if second.calls:
        second.answer((yield second.calls))
        found = {unit: second.decode(market) for unit, market in found.items()}
    counted = {
        unit: _counted(market) if first.asked_price(market) or second.asked_price(market) else market
        for unit, market in found.items()
    }
    return replace(raw, markets=counted)


def _counted(market: BlueMarket) -> BlueMarket:
    """The market with this answer of its oracle, or the lack of one, counted."""
    if not market.wants_price:
        return market
    return replace(market, misses=min(market.misses + 1, MOST_MISSES) if market.price is None else 0)


def within_bounds(before: Raw, raw: Raw, most: int) -> Raw:
    """The state after `before` with no more markets than `most`: the least active ones are dropped."""
    if len(raw.markets) <= most:
        return raw
    kept = set(sorted(raw.markets, key=lambda unit: raw.markets[unit].activity, reverse=True)[:most])
    return replace(
        raw,
        markets={unit: market for unit, market in raw.markets.items() if unit in kept},
        dropped=tuple(unit for unit in before.markets if unit not in kept),
    )


class _Questions:
    """One round of questions about markets; `decode` puts into a market what was asked about it."""

    def __init__(self, contract: Address) -> None:
        self.calls: list[ContractCall] = []
        self._contract = contract
        self._tickets: dict[tuple[str, str], int] = {}
        self._results: Sequence[CallResult] = ()

    def totals(self, market: BlueMarket) -> None:
        found = market_id(market.id)
        assert found is not None
        self._ask(market, "totals", ContractCall(self._contract, calls.MARKET + found))

    def rate_and_price(self, market: BlueMarket, *, ask_rate: bool = True, ask_price: bool = True) -> None:
        """The rate for the totals the market has, if they bear interest; the price, if anybody owes anything."""
        if ask_rate and market.bears_interest and market.totals is not None:
            data = calls.BORROW_RATE_VIEW + market.params.words() + market.totals.words()
            self._ask(market, "rate", ContractCall(market.params.irm, data))
        if ask_price and market.wants_price:
            self._ask(market, "price", ContractCall(market.params.oracle, calls.PRICE))

    def asked_price(self, market: BlueMarket) -> bool:
        return (market.id, "price") in self._tickets

    def answer(self, results: Sequence[CallResult]) -> None:
        self._results = results

    def decode(self, market: BlueMarket) -> BlueMarket:
        """The market with its answers. A rate and a price nobody needs any more are None again.

        A rate for totals that turned out to be others stands until the second round, which asks again.
        """
        totals, rate, price = market.totals, market.rate_wad, market.price
        if (answer := self._result(market, "totals")) is not None:
            words = decode_words(answer, _TOTALS_WORDS)
            totals, rate, price = None if words is None else Totals(*words), None, None
        after = replace(market, totals=totals)
        if (answer := self._result(market, "rate")) is not None:
            rate = decode_uint(answer)
        if (answer := self._result(market, "price")) is not None:
            price = decode_uint(answer)
        return replace(
            after, rate_wad=rate if after.bears_interest else None, price=price if after.wants_price else None
        )

    def _ask(self, market: BlueMarket, what: str, call: ContractCall) -> None:
        self._tickets[market.id, what] = len(self.calls)
        self.calls.append(call)

    def _result(self, market: BlueMarket, what: str) -> CallResult | None:
        ticket = self._tickets.get((market.id, what))
        return None if ticket is None else self._results[ticket]


def retold(markets: Mapping[str, BlueMarket], tokens: Mapping[Address, Token]) -> dict[str, BlueMarket]:
    """The markets with what these tokens say of themselves."""
    return {
        unit: replace(
            market,
            loan=tokens.get(market.params.loan_token, market.loan),
            collateral=tokens.get(market.params.collateral_token, market.collateral),
        )
        for unit, market in markets.items()
    }


def silent_tokens(raw: Raw) -> list[Address]:
    """Tokens that did not state their decimals when they were asked."""
    return [
        address
        for market in raw.markets.values()
        for address, token in (
            (market.params.loan_token, market.loan),
            (market.params.collateral_token, market.collateral),
        )
        if token.decimals is None
    ]


def _decode_params(words: tuple[int, ...] | None) -> Params | None:
    """None also for the all-zero answer about an id that no market has."""
    if words is None or any(word >> 160 for word in words[:4]):
        return None
    loan, collateral, oracle, irm = (Address(word.to_bytes(20, "big")) for word in words[:4])
    return None if loan == collateral == oracle == ZERO_ADDRESS else Params(loan, collateral, oracle, irm, words[4])

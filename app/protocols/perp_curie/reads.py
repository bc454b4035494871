"""Read plans of what changes only by events: the contracts, the terms, and what markets and collaterals are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.domain.chain import Address, CallResult, ContractCall, ReadPlan
from app.domain.market import Deployment
from app.errors import Refused
from app.protocols.abi import address_word, decode_address, decode_text, decode_uint, decode_words
from app.protocols.perp_curie import calls
from app.protocols.perp_curie.decoding import decode_addresses, decode_flag
from app.protocols.perp_curie.raw import (
    RATIO,
    VALUE_DECIMALS,
    Collateral,
    PerpMarket,
    Raw,
    Roots,
    Settlement,
    Status,
    Terms,
)
from app.protocols.rounds import describe

_OF_CLEARING_HOUSE = (
    calls.GET_ACCOUNT_BALANCE,
    calls.GET_VAULT,
    calls.GET_EXCHANGE,
    calls.GET_ORDER_BOOK,
    calls.GET_INSURANCE_FUND,
    calls.GET_CLEARING_HOUSE_CONFIG,
)
_OF_CONFIG = (
    calls.GET_MM_RATIO,
    calls.GET_IM_RATIO,
    calls.GET_LIQUIDATION_PENALTY_RATIO,
    calls.GET_MAX_FUNDING_RATE,
    calls.GET_TWAP_INTERVAL,
)
_OF_BASE_TOKEN = (
    calls.SYMBOL,
    calls.IS_OPEN,
    calls.IS_PAUSED,
    calls.IS_CLOSED,
    calls.GET_PAUSED_INDEX_PRICE,
    calls.GET_CLOSED_PRICE,
)
_CONFIG_WORDS = 4
_MOST_DECIMALS = 77
_LISTED_BASE = "base_token_"


def listed_bases(deployment: Deployment) -> tuple[Address, ...]:
    """Base tokens the deployment names by itself, as contracts of the role `base_token_<symbol>`."""
    return tuple(found for role, found in deployment.contracts.items() if role.startswith(_LISTED_BASE))


def read_roots(deployment: Deployment) -> ReadPlan[Raw]:
    """The contracts behind the clearing house and the settlement token; nothing else yet.

    Raises:
        Refused: they do not answer as Curie's.
    """
    house = deployment.address
    answers = yield [ContractCall(house, view) for view in _OF_CLEARING_HOUSE]
    first = [_root(deployment, house, answer) for answer in answers]
    vault = first[1]
    manager, token, decimals = yield (
        ContractCall(vault, calls.GET_COLLATERAL_MANAGER),
        ContractCall(vault, calls.GET_SETTLEMENT_TOKEN),
        ContractCall(vault, calls.DECIMALS),
    )
    roots = Roots(*[*first, _root(deployment, vault, manager)])
    asset, number = _root(deployment, vault, token), decode_uint(decimals)
    if number is None or number > VALUE_DECIMALS:
        raise Refused(f"deployment {deployment.id}: vault {vault}, asked for its decimals, {describe(decimals)}")
    (symbol,) = yield (ContractCall(asset, calls.SYMBOL),)
    return Raw(roots, Settlement(asset, str(asset), _symbol(symbol, asset), number), None)


def read_configuration(house: Address, raw: Raw) -> ReadPlan[Raw]:
    """Terms, and every known market and collateral once more: one round. What does not answer becomes None."""
    roots = raw.roots
    questions = [ContractCall(roots.config, view) for view in _OF_CONFIG]
    questions.append(ContractCall(house, calls.PAUSED))
    *ratios, paused = yield questions
    values = [value for answer in (*ratios, paused) if (value := decode_uint(answer)) is not None]
    terms = Terms(*values) if len(values) == len(Terms._fields) else None
    bases, tokens = (market.base for market in raw.markets.values()), (one.asset for one in raw.collaterals.values())
    return (yield from read_listings(replace(raw, terms=terms), bases, tokens))


def read_entered(raw: Raw, wallets: Sequence[Address]) -> ReadPlan[tuple[Raw, dict[str, list[Address]]]]:
    """`raw` with the markets and collaterals these wallets are in, and by market who of them is in it."""
    if not wallets:
        return raw, {}
    questions = []
    for wallet in wallets:
        questions.append(ContractCall(raw.roots.account_balance, calls.GET_BASE_TOKENS + address_word(wallet)))
        questions.append(ContractCall(raw.roots.vault, calls.GET_COLLATERAL_TOKENS + address_word(wallet)))
    answers = yield questions
    holders: dict[str, list[Address]] = {}
    bases: dict[Address, None] = {}
    tokens: dict[Address, None] = {}
    for number, wallet in enumerate(wallets):
        for base in decode_addresses(answers[2 * number]) or ():
            bases[base] = None
            holders.setdefault(str(base), []).append(wallet)
        tokens |= dict.fromkeys(decode_addresses(answers[2 * number + 1]) or ())
    new_bases = [base for base in bases if str(base) not in raw.markets]
    new_tokens = [token for token in tokens if str(token) not in raw.collaterals]
    return (yield from read_listings(raw, new_bases, new_tokens)), holders


def read_listings(raw: Raw, bases: Iterable[Address], tokens: Iterable[Address]) -> ReadPlan[Raw]:
    """`raw` with these markets and collaterals as they say of themselves: one round, none without any."""
    bases, tokens = list(bases), list(tokens)
    manager, width = raw.roots.collateral_manager, len(_OF_BASE_TOKEN)
    questions = [ContractCall(base, view) for base in bases for view in _OF_BASE_TOKEN]
    for token in tokens:
        word = address_word(token)
        questions += [ContractCall(token, calls.SYMBOL), ContractCall(token, calls.DECIMALS)]
        questions += [ContractCall(manager, view + word) for view in _OF_COLLATERAL]
    if not questions:
        return raw
    answers = yield questions
    markets, collaterals = dict(raw.markets), dict(raw.collaterals)
    for number, base in enumerate(bases):
        found = _market(base, answers[width * number : width * (number + 1)], markets.get(str(base)))
        markets[found.code] = found
    at = width * len(bases)
    for number, token in enumerate(tokens):
        one = _collateral(token, answers[at + 4 * number : at + 4 * (number + 1)], collaterals.get(str(token)))
        collaterals[one.code] = one
    return replace(raw, markets=dict(sorted(markets.items())), collaterals=dict(sorted(collaterals.items())))


_OF_COLLATERAL = (calls.GET_COLLATERAL_CONFIG, calls.GET_PRICE_FEED_DECIMALS)


def _market(base: Address, answers: Sequence[CallResult], before: PerpMarket | None) -> PerpMarket:
    """The market with its status; what moves is kept to be read again."""
    symbol, *flags, paused_price, closed_price = answers
    status = _status([decode_flag(flag) for flag in flags])
    fixed = None
    if status is Status.PAUSED:
        fixed = decode_uint(paused_price)
    elif status is Status.CLOSED:
        fixed = decode_uint(closed_price)
    if before is None:
        return PerpMarket(base, str(base), _symbol(symbol, base), status, fixed)
    return replace(before, symbol=decode_text(symbol) or before.symbol, status=status, fixed_price=fixed)


def _status(flags: list[bool | None]) -> Status | None:
    """Exactly one of open, paused and closed has to be true."""
    return Status(flags.index(True)) if None not in flags and flags.count(True) == 1 else None


def _collateral(token: Address, answers: Sequence[CallResult], before: Collateral | None) -> Collateral:
    symbol, decimals, config, feed_decimals = answers
    words, places, of_feed = decode_words(config, _CONFIG_WORDS), decode_uint(decimals), decode_uint(feed_decimals)
    name = _symbol(symbol, token) if before is None else decode_text(symbol) or before.symbol
    return Collateral(
        token,
        str(token),
        name[:32],
        places if places is not None and places <= _MOST_DECIMALS else None,
        of_feed if of_feed is not None and of_feed <= VALUE_DECIMALS else None,
        words[1] if words is not None and words[1] <= RATIO else None,
        None if before is None else before.price,
    )


def _symbol(answer: CallResult, token: Address) -> str:
    return (decode_text(answer) or str(token)[:10])[:32]


def _root(deployment: Deployment, asked: Address, answer: CallResult) -> Address:
    found = decode_address(answer)
    if found is None:
        raise Refused(
            f"deployment {deployment.id}: contract {asked}, asked for a contract it names, {describe(answer)}"
        )
    return found

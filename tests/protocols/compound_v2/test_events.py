from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.account import AccountKey
from app.domain.chain import ZERO_ADDRESS, Address, Hash32, Log
from app.domain.market import Deployment
from app.protocols.abi import address_word, uint_word
from app.protocols.base import AccountTouched, ConfigurationTouched, RulesTouched, Touch
from app.protocols.compound_v2.events import CONFIGURATION_TOPICS, RULES_TOPICS, Watched
from tests.protocols.compound_v2.builders import COMPTROLLER, CONTROLLER, DEPLOYMENT, ETH, USD, make_raw

DATA = Path(__file__).parents[2] / "data" / "mainnet_receipts_compound_v2.jsonl"
ACCRUALS = (
    "0x4dec04e750ca11537cabcd8a9eab06494de08da3735bc8871cd41250e190bc04",
    "0x875352fb3fadeb8c0be7cbbe8ff761b308fa7033470cd0287f02f3436fd76cb9",
)
"""AccrueInterest of today's and of the oldest cTokens: whoever emits one is a cToken."""
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
DEBTOR_WORD = {
    "0x13ed6866d4e1ee6da46f845c46d7e54120883d75c5ea9a2dacc1c4ca8984ab80": 0,  # Borrow
    "0x1a2a22cb034d26d1854bdc6666a5b91fe25efbbb5dcad3b0355478d6f5c362a1": 1,  # RepayBorrow
    "0x298637f684da70674f26509b10f07ec2fbc77a335ab1e7d6215a4b2484d8bb52": 1,  # LiquidateBorrow
}
MINT = "0x4c209b5fc8ad50758f13e2e1088ba56a560dff690a1c6fef26394f4c03821c4f"
ALICE, BOB = Address(b"\xa1" * 20), Address(b"\xb0" * 20)
WATCHED = Watched.of(DEPLOYMENT, make_raw())


def make_log(emitter: Address, topics: Sequence[str | bytes], data: bytes = b"") -> Log:
    words = tuple(Hash32.from_hex(topic) if isinstance(topic, str) else Hash32(topic) for topic in topics)
    return Log(emitter, words, data, 1, Hash32(bytes(32)), Hash32(bytes(32)), 0)


def account(wallet: Address, market: str | None = None) -> AccountTouched:
    return AccountTouched(AccountKey(DEPLOYMENT.id, wallet), market)


def receipts() -> list[dict[str, object]]:
    return [json.loads(line) for line in DATA.read_text().splitlines()]


@pytest.mark.parametrize("receipt", receipts(), ids=lambda receipt: str(receipt["case"]))
def test_everyone_a_real_transaction_affected_is_found_and_nobody_else(receipt: dict[str, object]) -> None:
    rows = receipt["logs"]
    assert isinstance(rows, list)
    tokens = sorted({row["address"] for row in rows if row["topics"][0] in ACCRUALS} | _others_of_the_family(rows))
    raw = make_raw()
    listings = tuple(replace(raw.listings[0], token=Address.from_hex(token), code=token) for token in tokens)
    comptroller = Address.from_hex("0x3d9819210A31b4961b30EF54bE2aeD79B9c9Cd3B")
    deployment = Deployment("real", 1, "compound-v2", "real", comptroller, 0)
    watched = Watched.of(deployment, replace(raw, listings=listings))
    expected: set[tuple[str, str]] = set()
    found: set[tuple[str, str]] = set()
    for row in rows:
        kind, emitter = row["topics"][0], row["address"]
        words = [row["data"][2:][at : at + 64] for at in range(0, len(row["data"]) - 2, 64)]
        if emitter in tokens:
            if kind == TRANSFER:
                named = {"0x" + topic[-40:] for topic in row["topics"][1:]} - {emitter, str(ZERO_ADDRESS)}
                expected |= {(wallet, emitter) for wallet in named}
            if kind in DEBTOR_WORD:
                expected.add(("0x" + words[DEBTOR_WORD[kind]][-40:], emitter))
            if kind == MINT:
                expected.add(("0x" + words[0][-40:], emitter))
        log = make_log(Address.from_hex(emitter), row["topics"], bytes.fromhex(row["data"][2:]))
        for touch in watched.touched(log):
            assert watched.log_filter.matches(log)
            assert isinstance(touch, AccountTouched)
            found.add((str(touch.key.wallet), str(touch.market)))
    assert expected
    assert found == expected


def _others_of_the_family(rows: Sequence[dict[str, str]]) -> set[str]:
    """The collateral market of a liquidation, when it accrues in another transaction of the block."""
    found = set()
    for row in rows:
        if DEBTOR_WORD.get(row["topics"][0]) == 1 and len(row["data"]) == 2 + 64 * 5:
            word = row["data"][2 + 64 * 3 : 2 + 64 * 4]
            if word.startswith("0" * 24) and row["topics"][0].startswith("0x2986"):
                found.add("0x" + word[-40:])
    return found


@pytest.mark.parametrize("indexed", [False, True], ids=["in the data", "as topics"])
@pytest.mark.parametrize(
    ("signature", "count", "at"),
    [(name, count, at) for name, count, at in [*((kind, 5 if at else 4, at) for kind, at in DEBTOR_WORD.items())]],
)
def test_debtors_are_found_whether_indexed_or_not(signature: str, count: int, at: int, indexed: bool) -> None:
    arguments = [address_word(BOB)] * count
    arguments[at] = address_word(ALICE)
    topics = arguments[: at + 1] if indexed else []
    log = make_log(USD.token, [signature, *topics], b"".join(arguments[len(topics) :]))
    assert WATCHED.touched(log) == (account(ALICE, USD.code),)


def transfer(emitter: Address, sender: Address, receiver: Address) -> tuple[Touch, ...]:
    return WATCHED.touched(make_log(emitter, [TRANSFER, address_word(sender), address_word(receiver)], uint_word(1)))


def test_a_transfer_touches_both_sides_but_neither_the_market_nor_nobody() -> None:
    assert transfer(ETH.token, ALICE, BOB) == (account(ALICE, ETH.code), account(BOB, ETH.code))
    assert transfer(ETH.token, ALICE, ALICE) == (account(ALICE, ETH.code),)
    assert transfer(ETH.token, ETH.token, ALICE) == (account(ALICE, ETH.code),)
    assert transfer(ETH.token, ZERO_ADDRESS, ALICE) == (account(ALICE, ETH.code),)
    assert transfer(ETH.token, ALICE, ETH.token) == (account(ALICE, ETH.code),)
    assert transfer(BOB, ALICE, BOB) == ()


@pytest.mark.parametrize("indexed", [False, True])
def test_entering_a_market_touches_the_account_in_it(indexed: bool) -> None:
    entered = "0x3ab23ab0d51cccc0c3085aec51f99228625aa1a922b3a8ca89a26b0f2027a1a5"
    words = [address_word(ETH.token), address_word(ALICE)]
    log = make_log(COMPTROLLER, [entered, *words]) if indexed else make_log(COMPTROLLER, [entered], b"".join(words))
    assert WATCHED.touched(log) == (account(ALICE, ETH.code),)
    stranger = make_log(COMPTROLLER, [entered], address_word(BOB) + address_word(ALICE))
    assert WATCHED.touched(stranger) == (ConfigurationTouched(),), "a market not listed yet: read everything"


def test_choosing_a_pool_and_minting_vai_touch_the_account() -> None:
    pool = "0x9181876220501cdac3aa7278fd34e9bd150c30a27b6ed95458fe859761b071f7"
    log = make_log(COMPTROLLER, [pool, address_word(ALICE), uint_word(2)], uint_word(1))
    assert WATCHED.touched(log) == (account(ALICE),)
    repay = "0x1db858e6f7e1a0d5e92c10c6507d42b3dabfe0a4867fe90c5a14d9963662ef7e"
    log = make_log(CONTROLLER, [repay], address_word(BOB) + address_word(ALICE) + uint_word(5))
    assert WATCHED.touched(log) == (account(ALICE),)


def test_new_markets_and_factors_touch_the_configuration_and_new_code_the_rules() -> None:
    for topic in CONFIGURATION_TOPICS:
        assert WATCHED.touched(make_log(COMPTROLLER, [topic])) == (ConfigurationTouched(),)
    for topic in RULES_TOPICS:
        assert WATCHED.touched(make_log(ETH.token, [topic])) == (ConfigurationTouched(), RulesTouched())


def test_what_does_not_have_its_events_shape_touches_everything() -> None:
    borrow = next(iter(DEBTOR_WORD))
    for data in (b"", bytes(31), bytes(32 * 5), b"\x01" + bytes(127)):
        assert WATCHED.touched(make_log(USD.token, [borrow], data)) == (ConfigurationTouched(),)


def test_the_filter_asks_for_the_known_topics_of_every_contract() -> None:
    assert set(map(str, WATCHED.log_filter.topics0)) >= {TRANSFER, *DEBTOR_WORD}
    assert WATCHED.log_filter.addresses >= {COMPTROLLER, CONTROLLER, ETH.token}

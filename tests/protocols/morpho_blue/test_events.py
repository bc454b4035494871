from __future__ import annotations

import json
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from app.domain.account import AccountKey
from app.domain.chain import ZERO_ADDRESS, Address, Hash32, Log
from app.protocols.abi import ABI_ROOT, address_word, topic, uint_word
from app.protocols.base import AccountTouched, ConfigurationTouched, Touch
from app.protocols.morpho_blue import events
from tests.protocols.morpho_blue.builders import DEPLOYMENT, make_raw, make_state, named

MARKET = Hash32(b"\x5a" * 32)
CALLER, OWNER, RECEIVER = named("caller"), named("owner"), named("receiver")
TREASURY = named("treasury")
STATE = make_state(raw=make_raw(fee_recipient=TREASURY))


def make_log(topic0: Hash32, *indexed: Address | Hash32, words: int, emitter: Address = DEPLOYMENT.address) -> Log:
    topics = [word if isinstance(word, Hash32) else Hash32(address_word(word)) for word in indexed]
    data = b"".join(map(uint_word, range(1, words + 1)))
    return Log(emitter, (topic0, *topics), data, 1, Hash32(bytes(32)), Hash32(bytes(32)), 0)


def account(wallet: Address) -> tuple[Touch, ...]:
    return (AccountTouched(AccountKey(DEPLOYMENT.id, wallet, str(MARKET))),)


LOGS = {
    "supply": make_log(events.SUPPLY, MARKET, CALLER, OWNER, words=2),
    "withdraw": make_log(events.WITHDRAW, MARKET, OWNER, RECEIVER, words=3),
    "borrow": make_log(events.BORROW, MARKET, OWNER, RECEIVER, words=3),
    "repay": make_log(events.REPAY, MARKET, CALLER, OWNER, words=2),
    "supply collateral": make_log(events.SUPPLY_COLLATERAL, MARKET, CALLER, OWNER, words=1),
    "withdraw collateral": make_log(events.WITHDRAW_COLLATERAL, MARKET, OWNER, RECEIVER, words=2),
    "liquidate": make_log(events.LIQUIDATE, MARKET, CALLER, OWNER, words=5),
}
"""As the contract emits them: which parameters are indexed is from its EventsLib."""


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
def test_an_event_touches_whom_it_is_on_behalf_of_in_the_market_it_names(log: Log) -> None:
    assert STATE.touched(log) == account(OWNER)


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
@pytest.mark.parametrize("change", [{"data": b"\x01"}, {"topics": 3}, {"padding": True}], ids=str)
def test_a_malformed_event_means_reading_everything_again(log: Log, change: dict[str, object]) -> None:
    if "data" in change:
        log = log._replace(data=log.data + b"\x01")
    elif "topics" in change:
        log = log._replace(topics=log.topics[:3])
    else:
        log = log._replace(topics=(*log.topics[:2], Hash32(b"\xff" * 32), Hash32(b"\xff" * 32)))
    assert STATE.touched(log) == (ConfigurationTouched(),)


def test_interest_touches_the_fee_recipient_only_when_it_brings_him_shares() -> None:
    with_fee = make_log(events.ACCRUE_INTEREST, MARKET, words=3)
    without = with_fee._replace(data=with_fee.data[:64] + bytes(32))
    assert STATE.touched(with_fee) == account(TREASURY)
    assert STATE.touched(without) == ()
    nobody = make_state(raw=make_raw(fee_recipient=ZERO_ADDRESS))
    assert nobody.touched(with_fee) == ()


def test_another_fee_recipient_means_reading_the_configuration_again() -> None:
    assert STATE.touched(make_log(events.SET_FEE_RECIPIENT, OWNER, words=0)) == (ConfigurationTouched(),)


def test_a_new_market_concerns_nobody_and_is_not_asked_for() -> None:
    created = topic("CreateMarket(bytes32,(address,address,address,address,uint256))")
    assert str(created) == "0xac4b2400f169220b0c0afdde7a0b32e775ba727ea1cb30b35f935cdaab8683ac"
    assert created not in STATE.log_filter().topics0
    assert STATE.log_filter().addresses == {DEPLOYMENT.address}


def test_topics_are_those_of_the_deployed_contract() -> None:
    assert {str(found)[:10] for found in events.ALL_TOPICS} == {
        "0xedf88704",
        "0xa56fc0ad",
        "0x57095454",
        "0x52acb05c",
        "0xa3b9472a",
        "0xe80ebd7c",
        "0xa4946ede",
        "0x9d9bd501",
        "0x2e979f80",
    }


DATA = Path(__file__).parents[2] / "data" / "mainnet_receipts_morpho_blue.jsonl"
REAL = {
    1: "0xbbbbbbbbbb9cc5e90e3b3af64bdaf62c37eeffcb",
    8453: "0xbbbbbbbbbb9cc5e90e3b3af64bdaf62c37eeffcb",
    42161: "0x6c247b1f6182318877311737bac0844baa518f5e",
}
"""The contract by chain."""
DIRECT = {"morpho_blue_supply_collateral_and_borrow_via_bundler", "morpho_blue_arbitrum_withdrawal"}
"""Cases in which the transaction's sender is the account (elsewhere a vault is, or a smart wallet somebody relays
for): in the first another contract calls for him."""


def receipts() -> list[dict[str, object]]:
    return [json.loads(line) for line in DATA.read_text().splitlines()]


def owner_places() -> dict[str, int]:
    """Which topic names the account, by topic0, as the ABI says: `onBehalf`, or the `borrower` of a liquidation."""
    places = {}
    for entry in json.loads((ABI_ROOT / "morpho_blue/morpho.json").read_text()):
        indexed = [argument["name"] for argument in entry["inputs"] if argument.get("indexed")]
        for place, name in enumerate(indexed, 1):
            if name in ("onBehalf", "borrower"):
                types = ",".join(argument["type"] for argument in entry["inputs"])
                places["0x" + keccak(text=f"{entry['name']}({types})").hex()] = place
    return places


@pytest.mark.parametrize("receipt", receipts(), ids=lambda receipt: str(receipt["case"]))
def test_everyone_a_real_transaction_affected_is_found_and_nobody_else(receipt: dict[str, object]) -> None:
    chain_id, rows = receipt["chain_id"], receipt["logs"]
    assert isinstance(chain_id, int)
    assert isinstance(rows, list)
    contract = Address.from_hex(REAL[chain_id])
    watched = events.Watched("real", contract, TREASURY)
    places = owner_places()
    assert len(places) == 7
    expected, found = set(), set()
    for row in rows:
        topics = [Hash32.from_hex(topic) for topic in row["topics"]]
        if row["address"] == str(contract) and str(topics[0]) in places:
            expected.add((str(topics[1]), "0x" + str(topics[places[str(topics[0])]])[-40:]))
        data, zero = bytes.fromhex(row["data"][2:]), Hash32(bytes(32))
        log = Log(Address.from_hex(row["address"]), tuple(topics), data, 1, zero, zero, 0)
        for touch in watched.touched(log):
            assert watched.log_filter.matches(log)
            assert isinstance(touch, AccountTouched)
            if touch.key.wallet != TREASURY:
                found.add((touch.key.unit, str(touch.key.wallet)))
    assert found == expected
    assert found
    if receipt["case"] in DIRECT:
        assert {wallet for _, wallet in found} == {receipt["sender"]}


def test_logs_of_one_account_give_one_object() -> None:
    assert STATE.touched(LOGS["supply"]) is STATE.touched(LOGS["borrow"])
    assert STATE.touched(LOGS["supply"]) == account(OWNER)

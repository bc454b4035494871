from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.account import AccountKey
from app.domain.chain import ZERO_ADDRESS, Address, Hash32, Log
from app.protocols.abi import address_word, uint_word
from app.protocols.base import AccountTouched, ConfigurationTouched, RulesTouched, Touch
from app.protocols.compound_v3 import events
from app.protocols.compound_v3.events import Watched
from tests.protocols.compound_v3.builders import BASE, COMET, DEPLOYMENT, WALLET, WETH, make_state

RECEIPTS = Path(__file__).parents[2] / "data" / "mainnet_receipts_compound_v3.jsonl"
PAYER, OTHER = Address(b"\xaa" * 20), Address(b"\xbb" * 20)
ONE, TWO = uint_word(5), uint_word(5) * 2


def make_log(kind: Hash32, *words: Address, data: bytes = ONE, address: Address = COMET) -> Log:
    topics = (kind, *(Hash32(address_word(word)) for word in words))
    return Log(address, topics, data, 1, Hash32(bytes(32)), Hash32(bytes(32)), 0)


def touch(wallet: Address, market: str) -> AccountTouched:
    return AccountTouched(AccountKey(DEPLOYMENT.id, wallet), market)


@pytest.mark.parametrize(
    ("log", "touches"),
    [
        (make_log(events.SUPPLY, PAYER, WALLET), (touch(WALLET, BASE),)),
        (make_log(events.WITHDRAW, WALLET, PAYER), (touch(WALLET, BASE),)),
        (make_log(events.TRANSFER, WALLET, ZERO_ADDRESS), (touch(WALLET, BASE),)),
        (make_log(events.TRANSFER, ZERO_ADDRESS, WALLET), (touch(WALLET, BASE),)),
        (make_log(events.TRANSFER, OTHER, WALLET), (touch(OTHER, BASE), touch(WALLET, BASE))),
        (make_log(events.SUPPLY_COLLATERAL, PAYER, WALLET, WETH.asset), (touch(WALLET, WETH.code),)),
        (make_log(events.WITHDRAW_COLLATERAL, WALLET, PAYER, WETH.asset), (touch(WALLET, WETH.code),)),
        (
            make_log(events.TRANSFER_COLLATERAL, WALLET, OTHER, WETH.asset),
            (touch(WALLET, WETH.code), touch(OTHER, WETH.code)),
        ),
        (make_log(events.TRANSFER_COLLATERAL, WALLET, WALLET, WETH.asset), (touch(WALLET, WETH.code),)),
        (make_log(events.ABSORB_DEBT, PAYER, WALLET, data=TWO), (touch(WALLET, BASE),)),
        (make_log(events.ABSORB_COLLATERAL, PAYER, WALLET, WETH.asset, data=TWO), (touch(WALLET, WETH.code),)),
    ],
)
def test_a_log_touches_the_accounts_it_changed_and_no_payer(log: Log, touches: tuple[Touch, ...]) -> None:
    state = make_state()
    assert state.log_filter().matches(log)
    assert state.touched(log) == touches


@pytest.mark.parametrize(
    "log",
    [
        make_log(events.SUPPLY, PAYER),
        make_log(events.SUPPLY, PAYER, WALLET, WETH.asset),
        make_log(events.SUPPLY, PAYER, WALLET, data=TWO),
        make_log(events.SUPPLY, PAYER, WALLET, data=b""),
        make_log(events.ABSORB_DEBT, PAYER, WALLET, data=ONE),
        make_log(events.SUPPLY_COLLATERAL, PAYER, WALLET),
    ],
)
def test_a_log_without_its_events_shape_makes_everything_be_read_again(log: Log) -> None:
    assert make_state().touched(log) == (ConfigurationTouched(),)


def test_a_topic_that_is_no_address_makes_everything_be_read_again() -> None:
    log = make_log(events.WITHDRAW, WALLET, PAYER)
    garbled = log._replace(topics=(log.topics[0], Hash32(b"\x01" * 32), log.topics[2]))
    assert make_state().touched(garbled) == (ConfigurationTouched(),)


def test_new_code_brings_new_constants_and_perhaps_new_rules() -> None:
    log = make_log(events.UPGRADED, OTHER, data=b"")
    assert make_state().touched(log) == (ConfigurationTouched(), RulesTouched())


def test_a_collateral_listed_since_still_touches_its_holder() -> None:
    log = make_log(events.SUPPLY_COLLATERAL, PAYER, WALLET, OTHER)
    assert make_state().touched(log) == (touch(WALLET, str(OTHER)),)


AFFECTED = {
    ("compound_v3_withdraw_collateral", 1): [
        ("0x274b56e812b7951b737e450a22e849860c8ada11", "0x2260fac5e5542a773aa44fbcfedf7c193bc2c599")
    ],
    ("compound_v3_withdraw", 1): [("0xd7ca0e0238e3fdab2a33646348207ab945d55df7", "base")],
    ("optimism_supply_eth_with_wrapping", 10): [("0xbf02910a77281f3c279ee45da17c3be8163b108f", "base")],
    ("polygon_pos_withdraw", 137): [("0xd350663eb2615ff8ada1db2a2c810129003142f1", "base")],
    ("base_repay", 8453): [("0xbd1eefb658c2b80c297493a0d4298b16941eff85", "base")],
    ("compound_v3_token_balances_liabilities", 1): [
        ("0x1107f797c1af4982b038eb91260b3f9a90eecee9", "base"),
        ("0xd413dcf1b80e10a8ba7cab329da7545ccc827319", "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"),
    ],
}
"""Whose principal or collateral each public transaction changed: all of them, and nobody else."""
COMETS = {
    1: "0xc3d688b66703497daa19211eedff47f25384cdc3",
    10: "0xe36a30d249f7761327fd973001a32010b521b6fd",
    137: "0xf25212e676d1f7f89cd72ffee66158f541246445",
    8453: "0xb125e6687d4313864e53df431d5425969c15eb2f",
}


def test_every_account_public_transactions_changed_is_found() -> None:
    found: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for line in RECEIPTS.read_text().splitlines():
        receipt = json.loads(line)
        watched = Watched(DEPLOYMENT.id, Address.from_hex(COMETS[receipt["chain_id"]]), "base")
        mine = found.setdefault((receipt["case"], receipt["chain_id"]), [])
        for entry in receipt["logs"]:
            topics = tuple(map(Hash32.from_hex, entry["topics"]))
            data = bytes.fromhex(entry["data"][2:])
            log = Log(Address.from_hex(entry["address"]), topics, data, 1, Hash32(bytes(32)), Hash32(bytes(32)), 0)
            touches = watched.touched(log)
            assert bool(touches) <= watched.log_filter.matches(log)
            for one in touches:
                assert isinstance(one, AccountTouched)
                mine.append((str(one.key.wallet), one.market or ""))
    assert {case: sorted(set(wallets)) for case, wallets in found.items()} == AFFECTED


def test_another_comet_is_not_this_one() -> None:
    other = replace(DEPLOYMENT, address=OTHER)
    state = replace(make_state(), deployment=other)
    assert state.touched(make_log(events.SUPPLY, PAYER, WALLET)) == ()

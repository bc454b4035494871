from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.account import AccountKey
from app.domain.chain import ZERO_ADDRESS, Address, Hash32, Log
from app.domain.market import Deployment
from app.protocols.aave_v3 import events
from app.protocols.aave_v3.events import Watched
from app.protocols.abi import address_word, uint_word
from app.protocols.base import AccountTouched, ConfigurationTouched, RulesTouched, Touch
from tests.protocols.aave_v3.builders import DEPLOYMENT, USDC, WALLET, WETH, Listed, make_raw, make_state, named

DATA = Path(__file__).parents[2] / "data"
OTHER = Address(b"\xbb" * 20)


def make_log(address: Address, *topics: bytes, data: bytes = b"") -> Log:
    return Log(address, tuple(map(Hash32, topics)), data, 1, Hash32(bytes(32)), Hash32(bytes(32)), 0)


def word(address: Address) -> bytes:
    return address_word(address)


def account(wallet: Address, market: Listed | None) -> AccountTouched:
    return AccountTouched(AccountKey(DEPLOYMENT.id, wallet), market.code if market else None)


AMOUNT = uint_word(5)
A_WETH = named("a-weth")


@pytest.mark.parametrize(
    ("log", "touches"),
    [
        (
            make_log(A_WETH, events.TRANSFER, word(WALLET), word(OTHER), data=AMOUNT),
            (account(WALLET, WETH), account(OTHER, WETH)),
        ),
        (
            make_log(named("v-usdc"), events.TRANSFER, word(ZERO_ADDRESS), word(WALLET), data=AMOUNT),
            (account(WALLET, USDC),),
        ),
        (
            make_log(A_WETH, events.TRANSFER, word(WALLET), word(ZERO_ADDRESS), data=uint_word(0)),
            (account(WALLET, WETH),),
        ),
        (make_log(A_WETH, events.TRANSFER, word(WALLET), word(WALLET), data=AMOUNT), (account(WALLET, WETH),)),
        (make_log(named("pool"), events.COLLATERAL_ENABLED, word(WETH.asset), word(WALLET)), (account(WALLET, WETH),)),
        (make_log(named("pool"), events.COLLATERAL_DISABLED, word(WETH.asset), word(WALLET)), (account(WALLET, WETH),)),
        (make_log(named("pool"), events.USER_EMODE_SET, word(WALLET), data=uint_word(1)), (account(WALLET, None),)),
    ],
)
def test_a_log_touches_the_accounts_it_changed(log: Log, touches: tuple[Touch, ...]) -> None:
    state = make_state()
    assert state.log_filter().matches(log)
    assert state.touched(log) == touches


def test_stable_debt_tokens_of_old_versions_are_watched_too() -> None:
    state = make_state(replace(WETH, stable=True), USDC)
    log = make_log(named("s-weth"), events.TRANSFER, word(ZERO_ADDRESS), word(WALLET), data=AMOUNT)
    assert state.log_filter().matches(log)
    assert state.touched(log) == (account(WALLET, WETH),)


@pytest.mark.parametrize(
    "log",
    [
        make_log(A_WETH, events.TRANSFER, word(WALLET), data=AMOUNT),
        make_log(A_WETH, events.TRANSFER, word(WALLET), word(OTHER), AMOUNT),
        make_log(A_WETH, events.TRANSFER, word(WALLET), word(OTHER)),
        make_log(A_WETH, events.TRANSFER, word(WALLET), b"\x01" * 32, data=AMOUNT),
        make_log(named("pool"), events.COLLATERAL_ENABLED, word(WETH.asset)),
        make_log(named("pool"), events.COLLATERAL_ENABLED, word(OTHER), word(WALLET)),
        make_log(named("pool"), events.COLLATERAL_ENABLED, word(WETH.asset), word(WALLET), data=AMOUNT),
        make_log(named("pool"), events.COLLATERAL_ENABLED, word(WETH.asset), b"\x01" * 32),
        make_log(named("pool"), events.USER_EMODE_SET, word(WALLET)),
        make_log(named("pool"), events.USER_EMODE_SET),
        make_log(named("pool"), events.TRANSFER, word(WALLET), word(OTHER), data=AMOUNT),
        make_log(A_WETH, events.USER_EMODE_SET, word(WALLET), data=AMOUNT),
    ],
)
def test_a_log_without_its_events_shape_makes_everything_be_read_again(log: Log) -> None:
    assert make_state().touched(log) == (ConfigurationTouched(),)


def test_every_pair_of_contract_and_topic_the_filter_lets_through_is_answered() -> None:
    state = make_state()
    for address in state.log_filter().addresses:
        for topic0 in state.log_filter().topics0:
            assert state.touched(make_log(address, topic0)), f"{address} {topic0} is asked for and then ignored"


@pytest.mark.parametrize("topic0", sorted(events.CONFIGURATOR_TOPICS))
def test_whatever_the_configurator_says_is_a_change_of_configuration(topic0: Hash32) -> None:
    assert make_state().touched(make_log(named("configurator"), topic0, AMOUNT)) == (ConfigurationTouched(),)


@pytest.mark.parametrize("address", [named("pool"), A_WETH, named("v-usdc")])
def test_new_code_of_the_pool_or_a_token_puts_the_rules_in_question(address: Address) -> None:
    log = make_log(address, events.UPGRADED, word(OTHER))
    assert make_state().touched(log) == (ConfigurationTouched(), RulesTouched())


def test_a_new_pool_or_oracle_at_the_provider_is_noticed() -> None:
    state, provider = make_state(), named("provider")
    updated = make_log(provider, events.POOL_UPDATED, word(OTHER), word(WALLET))
    assert state.touched(updated) == (ConfigurationTouched(), RulesTouched())
    for topic0 in events.PROVIDER_TOPICS - {events.POOL_UPDATED}:
        assert state.touched(make_log(provider, topic0, AMOUNT)) == (ConfigurationTouched(),)


def test_a_new_price_source_is_a_change_of_configuration() -> None:
    for topic0 in events.ORACLE_TOPICS:
        assert make_state().touched(make_log(named("oracle"), topic0, AMOUNT)) == (ConfigurationTouched(),)


def test_logs_of_others_touch_nobody() -> None:
    state = make_state()
    assert state.touched(make_log(OTHER, events.TRANSFER, word(WALLET), word(OTHER), data=AMOUNT)) == ()
    assert state.touched(make_log(A_WETH, b"\x07" * 32)) == ()
    assert state.touched(make_log(A_WETH)) == ()


def test_topics_are_those_published() -> None:
    published = {
        events.TRANSFER: "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
        events.COLLATERAL_ENABLED: "0x00058a56ea94653cdf4f152d227ace22d4c00ad99e2a43f58cb7d9e3feb295f2",
        events.COLLATERAL_DISABLED: "0x44c58d81365b66dd4b1a7f36c25aa97b8c71c361ee4937adc1a00000227db5dd",
        events.USER_EMODE_SET: "0xd728da875fc88944cbf17638bcbe4af0eedaef63becd1d1c57cc097eb4608d84",
        events.UPGRADED: "0xbc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b",
    }
    assert {topic0: str(topic0) for topic0 in published} == published


# ------------------------------------------------------------------------------- real receipts

OWNER_TOPIC = {
    "0x2b627736bca15cd5381dcf80b0bf11fd197d01a037c52b927a881a10fb73ba61": 2,  # Supply: onBehalfOf
    "0x3115d1449a7b732c986cba18244e897a450f61e1bb8d589cd2e69e6c8924f9f7": 2,  # Withdraw: user
    "0xb3d084820fb1a9decffb176436bd02558d15fac9b0ddfed8c465bc7359d7dce0": 2,  # Borrow: onBehalfOf
    "0xa534c8dbe71f871f9f3530e97a74601fea17b426cae02e1c5aee42c96c784051": 2,  # Repay: user
    "0xe413a321e8681d831f4dbccbca790d2952b56f977908e45be37335533e005286": 3,  # LiquidationCall: user
    "0x00058a56ea94653cdf4f152d227ace22d4c00ad99e2a43f58cb7d9e3feb295f2": 2,  # collateral on
    "0x44c58d81365b66dd4b1a7f36c25aa97b8c71c361ee4937adc1a00000227db5dd": 2,  # collateral off
    "0xd728da875fc88944cbf17638bcbe4af0eedaef63becd1d1c57cc097eb4608d84": 1,  # UserEModeSet
}
"""Pool events that name whose account changed, and where."""
TOKEN_OWNER_TOPICS = {
    "0x458f5fa412d0f69b08dd84872b0215675cc67bc1d5b6fd93300a1c3878b86196": (2,),  # Mint: onBehalfOf
    "0x4cf25bc1d991c17529c25213d3cc0cda295eeaad5f13f361969b12ea48015f90": (1,),  # Burn: from
    "0x4beccb90f994c31aced7a23b5611020728a23d8ec5cddd1a3e9d97b96fda8666": (1, 2),  # BalanceTransfer
}
TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
ZERO_TOPIC = "0x" + "00" * 32


def receipts() -> list[dict[str, object]]:
    return [json.loads(line) for line in (DATA / "mainnet_receipts_aave.jsonl").read_text().splitlines()]


def pools() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads((DATA / "aave_v3_tokens.json").read_text())
    return rows


def watched(pool: dict[str, object]) -> Watched:
    """The watch list of one real pool, with only the tokens that occur in the receipts."""
    address = Address.from_hex(str(pool["pool"]))
    reserves = pool["reserves"]
    assert isinstance(reserves, list)
    listed = [Listed(str(symbol).lower(), 1) for symbol, *_ in reserves]
    raw = make_raw(*listed)
    real = tuple(
        replace(
            reserve,
            asset=Address.from_hex(asset),
            code=asset,
            a_token=Address.from_hex(a_token) if a_token else reserve.a_token,
            variable_debt_token=Address.from_hex(v_token) if v_token else reserve.variable_debt_token,
        )
        for reserve, (_, asset, a_token, v_token) in zip(raw.reserves, reserves, strict=True)
    )
    raw = replace(raw, roots=replace(raw.roots, pool=address), reserves=real)
    chain_id = pool["chain_id"]
    assert isinstance(chain_id, int)
    deployment = Deployment("real", chain_id, "aave-v3", "real", address, 0, DEPLOYMENT.contracts)
    return Watched.of(deployment, raw)


def logs_of(receipt: dict[str, object]) -> list[dict[str, object]]:
    logs = receipt["logs"]
    assert isinstance(logs, list)
    return logs


def to_log(row: dict[str, object]) -> Log:
    topics = row["topics"]
    assert isinstance(topics, list)
    data = bytes.fromhex(str(row["data"])[2:])
    return make_log(Address.from_hex(str(row["address"])), *(Hash32.from_hex(topic) for topic in topics), data=data)


@pytest.mark.parametrize("pool", pools(), ids=lambda pool: f"{pool['chain_id']}-{pool['pool']}")
def test_everyone_a_real_transaction_affected_is_found_and_nobody_else(pool: dict[str, object]) -> None:
    watch = watched(pool)
    tokens = {str(token) for token in watch.tokens}
    checked = 0
    for receipt in receipts():
        if receipt["chain_id"] != pool["chain_id"]:
            continue
        owners: set[str] = set()
        parties: set[str] = set()
        found: set[str] = set()
        for row in logs_of(receipt):
            topics = row["topics"]
            assert isinstance(topics, list)
            if row["address"] == pool["pool"] and topics[0] in OWNER_TOPIC:
                owners.add(topics[OWNER_TOPIC[topics[0]]])
            if row["address"] in tokens:
                owners |= {topics[number] for number in TOKEN_OWNER_TOPICS.get(topics[0], ())}
                if topics[0] == TRANSFER_TOPIC:
                    parties |= set(topics[1:3])
            log = to_log(row)
            for touch in watch.touched(log):
                assert watch.log_filter.matches(log)
                assert isinstance(touch, AccountTouched)
                found.add("0x" + address_word(touch.key.wallet).hex())
        assert found == (owners | parties) - {ZERO_TOPIC}, receipt["case"]
        checked += len(found)
    assert checked

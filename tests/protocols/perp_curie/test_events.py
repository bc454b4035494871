"""Which logs matter, and whom they touch."""

from __future__ import annotations

import pytest

from app.domain.account import AccountKey
from app.domain.chain import ZERO_ADDRESS, Address
from app.protocols.abi import address_word, topic, uint_word
from app.protocols.base import AccountTouched, ConfigurationTouched, RulesTouched
from app.protocols.perp_curie import events
from tests.protocols.aave_v3.test_events import make_log
from tests.protocols.perp_curie.builders import (
    DEPLOYMENT,
    ETH,
    HOUSE,
    ROOTS,
    USDC,
    USDC_CODE,
    WALLET,
)
from tests.protocols.perp_curie.contracts import FakeContracts, read_state

STATE = read_state(FakeContracts())
OTHER = Address(b"\x07" * 20)
ELSEWHERE = Address(b"\x66" * 20)


def account(wallet: Address, market: str | None = None) -> AccountTouched:
    return AccountTouched(AccountKey(DEPLOYMENT.id, wallet), market)


def words(count: int) -> bytes:
    return b"".join(uint_word(number + 1) for number in range(count))


TRADER, BASE, TOKEN = address_word(WALLET), address_word(ETH.base), address_word(USDC)
FUND = account(ROOTS.insurance_fund)


@pytest.mark.parametrize(
    ("emitter", "topics", "data", "touched"),
    [
        (HOUSE, (events.POSITION_CHANGED, TRADER, BASE), words(6), (account(WALLET, ETH.code),)),
        (HOUSE, (events.LIQUIDITY_CHANGED, TRADER, BASE, address_word(OTHER)), words(6), (account(WALLET, ETH.code),)),
        (HOUSE, (events.POSITION_LIQUIDATED, TRADER, BASE), words(4), (account(WALLET, ETH.code),)),
        (HOUSE, (events.POSITION_CLOSED, TRADER, BASE), words(5), (account(WALLET, ETH.code),)),
        (HOUSE, (events.FUNDING_PAYMENT_SETTLED, TRADER, BASE), words(1), (account(WALLET, ETH.code),)),
        (HOUSE, (events.POSITION_CHANGED, TRADER, address_word(ELSEWHERE)), words(6), (account(WALLET),)),
        (ROOTS.account_balance, (events.PNL_REALIZED, TRADER), words(1), (account(WALLET),)),
        (ROOTS.vault, (events.DEPOSITED, TOKEN, TRADER), words(1), (account(WALLET, USDC_CODE),)),
        (ROOTS.vault, (events.WITHDRAWN, TOKEN, TRADER), words(1), (account(WALLET, USDC_CODE),)),
        (ROOTS.vault, (events.WITHDRAWN, TOKEN, address_word(ZERO_ADDRESS)), words(1), ()),
        (
            ROOTS.vault,
            (events.COLLATERAL_LIQUIDATED, TRADER, TOKEN, address_word(OTHER)),
            words(4),
            (account(WALLET, USDC_CODE), FUND),
        ),
        (ROOTS.vault, (events.BAD_DEBT_SETTLED, TRADER), words(1), (account(WALLET), FUND)),
        (ETH.base, (topic("StatusUpdated(uint8)"), uint_word(1)), b"", (ConfigurationTouched(),)),
        (ROOTS.config, (topic("MaxFundingRateChanged(uint24)"),), words(1), (ConfigurationTouched(),)),
        (
            ROOTS.collateral_manager,
            (topic("CollateralRatioChanged(address,uint24)"), TOKEN),
            words(1),
            (ConfigurationTouched(),),
        ),
        (ROOTS.vault, (events.UPGRADED, TRADER), b"", (ConfigurationTouched(), RulesTouched())),
    ],
)
def test_each_log_touches_whom_it_changed(
    emitter: Address, topics: tuple[bytes, ...], data: bytes, touched: tuple[object, ...]
) -> None:
    log = make_log(emitter, *topics, data=data)
    assert STATE.touched(log) == touched
    assert STATE.log_filter().matches(log)
    assert STATE.touched(make_log(ELSEWHERE, *topics, data=data)) == ()


@pytest.mark.parametrize("kind", sorted(events.SHAPES))
def test_a_log_of_another_shape_has_everything_read_again(kind: bytes) -> None:
    shape = events.SHAPES[kind]  # type: ignore[index]
    topics = [bytes(kind), *[TRADER] * (shape.topics - 1)]
    whole = make_log(HOUSE, *topics, data=words(shape.words))
    assert ConfigurationTouched() not in STATE.touched(whole)
    wallet = list(topics)
    wallet[shape.wallet] = b"\x01" + bytes(31)
    for log in (
        make_log(HOUSE, *topics, data=words(shape.words + 1)),
        make_log(HOUSE, *topics, data=words(shape.words)[:-1]),
        make_log(HOUSE, *topics, TRADER, data=words(shape.words)),
        make_log(HOUSE, *topics[:-1], data=words(shape.words)),
        make_log(HOUSE, *wallet, data=words(shape.words)),
    ):
        assert STATE.touched(log) == (ConfigurationTouched(),)


def test_topics_are_those_seen_on_chain() -> None:
    assert str(events.POSITION_CHANGED) == "0x968bc4f738eae0486dc6736c4b427dbafa4acfdf6eaf223337791ddeb3a56247"
    assert str(events.LIQUIDITY_CHANGED) == "0xcb47d8bf351d355bdd5497973533eada41777b4509f2585a62ae246336ebaa94"
    assert str(events.POSITION_LIQUIDATED) == "0xd9aced30440caca81570436bc942f816cfd95a3f08f700a2aeb6334c7cb5b497"
    assert str(events.POSITION_CLOSED) == "0x90195cdfd4796e4ab1175fced26945fa837ef5989e372fcd306856d8ad0ff23b"
    assert str(events.FUNDING_PAYMENT_SETTLED) == "0x733330d4aad1a878654bf888817b79bc6478013399be29fa3b8845c81305249e"
    assert str(events.PNL_REALIZED) == "0xebf4e69d81451d269fc4d9551b06d58bea2ed426d2c528919ce45f6070946efb"
    assert str(events.DEPOSITED) == "0x8752a472e571a816aea92eec8dae9baf628e840f4929fbcc2d155e6233ff68a7"
    assert str(events.WITHDRAWN) == "0xd1c19fbcd4551a5edfb66d43d2e337c04837afda3482b42bdf569a8fccdae5fb"
    assert str(events.COLLATERAL_LIQUIDATED) == "0xbd3320c61b99a54ed3537dce8a75020f70b61d6dd124b6aa28738d1bab9bf77d"
    assert str(events.BAD_DEBT_SETTLED) == "0x73bac9d49ae6f49cdba3f7381211c12a239898097e5dfdfefcbb904f8b669238"


def test_the_clearing_house_what_it_names_and_every_base_token_are_listened_to() -> None:
    addresses = STATE.log_filter().addresses
    assert addresses >= {HOUSE, ROOTS.vault, ROOTS.account_balance, ROOTS.config, ROOTS.collateral_manager, ETH.base}
    assert ROOTS.insurance_fund not in addresses, "its own logs change nobody's account"

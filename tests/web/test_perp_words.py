from __future__ import annotations

import pytest

from app.api.schemas.account import ReasonView
from app.web.perp_words import held, position_said
from app.web.words import band_of, verdict_of
from tests.web import builders as b
from tests.web import perp_builders as p


def test_a_card_says_what_is_held_and_which_move_ends_it() -> None:
    assert position_said(p.perp_account()) == (
        "Long 4.2000 ETH at 5.07x; liquidated if the mark price falls 8.33 % to 2,750.11 USD."
    )
    assert position_said(p.perp_account(p.btc_short())) == (
        "Short 0.050000 BTC at 1.21x; liquidated if the mark price rises 51.6 % to 91,000.00 USD."
    )


def test_of_several_positions_the_nearest_price_is_named() -> None:
    assert position_said(p.perp_account(p.eth_long(), p.btc_short())) == (
        "Long 4.2000 ETH at 5.07x, short 0.050000 BTC at 1.21x; "
        "liquidated if the mark price of ETH falls 8.33 % to 2,750.11 USD."
    )
    assert held(p.perp_account(p.eth_long(), p.btc_short(), p.eth_long(), p.eth_long())).endswith("2 more positions")
    assert held(p.perp_account(p.eth_long(), p.btc_short(), p.eth_long())).endswith("1 more position")


def test_a_position_past_the_line_says_how_it_gets_back() -> None:
    assert position_said(p.liquidatable_perp()) == (
        "Long 4.2000 ETH at 19.70x; safe again only with the mark price back above 3,050.00 USD (+1.66 %)."
    )
    assert position_said(p.drowned_perp()).startswith("Long 4.2000 ETH; safe again only")


def test_no_price_is_invented_where_no_mark_price_alone_liquidates() -> None:
    account = p.perp_account(p.eth_long(liquidation_price=None))
    assert position_said(account) == "Long 4.2000 ETH at 5.07x; no mark price alone liquidates it."
    assert position_said(p.idle_perp()) == "No position is open."


def test_the_opening_of_a_perp_wallet_says_how_far_what_is_held_and_what_would_help() -> None:
    verdict = verdict_of(b.wallet(p.perp_account()))
    assert verdict is not None
    assert verdict.text == (
        "8.33 % from liquidation if the mark price of ETH falls to 2,750.11 USD · long 4.2000 ETH at 5.07x · "
        "funding alone never gets it there · add 660.5100 USDC or close 0.51235 ETH to reach 4.00"
    )


def test_a_perp_out_of_reach_of_any_single_action_says_which_there_are() -> None:
    verdict = verdict_of(b.wallet(p.perp_account(restore=b.healthy_restore())))
    assert verdict is not None
    assert verdict.fix == "no single addition or closing reaches 1.50"


def test_a_perp_without_a_position_has_no_debt_to_speak_of() -> None:
    verdict = verdict_of(b.wallet(p.idle_perp()))
    assert verdict is not None
    assert verdict.text == "No position, so nothing to liquidate · 3,075.60 USD of margin posted"
    assert band_of(p.idle_perp()).word == "No position"
    assert band_of(b.ranked(status="no_debt", kind="perp")).word == "No position"


@pytest.mark.parametrize("account", [p.liquidatable_perp(), p.drowned_perp()])
def test_a_liquidatable_perp_is_told_with_its_own_factor(account: object) -> None:
    verdict = verdict_of(b.wallet(account))  # type: ignore[arg-type]
    assert verdict is not None
    assert verdict.far == "Liquidatable now"
    assert verdict.when in ("at health factor 0.8123", "at health factor −0.6468")
    assert verdict.soon is not None
    assert verdict.soon.startswith("safe again only with the mark price of ETH back above")


def test_a_deployment_that_is_set_aside_is_said_to_be_unreadable_now() -> None:
    reason = ReasonView(code="deployment_refused", detail="its addresses provider names another pool")
    verdict = verdict_of(b.wallet(b.unknown_account(reasons=[reason])))
    assert verdict is not None
    assert verdict.text == (
        "Unknown: Aave V3 on Ethereum cannot be read at present · its addresses provider names another pool"
    )

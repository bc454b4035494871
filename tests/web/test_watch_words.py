from __future__ import annotations

from app.api.schemas.alerts import DeliveryView, RouteView
from app.api.schemas.watchlists import RuleIn
from app.api.watch.rule_forms import rule_of, rule_view
from app.domain.rules import Known
from app.store.watch.rules import StoredRule
from app.valuation.groups import DEFAULT_GROUPS
from app.web.presets import PRESETS
from app.web.watch_words import delivery_band, route_words, rule_words

KNOWN = Known(DEFAULT_GROUPS.names, set(), {1})


def said(given: RuleIn) -> str:
    return rule_words(rule_view(StoredRule(rule_of(given, 1, KNOWN), True, 1)))


def test_every_rule_that_is_offered_is_sound_and_has_a_sentence_and_a_name_of_its_own() -> None:
    sentences = [said(preset.rule) for preset in PRESETS]
    assert len(set(sentences)) == len(PRESETS)
    assert len({preset.rule.name for preset in PRESETS}) == len({preset.code for preset in PRESETS}) == len(PRESETS)


def test_a_rule_says_its_parameters() -> None:
    risk = RuleIn.model_validate(
        {
            "name": "x",
            "metric": "debt_at_risk",
            "levels": {"warning": "0.05"},
            "group": "volatile",
            "move": "-0.2",
            "chain_id": 1,
        }
    )
    assert said(risk) == (
        "share of debt liquidatable after the move of volatile assets by -0.2 on Ethereum at or above 5 % (warning);"
        " ends past 5 %"
    )


def test_a_route_says_as_much_as_it_asks_for() -> None:
    route = RouteView(
        watchlist_id=1, channel_id=1, min_severity="info", timezone="UTC", quiet_from=None, quiet_to=None,
        quiet_override=None, repeat_seconds=None, digest_at=None,
    )  # fmt: skip
    assert route_words(route) == "everything"


def test_a_message_under_way_is_told_from_one_that_waits_and_one_that_failed() -> None:
    delivery = DeliveryView(
        id="msg_a", channel_id=1, kind="test", severity="info", state="pending", attempts=0, created_at=1,
        send_after=50, delivered_at=None, last_error=None, watchlist_id=None, episode_id=None,
    )  # fmt: skip
    assert delivery_band(delivery, 10).word == "Waits for its hour"
    assert delivery_band(delivery, 50).word == "Under way"
    assert delivery_band(delivery.model_copy(update={"attempts": 2}), 10).word == "Trying again"
    assert delivery_band(delivery.model_copy(update={"state": "dead"}), 10).word == "Given up"

from __future__ import annotations

import json
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from app.domain.watch import ChainSubject, EventKind, Metric, Severity
from app.store.watch.channels import Route
from app.store.watch.outbox import NewMessage
from app.watch.messages import body_of, messages_for
from app.watch.words import Told
from tests.watch.builders import event, route, told

ROUTES = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from(Severity)), unique_by=lambda pair: pair[0], max_size=6
).map(lambda pairs: [route(id=channel, channel_id=channel, min_severity=least) for channel, least in pairs])


def _messages(about: Told, routes: list[Route], already_told: frozenset[int] = frozenset()) -> list[NewMessage]:
    numbers = count(1)
    return messages_for(about, routes, already_told, lambda: f"msg_{next(numbers)}")


@given(
    routes=ROUTES,
    already=st.frozensets(st.integers(1, 6)),
    kind=st.sampled_from(EventKind),
    severity=st.sampled_from(Severity),
)
def test_findings_go_where_they_are_wanted_and_follow_ups_to_whom_was_told(
    routes: list[Route], already: frozenset[int], kind: EventKind, severity: Severity
) -> None:
    made = _messages(told(event=event(kind, severity)), routes, already)

    if kind in (EventKind.CLEARED, EventKind.RETRACTED):
        wanted = {one.channel_id for one in routes} & already
    else:
        wanted = {one.channel_id for one in routes if one.min_severity <= severity}
    assert {message.channel_id for message in made} == wanted
    assert len(made) == len(wanted)
    assert {message.dedup_key for message in made} == {f"70:{channel}" for channel in wanted}
    assert len({message.id for message in made}) == len(made)


def test_a_message_in_quiet_hours_waits_and_one_that_overrides_does_not() -> None:
    night = {"quiet_from_minute": 0, "quiet_to_minute": 1_439}
    routes = [
        route(channel_id=1, **night),
        route(channel_id=2, **night, quiet_override=Severity.CRITICAL),
    ]

    waits, goes = _messages(told(), routes)

    assert goes.send_after == event().at
    assert waits.send_after > goes.send_after


def test_the_body_is_exact_and_plain_json() -> None:
    body = body_of(told(label="cold", event=event(inputs={"health_factor_wad": 10**30, "unit": "x", "gone": None})))

    assert json.loads(json.dumps(body)) == {
        "type": "episode.opened",
        "timestamp": "2026-11-18T11:06:42Z",
        "data": {
            "episode": {
                "id": 7,
                "watchlist": "treasury",
                "rule": "health",
                "metric": "health_factor",
                "severity": "critical",
                "state": "open",
                "opened_at": 1_795_000_002,
            },
            "subject": {
                "kind": "account",
                "deployment_id": "aave-v3-ethereum",
                "chain_id": 1,
                "address": "0x00000000000000000000000000000000000000AB",
                "unit": "",
                "label": "cold",
            },
            "value": "1.0423",
            "level": "1.05",
            "clear_at": "1.1",
            "unit": "ratio",
            "as_of": {
                "chain_id": 1,
                "block_number": 123,
                "block_hash": "0x" + "07" * 32,
                "block_timestamp": 1_795_000_000,
            },
            "inputs": {"health_factor_wad": str(10**30), "unit": "x", "gone": None},
            "text": "cold (0x0000…00AB) on Aave V3: health factor 1.0423 is at or below 1.05 (critical)"
            " as of block 123",
        },
    }


def test_what_does_not_apply_is_null() -> None:
    blind = told(metric=Metric.BLIND, subject=ChainSubject(1), event=event(value=700, level=600, block=None))
    body = json.loads(json.dumps(body_of(blind)))

    assert body["data"]["as_of"] is None
    assert body["data"]["unit"] == "seconds"
    assert body["data"]["subject"] == {
        "kind": "chain",
        "deployment_id": None,
        "chain_id": 1,
        "address": None,
        "unit": None,
        "label": "",
    }

"""What forms of a watchlist's pages may ask for, by name: each makes one change and says where that is to be seen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import ValidationError

from app.api.frame.keys import Actor
from app.api.frame.problems import BAD_REQUEST, ApiProblem
from app.api.schemas.alerts import RouteIn
from app.api.schemas.watchlists import MemberIn, RuleIn, WatchlistPatch
from app.api.watch.desk import Desk
from app.web.presets import PRESETS

Form: TypeAlias = Mapping[str, str]

_LIST, _EDIT = "/{id}", "/{id}/edit"
_MOST_WALLETS = 500


@dataclass(frozen=True, slots=True)
class Change:
    """One kind of change."""

    make: Callable[[Desk, Actor, int, Form], Awaitable[None]]
    done: str
    """Said on the page that follows."""
    back: str = _EDIT
    """Below /watchlists; `{id}` stands for the list."""


@contextmanager
def invalid() -> Iterator[None]:
    """What a form gave that fits no field is a problem fit to be shown.

    Raises:
        ApiProblem: something did not fit.
    """
    try:
        yield
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ').lower()}"
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise ApiProblem(BAD_REQUEST, faults) from error


def _number(form: Form, name: str) -> int:
    text = form.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise ApiProblem(BAD_REQUEST, f"{name} has to be a whole number")
    return int(text)


async def _acknowledge(desk: Desk, actor: Actor, watchlist_id: int, form: Form) -> None:
    await desk.acknowledge(actor, _number(form, "episode"))


async def _replay(desk: Desk, actor: Actor, watchlist_id: int, form: Form) -> None:
    await desk.replay(actor, form.get("delivery", ""))


async def _test(desk: Desk, actor: Actor, watchlist_id: int, form: Form) -> None:
    await desk.send_test(actor, _number(form, "channel"))


async def _add(desk: Desk, actor: Actor, watchlist_id: int, form: Form) -> None:
    """One wallet a line, with its label after a comma or a space."""
    lines = [line.strip() for line in form.get("wallets", "").splitlines() if line.strip()]
    if not lines:
        raise ApiProblem(BAD_REQUEST, "give at least one wallet")
    if len(lines) > _MOST_WALLETS:
        raise ApiProblem(BAD_REQUEST, f"at most {_MOST_WALLETS} wallets at once; more can be imported as CSV")
    with invalid():
        given = [
            MemberIn.model_validate({"address": address, "label": label.strip()})
            for address, _, label in (line.replace(",", " ", 1).partition(" ") for line in lines)
        ]
    await desk.add_members(actor, watchlist_id, given)


async def _remove(desk: Desk, actor: Actor, watchlist_id: int, form: Form) -> None:
    chain = _number(form, "chain_id") if form.get("chain_id") else None
    await desk.remove_member(actor, watchlist_id, form.get("address", ""), chain)


async def _add_presets(desk: Desk, actor: Actor, watchlist_id: int, form: Form) -> None:
    chosen = [preset for preset in PRESETS if form.get(f"preset-{preset.code}")]
    if not chosen:
        raise ApiProblem(BAD_REQUEST, "choose at least one rule")
    for preset in chosen:
        await desk.create_rule(actor, watchlist_id, preset.rule)


async def _add_rule(desk: Desk, actor: Actor, watchlist_id: int, form: Form) -> None:
    """A rule on a metric that needs nothing but levels."""
    levels = {name: form[name] for name in ("info", "warning", "critical") if form.get(name)}
    given = {
        "name": form.get("name", ""),
        "metric": form.get("metric", ""),
        "levels": levels,
        "clear_at": form.get("clear_at") or None,
        "group": form.get("group") or None,
        "cooldown_seconds": 60 * _number(form, "cooldown") if form.get("cooldown") else 0,
    }
    with invalid():
        rule = RuleIn.model_validate(given)
    await desk.create_rule(actor, watchlist_id, rule)


async def _switch(desk: Desk, actor: Actor, watchlist_id: int, form: Form) -> None:
    await desk.switch_rule(actor, watchlist_id, _number(form, "rule"), is_enabled=form.get("on") == "1")


async def _delete_rule(desk: Desk, actor: Actor, watchlist_id: int, form: Form) -> None:
    await desk.delete_rule(actor, watchlist_id, _number(form, "rule"))


async def _tell(desk: Desk, actor: Actor, watchlist_id: int, form: Form) -> None:
    repeat = 60 * _number(form, "repeat") if form.get("repeat") else None
    given: dict[str, object] = {
        "min_severity": form.get("min_severity", ""),
        "timezone": form.get("timezone") or "UTC",
        "quiet_from": form.get("quiet_from") or None,
        "quiet_to": form.get("quiet_to") or None,
        "quiet_override": form.get("quiet_override") or None,
        "repeat_seconds": repeat,
        "digest_at": form.get("digest_at") or None,
    }
    with invalid():
        route = RouteIn.model_validate(given)
    await desk.set_route(actor, watchlist_id, _number(form, "channel"), route)


async def _untell(desk: Desk, actor: Actor, watchlist_id: int, form: Form) -> None:
    await desk.delete_route(actor, watchlist_id, _number(form, "channel"))


async def _describe(desk: Desk, actor: Actor, watchlist_id: int, form: Form) -> None:
    with invalid():
        given = WatchlistPatch.model_validate({"name": form.get("name", ""), "note": form.get("note", "")})
    await desk.change_list(actor, watchlist_id, given)


async def _pause(desk: Desk, actor: Actor, watchlist_id: int, form: Form) -> None:
    await desk.change_list(actor, watchlist_id, WatchlistPatch.model_validate({"is_paused": form.get("on") == "1"}))


async def _delete(desk: Desk, actor: Actor, watchlist_id: int, form: Form) -> None:
    if form.get("sure") != "yes":
        raise ApiProblem(BAD_REQUEST, "tick the box to delete the list with everything of it")
    await desk.delete_list(actor, watchlist_id)


CHANGES: Mapping[str, Change] = {
    "acknowledge": Change(_acknowledge, "Acknowledged: nobody is reminded of it any more.", _LIST),
    "replay": Change(_replay, "The message is tried again.", _LIST),
    "test": Change(_test, "A test is on its way.", _LIST),
    "add": Change(_add, "On the list. Rules are held against it from the next block on."),
    "remove": Change(_remove, "Taken off the list."),
    "presets": Change(_add_presets, "Added. It is held against every member from the next block on."),
    "rule": Change(_add_rule, "Added. It is held against every member from the next block on."),
    "switch": Change(_switch, "Changed."),
    "unrule": Change(_delete_rule, "Deleted. Its open episodes end with the next block."),
    "tell": Change(_tell, "Saved."),
    "untell": Change(_untell, "That channel is told nothing of this list any more."),
    "describe": Change(_describe, "Saved."),
    "pause": Change(_pause, "Saved."),
    "delete": Change(_delete, "The list is deleted.", ""),
}
DONE: Mapping[str, str] = {name: change.done for name, change in CHANGES.items()} | {
    "created": "The list is made. Give it wallets, rules, and somebody to tell."
}

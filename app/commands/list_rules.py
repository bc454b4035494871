"""The commands that give watchlists rules and routes. What they change is in the log."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console

from app.api.frame.problems import ApiProblem
from app.api.schemas.alerts import RouteIn
from app.api.schemas.watchlists import RuleIn
from app.api.watch.alert_routes import new_route
from app.api.watch.rule_forms import rule_of
from app.commands.lists import changing_lists, checked, held_list
from app.domain.rules import Known
from app.errors import Refused
from app.settings import Settings
from app.store.deployments import load_deployments
from app.store.watch.channels import delete_route, load_channel_named, store_route
from app.store.watch.rules import create_rule, delete_rule, load_rules
from app.valuation.groups import DEFAULT_GROUPS


async def add_rule(settings: Settings, name: str, given: Mapping[str, object], console: Console) -> None:
    """Give a list a rule."""
    asked = checked(RuleIn, **given)
    async with changing_lists(settings, "rule.create") as (change, now):
        held = await held_list(change, name)
        deployments = await load_deployments(change.session)
        groups = DEFAULT_GROUPS.with_overrides(settings.asset_groups).names
        chains = {one.chain_id for one in deployments} | set(settings.chains)
        rule = rule_of(asked, held.id, Known(groups, {one.id for one in deployments}, chains))
        rule_id = await create_rule(change.session, rule, now)
        change.note(f"watchlist:{held.id}", rule=rule_id, name=rule.name, metric=rule.metric.value)
    console.print(f"{name} has the rule {rule.name}", highlight=False, markup=False)


async def remove_rule(settings: Settings, name: str, rule_name: str) -> None:
    """Take a rule from a list."""
    async with changing_lists(settings, "rule.delete") as (change, _):
        held = await held_list(change, name)
        rules = {one.rule.name: one.rule.id for one in await load_rules(change.session, held.id)}
        if rule_name not in rules:
            raise Refused(f"{name!r} has no rule {rule_name!r}; there are: {', '.join(rules) or 'none'}")
        await delete_rule(change.session, held.id, rules[rule_name])
        change.note(f"watchlist:{held.id}", rule=rules[rule_name], name=rule_name)


async def set_route(settings: Settings, name: str, channel: str, given: Mapping[str, object]) -> None:
    """Have a list tell a channel."""
    asked = checked(RouteIn, **given)
    async with changing_lists(settings, "route.set") as (change, _):
        held = await held_list(change, name)
        found = await load_channel_named(change.session, channel)
        if found is None:
            raise Refused(f"there is no channel {channel!r}; see `waterline channel list`")
        try:
            await store_route(change.session, new_route(held.id, found.id, asked))
        except ApiProblem as problem:
            raise Refused(problem.detail) from None
        change.note(f"watchlist:{held.id}", channel=found.id, min_severity=asked.min_severity)


async def remove_route(settings: Settings, name: str, channel: str) -> None:
    """Have a list tell a channel nothing any more."""
    async with changing_lists(settings, "route.delete") as (change, _):
        held = await held_list(change, name)
        found = await load_channel_named(change.session, channel)
        if found is None or not await delete_route(change.session, held.id, found.id):
            raise Refused(f"{name!r} does not tell {channel!r}")
        change.note(f"watchlist:{held.id}", channel=found.id)

"""/v1/watchlists/{id}/rules: what is looked for in the wallets of a list, or in a market."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from app.api.examples import common as examples
from app.api.examples import watchlists as examples_lists
from app.api.frame.deps import ReadContext
from app.api.frame.keys import WatchReader, WatchWriter
from app.api.frame.problems import INVALID_RULE, ApiProblem
from app.api.schemas.watchlists import RuleIn, RulesView, RuleView
from app.api.wallets import Context
from app.api.watch.changes import changing, fresh, gone, unknown
from app.api.watch.rule_forms import BadRule, rule_of, rule_view
from app.api.watch.watchlists import IdPath, require_list
from app.domain.rules import Known
from app.domain.watch import Rule
from app.store.postgres.session import ReadSession
from app.store.watch.rules import create_rule, delete_rule, load_rule, load_rules, replace_rule
from app.store.watch.watchlists import hold_list

router = APIRouter(tags=["watchlists"])


@router.get(
    "/v1/watchlists/{watchlist_id}/rules",
    response_model=RulesView,
    responses=examples.responses(examples_lists.RULES, 401, 403, 404, 422, unchanged=False),
    summary="The rules of a watchlist",
)
async def get_rules(context: Context, _: WatchReader, watchlist_id: IdPath) -> Response:
    """In the order they were made."""
    async with context.database.read() as session:
        await require_list(session, watchlist_id)
        return fresh(RulesView(items=[rule_view(one) for one in await load_rules(session, watchlist_id)]))


@router.post(
    "/v1/watchlists/{watchlist_id}/rules",
    status_code=201,
    response_model=RuleView,
    responses=examples.responses(examples_lists.RULE, 400, 401, 403, 404, 409, 413, 422, status=201),
    summary="Give a watchlist a rule",
)
async def post_rule(context: Context, actor: WatchWriter, watchlist_id: IdPath, given: RuleIn) -> Response:
    """It is held against every member at each block from the next one on. Which parameters a metric takes is in
    docs/alerts.md; a rule that is not sound is refused with everything that is wrong with it."""
    rule = await _rule(context, given, watchlist_id)
    async with changing(context, actor, "rule.create") as change:
        if await hold_list(change.session, watchlist_id) is None:
            raise unknown("watchlist", watchlist_id)
        rule_id = await create_rule(change.session, rule, context.clock(), is_enabled=given.is_enabled)
        change.note(f"watchlist:{watchlist_id}", rule=rule_id, name=rule.name, metric=rule.metric.value)
        view = await _view(change.session, watchlist_id, rule_id)
    return fresh(view, 201, f"/v1/watchlists/{watchlist_id}/rules/{rule_id}")


@router.get(
    "/v1/watchlists/{watchlist_id}/rules/{rule_id}",
    response_model=RuleView,
    responses=examples.responses(examples_lists.RULE, 401, 403, 404, 422, unchanged=False),
    summary="One rule",
)
async def get_rule(context: Context, _: WatchReader, watchlist_id: IdPath, rule_id: IdPath) -> Response:
    """The rule with its levels in the metric's unit."""
    async with context.database.read() as session:
        return fresh(await _view(session, watchlist_id, rule_id))


@router.put(
    "/v1/watchlists/{watchlist_id}/rules/{rule_id}",
    response_model=RuleView,
    responses=examples.responses(examples_lists.RULE, 400, 401, 403, 404, 409, 413, 422, unchanged=False),
    summary="Write a rule anew",
)
async def put_rule(
    context: Context, actor: WatchWriter, watchlist_id: IdPath, rule_id: IdPath, given: RuleIn
) -> Response:
    """The whole rule: what is left out is as if it had never been said. `is_enabled` turns it off and on."""
    rule = await _rule(context, given, watchlist_id, rule_id)
    async with changing(context, actor, "rule.update") as change:
        if not await replace_rule(change.session, rule, is_enabled=given.is_enabled):
            raise unknown("rule", rule_id)
        change.note(f"watchlist:{watchlist_id}", rule=rule_id, name=rule.name, is_enabled=given.is_enabled)
        view = await _view(change.session, watchlist_id, rule_id)
    return fresh(view)


@router.delete(
    "/v1/watchlists/{watchlist_id}/rules/{rule_id}",
    status_code=204,
    responses=examples.deletion(401, 403, 404, 422),
    summary="Delete a rule",
)
async def remove_rule(context: Context, actor: WatchWriter, watchlist_id: IdPath, rule_id: IdPath) -> Response:
    """Its open episodes end with the next evaluation."""
    async with changing(context, actor, "rule.delete") as change:
        if not await delete_rule(change.session, watchlist_id, rule_id):
            raise unknown("rule", rule_id)
        change.note(f"watchlist:{watchlist_id}", rule=rule_id)
    return gone()


async def known_names(context: ReadContext) -> Known:
    """The groups, deployments and chains that rules may name."""
    async with context.database.read() as session:
        following = await context.following(session)
    deployments = {deployment.id for deployment in following.deployments}
    chains = {deployment.chain_id for deployment in following.deployments}
    return Known(context.options.groups.names, deployments, chains | set(context.options.chain_ids))


async def _rule(context: ReadContext, given: RuleIn, watchlist_id: int, rule_id: int = 0) -> Rule:
    known = await known_names(context)
    try:
        return rule_of(given, watchlist_id, known, rule_id)
    except BadRule as error:
        raise ApiProblem(INVALID_RULE, str(error), extensions={"faults": list(error.faults)}) from error


async def _view(session: ReadSession, watchlist_id: int, rule_id: int) -> RuleView:
    found = await load_rule(session, watchlist_id, rule_id)
    if found is None:
        raise unknown("rule", rule_id)
    return rule_view(found)

"""Rules of watchlists. A rule's levels and parameters are one JSON object, with integers as text: they stay exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Boolean, Text, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import JSONB

from app.domain.risk import RiskStatus
from app.domain.watch import Metric, Rule, Severity
from app.errors import Refused
from app.store.postgres.session import Query, ReadSession, Row, WriteSession
from app.store.tables.watch import watch_rules
from app.store.watch.version import bump_watch_version

MOST_RULES = 100
"""Of one list."""

_ID = bindparam("rule_id", type_=BigInteger)
_LIST = bindparam("watchlist_id", type_=BigInteger)
_GIVEN = {
    watch_rules.c.name: bindparam("given_name", type_=Text),
    watch_rules.c.metric: bindparam("metric", type_=Text),
    watch_rules.c.definition: bindparam("definition", type_=JSONB),
    watch_rules.c.is_enabled: bindparam("is_enabled", type_=Boolean),
}
_of_list = select(watch_rules).where(watch_rules.c.watchlist_id == _LIST)
_ALL = Query(_of_list.order_by(watch_rules.c.id))
_ONE = Query(_of_list.where(watch_rules.c.id == _ID))
_COUNT = Query(select(func.count()).where(watch_rules.c.watchlist_id == _LIST))
_NAMED = Query(
    select(watch_rules.c.id).where(
        watch_rules.c.watchlist_id == _LIST, watch_rules.c.name == bindparam("given_name", type_=Text)
    )
)
_INSERT = Query(
    insert(watch_rules)
    .values({watch_rules.c.watchlist_id: _LIST, watch_rules.c.created_at: bindparam("now", type_=BigInteger), **_GIVEN})
    .returning(watch_rules.c.id)
)
_at = (watch_rules.c.watchlist_id == _LIST, watch_rules.c.id == _ID)
_UPDATE = Query(update(watch_rules).where(*_at).values(_GIVEN))
_DELETE = Query(delete(watch_rules).where(*_at))


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule, and what is kept beside it."""

    rule: Rule
    is_enabled: bool
    created_at: int


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """What `definition` holds: levels by severity's name and the parameters the rule has; integers as text."""
    optional: dict[str, Any] = {
        "asset": rule.asset,
        "group": rule.group,
        "move_wad": None if rule.move_wad is None else str(rule.move_wad),
        "window_seconds": None if rule.window_seconds is None else str(rule.window_seconds),
        "statuses": sorted(status.value for status in rule.statuses) or None,
        "deployment_id": rule.deployment_id,
        "chain_id": None if rule.chain_id is None else str(rule.chain_id),
        "cooldown_seconds": str(rule.cooldown_seconds) if rule.cooldown_seconds else None,
    }
    return {
        "levels": {severity.name.lower(): str(level) for severity, level in sorted(rule.levels.items())},
        "clear_at": str(rule.clear_at),
        **{name: value for name, value in optional.items() if value is not None},
    }


def rule_from_row(id: int, watchlist_id: int, name: str, metric: str, definition: Mapping[str, Any]) -> Rule:
    """The rule that `rule_to_json` took apart."""

    def integer(field: str) -> int | None:
        return int(definition[field]) if field in definition else None

    return Rule(
        id=id,
        watchlist_id=watchlist_id,
        name=name,
        metric=Metric(metric),
        levels={Severity[severity.upper()]: int(level) for severity, level in definition["levels"].items()},
        clear_at=int(definition["clear_at"]),
        asset=definition.get("asset"),
        group=definition.get("group"),
        move_wad=integer("move_wad"),
        window_seconds=integer("window_seconds"),
        statuses=frozenset(RiskStatus(status) for status in definition.get("statuses", ())),
        deployment_id=definition.get("deployment_id"),
        chain_id=integer("chain_id"),
        cooldown_seconds=integer("cooldown_seconds") or 0,
    )


async def load_rules(session: ReadSession, watchlist_id: int) -> list[StoredRule]:
    """Every rule of a list, in the order they were made."""
    return [_stored(row) for row in await session.rows(_ALL, watchlist_id=watchlist_id)]


async def load_rule(session: ReadSession, watchlist_id: int, rule_id: int) -> StoredRule | None:
    """One rule of a list; None when it has none such."""
    rows = await session.rows(_ONE, watchlist_id=watchlist_id, rule_id=rule_id)
    return _stored(rows[0]) if rows else None


async def create_rule(session: WriteSession, rule: Rule, now: int, *, is_enabled: bool = True) -> int:
    """Add a rule to its list, which must exist; its id (that of `rule` does not count).

    Raises:
        Refused: the list has a rule of that name, or has as many as it may.
    """
    await bump_watch_version(session)
    await _require_free_name(session, rule, None)
    ((count,),) = await session.rows(_COUNT, watchlist_id=rule.watchlist_id)
    if count >= MOST_RULES:
        raise Refused(f"a list has at most {MOST_RULES} rules")
    given = {"watchlist_id": rule.watchlist_id, "now": now, **_given(rule, is_enabled)}
    ((rule_id,),) = await session.rows(_INSERT, **given)
    assert isinstance(rule_id, int)
    return rule_id


async def replace_rule(session: WriteSession, rule: Rule, *, is_enabled: bool) -> bool:
    """Write `rule` over the one of its id and list; whether there is one.

    Raises:
        Refused: another rule of the list has that name.
    """
    await bump_watch_version(session)
    await _require_free_name(session, rule, rule.id)
    given = {"watchlist_id": rule.watchlist_id, "rule_id": rule.id, **_given(rule, is_enabled)}
    return await session.run(_UPDATE, **given) == 1


async def delete_rule(session: WriteSession, watchlist_id: int, rule_id: int) -> bool:
    """Delete a rule; whether there was one. Its open episodes end with the next evaluation."""
    await bump_watch_version(session)
    return await session.run(_DELETE, watchlist_id=watchlist_id, rule_id=rule_id) == 1


async def _require_free_name(session: WriteSession, rule: Rule, own_id: int | None) -> None:
    found = await session.rows(_NAMED, watchlist_id=rule.watchlist_id, given_name=rule.name)
    if any(rule_id != own_id for (rule_id,) in found):
        raise Refused(f"the list has a rule named {rule.name!r} already")


def _given(rule: Rule, is_enabled: bool) -> dict[str, Any]:
    definition = Jsonb(rule_to_json(rule))
    return {"given_name": rule.name, "metric": rule.metric.value, "definition": definition, "is_enabled": is_enabled}


def _stored(row: Row) -> StoredRule:
    id, watchlist_id, name, metric, definition, is_enabled, created_at = row
    return StoredRule(rule_from_row(id, watchlist_id, name, metric, definition), is_enabled, created_at)

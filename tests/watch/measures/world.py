"""What measures have to say, worked out from the store without the book: every account by the exact rule alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from app.book import Keeper, Reading
from app.domain.account import AccountKey, AccountSnapshot
from app.domain.risk import RiskStatus
from app.domain.watch import Measured, Member, Metric, Rule, Severity, Subject
from app.protocols.base import Adapter
from app.store.accounts import load_accounts
from app.store.blocks import StoredBlock
from app.store.deployments import load_deployments, load_troubles_at
from app.store.markets import load_markets, load_records
from app.store.postgres.engine import Database
from app.valuation.assess import AccountAssessment, StateAt, assess_account, restore_at
from app.watch.measures import Asked, Found, Measures

Exacts = Mapping[AccountKey, tuple[AccountAssessment, AccountSnapshot | None, StateAt | None]]


def rule(metric: Metric, level: int, clear_at: int | None = None, **more: object) -> Rule:
    """A rule with one level, number 1."""
    fields: dict[str, object] = {"id": 1, "watchlist_id": 1, "name": metric.value, "metric": metric}
    fields |= {"levels": {Severity.WARNING: level}, "clear_at": level if clear_at is None else clear_at}
    return Rule(**{**fields, **more})  # type: ignore[arg-type]


def members_of(wallets: Iterable[object]) -> tuple[Member, ...]:
    """These wallets, on every chain."""
    return tuple(Member(one) for one in wallets)  # type: ignore[arg-type]


async def assess_all(
    database: Database, block: StoredBlock, find_adapter: Callable[[str], Adapter], target_wad: int = 10**18
) -> Exacts:
    """Every account of the block's chain that was ever read, assessed with what is stored."""
    found: dict[AccountKey, tuple[AccountAssessment, AccountSnapshot | None, StateAt | None]] = {}
    async with database.read() as session:
        troubles = await load_troubles_at(session, {block.ref.chain_id: block.id})
        for deployment in await load_deployments(session, block.ref.chain_id):
            records = await load_records(session, deployment.id, block)
            markets = await load_markets(session, deployment.id, block)
            adapter = find_adapter(deployment.protocol)
            state = restore_at(adapter, deployment, markets, records, block.ref) if records else None
            trouble = troubles.get(deployment.id)
            for account in await load_accounts(session, deployment.id, block):
                assessed = assess_account(adapter.kind, state, account, target_wad, trouble and trouble.text)
                snapshot = account if isinstance(account, AccountSnapshot) else None
                found[account.key] = (assessed, snapshot, state)
    return found


async def measure(
    measures: Measures,
    keeper: Keeper,
    asked: Rule | Asked,
    members: Sequence[Member] = (),
    must: Iterable[Subject] = (),
    *,
    reading: Reading | None = None,
    before: StoredBlock | None = None,
) -> Found:
    """One rule at the keeper's block."""
    one = asked if isinstance(asked, Asked) else Asked(asked, members, frozenset(must))
    (found,) = await measures.measure(keeper, reading or await keeper.read(), [one], before)
    return found


def by_key(found: Found) -> dict[AccountKey, int | None]:
    """The values."""
    return {one.subject: one.value for one in found.measured if isinstance(one.subject, AccountKey)}


def only(found: Found) -> Measured:
    """The one that was measured."""
    (one,) = found.measured
    return one


def check(found: Found, given: Rule, values: Mapping[AccountKey, int | None], must: Collection[AccountKey]) -> None:
    """That it says of these accounts what it has to: nobody missing who reached a level or is not clear, every value
    exact, nobody else there; and that it counts whoever is unknown. `must`: of accounts that there are."""
    expected = dict(values.items())
    for key, value in values.items():
        if key not in must and (value is None or given.is_clear(value)):
            del expected[key]
    measured = by_key(found)
    wrong = {key: (measured.get(key), expected.get(key)) for key in measured.keys() | expected.keys()}
    wrong = {key: (said, right) for key, (said, right) in wrong.items() if said != right}
    assert not wrong, (given, wrong)
    assert len(found.measured) == len(expected)
    assert found.unknown == sum(value is None for value in values.values())


def status_of(exacts: Exacts, key: AccountKey) -> RiskStatus:
    """By the exact rule."""
    return exacts[key][0].assessment.status

"""What two runs must agree on that did not store the same blocks: everything that is known at the end."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.domain.market import Deployment
from app.store.accounts import load_accounts
from app.store.blocks import load_head
from app.store.markets import load_markets, load_records
from tests.indexer.model import CHAIN_ID
from tests.simulation.store import Place

_UNSEARCHED = "SELECT count(*) FROM log_scans"
_DUE = """
    SELECT d.slug, encode(a.wallet, 'hex'), a.unit FROM account_due t JOIN accounts a ON a.id = t.account_id
    JOIN deployments d ON d.id = a.deployment_id WHERE t.read_at_block_id IS NULL"""
_SET_ASIDE = """
    SELECT DISTINCT ON (d.slug) d.slug, t.trouble FROM deployment_troubles t
    JOIN deployments d ON d.id = t.deployment_id ORDER BY d.slug, t.block_id DESC"""


async def assert_same_ending(found: Place, wanted: Place, deployments: Iterable[Deployment]) -> None:
    """Both stand at the same block, with nothing left to search, and know the same there.

    Deployments set aside there are left out, in both or in none; and accounts that wait for a new try.
    """
    assert found.rows(_UNSEARCHED) == [(0,)], "old logs are left to search"
    aside = {slug: trouble for slug, trouble in wanted.rows(_SET_ASIDE) if trouble is not None}
    assert {slug: trouble for slug, trouble in found.rows(_SET_ASIDE) if trouble is not None} == aside
    waiting = {*found.rows(_DUE), *wanted.rows(_DUE)}
    for deployment in deployments:
        if deployment.id not in aside:
            ours, theirs = [await _known(place, deployment, waiting) for place in (found, wanted)]
            for what, each, other in zip(("block", "markets", "records", "accounts"), ours, theirs, strict=True):
                assert each == other, f"{deployment.id}: other {what} than a clean run: {each} and {other}"


async def _known(place: Place, deployment: Deployment, waiting: set[tuple[str, str, str]]) -> tuple[object, ...]:
    async with place.database.read() as session:
        head = await load_head(session, CHAIN_ID)
        assert head is not None
        markets = await load_markets(session, deployment.id, head)
        records = await load_records(session, deployment.id, head)
        accounts = await load_accounts(session, deployment.id, head)
    held = {account.key: _held(account) for account in accounts if _name(account.key) not in waiting}
    # on how many accounts a rule was tried is a matter of which blocks were read
    stated = {record for record in records if record.kind != "rules"}
    return head.ref, set(markets), stated, {key: value for key, value in held.items() if value}


def _held(account: AccountState) -> object:
    """What an account has, whenever it was read; None for nothing."""
    if not isinstance(account, AccountSnapshot):
        return "unreadable"
    return sorted(
        (one.market, one.supplied_raw, one.borrowed_raw, one.is_collateral)
        for one in account.positions
        if one.supplied_raw or one.borrowed_raw or one.is_collateral
    )


def _name(key: AccountKey) -> tuple[str, str, str]:
    return key.deployment_id, key.wallet.hex(), key.unit

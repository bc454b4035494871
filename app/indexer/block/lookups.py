"""What a block's reading and the audit ask the store about accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.indexer.block.calibrate import has_debt
from app.indexer.block.refusal import Refusal, asked
from app.protocols.base import DeploymentState
from app.store.accounts import load_accounts, load_known_markets, load_newest
from app.store.blocks import StoredBlock
from app.store.postgres.engine import Database

Hints = Mapping[AccountKey, frozenset[str]]
"""Markets to look for each account in, besides those its own flags name."""


async def load_hints(database: Database, noted: Hints) -> dict[AccountKey, frozenset[str]]:
    """The markets noted for each account, with those the store knows it to have held or touched."""
    if not noted:
        return {}
    async with database.alone() as session:
        known = await load_known_markets(session, list(noted))
    return {key: markets | known.get(key, frozenset()) for key, markets in noted.items()}


async def load_continued(
    database: Database, states: Mapping[str, DeploymentState], accounts: Sequence[AccountState]
) -> list[AccountState | Refusal]:
    """The accounts just read; with what their stored states know better, where their protocol asks for that. What
    an adapter fails at becomes a refusal."""
    keys = [
        account.key
        for account in accounts
        if isinstance(account, AccountSnapshot) and states[account.key.deployment_id].continues_accounts
    ]
    if not keys:
        return list(accounts)
    async with database.alone() as session:
        before = await load_newest(session, keys)
    continued: list[AccountState | Refusal] = []
    for account in accounts:
        if isinstance(account, AccountSnapshot) and account.key in before:
            name = account.key.deployment_id
            continued.append(asked(name, partial(states[name].continued, before[account.key], account)))
        else:
            continued.append(account)
    return continued


async def load_borrowers(
    database: Database, name: str, block: StoredBlock, just_read: Sequence[AccountState]
) -> list[AccountState]:
    """Borrowers of a deployment as stored at `block`, without those just read anew."""
    async with database.read() as session:
        stored = await load_accounts(session, name, block)
    renewed = {account.key for account in just_read}
    return [account for account in stored if account.key not in renewed and has_debt(account)]

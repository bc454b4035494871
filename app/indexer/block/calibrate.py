"""Which accounts a deployment's rounding rules are compared on, and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from app.chain.reader import ChainReader
from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.domain.chain import BlockRef, ReadPlan
from app.indexer.block.refusal import Refusal, asked, guarded
from app.protocols.base import DeploymentState, Truth
from app.protocols.calibration import choose_rules


def has_debt(account: AccountState) -> bool:
    """Whether the account can be liquidated at all: only then does every rounding step of the rules show."""
    return isinstance(account, AccountSnapshot) and account.is_exposed


def wants_calibration(
    confirmed: int | None, *, rules_touched: bool, passed_rhythm: bool, just_read: Iterable[AccountState], wanted: int
) -> bool:
    """Whether to compare the rules at this block, `confirmed` on so many accounts.

    At once when the contract's code changed and when the first borrowers appear; on the rhythm until they are
    confirmed on `wanted` accounts. It depends on the chain and the stored state only, never on when this process
    started, so that a restart stores what an uninterrupted run would have.
    """
    if rules_touched:
        return True
    if confirmed is not None and confirmed >= wanted:
        return False
    return passed_rhythm or (not confirmed and any(has_debt(account) for account in just_read))


def choose_sample(accounts: Iterable[AccountState], wanted: int) -> list[AccountKey]:
    """At most `wanted` borrowers, always the same ones of the same accounts: evenly spread over their addresses."""
    keys = sorted({account.key for account in accounts if has_debt(account)})
    if len(keys) <= wanted:
        return keys
    return [keys[place * len(keys) // wanted] for place in range(wanted)]


async def calibrate(
    reader: ChainReader,
    block: BlockRef,
    state: DeploymentState,
    sample: Sequence[tuple[AccountKey, frozenset[str]]],
    *,
    rules_touched: bool,
) -> DeploymentState | Refusal:
    """`state` under the rules that give the contract's own numbers for the sampled accounts at `block`.

    The accounts are read anew together with their truths, so that the comparison is about rules and nothing else.
    An account that cannot be read, or whose view reverts, says nothing about rules and is left out. If none is
    left, what was confirmed stays so, unless the contract's code was changed. A fault of the adapter is a refusal.
    """
    name = state.deployment.id
    plans = [guarded(name, partial(read_with_truth, state, key, block, markets)) for key, markets in sample]
    usable = []
    for found in await reader.read_all(plans, block):
        if isinstance(found, Refusal):
            if found.is_fault:
                return found
        else:
            account, truth = found
            if isinstance(account, AccountSnapshot) and truth is not None:
                usable.append((account, truth))
    if not usable and not rules_touched:
        return state
    return asked(name, partial(choose_rules, state, usable, block.timestamp, block.number))


def read_with_truth(
    state: DeploymentState, key: AccountKey, block: BlockRef, markets: frozenset[str]
) -> ReadPlan[tuple[AccountState, Truth | None]]:
    """An account and what its contract says about it, as one plan."""
    account = yield from state.read_account(key, block.number, markets)
    truth = yield from state.read_truth(key)
    return account, truth

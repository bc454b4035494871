"""Holding one stored account against what was read of it anew: pure, integers only."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.account import AccountSnapshot, Unreadable
from app.domain.audit import AuditFinding, FindingKind
from app.domain.units import WAD
from app.indexer.block.refusal import Refusal
from app.protocols.base import DeploymentState, PricedState, Truth

Named = dict[str, int]


@dataclass(frozen=True, slots=True)
class Compared:
    """The outcome for one account."""

    findings: tuple[AuditFinding, ...] = ()
    """At most one of a kind."""
    worst_error_wad: int | None = None
    """The largest relative error of what would have been answered; None where no number could be compared."""
    unreadable: bool = False
    """It could not be read: nothing is known of it, and it counts as neither right nor wrong."""

    def has(self, kind: FindingKind) -> bool:
        """Whether something of this kind differed."""
        return any(finding.kind is kind for finding in self.findings)


def compare(
    stored: AccountSnapshot,
    state: DeploymentState,
    priced: PricedState,
    read: tuple[AccountSnapshot | Unreadable, Truth | None] | Refusal,
) -> Compared:
    """Hold `stored` against the account and the contract's own word as just read, at the block of `state`.

    The raw state is compared as it is stored. The rule is compared on the raw state just read, so that a state that
    was missed is not blamed on the rule too. The error is that of the answer: the rule on what is stored.
    """
    if isinstance(read, Refusal):
        return Compared(unreadable=True)
    fresh, truth = read
    if isinstance(fresh, Unreadable):
        return Compared(unreadable=True)
    if state.continues_accounts:
        fresh = state.continued(stored, fresh)
    findings = []
    if finding := _difference(stored, FindingKind.STATE, named_state(fresh), named_state(stored)):
        findings.append(finding)
    computed = priced.truth(fresh)
    if finding := _difference(stored, FindingKind.TRUTH, named_truth(truth), named_truth(computed)):
        findings.append(finding)
    answered = priced.truth(stored) if findings else computed
    return Compared(tuple(findings), worst_error(truth, answered))


def named_state(snapshot: AccountSnapshot) -> Named:
    """Every raw number of an account under a name of its own; zeros are left out, as positions without any are."""
    named = {f"params[{place}]": value for place, value in enumerate(snapshot.params)}
    for held in snapshot.positions:
        named[f"supplied_raw {held.market}"] = held.supplied_raw
        named[f"borrowed_raw {held.market}"] = held.borrowed_raw
        named[f"is_collateral {held.market}"] = int(held.is_collateral)
    for perp in snapshot.perps:
        named[f"size_raw {perp.market}"] = perp.size_raw
        named[f"entry_notional_raw {perp.market}"] = perp.entry_notional_raw
        named |= {f"params[{place}] {perp.market}": value for place, value in enumerate(perp.params)}
    return {name: value for name, value in named.items() if value}


def named_truth(truth: Truth | None) -> Named:
    """The numbers of a contract's view by their place. A view that reverts has one: that it does."""
    return {"reverts": 1} if truth is None else {f"truth[{place}]": value for place, value in enumerate(truth)}


def worst_error(expected: Truth | None, got: Truth | None) -> int | None:
    """The largest relative error, 18 decimals, rounded up: the distance of two numbers by the larger of them (2 at
    most, where the signs differ). None when either has no numbers, or not as many."""
    if expected is None or got is None or len(expected) != len(got):
        return None
    return max((_relative_error(wanted, found) for wanted, found in zip(expected, got, strict=True)), default=0)


def _relative_error(wanted: int, found: int) -> int:
    if wanted == found:
        return 0
    return -(-abs(wanted - found) * WAD // max(abs(wanted), abs(found)))


def _difference(of: AccountSnapshot, kind: FindingKind, expected: Named, got: Named) -> AuditFinding | None:
    names = [name for name in {**expected, **got} if expected.get(name) != got.get(name)]
    if not names:
        return None
    return AuditFinding(of.key, kind, tuple(names), tuple(map(expected.get, names)), tuple(map(got.get, names)))

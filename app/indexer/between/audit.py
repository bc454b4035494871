"""The audit: between blocks, a few stored accounts are read again and held against the chain. See `comparison`.

Which ones follows from the hash of the block, so that the same chain and store give the same choice. Among the accounts
that follow a random place, deployments take turns, and each gives in turn the one nearest to the line and any one: an
error matters most near the line, and none must be out of reach.

What differs is queued and so stored anew at the next block; the account is checked again at coming blocks until nothing
differs, and only then is the finding called repaired.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TypeVar

from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.domain.audit import AuditCount, AuditFinding, FindingKind
from app.domain.batch import DueAccount
from app.domain.chain import BlockRef
from app.domain.risk import Health
from app.errors import Retryable
from app.indexer.between.comparison import Compared, compare
from app.indexer.block.calibrate import read_with_truth
from app.indexer.block.harvest import Followed, Sources
from app.indexer.block.lookups import Hints, load_hints
from app.indexer.block.refusal import Refusal, asked, guarded
from app.indexer.feed import HeadCame, HeadFeed
from app.protocols.base import DeploymentState, PricedState, Truth
from app.store.accounts import load_newest
from app.store.audits import OpenFinding, draw_candidates, load_open_findings, note_audit, prune_audits
from app.store.blocks import StoredBlock, load_head
from app.store.markets import load_markets, load_records
from app.store.postgres.locks import AdvisoryLock
from app.store.scans import queue_due

log = logging.getLogger(__name__)

T = TypeVar("T")

_OPEN_LOOKED_AT = 64
"""Open findings from which those to check again are taken."""
_MOST_GIVEN_UP = 3
"""So many audits in a row make way for a block; the next one does not."""
_BEYOND = 2**300
"""A health factor above all: of accounts that cannot be liquidated, or of which that is not known."""


class Audit:
    """One chain's audit. It changes no chain fact: it queues accounts and keeps what it found."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._options = sources.options
        self._last: StoredBlock | None = None
        self._given_up = 0
        """Audits in a row that a new block cut short."""

    async def check(
        self, cursor: StoredBlock | None, followed: Sequence[Followed], lock: AdvisoryLock, feed: HeadFeed
    ) -> bool:
        """Audit at `cursor`, the newest stored block, if one is due; whether a rule was newly found not to hold, so
        that states kept in memory are better taken from the store again.

        A node that fails costs this audit and nothing else. Where a new head comes first the audit is given up and
        made at that one; one in several is made to its end, or a fast chain would never be audited.

        Raises:
            Retryable: the database failed, or the lock is lost.
        """
        if not self._is_due(cursor):
            return False
        assert cursor is not None
        before, self._last = self._last, cursor
        audited = {one.deployment.id: one for one in followed if one.state is not None and one.trouble is None}
        with self._sources.metrics.phase("audit"):
            sample = await self._draw(cursor, audited)
            if not sample.accounts:
                return False
            hints = await load_hints(self._sources.database, {a.key: frozenset() for a in sample.accounts})
            try:
                comparing = self._compare(cursor, sample, hints)
                compared = await (comparing if self._given_up >= _MOST_GIVEN_UP else feed.before_next(comparing))
            except HeadCame:
                self._last, self._given_up = before, self._given_up + 1
                return False
            except Retryable as failure:
                self._sources.metrics.families.audits_failed.labels(self._sources.metrics.chain).inc()
                log.warning("chain=%s audit=%r", self._sources.metrics.chain, str(failure))
                return False
            self._given_up = 0
            return await self._keep(cursor, sample, compared, hints, lock)

    def _is_due(self, cursor: StoredBlock | None) -> bool:
        if cursor is None or not self._options.audit_accounts:
            return False
        last = self._last
        if last is None or last.ref.number > cursor.ref.number:
            return True
        return last.id != cursor.id and cursor.ref.timestamp - last.ref.timestamp >= self._options.audit_seconds

    async def _draw(self, cursor: StoredBlock, audited: Mapping[str, Followed]) -> Sample:
        """Who is checked at this block, and the states stored of them and of their deployments."""
        random = Random(bytes(cursor.ref.hash))
        wanted = self._options.audit_accounts
        async with self._sources.database.read() as session:
            candidates = await draw_candidates(session, list(audited), cursor, random.randbytes(20))
            open_findings = await load_open_findings(session, list(audited), _OPEN_LOOKED_AT)
            again = list(dict.fromkeys(finding.key for finding in open_findings))
            again = random.sample(again, min(len(again), max(1, wanted // 2)))
            stored = await load_newest(session, again)
            near = {}
            for name, one in audited.items():
                assert one.state is not None
                priced = self._ask(name, partial(one.state.at, cursor.ref.timestamp, cursor.ref.number))
                if priced is not None:
                    near[name] = priced
            others = [a for a in candidates if a.key not in stored and a.key.deployment_id in near]
            accounts = [*stored.values(), *choose_accounts(others, near, wanted - len(stored), random)]
            states = {}
            for name in sorted({account.key.deployment_id for account in accounts}):
                # as the store has them, because that is what answers are made of
                deployment = audited[name].deployment
                markets = await load_markets(session, name, cursor)
                records = await load_records(session, name, cursor)
                state = self._ask(name, partial(audited[name].adapter.restore_state, deployment, markets, records))
                if state is not None:
                    states[name] = state
        return Sample([a for a in accounts if a.key.deployment_id in states], states, open_findings)

    async def _compare(self, cursor: StoredBlock, sample: Sample, hints: Hints) -> list[Compared]:
        block = cursor.ref
        plans = [
            guarded(
                account.key.deployment_id,
                partial(
                    read_with_truth,
                    sample.states[account.key.deployment_id],
                    account.key,
                    block,
                    hints.get(account.key, frozenset()),
                ),
            )
            for account in sample.accounts
        ]
        read = await self._sources.reader.read_all(plans, block)
        return [
            self._ask(account.key.deployment_id, partial(_compare_at, block, account, sample.states, found))
            or Compared(unreadable=True)
            for account, found in zip(sample.accounts, read, strict=True)
        ]

    def _ask(self, name: str, ask: Callable[[], T]) -> T | None:
        """What a deployment's adapter answers; None, and its accounts are not checked, if it fails."""
        answer = asked(name, ask)
        if isinstance(answer, Refusal):
            chain = self._sources.metrics.chain
            log.error("chain=%s audit deployment=%s its adapter failed", chain, name, exc_info=answer.reason)
            return None
        return answer

    async def _keep(
        self, cursor: StoredBlock, sample: Sample, compared: Sequence[Compared], hints: Hints, lock: AdvisoryLock
    ) -> bool:
        """Store the outcome and queue what has to be read again; whether a rule was newly found not to hold."""
        by_account = {account.key: one for account, one in zip(sample.accounts, compared, strict=True)}
        known = {(finding.key, finding.kind) for finding in sample.open}
        findings = [f for one in compared for f in one.findings if (f.key, f.kind) not in known]
        repaired = [
            finding.id
            for finding in sample.open
            if (one := by_account.get(finding.key)) is not None and not one.unreadable and not one.has(finding.kind)
        ]
        again = [
            DueAccount(key, hints.get(key, frozenset()))
            for key, one in by_account.items()
            if one.unreadable or one.has(FindingKind.STATE)
        ]
        async with lock.write() as session:
            if await load_head(session, cursor.ref.chain_id) != cursor:
                return False  # somebody else moved on: what was found is not about the store any more
            await note_audit(session, cursor, count(by_account), findings, repaired)
            await queue_due(session, again)
            await prune_audits(session, cursor.ref.chain_id, cursor.ref.timestamp - self._options.audit_keep_seconds)
        self._note(cursor, sample, compared, findings)
        return any(finding.kind is FindingKind.TRUTH for finding in findings)

    def _note(
        self, cursor: StoredBlock, sample: Sample, compared: Sequence[Compared], findings: Sequence[AuditFinding]
    ) -> None:
        families, chain = self._sources.metrics.families, self._sources.metrics.chain
        for account, one in zip(sample.accounts, compared, strict=True):
            protocol = sample.states[account.key.deployment_id].deployment.protocol
            counter = families.audit_unreadable if one.unreadable else families.audit_accounts
            counter.labels(chain, protocol).inc()
            for finding in one.findings:
                families.audit_mismatches.labels(chain, protocol, finding.kind.value).inc()
        for finding in findings:
            log.warning(
                "chain=%s block=%d audit=%s deployment=%s wallet=%s unit=%r differs=%s",
                chain,
                cursor.ref.number,
                finding.kind,
                finding.key.deployment_id,
                finding.key.wallet,
                finding.key.unit,
                ",".join(finding.what),
            )


@dataclass(frozen=True, slots=True)
class Sample:
    """What one audit checks."""

    accounts: list[AccountSnapshot]
    """As stored."""
    states: Mapping[str, DeploymentState]
    """As stored, of every deployment of these accounts."""
    open: list[OpenFinding]


def choose_accounts(
    candidates: Iterable[AccountSnapshot], priced: Mapping[str, PricedState], wanted: int, random: Random
) -> list[AccountSnapshot]:
    """At most `wanted` of the candidates: deployments in turn, each giving the nearest to the line, then any one."""
    groups: dict[str, list[AccountSnapshot]] = {}
    for account in sorted(candidates, key=lambda account: account.key):
        groups.setdefault(account.key.deployment_id, []).append(account)
    for name, group in groups.items():
        random.shuffle(group)
        nearest = {a.key: _nearness(asked(name, partial(priced[name].health, a))) for a in group}
        # taken from the end: alternately the nearest and whichever comes
        group.sort(key=lambda a: nearest[a.key], reverse=True)
    names = sorted(groups)
    random.shuffle(names)
    chosen: list[AccountSnapshot] = []
    turn = 0
    while len(chosen) < wanted and any(groups.values()):
        for name in names:
            if groups[name] and len(chosen) < wanted:
                place = -1 if turn % 2 == 0 else random.randrange(len(groups[name]))
                chosen.append(groups[name].pop(place))
        turn += 1
    return chosen


def _compare_at(
    block: BlockRef,
    account: AccountSnapshot,
    states: Mapping[str, DeploymentState],
    read: tuple[AccountState, Truth | None] | Refusal,
) -> Compared:
    state = states[account.key.deployment_id]
    return compare(account, state, state.at(block.timestamp, block.number), read)


def count(compared: Mapping[AccountKey, Compared]) -> list[AuditCount]:
    """What was found, per deployment."""
    counts = []
    for name in sorted({key.deployment_id for key in compared}):
        own = [one for key, one in compared.items() if key.deployment_id == name]
        checked = [one for one in own if not one.unreadable]
        errors = [one.worst_error_wad for one in checked if one.worst_error_wad is not None]
        counts.append(
            AuditCount(
                name,
                checked=len(checked),
                exact=sum(not one.findings for one in checked),
                state_mismatches=sum(one.has(FindingKind.STATE) for one in checked),
                truth_mismatches=sum(one.has(FindingKind.TRUTH) for one in checked),
                unreadable=len(own) - len(checked),
                worst_error_wad=max(errors, default=None),
            )
        )
    return counts


def _nearness(health: Health | Refusal) -> int:
    """Smaller is nearer to liquidation, or further beyond."""
    if isinstance(health, Refusal) or health.health_factor_wad is None:
        return _BEYOND
    return health.health_factor_wad

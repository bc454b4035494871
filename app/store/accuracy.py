"""What the audits still kept say of the answers, for whoever publishes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Integer, Text, any_, bindparam, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.account import AccountKey
from app.domain.audit import AuditCount, AuditFinding, FindingKind
from app.domain.chain import Address
from app.store.audits import COUNT_NAMES
from app.store.postgres.session import Query, ReadSession
from app.store.tables.audit import audit_findings, audits
from app.store.tables.chain import accounts, blocks, deployments

_MOST = bindparam("most", type_=Integer)
_SLUGS = bindparam("slugs", type_=ARRAY(Text))
_findings = audit_findings.join(accounts, accounts.c.id == audit_findings.c.account_id).join(
    deployments, deployments.c.id == accounts.c.deployment_id
)
_key = (deployments.c.slug, accounts.c.wallet, accounts.c.unit)
_summed = (
    select(
        *(func.coalesce(func.sum(audits.c[name]), 0).cast(BigInteger).label(name) for name in COUNT_NAMES[:-1]),
        func.max(audits.c.worst_error_wad).label("worst_error_wad"),
        func.max(audits.c.block_id).label("block_id"),
        func.min(audits.c.block_id).label("first_block_id"),
    )
    .where(audits.c.deployment_id == deployments.c.id)
    .lateral("summed")
)
_open_of_deployment = (
    select(func.count())
    .select_from(audit_findings.join(accounts, accounts.c.id == audit_findings.c.account_id))
    .where(accounts.c.deployment_id == deployments.c.id, audit_findings.c.repaired_block_id.is_(None))
    .scalar_subquery()
)
_last, _first = blocks.alias("last"), blocks.alias("first")
_ACCURACY = Query(
    select(
        deployments.c.slug,
        *(_summed.c[name] for name in COUNT_NAMES),
        _first.c.timestamp,
        _last.c.number,
        _last.c.timestamp,
        _open_of_deployment,
    )
    .select_from(
        deployments.join(_summed, true())
        .outerjoin(_last, _last.c.id == _summed.c.block_id)
        .outerjoin(_first, _first.c.id == _summed.c.first_block_id)
    )
    .where(deployments.c.slug == any_(_SLUGS))
    .order_by(deployments.c.slug)
)
_found, _repaired = blocks.alias("found"), blocks.alias("repaired")
_NEWEST_FINDINGS = Query(
    select(
        *_key,
        audit_findings.c.kind,
        audit_findings.c.what,
        audit_findings.c.expected,
        audit_findings.c.got,
        _found.c.number,
        _found.c.timestamp,
        _repaired.c.number,
    )
    .select_from(
        _findings.join(_found, _found.c.id == audit_findings.c.block_id).outerjoin(
            _repaired, _repaired.c.id == audit_findings.c.repaired_block_id
        )
    )
    .where(deployments.c.slug == any_(_SLUGS))
    .order_by(audit_findings.c.repaired_block_id.is_not(None), audit_findings.c.id.desc())
    .limit(_MOST)
)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What the audits still kept say of one deployment."""

    count: AuditCount
    """Summed; the worst error is the largest of them."""
    since_timestamp: int | None
    """Of the oldest audit kept; None when there is none, as for the two that follow."""
    last_block: int | None
    last_timestamp: int | None
    open_findings: int


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A difference as it was noted."""

    finding: AuditFinding
    block: int
    timestamp: int
    repaired_block: int | None
    """The block at which nothing differed any more; None while it is open."""


async def load_accuracy(session: ReadSession, slugs: Sequence[str]) -> Mapping[str, Accuracy]:
    """What the audits kept say of each of these deployments, by id."""
    found = {}
    for slug, *row in await session.rows(_ACCURACY, slugs=list(slugs)):
        (*counts, since, block, timestamp, open_findings) = row
        found[slug] = Accuracy(AuditCount(slug, *counts), since, block, timestamp, open_findings)
    return found


async def load_findings(session: ReadSession, slugs: Sequence[str], limit: int) -> list[StoredFinding]:
    """Differences found in these deployments: the open ones first, then the newest."""
    return [
        StoredFinding(
            AuditFinding(
                AccountKey(slug, Address(wallet), unit), FindingKind(kind), tuple(what), tuple(expected), tuple(got)
            ),
            block,
            timestamp,
            repaired,
        )
        for slug, wallet, unit, kind, what, expected, got, block, timestamp, repaired in await session.rows(
            _NEWEST_FINDINGS, slugs=list(slugs), most=limit
        )
    ]

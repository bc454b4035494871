"""Audits: which stored accounts to check, what checking them found, and what that says of the answers.

Accounts are drawn along their addresses, which are as good as random: from a random place on, the next few hundred in
the order of one index. That costs the same however many accounts there are, and knows no surrogate ids, so that the
same chain gives the same choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    Text,
    any_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA
from sqlalchemy.sql.type_api import TypeEngine

from app.domain.account import AccountKey, AccountSnapshot
from app.domain.audit import AuditCount, AuditFinding, FindingKind
from app.domain.chain import Address, ChainId
from app.store.blocks import StoredBlock
from app.store.postgres.session import Query, ReadSession, WriteSession
from app.store.postgres.types import Integer256, Integer256Array, integer_array, numeric_array, text_array
from app.store.states import assemble, given_keys, key_parameters, with_states
from app.store.tables.audit import audit_findings, audits
from app.store.tables.chain import account_due, accounts, blocks, deployments

CANDIDATES = 64
"""How many accounts are looked at for one audit."""
_WALKED = 4_096
"""Accounts of the index passed at most on the way to them: those of other chains and those not yet read."""
_PRUNED = 500
"""Rows removed at most with one audit."""

_CHAIN = bindparam("chain_id", type_=BigInteger)
_LIMIT = bindparam("limit_id", type_=BigInteger)
_MOST = bindparam("most", type_=Integer)
_SLUGS = bindparam("slugs", type_=ARRAY(Text))
_walked = (
    select(accounts.c.id, accounts.c.deployment_id, accounts.c.wallet, accounts.c.unit, accounts.c.first_block_id)
    .where(accounts.c.wallet >= bindparam("from_wallet", type_=BYTEA))
    .order_by(accounts.c.wallet, accounts.c.deployment_id, accounts.c.unit)
    .limit(literal_column(str(_WALKED), Integer))
    .subquery("walked")
)
_drawn = (
    select(_walked.c.id, deployments.c.slug, _walked.c.wallet, _walked.c.unit)
    .select_from(_walked.join(deployments, deployments.c.id == _walked.c.deployment_id))
    .where(
        deployments.c.slug == any_(_SLUGS),
        or_(_walked.c.first_block_id.is_(None), _walked.c.first_block_id <= _LIMIT),
        not_(
            exists()
            .where(account_due.c.account_id == _walked.c.id, account_due.c.read_at_block_id.is_(None))
            .correlate(_walked)
        ),
    )
    .order_by(_walked.c.wallet, deployments.c.slug, _walked.c.unit)
    .limit(literal_column(str(CANDIDATES), Integer))
    .subquery("drawn")
)
_DRAWN = Query(with_states(_drawn, _drawn.c.id, _LIMIT, *_drawn.c).order_by(_drawn.c.wallet))

_findings = audit_findings.join(accounts, accounts.c.id == audit_findings.c.account_id).join(
    deployments, deployments.c.id == accounts.c.deployment_id
)
_key = (deployments.c.slug, accounts.c.wallet, accounts.c.unit)
_OPEN = Query(
    select(audit_findings.c.id, audit_findings.c.kind, *_key)
    .select_from(_findings)
    .where(deployments.c.slug == any_(_SLUGS), audit_findings.c.repaired_block_id.is_(None))
    .order_by(audit_findings.c.id)
    .limit(_MOST)
)
COUNT_NAMES = ("checked", "exact", "state_mismatches", "truth_mismatches", "unreadable", "worst_error_wad")
_COUNT_TYPES: tuple[TypeEngine[Any], ...] = (*[Integer()] * 5, Integer256())
_counted = func.unnest(
    _SLUGS,
    *(bindparam(name, type_=ARRAY(kind)) for name, kind in zip(COUNT_NAMES, _COUNT_TYPES, strict=True)),
).table_valued(
    named("slug", Text),
    *(named(name, kind) for name, kind in zip(COUNT_NAMES, _COUNT_TYPES, strict=True)),
    name="counted",
)
_counted = _counted.render_derived()
_NOTE_COUNTS = Query(
    insert(audits).from_select(
        ["deployment_id", "block_id", *COUNT_NAMES],
        select(
            deployments.c.id, bindparam("block_id", type_=BigInteger), *(_counted.c[name] for name in COUNT_NAMES)
        ).select_from(_counted.join(deployments, deployments.c.slug == _counted.c.slug)),
    )
)
_NOTE_FINDING = Query(
    insert(audit_findings).from_select(
        ["block_id", "account_id", "kind", "what", "expected", "got"],
        select(
            bindparam("block_id", type_=BigInteger),
            accounts.c.id,
            bindparam("kind", type_=Text),
            cast(bindparam("what", type_=Text), ARRAY(Text)),
            cast(bindparam("expected", type_=Text), Integer256Array),
            cast(bindparam("got", type_=Text), Integer256Array),
        ).select_from(given_keys()),
    )
)
_NOTE_REPAIRED = Query(
    update(audit_findings)
    .where(audit_findings.c.id == any_(bindparam("ids", type_=ARRAY(BigInteger))))
    .values(repaired_block_id=bindparam("block_id", type_=BigInteger))
)
_old_blocks = (
    select(blocks.c.id)
    .where(blocks.c.chain_id == _CHAIN, blocks.c.timestamp < bindparam("before", type_=BigInteger))
    .order_by(blocks.c.number.desc())
    .limit(literal_column("1", Integer))
    .scalar_subquery()
)
_prunable_audits = (
    select(audits.c.deployment_id, audits.c.block_id)
    .select_from(audits.join(deployments, deployments.c.id == audits.c.deployment_id))
    .where(deployments.c.chain_id == _CHAIN, audits.c.block_id <= _old_blocks)
    .order_by(audits.c.block_id)
    .limit(_MOST)
    .subquery("prunable")
)
_PRUNE_AUDITS = Query(
    delete(audits).where(
        audits.c.deployment_id == _prunable_audits.c.deployment_id, audits.c.block_id == _prunable_audits.c.block_id
    )
)
_prunable_findings = (
    select(audit_findings.c.id)
    .select_from(_findings)
    .where(
        deployments.c.chain_id == _CHAIN,
        audit_findings.c.block_id <= _old_blocks,
        audit_findings.c.repaired_block_id.is_not(None),
    )
    .limit(_MOST)
)
_PRUNE_FINDINGS = Query(delete(audit_findings).where(audit_findings.c.id.in_(_prunable_findings)))


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """A difference that was found and not yet seen to be gone."""

    id: int
    kind: FindingKind
    key: AccountKey


async def draw_candidates(
    session: ReadSession, slugs: Sequence[str], block: StoredBlock, from_wallet: bytes
) -> list[AccountSnapshot]:
    """Stored states, as of `block`, of the up to CANDIDATES accounts of these deployments that follow a place among
    all addresses. Left out: accounts that are due to be read anyway, and those stored as unreadable."""
    found: dict[AccountKey, AccountSnapshot] = {}
    for start in (from_wallet, b""):  # the addresses go round
        if len(found) < CANDIDATES:
            rows = await session.rows(_DRAWN, from_wallet=start, slugs=list(slugs), limit_id=block.id)
            states = assemble(rows).values()
            found |= {state.key: state for state in states if isinstance(state, AccountSnapshot)}
    return list(found.values())[:CANDIDATES]


async def load_open_findings(session: ReadSession, slugs: Sequence[str], limit: int) -> list[OpenFinding]:
    """The oldest differences of these deployments that are not seen to be gone yet."""
    rows = await session.rows(_OPEN, slugs=list(slugs), most=limit)
    return [
        OpenFinding(finding, FindingKind(kind), AccountKey(slug, Address(wallet), unit))
        for finding, kind, slug, wallet, unit in rows
    ]


async def note_audit(
    session: WriteSession,
    block: StoredBlock,
    counts: Sequence[AuditCount],
    findings: Sequence[AuditFinding],
    repaired: Sequence[int],
) -> None:
    """Keep what one audit at `block` found, and which open findings it saw to be gone. Gone with the block."""
    columns = {name: [getattr(count, name) for count in counts] for name in COUNT_NAMES}
    worst = numeric_array(tuple(columns.pop("worst_error_wad")))
    await session.run(
        _NOTE_COUNTS,
        slugs=text_array([count.deployment_id for count in counts]),
        block_id=block.id,
        worst_error_wad=worst,
        **{name: integer_array(values) for name, values in columns.items()},
    )
    for finding in findings:
        await session.run(
            _NOTE_FINDING,
            **key_parameters([finding.key]),
            block_id=block.id,
            kind=finding.kind.value,
            what=text_array(finding.what),
            expected=numeric_array(finding.expected),
            got=numeric_array(finding.got),
        )
    if repaired:
        await session.run(_NOTE_REPAIRED, ids=list(repaired), block_id=block.id)


async def prune_audits(session: WriteSession, chain_id: ChainId, before_timestamp: int) -> int:
    """Forget some audits, and some findings seen to be gone, of blocks older than that; how many rows were removed.
    Bounded: to be called again and again."""
    given = {"chain_id": chain_id, "before": before_timestamp, "most": _PRUNED}
    return await session.run(_PRUNE_AUDITS, **given) + await session.run(_PRUNE_FINDINGS, **given)

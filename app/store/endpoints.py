"""What the indexer last saw of each endpoint of a chain: for status pages, and so that limits are learned once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, bindparam, delete, or_, select
from sqlalchemy.dialects.postgresql import insert

from app.domain.chain import ChainId
from app.domain.endpoint import EndpointHealth, EndpointStatus, LearnedLimits
from app.store.postgres.session import Query, ReadSession, WriteSession
from app.store.tables.chain import chain_endpoints

_KEY = ("chain_id", "number")
_FIELDS = tuple(column.name for column in chain_endpoints.columns)


@dataclass(frozen=True, slots=True)
class ObservedEndpoint:
    """One endpoint, and when that was so."""

    status: EndpointStatus
    observed_at: int
    """Seconds since 1970 by the indexer's clock."""


_INSERT = insert(chain_endpoints).values({name: bindparam(name) for name in _FIELDS})
_UPSERT = Query(
    _INSERT.on_conflict_do_update(
        index_elements=list(_KEY), set_={name: _INSERT.excluded[name] for name in _FIELDS if name not in _KEY}
    )
)
_DROP = Query(
    delete(chain_endpoints).where(
        chain_endpoints.c.chain_id == bindparam("chain_id", type_=BigInteger),
        chain_endpoints.c.number > bindparam("most", type_=BigInteger),
    )
)
_CHAIN = bindparam("chain_id", type_=BigInteger)
_ALL = Query(
    select(*(chain_endpoints.c[name] for name in _FIELDS))
    .where(or_(_CHAIN.is_(None), chain_endpoints.c.chain_id == _CHAIN))
    .order_by(chain_endpoints.c.chain_id, chain_endpoints.c.number)
)


async def note_endpoints(session: WriteSession, statuses: Sequence[EndpointStatus], observed_at: int) -> None:
    """Write all endpoints of one chain over what was known of them; those not configured any more are dropped."""
    for one in statuses:
        await session.run(
            _UPSERT,
            chain_id=one.chain_id,
            number=one.number,
            host=one.host,
            health=one.health.value,
            head_number=one.head_number,
            lag_blocks=one.lag_blocks,
            error_share=one.error_share,
            latency_seconds=one.latency_seconds,
            trouble=one.trouble,
            range_blocks=one.limits.range_blocks,
            chunk_calls=one.limits.chunk_calls,
            state_blocks=one.limits.state_blocks,
            observed_at=observed_at,
        )
    if statuses:
        await session.run(_DROP, chain_id=statuses[0].chain_id, most=len(statuses))


async def load_endpoints(session: ReadSession, chain_id: ChainId | None = None) -> list[ObservedEndpoint]:
    """The endpoints of one chain, or of all, by chain and number."""
    return [
        ObservedEndpoint(
            EndpointStatus(
                chain, number, host, EndpointHealth(health), head, lag, errors, latency, trouble, LearnedLimits(*limits)
            ),
            observed_at,
        )
        for chain, number, host, health, head, lag, errors, latency, trouble, *limits, observed_at in (
            await session.rows(_ALL, chain_id=chain_id)
        )
    ]

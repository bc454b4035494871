"""What is remembered of endpoints: as it was written, and no row of one that is not configured any more."""

from __future__ import annotations

from dataclasses import replace

from app.domain.endpoint import EndpointHealth, EndpointStatus, LearnedLimits
from app.store.endpoints import ObservedEndpoint, load_endpoints, note_endpoints
from app.store.postgres.engine import Database

FIRST = EndpointStatus(
    1, 1, "node.example", EndpointHealth.HEALTHY, 10, 0, 0.25, 0.125, None, LearnedLimits(2_000, 250, 128)
)
SECOND = replace(
    FIRST, number=2, host="other.example:8545", health=EndpointHealth.DOWN, trouble="no answer", limits=LearnedLimits()
)
ELSEWHERE = replace(FIRST, chain_id=10, head_number=None, lag_blocks=None, latency_seconds=None)


async def test_endpoints_are_loaded_as_they_were_noted_last(database: Database) -> None:
    async with database.write() as session:
        await note_endpoints(session, [FIRST, SECOND], 100)
        await note_endpoints(session, [ELSEWHERE], 101)
    async with database.read() as session:
        known = await load_endpoints(session)
        assert known == [ObservedEndpoint(FIRST, 100), ObservedEndpoint(SECOND, 100), ObservedEndpoint(ELSEWHERE, 101)]
        assert await load_endpoints(session, 10) == known[2:]
    moved = replace(FIRST, host="new.example", limits=LearnedLimits(range_blocks=7))
    async with database.write() as session:
        await note_endpoints(session, [moved], 200)
    async with database.read() as session:
        assert await load_endpoints(session, 1) == [ObservedEndpoint(moved, 200)]

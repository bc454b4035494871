"""/v1/wallets/{address}/track: have a wallet looked up at the next block, before any log has named it.

What anybody may write: through a list of its own (`TrackList`) that can write nothing else; bounded in size there and
in rate here. No key, no account: the list decides nothing but what an indexer reads next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import HTTPConnection
from starlette.responses import Response

from app.api.examples import common as examples
from app.api.frame.addresses import to_checksum
from app.api.frame.deps import ReadContext
from app.api.frame.heads import load_directory
from app.api.frame.limits import Allowance
from app.api.frame.problems import TOO_MANY_REQUESTS, ApiProblem
from app.api.schemas.tracking import TrackedChain, TrackingView
from app.api.wallets import AddressPath, ChainIdQuery, one_chain, wallet_of
from app.domain.chain import Address, ChainId
from app.domain.specs import chain_spec
from app.store.tracked import TrackedWallet, TrackList

router = APIRouter(tags=["wallets"])


class Tracker:
    """What of the list the service and its pages use."""

    def __init__(self, tracked: TrackList, context: ReadContext, allowance: Allowance | None = None) -> None:
        self._tracked = tracked
        self._context = context
        self._allowance = allowance or Allowance(burst=20, per_second=5)

    async def track(self, wallet: Address, chain_id: ChainId | None = None) -> TrackingView:
        """Have a wallet looked up at the next block of one chain, or of each that is followed.

        Raises:
            ApiProblem: too many were asked for just now, the list is full, or the chain is not followed.
            Retryable: the database is out of reach.
        """
        if not self._allowance.take():
            raise ApiProblem(TOO_MANY_REQUESTS, "too many wallets were asked for just now", {"Retry-After": "1"})
        chains, by_wallet, by_logs = await self._followed(chain_id)
        listed = await self._tracked.add(wallet, chains, self._context.clock())
        if not {one.chain_id for one in listed} >= set(chains):
            raise ApiProblem(TOO_MANY_REQUESTS, "the list is full: it empties with every block", {"Retry-After": "60"})
        return _view(wallet, chains, listed, by_wallet, by_logs)

    async def look(self, wallet: Address, chain_id: ChainId | None = None) -> TrackingView:
        """How a wallet stands on the list, without putting it there. May raise as `track`, but for the list."""
        chains, by_wallet, by_logs = await self._followed(chain_id)
        return _view(wallet, chains, await self._tracked.load(wallet), by_wallet, by_logs)

    async def _followed(self, chain_id: ChainId | None) -> tuple[list[ChainId], list[str], list[str]]:
        """The chains, and their deployments: those where a wallet names its accounts, and the others."""
        async with self._context.database.read() as session:
            directory = await load_directory(session, self._context, chain_id)
        names: tuple[list[str], list[str]] = ([], [])
        for deployment in directory.deployments.values():
            names[not self._context.find_adapter(deployment.protocol).accounts_by_wallet].append(deployment.id)
        return list(directory.chains), *names


async def tracker_of(connection: HTTPConnection) -> Tracker:
    """The process's tracker, for routes."""
    tracker = connection.app.state.tracker
    assert isinstance(tracker, Tracker)
    return tracker


Tracking = Annotated[Tracker, Depends(tracker_of)]


@router.post(
    "/v1/wallets/{address}/track",
    response_model=TrackingView,
    responses=examples.responses(examples.TRACKING, 400, 404, 422, 429, unchanged=False),
    summary="Have a wallet looked up at the next block",
)
async def post_track(tracking: Tracking, address: AddressPath, chain_id: ChainIdQuery = None) -> Response:
    """Nobody has to wait for the search of old logs to see a wallet of their own. It takes no body; asking again soon
    changes nothing. Protocols whose accounts have names of their own (a market of Morpho) are learned from logs."""
    wallet = wallet_of(address)
    return _fresh(await tracking.track(wallet.address, one_chain(wallet, chain_id)))


@router.get(
    "/v1/wallets/{address}/track",
    response_model=TrackingView,
    responses=examples.responses(examples.TRACKING, 400, 404, 422, unchanged=False),
    summary="Whether a wallet is being looked up",
)
async def get_track(tracking: Tracking, address: AddressPath, chain_id: ChainIdQuery = None) -> Response:
    """How the wallet stands on the list of those to look up; it is not put there."""
    wallet = wallet_of(address)
    return _fresh(await tracking.look(wallet.address, one_chain(wallet, chain_id)))


def new_tracker(context: ReadContext) -> Tracker:
    """The tracker of a process that serves from `context`'s database."""
    return Tracker(TrackList(context.database), context)


def _view(
    wallet: Address,
    chains: Sequence[ChainId],
    listed: Sequence[TrackedWallet],
    by_wallet: Sequence[str],
    by_logs: Sequence[str],
) -> TrackingView:
    known = {one.chain_id: one for one in listed}
    return TrackingView(
        address=to_checksum(wallet),
        chains=[_chain(chain_id, known.get(chain_id)) for chain_id in chains],
        looked_up_in=list(by_wallet),
        learned_from_logs=list(by_logs),
    )


def _chain(chain_id: ChainId, found: TrackedWallet | None) -> TrackedChain:
    block = None if found is None else found.looked_up_block
    return TrackedChain(
        chain_id=chain_id,
        chain=chain_spec(chain_id).name,
        state="not_asked" if found is None else "next_block" if block is None else "looked_up",
        looked_up_block=block,
        accounts_found=None if found is None else found.accounts_found,
    )


def _fresh(view: TrackingView) -> Response:
    return Response(view.model_dump_json(), headers={"Cache-Control": "no-store"}, media_type="application/json")

"""/v1/watchlists/{id}/members, and the same as CSV: the wallets of a list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.requests import HTTPConnection
from starlette.responses import Response, StreamingResponse

from app.api.examples import common as examples
from app.api.examples import watchlists as examples_lists
from app.api.frame.cursor import make_place_cursor, read_place_cursor
from app.api.frame.deps import ReadContext
from app.api.frame.keys import Actor, WatchReader, WatchWriter
from app.api.frame.names import NameResolver
from app.api.frame.problems import BAD_REQUEST, INVALID_LINES, UNKNOWN_ID, ApiProblem
from app.api.schemas.watchlists import AddedView, MemberIn, MembersIn, MembersView
from app.api.wallets import AddressPath, ChainIdQuery, Context, one_chain, wallet_of
from app.api.watch.changes import CursorQuery, changing, fresh, gone, unknown
from app.api.watch.member_forms import CSV_HEADER, ReadMembers, csv_lines, member_view, read_csv, read_members
from app.api.watch.watchlists import IdPath, require_list
from app.errors import Refused
from app.store.watch.members import StoredMember, add_members, load_members, remove_member
from app.store.watch.watchlists import hold_list

router = APIRouter(tags=["watchlists"])

_EXPORTED_AT_ONCE = 500


async def resolver_of(connection: HTTPConnection) -> NameResolver | None:
    """What names are resolved with, for routes; None: they are not."""
    resolver: NameResolver | None = connection.app.state.name_resolver
    return resolver


Resolver = Annotated[NameResolver | None, Depends(resolver_of)]
PartialQuery = Annotated[bool, Query(description="Store the good lines though others are not.")]


@router.get(
    "/v1/watchlists/{watchlist_id}/members",
    response_model=MembersView,
    responses=examples.responses(examples_lists.MEMBERS, 400, 401, 403, 404, 422, unchanged=False),
    summary="The wallets of a watchlist",
)
async def get_members(
    context: Context,
    _: WatchReader,
    watchlist_id: IdPath,
    address: Annotated[str | None, Query(max_length=300, description="Only the entries of this wallet.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: CursorQuery = None,
) -> Response:
    """In the order they were added. A wallet can be listed once for every chain and once for each single one."""
    wallet = None if address is None else wallet_of(address).address
    filters = ("members", watchlist_id, wallet)
    place = read_place_cursor(cursor, filters)
    async with context.database.read() as session:
        await require_list(session, watchlist_id)
        after = 0 if place is None else place[0]
        found = await load_members(session, watchlist_id, limit + 1, after=after, wallet=wallet)
    more = make_place_cursor(found[limit - 1].id, filters) if len(found) > limit else None
    return fresh(MembersView(items=[member_view(one) for one in found[:limit]], next_cursor=more))


@router.post(
    "/v1/watchlists/{watchlist_id}/members",
    response_model=AddedView,
    responses=examples.responses(examples_lists.ADDED, 400, 401, 403, 404, 409, 413, 422, unchanged=False),
    summary="Put wallets on a watchlist",
)
async def post_members(
    context: Context,
    actor: WatchWriter,
    resolver: Resolver,
    watchlist_id: IdPath,
    given: MembersIn,
    partial: PartialQuery = False,
) -> Response:
    """Up to 500; more at once as CSV. Nothing is stored unless all are good, or `partial` is asked for. A wallet that
    is there already gets the label and the tags given now."""
    read = await read_members(_numbered(given.items), resolver)
    return await _store(context, actor, watchlist_id, read, partial=partial, action="members.add")


@router.delete(
    "/v1/watchlists/{watchlist_id}/members/{address}",
    status_code=204,
    responses=examples.deletion(400, 401, 403, 404, 422),
    summary="Take a wallet off a watchlist",
)
async def delete_member(
    context: Context, actor: WatchWriter, watchlist_id: IdPath, address: AddressPath, chain_id: ChainIdQuery = None
) -> Response:
    """With chain_id (or CAIP-10) its entry of that chain, else every entry of it. Its open episodes end with the next
    evaluation."""
    wallet = wallet_of(address)
    chain = one_chain(wallet, chain_id)
    async with changing(context, actor, "members.remove") as change:
        if await hold_list(change.session, watchlist_id) is None:
            raise unknown("watchlist", watchlist_id)
        if not await remove_member(change.session, watchlist_id, wallet.address, chain):
            raise ApiProblem(UNKNOWN_ID, "the wallet is not on that list")
        change.note(f"watchlist:{watchlist_id}", wallet=str(wallet.address), chain_id=chain)
    return gone()


@router.get(
    "/v1/watchlists/{watchlist_id}/members.csv",
    response_class=StreamingResponse,
    responses=examples.text_responses("text/csv", CSV_HEADER, 401, 403, 404, 422),
    summary="The wallets of a watchlist as CSV",
)
async def get_members_csv(context: Context, _: WatchReader, watchlist_id: IdPath) -> Response:
    """Columns address, chain_id, label, tags; tags with semicolons between them. An apostrophe stands before what a
    spreadsheet would take for a formula; importing takes it away again."""
    async with context.database.read() as session:
        await require_list(session, watchlist_id)
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="watchlist-{watchlist_id}.csv"',
    }
    return StreamingResponse(_exported(context, watchlist_id), headers=headers, media_type="text/csv; charset=utf-8")


@router.post(
    "/v1/watchlists/{watchlist_id}/members.csv",
    response_model=AddedView,
    responses=examples.responses(examples_lists.ADDED, 400, 401, 403, 404, 409, 413, 422, unchanged=False),
    summary="Put wallets on a watchlist from CSV",
    openapi_extra={"requestBody": {"required": True, "content": {"text/csv": {"example": CSV_HEADER}}}},
)
async def post_members_csv(
    request: Request,
    context: Context,
    actor: WatchWriter,
    resolver: Resolver,
    watchlist_id: IdPath,
    partial: PartialQuery = False,
) -> Response:
    """Up to 8 MB of UTF-8, in the form of the export; columns but address may be missing. Every faulty line is told of.
    Nothing is stored unless all lines are good, or `partial` is asked for."""
    async with context.database.read() as session:
        await require_list(session, watchlist_id)
    try:
        read = await read_members(read_csv(request.stream()), resolver)
    except Refused as error:
        raise ApiProblem(BAD_REQUEST, str(error)) from error
    return await _store(context, actor, watchlist_id, read, partial=partial, action="members.import")


async def _store(
    context: ReadContext, actor: Actor, watchlist_id: int, read: ReadMembers, *, partial: bool, action: str
) -> Response:
    if read.faulty and not partial:
        detail = f"{read.faulty} of {read.faulty + len(read.members)} are not members; nothing was stored"
        faults = [fault.model_dump() for fault in read.faults]
        raise ApiProblem(INVALID_LINES, detail, extensions={"faults": faults})
    async with changing(context, actor, action) as change:
        if await hold_list(change.session, watchlist_id) is None:
            raise unknown("watchlist", watchlist_id)
        done = await add_members(change.session, watchlist_id, read.members, context.clock())
        change.note(f"watchlist:{watchlist_id}", added=done.added, updated=done.updated, left_out=read.faulty)
    return fresh(AddedView(added=done.added, updated=done.updated, faults=read.faults))


async def _numbered(items: Iterable[MemberIn]) -> AsyncIterator[tuple[int, MemberIn]]:
    for numbered in enumerate(items, 1):
        yield numbered


async def _exported(context: ReadContext, watchlist_id: int) -> AsyncIterator[str]:
    """A part at a time, each of a moment of its own: whoever is slow to read holds no connection."""
    yield CSV_HEADER
    after = 0
    while part := await _part(context, watchlist_id, after):
        yield csv_lines(part)
        after = part[-1].id


async def _part(context: ReadContext, watchlist_id: int, after: int) -> list[StoredMember]:
    async with context.database.read() as session:
        return await load_members(session, watchlist_id, _EXPORTED_AT_ONCE, after=after)

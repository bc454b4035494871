"""/v1/stream: one server-sent event for each committed block."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import StreamingResponse

from app.api.examples.common import problem_response
from app.api.frame.deps import ReadContext, context_of
from app.api.frame.problems import TOO_MANY_STREAMS, ApiProblem
from app.api.frame.stream import BlockStream

router = APIRouter(tags=["stream"])

_EXAMPLE = 'event: block\ndata: {"chain_id":1,"block_number":23456789}\n\n'


@router.get(
    "/v1/stream",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}}},
        503: problem_response(503),
    },
    summary="News of blocks as they are committed",
)
async def get_stream(context: Annotated[ReadContext, Depends(context_of)]) -> StreamingResponse:
    """Server-sent events: `block` with chain_id and block_number when that block's data can be read.

    Says only that there is something new: ask the other resources for what. Comments keep the connection open.
    """
    if context.stream.is_full:
        raise ApiProblem(TOO_MANY_STREAMS, "all stream places are taken", {"Retry-After": "30"})
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_frames(context.stream), media_type="text/event-stream", headers=headers)


async def _frames(stream: BlockStream) -> AsyncIterator[str]:
    yield "retry: 3000\n\n"
    async for news in stream.events():
        if news is None:
            yield ": still here\n\n"
        else:
            yield f'event: block\ndata: {{"chain_id":{news.chain_id},"block_number":{news.block_number}}}\n\n'

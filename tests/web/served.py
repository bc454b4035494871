"""The pages on a free port in a thread of their own, with a feed of blocks that tests pull the strings of."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator
from typing import Self

import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from app.web.routes import mount_pages
from tests.web.builders import StubSource


class Served:
    """`with Served(source) as served:` serves until the end; `stop` and `start` keep the port."""

    def __init__(self, source: StubSource) -> None:
        self.source = source
        self.streams = 0
        self._news: list[dict[str, int]] = []
        self._port = 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def publish(self, chain_id: int, block_number: int) -> None:
        """Tell every open stream of a block."""
        self._news.append({"chain_id": chain_id, "block_number": block_number})

    def start(self) -> None:
        app = FastAPI(docs_url=None, redoc_url=None)
        app.router.routes.append(Route("/v1/stream", self._stream))
        mount_pages(app, self.source)
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self._port))
        self._port = listening.getsockname()[1]
        config = uvicorn.Config(app, log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(listening, started)))
        self._thread.start()
        assert started.wait(10), "the pages' server did not start"

    def stop(self) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.should_exit = True
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _serve(self, listening: socket.socket, started: threading.Event) -> None:
        assert self._server is not None
        listening.listen()
        started.set()
        with listening:
            await self._server.serve([listening])

    async def _stream(self, request: Request) -> StreamingResponse:
        return StreamingResponse(self._frames(), media_type="text/event-stream")

    async def _frames(self) -> AsyncIterator[str]:
        """The wire format of /v1/stream."""
        assert self._server is not None
        server, told = self._server, len(self._news)
        self.streams += 1
        yield "retry: 200\n\n"
        while not server.should_exit:
            for news in self._news[told:]:
                yield f"event: block\ndata: {json.dumps(news)}\n\n"
            told = len(self._news)
            await asyncio.sleep(0.02)

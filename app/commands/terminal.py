"""What every command shares: where it prints, how it runs and how it ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress

import typer
from rich.console import Console

from app.errors import Refused, Retryable
from app.settings import Settings, load_settings

console = Console()
if not console.is_terminal:
    console.width = 160  # into a pipe or a file, where nothing is to be folded
complaints = Console(stderr=True)


COLLECTING = (700, 10, 10)
"""How many new objects the garbage collector lets be, and how many collections of them: Python's own default."""
STARTING = (20_000, 50, 100)
"""The same while a command starts: what is imported is no garbage, and to look for some costs a tenth of the start."""


def run(command: Callable[[Settings], Coroutine[None, None, int | None]]) -> None:
    """Load the settings, set up logging, run one command to its end and exit with its status."""
    settings = load_settings()
    logging.basicConfig(
        level=settings.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for chatty in ("alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # These libraries log whole URLs, which may hold keys.
    for noisy in ("aiohttp", "aiosmtplib", "httpx", "web3", "websockets", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    raise typer.Exit(asyncio.run(command(settings)) or 0)


@contextmanager
def database_named() -> Iterator[None]:
    """A database that cannot be used is told of by the name of its setting."""
    try:
        yield
    except Refused as error:
        raise Refused(f"DATABASE_URL: {error}") from error
    except Retryable as error:
        raise Retryable(f"DATABASE_URL: {error}") from error


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


async def until_signal(work: Coroutine[None, None, None], end: Callable[[asyncio.Task[None]], None] = _cancel) -> None:
    """Do `work` until it ends by itself or SIGINT or SIGTERM asks `end` to end it."""
    # What is imported stays: a quarter of a million objects, which each full collection would look through again for
    # a tenth of a second, between any two lines of the work.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTING)
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, end, task)
    try:
        await asyncio.wait((task,))
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
        task.cancel()
    with suppress(asyncio.CancelledError):
        await task

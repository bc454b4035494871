"""The right to be the only writer of a chain: a Postgres advisory lock that ends with its connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import Any

import psycopg

from app.errors import Retryable
from app.store.postgres.faults import end_if_cancelled, translate, translated


class LockHeld(Retryable):
    """Another process holds the lock: stand by and try again."""


class LockLost(Retryable):
    """The connection the lock lived on has ended: another process may hold it now. Stop writing, take it again."""


class AdvisoryLock:
    """A lock being held. The server gives it up the moment its connection ends, whatever ended it."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], name: str, key: int) -> None:
        self._connection = connection
        self.name = name
        """Role and chain, for messages."""
        self.key = key
        """Its number in Postgres, signed."""
        self.server_pid = connection.info.backend_pid
        """The server's process that holds it."""

    async def verify(self) -> None:
        """Make sure the lock is still held (one round trip): to be called before each write it protects.

        Raises:
            LockLost: it is not.
        """
        try:
            await self._connection.execute("SELECT 1")
        except psycopg.Error as error:
            end_if_cancelled(error)
            raise LockLost(f"lost the lock {self.name}: {translate(error)}") from error


@asynccontextmanager
async def hold_lock(
    connect: Callable[[], Awaitable[psycopg.AsyncConnection[Any]]], chain_id: int, role: str
) -> AsyncIterator[AdvisoryLock]:
    """Hold the lock of (`chain_id`, `role`) on a connection of its own.

    Raises:
        LockHeld: another process has it.
    """
    name, key = f"{role} of chain {chain_id}", lock_key(f"{chain_id}:{role}")
    with translated():
        connection = await connect()
        try:
            cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (key,))
            taken = await cursor.fetchone()
            if taken is None or not taken[0]:
                raise LockHeld(f"another process is the {name}")
            yield AdvisoryLock(connection, name, key)
        finally:
            await connection.close()


def lock_key(name: str) -> int:
    """The 64-bit number Postgres knows a named lock by. Stable over versions of this program."""
    return int.from_bytes(blake2b(f"waterline:{name}".encode(), digest_size=8).digest(), signed=True)

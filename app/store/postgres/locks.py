"""The right to be the only writer of a chain: a Postgres advisory lock that ends with its connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import blake2b

from app.errors import Retryable
from app.store.postgres.faults import DatabaseUnavailable, translated
from app.store.postgres.session import Driver, WriteSession, make_idle


class LockHeld(Retryable):
    """Another process holds the lock: stand by and try again."""


class LockLost(Retryable):
    """The connection the lock lived on has ended: another process may hold it now. Stop writing, take it again."""


class AdvisoryLock:
    """A lock being held. The server gives it up the moment its connection ends, whatever ended it."""

    def __init__(self, connection: Driver, name: str) -> None:
        self._connection = connection
        self.name = name
        """Role and chain, for messages."""

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """One transaction, as `Database.write`, on the connection that holds the lock: nothing is ever committed
        without it. One at a time.

        Raises:
            LockLost: it is not held any more. Only if the commit itself failed is it unknown whether all was stored.
        """
        connection = self._connection
        try:
            with translated():
                try:
                    yield WriteSession(connection)
                    await connection.commit()
                finally:
                    await make_idle(connection)
        except DatabaseUnavailable as error:
            if connection.closed:
                raise LockLost(f"lost the lock {self.name}: {error}") from error
            raise


@asynccontextmanager
async def hold_lock(connect: Callable[[], Awaitable[Driver]], chain_id: int, role: str) -> AsyncIterator[AdvisoryLock]:
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
            await connection.commit()  # the lock is the session's
            if taken is None or not taken[0]:
                raise LockHeld(f"another process is the {name}")
            yield AdvisoryLock(connection, name)
        finally:
            await connection.close()


def lock_key(name: str) -> int:
    """The 64-bit number Postgres knows a named lock by. Stable over versions of this program."""
    return int.from_bytes(blake2b(f"waterline:{name}".encode(), digest_size=8).digest(), signed=True)

"""Where fetched packages and compiled contracts are kept, and how two processes may fill it at once."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import Refused


class DevnetUnavailable(Refused):
    """The devnet cannot be set up here; the message says what to do about it."""


def cache_root() -> Path:
    """`$WATERLINE_CACHE`, or `waterline` in the user's cache directory. Made when missing.

    Raises:
        DevnetUnavailable: it cannot be created or written.
    """
    chosen = os.environ.get("WATERLINE_CACHE")
    root = Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "waterline"
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DevnetUnavailable(
            f"cannot create the cache directory {root} ({error.strerror}): set WATERLINE_CACHE to a writable directory"
        ) from error
    return root


@contextmanager
def locked(root: Path, name: str) -> Iterator[None]:
    """Hold an exclusive lock that ends with this process at the latest; waits for whoever holds it."""
    with (root / f".{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)


@contextmanager
def staged_directory(target: Path) -> Iterator[Path]:
    """A temporary directory that becomes `target` when the block ends well, and vanishes when it does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield staging
        if target.exists():
            shutil.rmtree(target)
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

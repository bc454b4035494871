"""How a command's work is run."""

from __future__ import annotations

import gc

import pytest

from app.commands.terminal import until_signal


async def test_work_does_not_pay_for_collecting_what_was_imported_before_it() -> None:
    frozen: list[int] = []

    async def work() -> None:
        frozen.append(gc.get_freeze_count())

    gc.unfreeze()
    try:
        await until_signal(work())
    finally:
        gc.unfreeze()
    assert frozen[0] > 10_000


async def test_what_ends_the_work_is_told() -> None:
    async def work() -> None:
        raise LookupError("gone")

    try:
        with pytest.raises(LookupError, match="gone"):
            await until_signal(work())
    finally:
        gc.unfreeze()

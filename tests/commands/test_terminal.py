"""How a command's work is run."""

from __future__ import annotations

import gc

import pytest

from app.commands.terminal import COLLECTING, STARTING, until_signal


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


async def test_the_collector_is_put_off_while_a_command_starts_only() -> None:
    seen: list[tuple[int, int, int]] = []

    async def work() -> None:
        seen.append(gc.get_threshold())

    before = gc.get_threshold()
    gc.set_threshold(*STARTING)
    try:
        await until_signal(work())
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
    assert seen == [COLLECTING]


async def test_what_ends_the_work_is_told() -> None:
    async def work() -> None:
        raise LookupError("gone")

    try:
        with pytest.raises(LookupError, match="gone"):
            await until_signal(work())
    finally:
        gc.unfreeze()

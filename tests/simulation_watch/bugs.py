"""Known defects, put into the code on purpose: the simulation has to show each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any
from unittest.mock import patch

from app.errors import WaterlineError
from app.store.watch.episode_steps import Ground
from app.watch import draft, episodes, evaluate
from app.watch.draft import Known
from app.watch.evaluate import Evaluator
from tests.simulation_watch.memory import Writes
from tests.simulation_watch.run import History

Broken = Callable[[], AbstractContextManager[None]]
_step = Evaluator._write
_after = Known.after.__func__  # type: ignore[attr-defined]


@contextmanager
def _with(target: object, name: str, value: Any) -> Iterator[None]:
    with patch.object(target, name, value):
        yield


def _no_retraction() -> AbstractContextManager[None]:
    def after(cls: type[Known], lists: Any, opened: Any, dropped: Any, now: int) -> Known:
        return _after(cls, lists, opened, [], now)  # type: ignore[no-any-return]

    return _with(Known, "after", classmethod(after))


def _progress_first() -> AbstractContextManager[None]:
    async def write(self: Any, session: Writes, look: Any, block: Any, *further: Any) -> Any:
        trail = self._trail(look.ground, block)
        await session.note_evaluated(block, look.ground.version, trail, int(self._clock()))
        session.commit()
        log = session.tables.log
        early = log[-1]
        commit = session.commit

        def commit_the_rest() -> None:
            log.remove(early)  # so that only a death in between makes a difference
            commit()

        session.commit = commit_the_rest  # type: ignore[method-assign]
        return await _step(self, session, look, block, *further)

    return _with(Evaluator, "_write", write)


def _no_lock() -> AbstractContextManager[None]:
    async def hold_row(self: Writes) -> None:
        return None

    return _with(Writes, "hold_row", hold_row)


def _older_blocks_too() -> AbstractContextManager[None]:
    return _with(Ground, "is_done", lambda self, block: False)


def _stale_look() -> AbstractContextManager[None]:
    return _with(Ground, "__eq__", lambda self, other: True)


def _not_asked_by_name() -> AbstractContextManager[None]:
    """Subjects with an open episode are not asked for by name: calm ones never clear."""
    return _with(evaluate, "_asked", lambda look: [
        evaluate.Asked(rule, one.members, frozenset()) for one, rule in look.lists.measured_rules()
    ])  # fmt: skip


def _compared_with_gone_block() -> AbstractContextManager[None]:
    """After a reorg changes of terms are not counted from the newest evaluated block that was left."""
    return _with(Evaluator, "_trail", lambda self, ground, block: ())


def _muted_is_told() -> AbstractContextManager[None]:
    real = draft.advance

    def advance(*arguments: Any) -> Any:
        return [
            episodes.Step(one.event, one.state, one.severity, one.is_muted, is_announced=True)
            for one in real(*arguments)
        ]

    return _with(draft, "advance", advance)


def _retracted_cools_down() -> AbstractContextManager[None]:
    """What was taken back is written after the cool-downs are looked up."""
    real = Writes.load_last_told

    async def load_last_told(self: Writes, asked: Any) -> Any:
        own, self._episodes = self._episodes, {}
        try:
            return await real(self, asked)
        finally:
            self._episodes = own

    return _with(Writes, "load_last_told", load_last_told)


def _new_id_each_try() -> AbstractContextManager[None]:
    ids = count(1)

    def receive(self: History, message_id: str) -> None:
        self.received[f"{message_id} {next(ids)}"] = 1

    return _with(History, "_receive", receive)


BUGS: dict[str, Broken] = {
    "nothing is retracted": _no_retraction,
    "progress is committed before the events": _progress_first,
    "nobody holds the chain's row": _no_lock,
    "an older block is evaluated after a newer one": _older_blocks_too,
    "what was read before measuring is not checked": _stale_look,
    "open episodes are not asked for by name": _not_asked_by_name,
    "the blocks evaluated before are forgotten": _compared_with_gone_block,
    "muted episodes are told": _muted_is_told,
    "what was taken back cools down": _retracted_cools_down,
    "a message has another id at each try": _new_id_each_try,
}


def catch(name: str, seeds: Sequence[int]) -> tuple[int, str] | None:
    """The first seed that shows a defect, and how; None when none does."""
    for seed in seeds:
        try:
            with BUGS[name]():
                History(seed).run()
        except (AssertionError, WaterlineError) as error:
            return seed, f"{type(error).__name__}: {error}"
    return None

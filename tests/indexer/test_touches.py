"""What logs say together."""

from __future__ import annotations

from typing import Any, cast

from app.domain.account import AccountKey
from app.domain.chain import Address, Hash32, Log
from app.indexer.block.touches import Touches
from app.protocols.base import AccountTouched, ConfigurationTouched, DeploymentState, RulesTouched, Touch

KEY = AccountKey("toy", Address(bytes(20)))
OTHER = AccountKey("toy", Address(b"\1" * 20))
FIRST: tuple[Touch, ...] = (AccountTouched(KEY, "one"), AccountTouched(OTHER))
SECOND: tuple[Touch, ...] = (AccountTouched(KEY, "two"), RulesTouched())
CHANGED: tuple[Touch, ...] = (ConfigurationTouched(),)
NOTHING: tuple[Touch, ...] = ()


class Told:
    """A deployment to which each log means what is said here, by the log's index."""

    def __init__(self, *said: tuple[Touch, ...], unseen: bool = False) -> None:
        self.accounts_change_unseen = unseen
        self._said = said

    def touched(self, log: Log) -> tuple[Touch, ...]:
        return self._said[log.log_index]

    def add_to(self, touches: Touches) -> list[Log]:
        logs = [Log(KEY.wallet, (), b"", 1, Hash32(bytes(32)), Hash32(bytes(32)), n) for n in range(len(self._said))]
        touches.add(cast(DeploymentState, cast(Any, self)), logs)
        return logs


def test_accounts_come_once_with_every_market_in_the_order_they_were_touched() -> None:
    touches = Touches()
    Told(FIRST, NOTHING, FIRST, SECOND, FIRST).add_to(touches)
    assert list(touches.accounts.items()) == [(KEY, {"one", "two"}), (OTHER, set())]
    assert (touches.configuration, touches.rules) == (False, True)
    Told(CHANGED).add_to(touches)
    assert touches.configuration
    assert len(touches.accounts) == 2


def test_every_log_that_means_anything_is_kept_where_that_is_of_use() -> None:
    touches = Touches()
    logs = Told(FIRST, NOTHING, FIRST, CHANGED, unseen=True).add_to(touches)
    assert touches.logs == [logs[0], logs[2], logs[3]]
    quiet = Touches()
    Told(FIRST, FIRST).add_to(quiet)
    assert quiet.logs == []

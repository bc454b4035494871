"""What has been read at one block so far, and which deployments it turned out that cannot be."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from app.domain.account import AccountState
from app.domain.chain import BlockRef
from app.indexer.block.refusal import Refusal, asked
from app.protocols.base import DeploymentState

log = logging.getLogger(__name__)

T = TypeVar("T")


class Found:
    """States and accounts as of one block. Whatever an adapter's code raises sets its own deployment aside."""

    def __init__(self, block: BlockRef) -> None:
        self._block = block
        self.states: dict[str, DeploymentState] = {}
        """States as of this block, as far as read."""
        self.refused: dict[str, str] = {}
        """Why deployments could not be read at this block."""
        self.faulty: set[str] = set()
        """Those among them whose adapter did not refuse on purpose, but failed."""
        self.accounts: list[AccountState] = []

    def take(self, values: Iterable[DeploymentState | AccountState | Refusal]) -> None:
        """Note what reading gave."""
        for value in values:
            if isinstance(value, Refusal):
                self._refuse(value)
            elif isinstance(value, DeploymentState):
                self.states[value.deployment.id] = value
            else:
                self.accounts.append(value)

    def ask(self, name: str, ask: Callable[[], T], otherwise: T) -> T:
        """What a deployment's adapter answers; `otherwise`, and the deployment is refused, if it fails."""
        answer = asked(name, ask)
        if isinstance(answer, Refusal):
            self._refuse(answer)
            return otherwise
        return answer

    def listens_otherwise(self, name: str, before: DeploymentState) -> bool:
        """Whether the deployment asks for other logs than it did in the state before."""
        return self.ask(name, lambda: self.states[name].log_filter() != before.log_filter(), False)

    def accounts_of(self, name: str) -> list[AccountState]:
        """The accounts read of one deployment."""
        return [account for account in self.accounts if account.key.deployment_id == name]

    def drop_refused(self) -> None:
        """Forget what was read of deployments that are refused: nothing of them may be stored."""
        for name in self.refused:
            self.states.pop(name, None)
        self.accounts = [account for account in self.accounts if account.key.deployment_id in self.states]

    def _refuse(self, refusal: Refusal) -> None:
        name = refusal.deployment_id
        if refusal.is_fault and name not in self.faulty:
            self.faulty.add(name)
            where = (self._block.chain_id, self._block.number, name)
            log.error("chain_id=%d block=%d deployment=%s its adapter failed", *where, exc_info=refusal.reason)
        self.refused[name] = refusal.text

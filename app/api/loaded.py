"""A wallet as it was read for one answer: raw states, assessments, and what converts them to USD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.api.frame.heads import Directory
from app.domain.account import AccountKey, AccountSnapshot, AccountState, NotYetRead
from app.domain.chain import Address
from app.valuation.assess import AccountAssessment
from app.valuation.conversion import Conversion, UsdPrice


@dataclass(frozen=True, slots=True)
class LoadedWallet:
    """Everything at the blocks of `directory`."""

    address: Address
    directory: Directory
    states: Sequence[AccountState | NotYetRead]
    assessed: Sequence[AccountAssessment]
    """In the order of `states`."""
    conversions: Mapping[AccountKey, Conversion | None]

    @property
    def prices(self) -> dict[AccountKey, UsdPrice]:
        """What converts the accounts that are not counted in USD, where anything does."""
        return {key: found for key, found in self.conversions.items() if isinstance(found, UsdPrice)}

    @property
    def pairs(self) -> list[tuple[AccountSnapshot | None, AccountAssessment]]:
        """Raw state, None where there is none to be had, and assessment."""
        return [
            (state if isinstance(state, AccountSnapshot) else None, assessed)
            for state, assessed in zip(self.states, self.assessed, strict=True)
        ]

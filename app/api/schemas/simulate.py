"""What is asked of and answered by POST /v1/simulate."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.api.schemas.account import ReasonView
from app.api.schemas.base import AddressText, AsOf, DecimalText, Kind, Status, View
from app.api.schemas.wallets import WalletTotals

AmountText = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,40}(\.[0-9]{1,40})?$")]
ChangeText = Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,4}(\.[0-9]{1,18})?$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PriceMove(_Asked):
    """How prices in US dollars move: of one asset or of a group. An asset counts before its group, a group before
    `volatile`, which is everything that is not stable."""

    asset: Name | None = Field(default=None, description="A symbol.", examples=["WETH"])
    group: Name | None = Field(default=None, description="A group's name or `volatile`.", examples=["eth"])
    change: ChangeText = Field(description="Ratio above -1: -0.2 is a fall by 20 %.", examples=["-0.2"])


class AccountChange(_Asked):
    """One thing done to one account. Whether the protocol would allow it is not looked at."""

    deployment_id: Name
    unit: str = Field(default="", max_length=200)
    market: Name = Field(description="The market's code inside its deployment, as in `positions`.")
    action: Literal["add", "withdraw", "borrow", "repay", "collateral_on", "collateral_off"]
    amount: AmountText | None = Field(default=None, description="Whole tokens; none for the collateral actions.")


class SimulationRequest(_Asked):
    """A wallet, and what is to be imagined."""

    address: Annotated[str, StringConstraints(max_length=200)] = Field(description="As in /v1/wallets/{address}.")
    chain_id: int | None = Field(default=None, ge=1, lt=2**63)
    block_number: int | None = Field(default=None, ge=0, lt=2**63)
    moves: list[PriceMove] = Field(default=[], max_length=50)
    changes: list[AccountChange] = Field(default=[], max_length=50, description="In this order.")


class SimulatedSide(View):
    """An account before or after."""

    status: Status
    reasons: list[ReasonView]
    health_factor: DecimalText | None
    utilization: DecimalText | None
    collateral_value: DecimalText | None
    debt_value: DecimalText | None
    equity: DecimalText | None = Field(description="Perps only.")
    requirement: DecimalText | None = Field(description="Perps only: maintenance margin.")


class SimulatedAccount(View):
    """One account, by its protocol's exact rule."""

    deployment_id: str
    chain_id: int
    name: str
    kind: Kind
    unit: str
    value_currency: str | None
    before: SimulatedSide
    after: SimulatedSide
    net_usd_before: DecimalText | None = Field(description="Collateral - debt; of perps equity.")
    net_usd_after: DecimalText | None
    change_usd: DecimalText | None = Field(description="net_usd_after - net_usd_before.")


class MovedPrice(View):
    """One move, as it was understood."""

    kind: Literal["asset", "group"]
    name: str
    change: DecimalText


class SimulationView(View):
    """A wallet before and after. Nothing is stored and nobody is liquidated on the way."""

    address: AddressText
    as_of: AsOf = Field(description="The least fresh of `chains`.")
    chains: list[AsOf]
    moves: list[MovedPrice]
    totals_before: WalletTotals
    totals_after: WalletTotals
    accounts: list[SimulatedAccount] = Field(description="Riskiest after it first.")

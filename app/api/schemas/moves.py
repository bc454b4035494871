"""What is answered beside an account's state when it is asked for: joint moves, buffers, a wallet's exposure."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.schemas.base import DecimalText, Status, View


class TurnView(View):
    """Where the verdict turns."""

    distance: DecimalText = Field(description="Multiplier of the prices - 1: negative when they have to fall.")
    turns_to: Status = Field(description="What the account is there.")
    sigmas: DecimalText | None = Field(
        description="ln(1 + distance) / daily_sigma, signed. Null where daily_sigma is, and for a price that has to "
        "go to 0."
    )


class MoveView(View):
    """One way prices can move: of one asset, of a group by the same factor, or of all that is volatile."""

    kind: Literal["asset", "group", "volatile"]
    name: str = Field(description="The asset's symbol, the group's name, or `volatile`.")
    markets: list[str] = Field(description="Whose prices move, by code.")
    symbols: list[str] = Field(description="Of the same, in the same order. Groups are by symbol.")
    measure_moves: bool = Field(
        description="The token that values are counted in moves along: prices counted in it move the other way."
    )
    daily_sigma: DecimalText | None = Field(
        description="Standard deviation of a day's log return of these assets together, weighted by value, from the "
        "stored oracle prices of the 7 days before the block, hour by hour. Null: too little history, or it never "
        "moved."
    )
    turns: list[TurnView] = Field(
        description="Nearest first, by the exact rule: of an asset to the oracle's last unit, of others to a "
        "millionth. Empty when nothing from -99.9999 % to +900 % turns the verdict."
    )


class WithdrawableView(View):
    """What of one collateral alone can be taken out with the health factor staying at the target or above.

    By health alone: whether the protocol or its liquidity would let it go is not looked at.
    """

    market: str
    symbol: str
    amount: DecimalText
    value: DecimalText | None


class BufferView(View):
    """How far an account is from liquidation in value, in its `value_currency`."""

    capacity: DecimalText = Field(description="Collateral weighted by liquidation thresholds; of perps equity.")
    requirement: DecimalText = Field(description="Debt; of perps maintenance margin.")
    headroom: DecimalText = Field(description="capacity - requirement; below 0 past the line.")
    target_health_factor: DecimalText
    withdrawable: list[WithdrawableView]


class AssetExposureView(View):
    """One asset of a wallet over lending and perps: supplied - borrowed + perp size."""

    asset: str = Field(description="The name it is added up under: WETH and a perp's vETH as ETH. By symbol.")
    group: str
    symbols: list[str]
    supplied: DecimalText = Field(description="Lent, collateral or not, or posted as margin.")
    borrowed: DecimalText
    perp_size: DecimalText = Field(description="Signed: below 0 is short.")
    net: DecimalText
    net_usd: DecimalText | None = Field(description="At each part's own price; null when any part has none in USD.")
    hedge: DecimalText = Field(description="What to buy of it (below 0: sell) for its price to change nothing.")


class GroupExposureView(View):
    """One group of a wallet."""

    group: str
    net_usd: DecimalText | None
    hedge_usd: DecimalText | None = Field(description="What to buy of it (below 0: sell) to be neutral to the group.")


class ExposureView(View):
    """What a wallet gains and loses with each asset."""

    assets: list[AssetExposureView] = Field(description="Largest net value first.")
    groups: list[GroupExposureView] = Field(description="Assets of no group are not added up.")
    left_out_accounts: int = Field(description="Unknown accounts: not in here.")
    unpriced_accounts: int = Field(description="Accounts whose amounts are in here and whose values are not known.")

"""The templates with everything they may call. Undefined names are errors, everything is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.api.frame.addresses import to_checksum
from app.api.schemas.account import AccountView
from app.api.schemas.wallets import StatusCounts
from app.watch.words import duration
from app.web import format as shown
from app.web.assets import Asset
from app.web.gauge import gauge
from app.web.page import time_left
from app.web.perp_words import beyond_of, position_said
from app.web.sparkline import sparkline
from app.web.stress import band_after
from app.web.watch_words import (
    CANNOT_BE_SAID,
    ENDINGS,
    SEVERITIES,
    STEPS,
    blind_of,
    delivery_band,
    route_words,
    rule_words,
)
from app.web.words import band_of, place_of

TEMPLATES = Path(__file__).parent / "templates"


def make_environment(assets: Mapping[str, Asset]) -> Environment:
    """The one environment of a process; templates are read once."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        amount=shown.amount,
        amount_up=shown.amount_up,
        money=shown.money,
        money_down=shown.money_down,
        gain=shown.gain,
        times=shown.times,
        price=shown.price,
        liquidation_price=shown.liquidation_price,
        ratio_down=shown.ratio_down,
        percent_up=shown.percent_up,
        share_down=shown.share_down,
        error_up=shown.error_up,
        threshold=shown.threshold,
        distance=shown.distance,
        age=shown.age,
        integer=shown.integer,
        short_hex=shown.short_hex,
        sentence=shown.sentence,
        gauge=gauge,
        utc=utc,
        utc_short=utc_short,
        is_zero=is_zero,
        time_left=_time_left,
        account_count=account_count,
        duration=duration,
        rule_words=rule_words,
        route_words=route_words,
        sparkline=sparkline,
        checksum=to_checksum,
    )
    environment.globals.update(
        assets=assets,
        band=band_of,
        band_after=band_after,
        place=place_of,
        beyond=beyond_of,
        position_said=position_said,
        severity_band=SEVERITIES.get,
        ending_band=ENDINGS.get,
        delivery_band=delivery_band,
        steps=STEPS,
        blind_of=blind_of,
        cannot_be_said=CANNOT_BE_SAID,
    )
    return environment


def utc(timestamp: int) -> str:
    """`2026-11-22 16:40:05 UTC`."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def utc_short(timestamp: int) -> str:
    """`22 Nov 16:40 UTC`: where the block number beside it says the rest."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%d %b %H:%M UTC")


def is_zero(text: str) -> bool:
    """Whether an exact decimal string is zero."""
    return not Decimal(text)


def account_count(counts: StatusCounts | None) -> str:
    """All accounts of a deployment."""
    if counts is None:
        return shown.NONE
    return shown.integer(counts.liquidatable + counts.unknown + counts.healthy + counts.no_debt)


def _time_left(account: AccountView) -> str:
    return time_left(account.seconds_to_liquidation, account.status)

"""The page's plain words: a band for every account, and the sentence a wallet page opens with.

Until a distance scaled by volatility exists, a healthy account's band goes by its utilisation alone. The edges
below are reading aids of this page, stated on it; the verdict itself is always the protocol's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from app.api.schemas.account import AccountView, NamedLiquidationPrice
from app.api.schemas.wallets import RankedAccountView, WalletView
from app.domain.specs import chain_spec
from app.web import format as shown
from app.web.perp_words import held, price_name


@dataclass(frozen=True, slots=True)
class Band:
    """How an account stands: `code` picks shape and colour, `word` says it."""

    code: str
    word: str


NO_DEBT = Band("no_debt", "No debt")
NO_POSITION = Band("no_debt", "No position")
UNKNOWN = Band("unknown", "Unknown")
LIQUIDATABLE = Band("liquidatable", "Liquidatable")
BLOCKED = Band("liquidatable", "Past the line, blocked")
WIDE, MODERATE = Band("wide", "Wide margin"), Band("moderate", "Moderate margin")
THIN, BRINK = Band("thin", "Thin margin"), Band("brink", "Close to the line")

EDGES = ((Decimal("0.60"), WIDE), (Decimal("0.80"), MODERATE), (Decimal("0.95"), THIN))
"""A healthy account below this utilisation is called that; from the last edge on it is close to the line."""


def band_of(account: AccountView | RankedAccountView) -> Band:
    """The band of one account: the protocol's verdict first, utilisation only among the healthy."""
    if account.status == "unknown":
        return UNKNOWN
    if account.status == "no_debt":
        return NO_POSITION if account.kind == "perp" else NO_DEBT
    if account.status == "liquidatable":
        blocked = isinstance(account, AccountView) and _reason(account, "liquidation_blocked") is not None
        return BLOCKED if blocked else LIQUIDATABLE
    return margin_band(account.utilization)


def margin_band(utilization: str | None) -> Band:
    """The band of a healthy account."""
    if utilization is None:
        return BRINK
    used = Decimal(utilization)
    return next((band for edge, band in EDGES if used < edge), BRINK)


def place_of(name: str, chain_id: int) -> str:
    """`Aave V3 on Ethereum`; the chain is not said twice when the name already says it."""
    chain = chain_spec(chain_id).name
    return name if chain.lower() in name.lower() else f"{name} on {chain}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The opening of a wallet page. `far` stands by itself; the others follow when there is something to say."""

    band: Band
    far: str
    when: str | None = None
    """The condition that belongs to `far`."""
    soon: str | None = None
    fix: str | None = None
    also: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The whole as one line."""
        return " · ".join(part for part in (self.distance, self.soon, self.fix) if part)

    @property
    def distance(self) -> str:
        """How far, with its condition."""
        return f"{self.far} {self.when}" if self.when else self.far


def verdict_of(view: WalletView) -> Verdict | None:
    """What to say first about a wallet: of its riskiest account, and what else must not be missed.

    None for a wallet without accounts.
    """
    if not view.accounts:
        return None
    worst, rest = view.accounts[0], view.accounts[1:]
    verdict = _verdict(worst)
    also: list[str] = []
    if rest:
        also.append(
            f"This is about the riskiest of {len(view.accounts)} accounts: {place_of(worst.name, worst.chain_id)}."
        )
    if worst.status == "unknown":
        known = next((account for account in rest if account.status != "unknown"), None)
        if known is not None and known.status == "healthy":
            also.append(
                f"Of those that could be assessed: {_verdict(known).distance} ({place_of(known.name, known.chain_id)})."
            )
    hidden = view.totals.unknown_accounts - (worst.status == "unknown")
    if hidden:
        also.append(f"{hidden} more {'is' if hidden == 1 else 'are'} unknown and may be worse than what is shown here.")
    also += verdict.also
    return replace(verdict, also=tuple(also))


def _verdict(account: AccountView) -> Verdict:
    band = band_of(account)
    match account.status:
        case "unknown":
            return _unknown(account, band)
        case "no_debt":
            supplied = f"{shown.money(account.collateral_value)} {account.value_currency or ''}".strip()
            if account.kind == "perp":
                return Verdict(band, "No position, so nothing to liquidate", soon=f"{supplied} of margin posted")
            return Verdict(band, "No debt, so nothing to liquidate", soon=f"{supplied} of collateral supplied")
        case "liquidatable":
            return _liquidatable(account, band)
        case "healthy":
            return _healthy(account, band)


def _unknown(account: AccountView, band: Band) -> Verdict:
    place = place_of(account.name, account.chain_id)
    if _reason(account, "not_read_yet") is not None:
        return Verdict(
            band, f"Not known yet: {place} has been seen but not read", soon="it will be read at one of the next blocks"
        )
    refused = _reason(account, "deployment_refused")
    if refused is not None:
        return Verdict(band, f"Unknown: {place} cannot be read at present", soon=refused)
    details = "; ".join(reason.detail for reason in account.reasons[:3]) or "no reason was given"
    return Verdict(band, f"Unknown: {place} could not be assessed", soon=details)


def _liquidatable(account: AccountView, band: Band) -> Verdict:
    nearest = account.liquidation_prices[0] if account.liquidation_prices else None
    back = None if nearest is None else _back(nearest, account.value_currency)
    blocked = _reason(account, "liquidation_blocked")
    factor = f"health factor {shown.ratio_down(account.health_factor)}"
    if blocked is not None:
        return Verdict(
            band,
            "Past the line, but liquidation is blocked for now",
            soon=f"{blocked}; {factor}",
            fix=fix_of(account),
        )
    return Verdict(band, "Liquidatable now", f"at {factor}", back, fix_of(account))


def _healthy(account: AccountView, band: Band) -> Verdict:
    if account.liquidation_prices:
        nearest = account.liquidation_prices[0]
        price = shown.liquidation_price(nearest.price, nearest.direction)
        verb = "falls" if nearest.direction == "fall" else "rises"
        unit = account.value_currency or ""
        far = f"{shown.room(nearest.distance)} from liquidation"
        when = f"if {price_name(nearest)} {verb} to {price} {unit}".strip()
    else:
        far, when = "No single price liquidates it:", "only several prices moving together can"
    fix = fix_of(account) if account.restore else "health factor above the target, nothing to restore"
    soon = soon_of(account)
    if account.kind == "perp":
        soon = held(account) + (f" · {soon}" if soon else "")
    return Verdict(band, far, when, soon, fix)


def soon_of(account: AccountView) -> str | None:
    """How long interest (of perps: funding) alone takes to the line, prices unchanged."""
    what = "funding" if account.kind == "perp" else "interest"
    match account.seconds_to_liquidation:
        case None:
            return None
        case "never":
            return f"{what} alone never gets it there"
        case "more_than_a_year":
            return f"more than a year by {what} alone"
        case seconds:
            return f"{shown.duration(seconds)} by {what} alone"


def fix_of(account: AccountView) -> str | None:
    """The shortest remedy: one repayment, addition or closing, each enough by itself."""
    restore = account.restore
    if restore is None:
        return None
    target = shown.ratio_down(restore.target_health_factor, 2)
    ways = [f"repay {shown.amount_up(way.amount)} {way.symbol}" for way in restore.repay[:1]]
    ways += [f"add {shown.amount_up(way.amount)} {way.symbol}" for way in restore.add_collateral[:1]]
    ways += [f"close {shown.amount_up(way.amount)} {way.symbol}" for way in restore.close[:1]]
    if ways:
        return f"{' or '.join(ways)} to reach {target}"
    kinds = "addition or closing" if account.kind == "perp" else "repayment or addition"
    return f"no single {kinds} reaches {target}"


def _back(nearest: NamedLiquidationPrice, currency: str | None) -> str:
    side = "above" if nearest.direction == "fall" else "below"
    price = shown.liquidation_price(nearest.price, nearest.direction)
    return (
        f"safe again only with {price_name(nearest)} back {side} {price} {currency or ''}".strip()
        + f" ({shown.distance(nearest.distance)})"
    )


def _reason(account: AccountView, code: str) -> str | None:
    return next((reason.detail for reason in account.reasons if reason.code == code), None)

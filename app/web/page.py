"""What a wallet page shows beside the API's own models: banners, links, the opening sentence, where to go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from app.api.schemas.base import AsOf
from app.api.schemas.wallets import DeploymentView, HistoryView, WalletView
from app.domain.specs import chain_spec
from app.web import format as shown
from app.web.chart import Chart, chart
from app.web.words import Verdict, place_of, verdict_of


@dataclass(frozen=True, slots=True)
class Explorer:
    """A block explorer's page about the wallet."""

    chain: str
    url: str


@dataclass(frozen=True, slots=True)
class ChartItem:
    """The chart of one account, or why there is none."""

    place: str
    unit: str
    complete: bool
    chart: Chart | None
    missing: str = "Nothing to draw yet: the chart starts with the second stored block."


@dataclass(frozen=True, slots=True)
class WalletPage:
    """One wallet, as asked for: all chains or one, now or at a past block."""

    view: WalletView
    chain_id: int | None
    block_number: int | None
    deployments: tuple[DeploymentView, ...] = ()
    """What was looked at, for the page of a wallet nobody has seen; empty otherwise."""

    @property
    def is_live(self) -> bool:
        """A past block does not change any more: nothing is listened to."""
        return self.block_number is None

    @property
    def verdict(self) -> Verdict | None:
        """The opening sentence; None without accounts."""
        return verdict_of(self.view)

    @property
    def title(self) -> str:
        """Of the browser's tab: the verdict first, because a tab shows little."""
        far = self.verdict.distance if self.verdict else "No accounts"
        past = "" if self.block_number is None else f" at block {self.block_number:,}"
        return f"{far}{past} · {shown.short_hex(self.view.address)} · Waterline"

    @property
    def worst_utilization(self) -> str | None:
        """Of the riskiest account."""
        return self.view.accounts[0].utilization if self.view.accounts else None

    @property
    def has_perps(self) -> bool:
        """Any account is of a perp protocol."""
        return any(account.kind == "perp" for account in self.view.accounts)

    @property
    def stale_chains(self) -> list[AsOf]:
        """Chains whose answer may no longer hold. The past does not age: none when a past block was asked for."""
        return [chain for chain in self.view.chains if chain.stale] if self.is_live else []

    @property
    def stale_somewhere(self) -> bool:
        """Any account's own chain is stale, so what is said of the whole wallet is too."""
        return self.is_live and any(account.as_of.stale for account in self.view.accounts)

    @property
    def stale_everywhere(self) -> bool:
        """Nothing on the page is fresh."""
        return bool(self.stale_chains) and len(self.stale_chains) == len(self.view.chains)

    @property
    def past_note(self) -> str | None:
        """Why the block shown is not quite the one asked for."""
        return None if self.is_live else self.view.as_of.stale_reason

    @property
    def scanning(self) -> int:
        """Old blocks still to be searched for accounts."""
        return sum(deployment.scan_remaining_blocks for deployment in self.deployments)

    @property
    def blocks_key(self) -> str:
        """Changes whenever the page's numbers can have: the block of every chain, and whether it is stale."""
        return " ".join(f"{c.chain_id}:{c.block_hash or ''}:{c.finality}:{c.stale}" for c in self.view.chains)

    @property
    def announcement(self) -> str:
        """What a screen reader is told when it changes: verdicts and staleness, never the digits of every block."""
        stale = " Stale: the numbers may no longer hold." if self.stale_somewhere or self.stale_everywhere else ""
        return (f"{self.verdict.band.word}." if self.verdict else "No accounts.") + stale

    @property
    def explorers(self) -> list[Explorer]:
        """Links for the chains that have an explorer."""
        specs = [chain_spec(chain.chain_id) for chain in self.view.chains]
        return [Explorer(s.name, f"{s.explorer}/address/{self.view.address}") for s in specs if s.explorer]

    @property
    def api_url(self) -> str:
        """The same answer for programs."""
        return f"/v1/wallets/{self.view.address}{self._query(block=True)}"

    @property
    def live_url(self) -> str:
        """The fragment that replaces the live part."""
        return f"/wallet/{self.view.address}/live{self._query()}"

    @property
    def history_url(self) -> str:
        """The fragment that replaces the charts."""
        return f"/wallet/{self.view.address}/history{self._query()}"

    @property
    def stream_url(self) -> str:
        """Where news of blocks comes from."""
        return "/v1/stream"

    def stale_after(self, chain_id: int) -> int:
        """Age in seconds past which a chain's newest block is called stale."""
        return chain_spec(chain_id).stale_after_seconds

    def _query(self, *, block: bool = False) -> str:
        asked = {"chain_id": self.chain_id, "block_number": self.block_number if block else None}
        given = {name: value for name, value in asked.items() if value is not None}
        return f"?{urlencode(given)}" if given else ""


def chart_items(histories: Sequence[HistoryView]) -> list[ChartItem]:
    """One chart an account, in the order of `histories`."""
    return [
        ChartItem(place_of(account.name, account.chain_id), account.unit, account.complete, chart(account.points))
        for history in histories
        for account in history.accounts
    ]


def time_left(seconds: int | str | None, status: str) -> str:
    """`seconds_to_liquidation` in a narrow place."""
    match seconds:
        case "never":
            return "never"
        case "more_than_a_year":
            return "> 1 year"
        case int():
            return "none" if status == "liquidatable" else shown.duration(seconds)
        case _:
            return shown.NONE

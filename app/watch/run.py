"""One look at watchlists, for cron: every chain is evaluated at its newest block, as the monitor does it, and what is
open afterwards is what was found. What cannot be known is said, and is never read as calm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from app.book import BlockReplaced, Keeper
from app.domain.account import AccountKey
from app.domain.chain import ChainId
from app.domain.subjects import wallet_of
from app.domain.watch import EpisodeEvent, Severity, Subject
from app.errors import Refused
from app.store.blocks import StoredBlock, load_head
from app.store.chains import load_chains
from app.store.postgres.engine import Database
from app.store.postgres.session import ReadSession
from app.store.staleness import stale_reason
from app.store.watch.episodes import Episode, load_open_episodes
from app.store.watch.timers import load_labels, load_numbers
from app.store.watch.watchlists import MOST_LISTS, StoredList, WatchedList, load_lists, load_watched
from app.watch.evaluate import Evaluation, Evaluator
from app.watch.lists import TIMED

_ATTEMPTS = 5
"""A newest block may be replaced while its book is loaded; one that is so often makes nothing known."""


class Outcome(IntEnum):
    """What a run comes to: the command's exit status."""

    CALM = 0
    FINDINGS = 1
    CANNOT_KNOW = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """An open episode."""

    episode: Episode
    watchlist: str
    event: EpisodeEvent
    """The newest step that says how bad it is, with its numbers."""
    value_now: int | None
    """At the block of this run; None where it was not measured or is not known."""
    label: str
    """What the list calls the wallet."""
    place: str
    """The deployment's name for people."""


@dataclass(frozen=True, slots=True)
class ChainLook:
    """How one chain could be looked at."""

    chain_id: ChainId
    block: StoredBlock | None
    measured: int
    """Rules times accounts or markets."""
    unknown: int
    """Of them, those that nothing can be said of."""
    trouble: str | None
    """Why what was found is no ground for "now"; None when it is."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one run found."""

    at: int
    watchlists: tuple[str, ...]
    chains: tuple[ChainLook, ...]
    """Those that the lists have anything to do with."""
    findings: tuple[Finding, ...]
    """The worst first."""

    def outcome(self, fail_on: Severity) -> Outcome:
        """A finding counts where its chain is current. It comes before what cannot be known: it is known."""
        current = {one.chain_id for one in self.chains if one.trouble is None}
        found = (one.episode for one in self.findings if one.episode.chain_id in current)
        if any(episode.severity >= fail_on for episode in found):
            return Outcome.FINDINGS
        is_whole = all(one.trouble is None and not one.unknown for one in self.chains)
        is_asked = any(one.measured for one in self.chains)
        return Outcome.CALM if is_whole and is_asked else Outcome.CANNOT_KNOW


@dataclass(frozen=True, slots=True)
class _Looked:
    """One chain, and what was measured and is called how there."""

    look: ChainLook
    values: Mapping[tuple[int, Subject], int | None]
    places: Mapping[str, str]


class Runner:
    """Looks once at lists on some chains."""

    def __init__(
        self,
        database: Database,
        evaluator: Evaluator,
        clock: Callable[[], float],
        keeper: Callable[[ChainId], Keeper],
    ) -> None:
        """
        Args:
            evaluator: what the monitor has too.
            clock: Unix seconds now, for how old the data is.
            keeper: makes a keeper of a chain's book.
        """
        self._database, self._evaluator = database, evaluator
        self._clock, self._make_keeper = clock, keeper

    async def look(self, chain_ids: Sequence[ChainId], names: Sequence[str]) -> Report:
        """Evaluate the chains, and report on the lists of these names, or on all that are not paused.

        Raises:
            Refused: there is no such list, it is paused, or there is none at all.
            Retryable: the database failed.
        """
        async with self._database.read() as session:
            lists = _chosen(await load_lists(session, MOST_LISTS), names)
        ids = {one.id for one in lists}
        looked = []
        for chain_id in chain_ids:
            one = await self._look_at(chain_id, ids)
            looked += [] if one is None else [one]
        async with self._database.read() as session:
            findings = await self._findings(session, lists, looked)
        chains = tuple(one.look for one in looked)
        return Report(int(self._clock()), tuple(one.name for one in lists), chains, findings)

    async def _look_at(self, chain_id: ChainId, ids: set[int]) -> _Looked | None:
        """One chain; None when the lists have nothing to do with it."""
        async with self._database.read() as session:
            watched = [one for one in await load_watched(session, chain_id) if one.id in ids]
        rules = {rule.id for one in watched for rule in one.rules}
        keeper, done = await self._evaluate(chain_id)
        async with self._database.read() as session:
            status = {one.chain_id: one for one in await load_chains(session)}.get(chain_id)
        found = [] if done is None else [one for one in done.found if one.rule_id in rules]
        measured, unknown = sum(one.subjects for one in found), sum(one.unknown for one in found)
        block = None if done is None else done.block
        trouble = stale_reason(chain_id, status, block, int(self._clock()))
        if not measured and not _concerns(watched, chain_id):
            return None
        values = {(one.rule_id, each.subject): each.value for one in found for each in one.measured}
        places = {} if keeper is None else {name: kept.deployment.name for name, kept in keeper.kept.items()}
        return _Looked(ChainLook(chain_id, block, measured, unknown, trouble), values, places)

    async def _evaluate(self, chain_id: ChainId) -> tuple[Keeper | None, Evaluation | None]:
        """Evaluate at the newest block, as it is loaded anew; nothing where nothing is stored."""
        for attempt in range(1, _ATTEMPTS + 1):
            async with self._database.read() as session:
                head = await load_head(session, chain_id)
            if head is None:
                break
            keeper = self._make_keeper(chain_id)
            try:
                await keeper.load(head)
                return keeper, await self._evaluator.evaluate(keeper, await keeper.read())
            except BlockReplaced:
                if attempt == _ATTEMPTS:
                    raise
        return None, None

    async def _findings(
        self, session: ReadSession, lists: Sequence[StoredList], looked: Sequence[_Looked]
    ) -> tuple[Finding, ...]:
        names = {one.id: one.name for one in lists}
        episodes = await load_open_episodes(session, sorted(names))
        chains = {one.look.chain_id: one for one in looked}
        episodes = [one for one in episodes if one.chain_id in chains]
        numbers = await load_numbers(session, [one.id for one in episodes])
        wallets = sorted({wallet for one in episodes if (wallet := wallet_of(one.subject)) is not None})
        labels = await load_labels(session, sorted(names), wallets)
        found = []
        for one in episodes:
            chain, wallet = chains[one.chain_id], wallet_of(one.subject)
            value = None if one.rule_id is None else chain.values.get((one.rule_id, one.subject))
            label = "" if wallet is None else labels.get((one.watchlist_id, wallet), "")
            place = "" if not isinstance(one.subject, AccountKey) else chain.places.get(one.subject.deployment_id, "")
            found.append(Finding(one, names[one.watchlist_id], numbers[one.id].event, value, label, place))
        return tuple(found)


def _chosen(lists: Sequence[StoredList], names: Sequence[str]) -> list[StoredList]:
    if not names:
        chosen = [one for one in lists if not one.is_paused]
        if not chosen:
            raise Refused("there is no watchlist yet" if not lists else "every watchlist is paused")
        return chosen
    known = {one.name: one for one in lists}
    for name in names:
        if name not in known:
            raise Refused(f"there is no watchlist {name!r}; there are: {', '.join(sorted(known)) or 'none yet'}")
        if known[name].is_paused:
            raise Refused(f"the watchlist {name!r} is paused: nothing is known of it now")
    return [known[name] for name in dict.fromkeys(names)]


def _concerns(watched: Sequence[WatchedList], chain_id: ChainId) -> bool:
    """Whether a list has a member on this chain, or a rule about it, that is to be measured."""
    return any(
        rule.metric not in TIMED and (one.members or rule.chain_id == chain_id) for one in watched for rule in one.rules
    )

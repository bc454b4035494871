"""Reads how current each chain is, with no more queries than have to be."""

from __future__ import annotations

from app.alerts.timers.options import TimerOptions
from app.alerts.timers.sight import SetAside, Sight
from app.domain.chain import ChainId
from app.store.blocks import load_block, load_head
from app.store.chains import load_chains
from app.store.deployments import DeploymentTrouble, load_deployments, load_troubles_at
from app.store.postgres.session import ReadSession
from app.store.sightings import Sightings
from app.store.states import NO_LIMIT
from app.store.watch.timers import FollowedList, load_concerned, load_evaluated, load_followed
from app.store.watch.version import load_watch_version


class Looking:
    """What there is to be seen, looked at again and again. What changes rarely is kept."""

    def __init__(self, options: TimerOptions) -> None:
        self._options = options
        self._lists: tuple[int, list[FollowedList]] | None = None
        """With the version it is of."""
        self._sightings = Sightings()
        self._behind_since: dict[ChainId, int] = {}
        self._concerned: dict[str, tuple[int, int, frozenset[int]]] = {}
        """By deployment: when that was looked up, at which version, and the lists."""

    async def lists(self, session: ReadSession) -> tuple[int, list[FollowedList]]:
        """Every list that is not paused, and the count of changes they are of."""
        version = await load_watch_version(session)
        if self._lists is None or self._lists[0] != version:
            self._lists = (version, await load_followed(session))
        return self._lists

    async def required(self, session: ReadSession) -> frozenset[ChainId]:
        """The chains that must be current."""
        if self._options.chain_ids:
            return self._options.chain_ids
        return frozenset(status.chain_id for status in await load_chains(session))

    async def sights(self, session: ReadSession, now: int) -> dict[ChainId, Sight]:
        """Every chain that is known or required."""
        statuses = {status.chain_id: status for status in await load_chains(session)}
        evaluated = await load_evaluated(session)
        version, lists = await self.lists(session)
        found: dict[ChainId, Sight] = {}
        for chain_id in sorted(statuses.keys() | self._options.chain_ids):
            head = await load_head(session, chain_id)
            seen = evaluated.get(chain_id)
            is_behind = head is not None and bool(lists) and (seen is None or seen.block_id != head.id)
            since = self._behind_since.setdefault(chain_id, now) if is_behind else now
            if not is_behind:
                self._behind_since.pop(chain_id, None)
            aside = await self._set_aside(session, chain_id, version, now)
            status = statuses.get(chain_id)
            known = self._sightings.look(chain_id, status, head)
            found[chain_id] = Sight(chain_id, status, head, seen, since, aside, known)
        return found

    async def _set_aside(self, session: ReadSession, chain_id: ChainId, version: int, now: int) -> tuple[SetAside, ...]:
        troubles = await load_troubles_at(session, {chain_id: NO_LIMIT})
        followed = {slug: trouble for slug, trouble in troubles.items() if trouble.is_followed}
        if not followed:
            return ()
        names = {one.id: one.name for one in await load_deployments(session, chain_id)}
        return tuple(
            [
                await self._one_aside(session, chain_id, slug, names.get(slug, slug), trouble, version, now)
                for slug, trouble in followed.items()
            ]
        )

    async def _one_aside(
        self,
        session: ReadSession,
        chain_id: ChainId,
        slug: str,
        name: str,
        trouble: DeploymentTrouble,
        version: int,
        now: int,
    ) -> SetAside:
        kept = self._concerned.get(slug)
        if kept is None or kept[1] != version or now - kept[0] >= self._options.concerned_seconds:
            kept = (now, version, await load_concerned(session, slug))
            self._concerned[slug] = kept
        last = await load_block(session, chain_id, trouble.since_block - 1)
        return SetAside(name, trouble.text, None if last is None else last.ref.timestamp, kept[2])

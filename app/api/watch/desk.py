"""The watchlists as pages in the same process see and change them: the API's own answers and the API's own changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from starlette.requests import HTTPConnection
from starlette.responses import Response

from app.api.frame.deps import ReadContext
from app.api.frame.freshness import as_of_head
from app.api.frame.keys import Actor, Doorkeeper, drop_cookie, is_same_site, keep_in_cookie, require_scope
from app.api.frame.limits import client_address
from app.api.frame.names import NameResolver
from app.api.frame.problems import ApiProblem
from app.api.schemas.alerts import ChannelView, RouteIn
from app.api.schemas.base import AsOf
from app.api.schemas.watchlists import MemberIn, MembersIn, RuleIn, WatchlistIn, WatchlistPatch, WatchlistView
from app.api.wallets import load_wallet_view
from app.api.watch import alert_routes, channels, deliveries, episodes, members, rules, watchlists
from app.api.watch.changes import unknown
from app.api.watch.desk_views import EpisodeLine, Glance, ListsGlance, MemberLine
from app.api.watch.member_forms import member_view
from app.api.watch.rule_forms import rule_view
from app.domain.account import AccountKey
from app.domain.chain import Address
from app.domain.watch import EpisodeState, EventKind
from app.errors import Retryable
from app.store.blocks import load_head
from app.store.postgres.session import ReadSession
from app.store.snapshots import PastHealth, load_past_health
from app.store.watch.channels import load_channels, load_list_routes
from app.store.watch.episodes import Episode, StoredEvent, load_episodes, load_events
from app.store.watch.keys import Scope
from app.store.watch.members import StoredMember, load_members
from app.store.watch.outbox import load_deliveries
from app.store.watch.rules import load_rules
from app.store.watch.timers import load_evaluated, load_labels, load_list_chains
from app.store.watch.watchlists import load_lists
from app.watch.words import finding_words, subject_words

MEMBERS_SHOWN = 20
EPISODES_SHOWN = 50
DELIVERIES_SHOWN = 20
_LISTS_SHOWN = 200
_WALLETS_AT_ONCE = 4
_PAST_SECONDS = 2 * 86_400
_TELLING = (EventKind.OPENED, EventKind.ESCALATED, EventKind.REMINDED)


class Desk:
    """Everything raises ApiProblem (fit to be shown) or Retryable."""

    def __init__(self, context: ReadContext, doorkeeper: Doorkeeper, resolver: NameResolver | None = None) -> None:
        self._context = context
        self._doorkeeper = doorkeeper
        self._resolver = resolver

    async def who(self, request: HTTPConnection, scope: Scope = Scope.WATCH_READ) -> Actor | None:
        """Who asks; None: nobody with a good key. A key without the scope is a problem."""
        actor = await self._doorkeeper.authenticate(request)
        return None if actor is None else require_scope(actor, scope)

    async def log_in(self, request: HTTPConnection, key: str, response: Response) -> bool:
        """Whether the key is good and the form is our own; then `response` makes the browser keep it."""
        if not is_same_site(request):
            return False
        actor = await self._doorkeeper.check(key, client_address(request))
        if actor is None or Scope.WATCH_READ not in actor.scopes:
            return False
        keep_in_cookie(response, key.strip(), is_secure=request.url.scheme == "https")
        return True

    def log_out(self, response: Response) -> None:
        """`response` makes the browser forget its key."""
        drop_cookie(response)

    async def load_lists(self) -> ListsGlance:
        """Every list, with how current the chains are."""
        async with self._context.database.read() as session:
            lists = [watchlists.watchlist_view(one) for one in await load_lists(session, _LISTS_SHOWN)]
            chains, evaluated = await self._chains(session)
        return ListsGlance(lists, chains, evaluated, self._context.clock())

    async def load_list(self, watchlist_id: int) -> WatchlistView:
        """One list, without its parts."""
        async with self._context.database.read() as session:
            return watchlists.watchlist_view(await watchlists.require_list(session, watchlist_id))

    async def load_glance(self, watchlist_id: int, after: int = 0) -> Glance:
        """One list with everything about it; of its members those above `after`."""
        async with self._context.database.read() as session:
            stored = await watchlists.require_list(session, watchlist_id)
            found = await load_members(session, watchlist_id, MEMBERS_SHOWN + 1, after=after)
            opened = await load_episodes(
                session, watchlist_id=watchlist_id, state=EpisodeState.OPEN, limit=EPISODES_SHOWN
            )
            newest = await load_episodes(session, watchlist_id=watchlist_id, limit=EPISODES_SHOWN)
            past = [one for one in newest if one.state is not EpisodeState.OPEN]
            lines = await self._episode_lines(session, [*opened, *past])
            told = await load_deliveries(session, watchlist_id=watchlist_id, limit=DELIVERIES_SHOWN)
            all_channels = {one.id: channels.channel_view(one) for one in await load_channels(session)}
            own_routes = [alert_routes.route_view(one) for one in await load_list_routes(session, watchlist_id)]
            own_rules = [rule_view(one) for one in await load_rules(session, watchlist_id)]
            needed = await load_list_chains(session, watchlist_id)
            chains, evaluated = await self._chains(session)
        worst_first = sorted(lines[: len(opened)], key=lambda line: (-line.rank, line.view.opened_at))
        return Glance(
            watchlist=watchlists.watchlist_view(stored),
            members=await self._member_lines(found[:MEMBERS_SHOWN]),
            next_after=found[MEMBERS_SHOWN - 1].id if len(found) > MEMBERS_SHOWN else None,
            is_first=after == 0,
            open=worst_first,
            past=lines[len(opened) :],
            deliveries=[deliveries.delivery_view(one) for one in told],
            channels=all_channels,
            routes=own_routes,
            rules=own_rules,
            chains=[one for one in chains if needed is None or one.chain_id in needed],
            evaluated_at=evaluated,
            now=self._context.clock(),
        )

    async def load_channels(self) -> list[ChannelView]:
        """Every channel there is."""
        async with self._context.database.read() as session:
            return [channels.channel_view(one) for one in await load_channels(session)]

    async def create_list(self, actor: Actor, given: WatchlistIn) -> int:
        """A new list; its id."""
        answer = await watchlists.post_watchlist(self._context, actor, given)
        return int(answer.headers["location"].rpartition("/")[2])

    async def change_list(self, actor: Actor, watchlist_id: int, given: WatchlistPatch) -> None:
        """Another name or note, paused or not."""
        await watchlists.patch_watchlist(self._context, actor, watchlist_id, given)

    async def delete_list(self, actor: Actor, watchlist_id: int) -> None:
        """The list and everything of it."""
        await watchlists.delete_watchlist(self._context, actor, watchlist_id)

    async def add_members(self, actor: Actor, watchlist_id: int, given: Sequence[MemberIn]) -> None:
        """Wallets onto a list: all of them or none."""
        await members.post_members(self._context, actor, self._resolver, watchlist_id, MembersIn(items=list(given)))

    async def remove_member(self, actor: Actor, watchlist_id: int, address: str, chain_id: int | None) -> None:
        """A wallet off a list."""
        await members.delete_member(self._context, actor, watchlist_id, address, chain_id)

    async def create_rule(self, actor: Actor, watchlist_id: int, given: RuleIn) -> None:
        """A rule more."""
        await rules.post_rule(self._context, actor, watchlist_id, given)

    async def delete_rule(self, actor: Actor, watchlist_id: int, rule_id: int) -> None:
        """A rule less."""
        await rules.remove_rule(self._context, actor, watchlist_id, rule_id)

    async def switch_rule(self, actor: Actor, watchlist_id: int, rule_id: int, *, is_enabled: bool) -> None:
        """A rule off or on, otherwise as it is."""
        async with self._context.database.read() as session:
            found = {one.rule.id: rule_view(one) for one in await load_rules(session, watchlist_id)}
        if rule_id not in found:
            raise unknown("rule", rule_id)
        kept = found[rule_id].model_dump(include=set(RuleIn.model_fields))
        await rules.put_rule(
            self._context, actor, watchlist_id, rule_id, RuleIn.model_validate({**kept, "is_enabled": is_enabled})
        )

    async def set_route(self, actor: Actor, watchlist_id: int, channel_id: int, given: RouteIn) -> None:
        """Have the list tell a channel."""
        await alert_routes.put_route(self._context, actor, watchlist_id, channel_id, given)

    async def delete_route(self, actor: Actor, watchlist_id: int, channel_id: int) -> None:
        """Have it tell a channel nothing any more."""
        await alert_routes.remove_route(self._context, actor, watchlist_id, channel_id)

    async def acknowledge(self, actor: Actor, episode_id: int) -> None:
        """Somebody has seen it."""
        await episodes.post_acknowledge(self._context, actor, episode_id)

    async def replay(self, actor: Actor, delivery_id: str) -> None:
        """A dead message again."""
        await deliveries.post_replay(self._context, actor, delivery_id)

    async def send_test(self, actor: Actor, channel_id: int) -> None:
        """A test on its way to a channel."""
        await channels.post_test(self._context, actor, channel_id)

    async def _chains(self, session: ReadSession) -> tuple[list[AsOf], dict[int, int | None]]:
        """How current each followed chain is, and when its rules were last evaluated (None: at its newest block)."""
        now = self._context.clock()
        statuses = (await self._context.following(session)).statuses
        evaluated = await load_evaluated(session)
        chains: list[AsOf] = []
        behind: dict[int, int | None] = {}
        for chain_id in sorted(set(statuses) | set(self._context.options.chain_ids)):
            head = await load_head(session, chain_id)
            chains.append(as_of_head(chain_id, statuses.get(chain_id), head, now, self._context.sightings))
            seen = evaluated.get(chain_id)
            is_done = seen is not None and head is not None and seen.block_id == head.id
            behind[chain_id] = None if is_done else (0 if seen is None else seen.at)
        return chains, behind

    async def _member_lines(self, found: Sequence[StoredMember]) -> list[MemberLine]:
        gate = asyncio.Semaphore(_WALLETS_AT_ONCE)

        async def line(stored: StoredMember) -> MemberLine:
            view = member_view(stored)
            try:
                async with gate:
                    wallet = await load_wallet_view(
                        self._context, stored.member.wallet, chain_id=stored.member.chain_id, block_number=None
                    )
            except (ApiProblem, Retryable) as error:
                return MemberLine(view, None, str(error))
            return MemberLine(view, wallet, None)

        lines = list(await asyncio.gather(*map(line, found)))
        worst = {index: key for index, one in enumerate(lines) if (key := _worst_key(one)) is not None}
        async with self._context.database.read() as session:
            since = self._context.clock() - _PAST_SECONDS
            pasts: Mapping[AccountKey, list[PastHealth]] = await load_past_health(
                session, sorted(set(worst.values())), since
            )
        for index, key in worst.items():
            lines[index] = lines[index].with_past(pasts.get(key, []))
        return sorted(lines, key=lambda one: one.rank)

    async def _episode_lines(self, session: ReadSession, found: Sequence[Episode]) -> list[EpisodeLine]:
        events: dict[int, list[StoredEvent]] = {}
        for one in await load_events(session, [episode.id for episode in found]):
            events.setdefault(one.episode_id, []).append(one)
        wallets = sorted({one.subject.wallet for one in found if isinstance(one.subject, AccountKey)})
        labels = await load_labels(session, sorted({one.watchlist_id for one in found}), wallets)
        following = await self._context.following(session)
        places = {one.id: one.name for one in following.deployments}
        return [_episode_line(one, events.get(one.id, []), labels, places) for one in found]


def _episode_line(
    episode: Episode,
    events: Sequence[StoredEvent],
    labels: Mapping[tuple[int, Address], str],
    places: Mapping[str, str],
) -> EpisodeLine:
    subject = episode.subject
    label = labels.get((episode.watchlist_id, subject.wallet), "") if isinstance(subject, AccountKey) else ""
    place = places.get(getattr(subject, "deployment_id", ""), "")
    telling = [one.event for one in events if one.event.kind in _TELLING]
    return EpisodeLine(
        view=episodes.episode_view(episode),
        rank=int(episode.severity),
        who=subject_words(subject, episode.chain_id, label, place),
        finding=finding_words(episode.metric, telling[-1]) if telling else "",
        events=[episodes.event_view(episode.metric, one) for one in events],
    )


def _worst_key(line: MemberLine) -> AccountKey | None:
    if line.worst is None or line.wallet is None:
        return None
    return AccountKey(line.worst.deployment_id, Address.from_hex(line.wallet.address), line.worst.unit)

"""Which block of which chain an answer is made at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.api.frame.deps import Following, ReadContext
from app.api.frame.freshness import as_of_head, as_of_past
from app.api.frame.problems import BLOCK_NOT_STORED, INVALID_PARAMETER, UNKNOWN_CHAIN, ApiProblem
from app.api.schemas.base import AsOf
from app.api.schemas.wallets import TroubledDeployment
from app.domain.market import Deployment
from app.store.blocks import StoredBlock, load_block
from app.store.chains import ChainStatus
from app.store.deployments import DeploymentTrouble
from app.store.postgres.session import ReadSession
from app.store.progress import load_first, load_heads


@dataclass(frozen=True, slots=True)
class ChainAt:
    """One chain at the block an answer is made at."""

    chain_id: int
    status: ChainStatus | None
    """None: no indexer ever observed the chain."""
    block: StoredBlock | None
    """None: nothing is stored of it."""
    as_of: AsOf


@dataclass(frozen=True, slots=True)
class Directory:
    """What is followed, and the blocks this request reads at."""

    deployments: Mapping[str, Deployment]
    """All that were ever followed; `with_troubles` leaves those that are followed at these blocks."""
    chains: Mapping[int, ChainAt]
    """By chain id, ascending: all that are followed, or the one that was asked for."""
    unsearched: int
    """Old blocks of these chains still to be searched for accounts."""
    troubles: Mapping[str, str] = field(default_factory=dict)
    """By deployment, those of these chains that are set aside at these blocks: why. Empty until `with_troubles`."""

    @property
    def blocks(self) -> dict[int, StoredBlock]:
        """The block of every chain that has one."""
        return {chain_id: chain.block for chain_id, chain in self.chains.items() if chain.block is not None}

    @property
    def as_ofs(self) -> list[AsOf]:
        """As-of of every chain."""
        return [chain.as_of for chain in self.chains.values()]

    @property
    def troubled(self) -> list[TroubledDeployment]:
        """The deployments that are set aside, by id."""
        aside = [self.deployments[slug] for slug in sorted(self.troubles)]
        return [
            TroubledDeployment(deployment_id=d.id, chain_id=d.chain_id, name=d.name, trouble=self.troubles[d.id])
            for d in aside
        ]


async def load_directory(
    session: ReadSession, context: ReadContext, chain_id: int | None = None, block_number: int | None = None
) -> Directory:
    """Deployments and chains at their newest stored blocks, or one chain at the newest block up to `block_number`.

    Raises:
        ApiProblem: the chain is not followed; a block number without saying of which chain; block not stored.
    """
    following = await context.following(session)
    wanted = wanted_chains(context, following, chain_id)
    if block_number is None:
        return directory_at(context, following, wanted, await load_heads(session, wanted))
    if len(wanted) != 1:
        raise ApiProblem(INVALID_PARAMETER, "block_number: say of which chain, with chain_id")
    (only,) = wanted
    heads = await load_heads(session, wanted)
    block = await load_stored(session, only, block_number, heads.get(only))
    status = following.statuses.get(only)
    as_of = as_of_past(only, status, block, block_number, context.clock())
    return _directory(following, {only: ChainAt(only, status, block, as_of)})


def wanted_chains(context: ReadContext, following: Following, chain_id: int | None) -> list[int]:
    """Every chain that is followed, or only the one that was asked for.

    Raises:
        ApiProblem: that one is not followed.
    """
    deployed = (d.chain_id for d in following.deployments)
    followed = sorted({*context.options.chain_ids, *following.statuses, *deployed})
    if chain_id is None:
        return followed
    if chain_id not in followed:
        names = ", ".join(map(str, followed)) or "none yet"
        raise ApiProblem(UNKNOWN_CHAIN, f"chain {chain_id} is not followed here; those that are: {names}")
    return [chain_id]


def directory_at(
    context: ReadContext, following: Following, wanted: Sequence[int], heads: Mapping[int, StoredBlock]
) -> Directory:
    """The wanted chains at their newest stored blocks, which are `heads`."""
    now = context.clock()
    chains = {}
    for each in wanted:
        status, head = following.statuses.get(each), heads.get(each)
        chains[each] = ChainAt(each, status, head, as_of_head(each, status, head, now, context.sightings))
    return _directory(following, chains)


def _directory(following: Following, chains: Mapping[int, ChainAt]) -> Directory:
    unsearched = sum(following.unsearched.get(chain_id, 0) for chain_id in chains)
    deployments = {d.id: d for d in following.deployments if d.chain_id in chains}
    return Directory(deployments, chains, unsearched)


async def with_troubles(context: ReadContext, directory: Directory) -> Directory:
    """The directory, told which of its deployments are set aside at its blocks, and without those that nobody followed
    there. Not to be awaited in a session.

    Raises:
        Overtaken: one of the blocks is no longer stored.
    """
    found: dict[str, DeploymentTrouble] = {}
    for block in directory.blocks.values():
        found |= await context.troubles_at(block)
    if not found:
        return directory
    followed = {slug: d for slug, d in directory.deployments.items() if slug not in found or found[slug].is_followed}
    troubles = {slug: trouble.text for slug, trouble in found.items() if slug in followed}
    return replace(directory, deployments=followed, troubles=troubles)


async def load_stored(session: ReadSession, chain_id: int, number: int, head: StoredBlock | None) -> StoredBlock:
    """The newest stored block at or below `number`.

    Raises:
        ApiProblem: nothing is stored there; the detail says what is.
    """
    block = await load_block(session, chain_id, number) if head is not None and number <= head.ref.number else None
    if block is not None:
        return block
    first = await load_first(session, chain_id)
    if head is None or first is None:
        raise ApiProblem(BLOCK_NOT_STORED, f"nothing of chain {chain_id} is stored yet")
    raise ApiProblem(
        BLOCK_NOT_STORED,
        f"block {number} of chain {chain_id} is not stored: it is from block {first.ref.number} "
        f"to block {head.ref.number}",
    )

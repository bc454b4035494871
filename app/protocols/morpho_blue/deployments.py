"""The Morpho Blue installations this project knows.

Addresses and start blocks are those of the protocol's own registry, read from `morpho-org/sdks` and compared with the
one its package `@morpho-org/morpho-ts` 2.8.0 carries; on Ethereum and Base the contract has the same address.

Anybody can create markets there, with an oracle of his own making. What such a market can do is bounded: an oracle
that burns gas or floods is asked by itself (`app.chain.apart`), one that fails for long is asked rarely, one that
tells the contract another price makes its own market's debtors unknown and no others (`witnesses`), and no more than
`state.MOST_MARKETS` are followed.

They are followed only when named, all the same: none has been followed on its real chain yet. What is not known before
that: whether 2,000 markets are enough there, and what asking their oracles in every block costs at a provider that
counts calls (about one request for 500 oracles, and one for each oracle that burns gas).
"""

from __future__ import annotations

from app.domain.chain import Address, ChainId
from app.domain.market import Deployment

SLUG = "morpho-blue"

_SOURCE = "morpho-org/sdks registry; the same in @morpho-org/morpho-ts 2.8.0, start block included"
_REASON = "it has not been followed on its real chain yet, where anybody may add markets by the thousand"


def _deployment(name: str, label: str, chain_id: ChainId, address: str, start_block: int) -> Deployment:
    return Deployment(
        id=f"{SLUG}-{name}",
        chain_id=chain_id,
        protocol=SLUG,
        name=f"Morpho Blue {label}",
        address=Address.from_hex(address),
        start_block=start_block,
        on_request=True,
        on_request_reason=_REASON,
        source=_SOURCE,
    )


DEPLOYMENTS: tuple[Deployment, ...] = (
    _deployment("ethereum", "Ethereum", 1, "0xBBBBBbbBBb9cC5e90e3b3Af64bdAF62C37EEFFCb", 18883124),
    _deployment("base", "Base", 8453, "0xBBBBBbbBBb9cC5e90e3b3Af64bdAF62C37EEFFCb", 13977148),
    _deployment("arbitrum", "Arbitrum", 42161, "0x6c247b1F6182318877311737BaC0844bAa518F5e", 296446593),
    _deployment("optimism", "Optimism", 10, "0xce95AfbB8EA029495c66020883F87aaE8864AF92", 130770075),
    _deployment("polygon", "Polygon", 137, "0x1bF0c2541F820E775182832f06c0B7Fc27A25f67", 66931042),
    _deployment("bnb", "BNB Smart Chain", 56, "0x01b0Bd309AA75547f7a37Ad7B1219A898E67a83a", 54344680),
    _deployment("unichain", "Unichain", 130, "0x8f5ae9CddB9f68de460C77730b018Ae7E04a140A", 9139027),
    _deployment("hyperevm", "HyperEVM", 999, "0x68e37dE8d93d3496ae143F2E900490f6280C57cD", 1988429),
    _deployment("katana", "Katana", 747474, "0xD50F2DffFd62f94Ee4AEd9ca05C61d0753268aBc", 2741069),
)

"""The Comets this project knows.

Addresses: the protocol's own list of official markets (the ENS record v3-official-markets, as the migrations in
compound-finance/comet state it) and `deployments/*/roots.json` there; the USDC ones of Ethereum, Polygon and Base and
the WETH one of Optimism are also the emitters in the public receipts of the tests. Start blocks: that of the chain's
Configurator in the Messari subgraph configurations, rounded down, because on Arbitrum the first Comet is known to be
28 blocks older than the Configurator; 0 where none was found, which only makes the first search of old logs longer.

They are followed by default. Everything is exact at every block but for one case: a transfer of base between two debts
writes no log. Where nothing else accrued interest in its block it is found in that very block, by the accrual; beside
other life of the same Comet, or in the same second as it, within an hour, when every account has been read again in
turn (`IndexerOptions.reread_seconds`). Up to then these two accounts show the debts they had before.
"""

from __future__ import annotations

from app.domain.chain import Address, ChainId
from app.domain.market import Deployment

SLUG = "compound-v3"

_CHAINS: dict[ChainId, tuple[str, int]] = {
    1: ("Ethereum", 15_331_000),
    10: ("Optimism", 0),
    137: ("Polygon", 39_412_000),
    8453: ("Base", 2_197_000),
    42161: ("Arbitrum", 87_335_000),
}
"""Name and first block of each chain's Comets."""

_COMETS: tuple[tuple[ChainId, str, str], ...] = (
    (1, "USDC", "0xc3d688B66703497DAA19211EEdff47f25384cdc3"),
    (1, "WETH", "0xA17581A9E3356d9A858b789D68B4d866e593aE94"),
    (1, "USDT", "0x3Afdc9BCA9213A35503b077a6072F3D0d5AB0840"),
    (1, "wstETH", "0x3D0bb1ccaB520A66e607822fC55BC921738fAFE3"),
    (1, "USDS", "0x5D409e56D886231aDAf00c8775665AD0f9897b56"),
    (1, "WBTC", "0xe85Dc543813B8c2CFEaAc371517b925a166a9293"),
    (10, "USDC", "0x2e44e174f7D53F0212823acC11C01A11d58c5bCB"),
    (10, "USDT", "0x995E394b8B2437aC8Ce61Ee0bC610D617962B214"),
    (10, "WETH", "0xE36A30D249f7761327fd973001A32010b521b6Fd"),
    (137, "USDC", "0xF25212E676D1F7F89Cd72fFEe66158f541246445"),
    (137, "USDT", "0xaeB318360f27748Acb200CE616E389A6C9409a07"),
    (8453, "USDbC", "0x9c4ec768c28520B50860ea7a15bd7213a9fF58bf"),
    (8453, "USDC", "0xb125E6687d4313864e53df431d5425969c15Eb2F"),
    (8453, "WETH", "0x46e6b214b524310239732D51387075E0e70970bf"),
    (8453, "AERO", "0x784efeB622244d2348d4F2522f8860B96fbEcE89"),
    (8453, "USDS", "0x2c776041CCFe903071AF44aa147368a9c8EEA518"),
    (42161, "USDC.e", "0xA5EDBDD9646f8dFF606d7448e414884C7d905dCA"),
    (42161, "USDC", "0x9c4ec768c28520B50860ea7a15bd7213a9fF58bf"),
    (42161, "USDT", "0xd98Be00b5D27fc98112BdE293e487f8D4cA57d07"),
    (42161, "WETH", "0x6f7D514bbD4aFf3BcD1140B7344b32f063dEe486"),
)


def _deployment(chain_id: ChainId, base: str, comet: str) -> Deployment:
    chain, start_block = _CHAINS[chain_id]
    return Deployment(
        id=f"compound-v3-{base.lower().replace('.', '-')}-{chain.lower()}",
        chain_id=chain_id,
        protocol=SLUG,
        name=f"Compound V3 {base} {chain}",
        address=Address.from_hex(comet),
        start_block=start_block,
        source="compound-finance/comet roots.json and list of official markets; "
        + (
            "messari/subgraphs, its Configurator's start block rounded down" if start_block else "start block not found"
        ),
    )


DEPLOYMENTS = tuple(_deployment(*comet) for comet in _COMETS)

"""The Aave V3 markets this project knows, each with the sources of its addresses and of its start block.

Every address was found in two sources: the protocol's own address book (Spark's own registry) and the one named for
the start block. A start block that is rounded down is that of a neighbouring contract of the same market.
"""

from __future__ import annotations

from app.domain.chain import Address, ChainId
from app.domain.market import Deployment

SLUG = "aave-v3"
PROVIDER_ROLE = "pool_addresses_provider"

_BOOK = "@aave-dao/aave-address-book 4.68.1"
_MESSARI = "messari/subgraphs"


def _deployment(
    name: str, label: str, chain_id: ChainId, provider: str, pool: str, start_block: int, source: str
) -> Deployment:
    return Deployment(
        id=name,
        chain_id=chain_id,
        protocol=SLUG,
        name=label,
        address=Address.from_hex(pool),
        start_block=start_block,
        contracts={PROVIDER_ROLE: Address.from_hex(provider)},
        source=source,
    )


DEPLOYMENTS = (
    _deployment(
        "aave-v3-ethereum",
        "Aave V3 Ethereum Core",
        1,
        "0x2f39d218133AFaB8F2B819B1066c7E434Ad94E9e",
        "0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2",
        16291127,
        f"{_BOOK} AaveV3Ethereum; start block: {_MESSARI} aave-v3-ethereum",
    ),
    _deployment(
        "aave-v3-ethereum-prime",
        "Aave V3 Ethereum Prime",
        1,
        "0xcfBf336fe147D643B9Cb705648500e101504B16d",
        "0x4e033931ad43597d96D6bcc25c280717730B58B1",
        20262370,
        f"{_BOOK} AaveV3EthereumLido; start block: aave/protocol-subgraphs mainnetlido-v3, its provider's registry",
    ),
    _deployment(
        "aave-v3-ethereum-etherfi",
        "Aave V3 Ethereum EtherFi",
        1,
        "0xeBa440B438Ad808101d1c451C1C5322c90BEFCdA",
        "0x0AA97c284e98396202b6A04024F5E2c65026F3c0",
        20625000,
        f"{_BOOK} AaveV3EthereumEtherFi; start block: aave/protocol-subgraphs mainnetetherfi-v3, rounded down",
    ),
    _deployment(
        "aave-v3-ethereum-horizon",
        "Aave V3 Ethereum Horizon",
        1,
        "0x5D39E06b825C1F2B80bf2756a73e28eFAA128ba0",
        "0xAe05Cd22df81871bc7cC2a04BeCfb516bFe332C8",
        23125000,
        f"{_BOOK} AaveV3EthereumHorizon; start block: archon-research/stl protocols.go, rounded down",
    ),
    _deployment(
        "aave-v3-arbitrum",
        "Aave V3 Arbitrum",
        42161,
        "0xa97684ead0e402dC232d5A977953DF7ECBaB3CDb",
        "0x794a61358D6845594F94dc1DB02A252b5b4814aD",
        7742429,
        f"{_BOOK} AaveV3Arbitrum; start block: {_MESSARI} aave-v3-arbitrum",
    ),
    _deployment(
        "aave-v3-optimism",
        "Aave V3 Optimism",
        10,
        "0xa97684ead0e402dC232d5A977953DF7ECBaB3CDb",
        "0x794a61358D6845594F94dc1DB02A252b5b4814aD",
        4365693,
        f"{_BOOK} AaveV3Optimism; start block: {_MESSARI} aave-v3-optimism",
    ),
    _deployment(
        "aave-v3-polygon",
        "Aave V3 Polygon",
        137,
        "0xa97684ead0e402dC232d5A977953DF7ECBaB3CDb",
        "0x794a61358D6845594F94dc1DB02A252b5b4814aD",
        25826028,
        f"{_BOOK} AaveV3Polygon; start block: {_MESSARI} aave-v3-polygon",
    ),
    _deployment(
        "aave-v3-base",
        "Aave V3 Base",
        8453,
        "0xe20fCBdBfFC4Dd138cE8b2E6FBb6CB49777ad64D",
        "0xA238Dd80C259a72e81d7e4664a9801593F98d1c5",
        2357134,
        f"{_BOOK} AaveV3Base; start block: {_MESSARI} aave-v3-base",
    ),
    _deployment(
        "aave-v3-bnb",
        "Aave V3 BNB Chain",
        56,
        "0xff75B6da14FfbbfD355Daf7a2731456b3562Ba6D",
        "0x6807dc923806fE8Fd134338EABCA509979a7e0cB",
        33571625,
        f"{_BOOK} AaveV3BNB; start block: {_MESSARI} aave-v3-bsc",
    ),
    _deployment(
        "aave-v3-avalanche",
        "Aave V3 Avalanche",
        43114,
        "0xa97684ead0e402dC232d5A977953DF7ECBaB3CDb",
        "0x794a61358D6845594F94dc1DB02A252b5b4814aD",
        11970506,
        f"{_BOOK} AaveV3Avalanche; start block: {_MESSARI} aave-v3-avalanche",
    ),
    _deployment(
        "spark-ethereum",
        "SparkLend Ethereum",
        1,
        "0x02C3eA4e34C0cBd694D2adFa2c690EECbC1793eE",
        "0xC13e21B648A5Ee794902342038FF3aDAB66BE987",
        16776401,
        f"sparkdotfi/spark-address-registry; start block: {_MESSARI} spark-lend-ethereum",
    ),
)

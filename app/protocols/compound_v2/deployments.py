"""The Comptrollers of the family this project knows, each with the sources of its address and of its start block.

Every address was found in two sources, which are named. All are followed on request only: what has been compared with
running contracts is said by `coverage`, and none has been followed on its real chain yet.
"""

from __future__ import annotations

from app.domain.chain import Address, ChainId
from app.domain.market import Deployment

SLUG = "compound-v2"

_LOCALLY = "compared with its contracts on a local chain, not yet followed on its own"
_FROM_SOURCE = "its rules are from the source and were not yet compared with running contracts"
_POOLS = (
    "@venusprotocol/isolated-pools 4.4.0; Venus's documentation or governance proposals; start block: the receipt"
    " in the package"
)


def _deployment(
    name: str, label: str, chain_id: ChainId, comptroller: str, start_block: int, source: str, reason: str
) -> Deployment:
    return Deployment(
        id=name,
        chain_id=chain_id,
        protocol=SLUG,
        name=label,
        address=Address.from_hex(comptroller),
        start_block=start_block,
        on_request=True,
        on_request_reason=reason,
        source=source,
    )


_ROOTS = (
    _deployment(
        "compound-v2-ethereum",
        "Compound V2 Ethereum",
        1,
        "0x3d9819210A31b4961b30EF54bE2aeD79B9c9Cd3B",
        7710671,
        "messari/subgraphs compound-v2-ethereum; emitter in public receipts",
        _FROM_SOURCE,
    ),
    _deployment(
        "venus-core-bnb",
        "Venus Core Pool BNB Chain",
        56,
        "0xfD36E2c2a6789Db23113685031d7F16329158384",
        2471512,
        "@venusprotocol/venus-protocol 10.3.0; start block: messari/subgraphs venus-protocol-bsc",
        _LOCALLY,
    ),
    _deployment(
        "moonwell-base",
        "Moonwell Base",
        8453,
        "0xfBb21d0380beE3312B33c4353c8936a0F13EF26C",
        2162390,
        "moonwell-fi/moonwell-contracts-v2 chains/8453.json; start block: messari/subgraphs moonwell-base",
        _FROM_SOURCE,
    ),
    _deployment(
        "moonwell-optimism",
        "Moonwell Optimism",
        10,
        "0xCa889f40aae37FFf165BccF69aeF1E82b5C511B9",
        0,
        "moonwell-fi/moonwell-contracts-v2 chains/10.json; Centic-io/defi-state-querier; start block not found",
        _FROM_SOURCE,
    ),
    _deployment(
        "benqi-avalanche",
        "BENQI Avalanche",
        43114,
        "0x486Af39519B4Dc9a7fCcd318217352830E8AD9b4",
        3046286,
        "DefiLlama/DefiLlama-Adapters benqi; start block: messari/subgraphs benqi-avalanche",
        _FROM_SOURCE,
    ),
)

_VENUS_POOLS: tuple[tuple[str, str, ChainId, str, int], ...] = (
    ("core-ethereum", "Core Pool Ethereum", 1, "0x687a01ecF6d3907658f7A7c714749fAC32336D1B", 18968037),
    ("curve-ethereum", "Curve Pool Ethereum", 1, "0x67aA3eCc5831a65A5Ba7be76BED3B5dc7DB60796", 18968040),
    ("ethena-ethereum", "Ethena Pool Ethereum", 1, "0x562d2b6FF1dbf5f63E233662416782318cC081E4", 21441878),
    ("lst-eth-ethereum", "Liquid Staked ETH Pool Ethereum", 1, "0xF522cd0360EF8c2FF48B648d53EA1717Ec0F3Ac3", 19076091),
    ("core-optimism", "Core Pool Optimism", 10, "0x5593FF68bE84C966821eEf5F0a988C285D5B7CeC", 126050964),
    ("btc-bnb", "BTC Pool BNB Chain", 56, "0x9DF11376Cf28867E2B0741348044780FbB7cb1d6", 44805836),
    ("defi-bnb", "DeFi Pool BNB Chain", 56, "0x3344417c9360b963ca93A4e8305361AEde340Ab9", 29524449),
    ("gamefi-bnb", "GameFi Pool BNB Chain", 56, "0x1b43ea8622e76627B81665B1eCeBB4867566B963", 29524458),
    ("lst-bnb-bnb", "Liquid Staked BNB Pool BNB Chain", 56, "0xd933909A4a2b7A4638903028f44D1d38ce27c352", 29524463),
    ("lst-eth-bnb", "Liquid Staked ETH Pool BNB Chain", 56, "0xBE609449Eb4D76AD8545f957bBE04b596E8fC529", 41955982),
    ("meme-bnb", "Meme Pool BNB Chain", 56, "0x33B6fa34cd23e5aeeD1B112d5988B026b8A5567d", 38740860),
    ("stablecoins-bnb", "Stablecoins Pool BNB Chain", 56, "0x94c1495cD4c557f1560Cbd68EAB0d197e6291571", 29356768),
    ("tron-bnb", "Tron Pool BNB Chain", 56, "0x23b4404E4E5eC5FF5a6FFb70B7d14E3FabF237B0", 29524470),
    ("core-base", "Core Pool Base", 8453, "0x0C7973F9598AA62f9e03B94E92C967fD5437426C", 23344435),
    ("core-arbitrum", "Core Pool Arbitrum", 42161, "0x317c1A5739F39046E20b08ac9BeEa3f10fD43326", 216184982),
    (
        "lst-eth-arbitrum",
        "Liquid Staked ETH Pool Arbitrum",
        42161,
        "0x52bAB1aF7Ff770551BD05b9FC2329a0Bf5E23F16",
        245899857,
    ),
)
"""Pools of the isolated-pools contracts, which outside BNB Chain run Venus's core pools too. Second source: the
project's documentation (VenusProtocol/venus-protocol-documentation), or its governance proposals for the pools BTC and
Ethena and for those of Base and Optimism."""


def _venus_pool(name: str, label: str, chain_id: ChainId, comptroller: str, start_block: int) -> Deployment:
    return _deployment(f"venus-{name}", f"Venus {label}", chain_id, comptroller, start_block, _POOLS, _FROM_SOURCE)


DEPLOYMENTS = (*_ROOTS, *(_venus_pool(*pool) for pool in _VENUS_POOLS))

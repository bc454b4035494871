"""The deployments this project knows.

Addresses and start block: the protocol's own package of deployments, `@perp/curie-deployments` (2023-04-12), of
Optimism. Its tokens besides USDC that may be posted as margin are not listed: they are learned of by who posts them.
"""

from __future__ import annotations

from app.domain.chain import Address
from app.domain.market import Deployment

SLUG = "perp-curie"

_OPTIMISM_BASE_TOKENS = {
    "vaave": "0x34235C8489b06482A99bb7fcaB6d7c467b92d248",
    "vape": "0x9d34F1D15C22e4C0924804e2a38cBe93DFB84bc2",
    "vatom": "0x5f714B5347f0b5de9F9598E39840E176CE889b9c",
    "vavax": "0x5FAa136Fc58B6136fFDAeAAC320076C4865c070F",
    "vbnb": "0xb6599Bd362120Dc70D48409B8a08888807050700",
    "vbtc": "0x86f1e0420c26a858fc203A3645dD1A36868F18e5",
    "vcrv": "0x7161C3416E08AbAa5cd38E68D9A28E43a694e037",
    "vdoge": "0x8711ac690984BAdC42e7AbE71f351b5Ac2a2Ad0d",
    "veth": "0x8C835DFaA34e2AE61775e80EE29E2c724c6AE2BB",
    "vflow": "0x7EAdA83e15AcD08d22ad85A1dCE92E5A257Acb92",
    "vftm": "0x2dB8d2DB86cA3a4C7040E778244451776570359B",
    "vlink": "0x2F198182eC54469195a4A06262a9431A42462373",
    "vluna": "0xB24F50Dd9918934AB2228bE7A097411ca28F6C14",
    "vmatic": "0xBe5de48197fc974600929196239E264EcB703eE8",
    "vnear": "0x3Fb3282e3BA34A0Bff94845f1800Eb93CC6850d4",
    "vone": "0x77d0cc9568605bFfF32F918C8FFaa53F72901416",
    "vop": "0x5A7eD3ce6096228a9fE1B673830e6A78C9CFB71b",
    "vperp": "0x9482AaFdCed6b899626f465e1FA0Cf1B1418d797",
    "vsand": "0x333b1eA429a88d0dd48cE7C06C16609CD76F43A8",
    "vsol": "0x151Bb01c79F4516c233948D69daE39869BCcB737",
}

DEPLOYMENTS = (
    Deployment(
        id="perp-curie-optimism",
        chain_id=10,
        protocol=SLUG,
        name="Perpetual Protocol v2 Optimism",
        address=Address.from_hex("0x82ac2CE43e33683c58BE4cDc40975E73aA50f459"),
        start_block=513_569,
        contracts={
            f"base_token_{symbol}": Address.from_hex(address) for symbol, address in _OPTIMISM_BASE_TOKENS.items()
        },
        on_request=True,
        on_request_reason="it is believed to be wound down, and has not been followed on its real chain yet",
        source="@perp/curie-deployments 2023-04-12, start block included",
    ),
)
"""`contracts` name base tokens by the role `base_token_<symbol>`; others are learned of by the accounts in them."""

"""Which assets move together: groups for shocks and for what a wallet is exposed to.

By symbol, and a symbol proves nothing: in markets that anybody may open, anything may call itself WETH. So groups say
what a shock moves and what is added up; no verdict is made with them. A file of one's own adds to them and overrides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ETH = "eth"
BTC = "btc"
STABLE = "stable"
OTHER = "other"
"""Of what is in no group: such assets are not held to move together, except with all that is volatile."""
VOLATILE = "volatile"
"""Not a group of its own: every asset that is not stable, together."""

_SYMBOLS: Mapping[str, str] = {
    ETH: "ETH WETH WETH.e wstETH stETH weETH eETH rETH cbETH osETH ezETH rsETH ETHx vETH sETH frxETH sfrxETH swETH"
    " rswETH ankrETH mETH cmETH oETH superOETHb wsuperOETHb pufETH tETH bETH wBETH wrsETH weETHs LsETH unshETH msETH",
    BTC: "BTC WBTC WBTC.e BTC.b BTCB cbBTC tBTC LBTC vBTC eBTC FBTC SolvBTC SolvBTC.BBN xSolvBTC uniBTC pumpBTC kBTC"
    " sBTC renBTC oBTC",
    STABLE: "USD USDC USDC.e USDbC axlUSDC USDT USDT.e USDT0 USD₮0 USD₮ m.USDT BUSD DAI DAI.e xDAI sDAI USDS sUSDS GHO"
    " stkGHO sGHO LUSD BOLD FRAX frxUSD sfrxUSD sFRAX crvUSD scrvUSD PYUSD RLUSD USDe sUSDe USDtb USD0 USD0++ USDP TUSD"
    " FDUSD USDD sUSD sUSDs MAI MIM DOLA EURC EURS EURe agEUR EURA jEUR EUROC VAI vUSD lisUSD USD1 USDG AUSD USDa"
    " syrupUSDC syrupUSDT mUSD deUSD sdeUSD USR wstUSR fxUSD",
}

_UNDERLYING: Mapping[str, str] = {"WETH": "ETH", "VETH": "ETH", "VBTC": "BTC"}
"""Names of one and the same thing: the wrapped coin, and what a perp market calls its base."""


@dataclass(frozen=True, slots=True)
class AssetGroups:
    """Groups of assets by symbol, in capitals."""

    by_symbol: Mapping[str, str]

    def group_of(self, symbol: str) -> str:
        """The group, `OTHER` where there is none."""
        return self.by_symbol.get(symbol.upper(), OTHER)

    @property
    def names(self) -> frozenset[str]:
        """Every group there is, and `VOLATILE`: what a shock may be given for."""
        return frozenset(self.by_symbol.values()) | {OTHER, VOLATILE}

    def with_overrides(self, symbols_by_group: Mapping[str, Iterable[str]]) -> AssetGroups:
        """These groups with some symbols placed anew; groups that are not there yet are added."""
        return AssetGroups({**self.by_symbol, **_by_symbol(symbols_by_group)})


def underlying_of(symbol: str, *, is_perp: bool = False) -> str:
    """The name an asset is added up under: WETH and a perp's vETH as ETH. A perp's base is its symbol without the v
    that its virtual token has in front; every other asset goes by its own symbol."""
    known = _UNDERLYING.get(symbol.upper())
    if known is not None:
        return known
    is_virtual = is_perp and len(symbol) > 1 and symbol[0] == "v" and symbol[1:].isupper()
    return symbol[1:] if is_virtual else symbol


def _by_symbol(symbols_by_group: Mapping[str, Iterable[str]]) -> dict[str, str]:
    return {symbol.upper(): group for group, symbols in symbols_by_group.items() for symbol in symbols}


DEFAULT_GROUPS = AssetGroups(_by_symbol({group: symbols.split() for group, symbols in _SYMBOLS.items()}))
"""Groups without a file of one's own. Euro stablecoins count as stable."""

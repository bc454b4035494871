"""What users do in a block, drawn from the seed and from what the contracts say about them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from app.domain.chain import Address, ContractCall
from devnet import pool
from devnet.assets import CENTS, PRICE_DECIMALS
from devnet.chain import DevChain
from devnet.deployed import Deployed
from devnet.kinds import STABLES, VOLATILE

IN_TROUBLE_WAD = 1_080 * 10**15
RESCUE_CHANCE = 0.35
"""How often a user in trouble who acts at all saves himself: the others end with the liquidator."""
PRICE_UNIT = 10**PRICE_DECIMALS


def queue_user_actions(
    chain: DevChain, rng: random.Random, d: Deployed, wallets: Sequence[Address], all_wallets: Sequence[Address]
) -> None:
    """Queue one action for each of `wallets`; the contract may refuse any of them."""
    prices = pool.read_prices(chain, d)
    for view in pool.read_accounts(chain, d, wallets):
        if view is None:
            continue  # a feed is broken: its users wait
        for label, call in _Choice(rng, d, view, prices, all_wallets).calls():
            chain.send(view.wallet, call.target, call.data, gas=pool.POOL_GAS, label=label, must_succeed=False)


class _Choice:
    """One user, what he has, and what he does about it."""

    def __init__(
        self,
        rng: random.Random,
        d: Deployed,
        view: pool.AccountView,
        prices: Mapping[str, int | None],
        all_wallets: Sequence[Address],
    ) -> None:
        self.rng, self.d, self.view, self.prices, self.all_wallets = rng, d, view, prices, all_wallets

    def calls(self) -> list[tuple[str, ContractCall]]:
        held = [symbol for symbol, amount in self.view.supplied.items() if amount]
        owed = [symbol for symbol, amount in self.view.borrowed.items() if amount]
        if not held:
            return self._supply(self.rng.choice((*VOLATILE, "USDC", "DAI")))
        if owed and self.view.health_wad < IN_TROUBLE_WAD:
            if self.rng.random() > RESCUE_CHANCE:
                return []
            return self._repay(self.rng.choice(owed)) if self.rng.random() < 0.5 else self._supply(held[0])
        options = ["supply", "borrow", "borrow", "borrow", "withdraw", "toggle", "emode", "transfer"]
        if owed:
            options += ["repay", "repay", "repay_all", "repay_with_a_tokens"]
        match self.rng.choice(options):
            case "supply":
                return self._supply(self.rng.choice((*held, "WETH", "USDC")))
            case "borrow":
                return self._borrow(self.rng.choice((*STABLES, *STABLES, "WETH")))
            case "withdraw":
                return self._withdraw(self.rng.choice(held))
            case "toggle":
                symbol = self.rng.choice(held)
                enable = symbol not in self.view.collateral
                return [(f"toggle {symbol} {enable}", pool.use_as_collateral(self.d, symbol, enable))]
            case "emode":
                category = self.rng.choice((0, 1, 2) if self.d.version < (3, 2) else (0, 1, 2, 3, 4))
                return [(f"eMode {category}", pool.set_emode(self.d, category))]
            case "transfer":
                symbol, receiver = self.rng.choice(held), self.rng.choice(self.all_wallets)
                amount = self._part(self.view.supplied[symbol], 0.01, 0.2)
                return [(f"transfer {symbol}", pool.transfer_a_token(self.d, symbol, receiver, amount))]
            case "repay":
                return self._repay(self.rng.choice(owed))
            case "repay_all":
                symbol = self.rng.choice(owed)
                funds = self._funded(symbol, self.view.borrowed[symbol] * 2)
                call = pool.repay(self.d, symbol, pool.MAX_UINT256, self.view.wallet)
                return [*funds, (f"repay all {symbol}", call)]
            case _:
                both = [symbol for symbol in owed if symbol in held]
                symbol = self.rng.choice(both or owed)
                amount = self._part(self.view.borrowed[symbol], 0.1, 1.0)
                return [(f"repay with aTokens {symbol}", pool.repay_with_a_tokens(self.d, symbol, amount))]

    def _supply(self, symbol: str) -> list[tuple[str, ContractCall]]:
        price = self.prices[symbol] or PRICE_UNIT
        cents = self.rng.randint(100 * CENTS, 20_000 * CENTS)
        amount = cents * PRICE_UNIT * 10 ** self.d.reserves[symbol].decimals // (price * CENTS)
        call = pool.supply(self.d, symbol, amount, self.view.wallet)
        return [*self._funded(symbol, amount), (f"supply {symbol}", call)]

    def _borrow(self, symbol: str) -> list[tuple[str, ContractCall]]:
        price = self.prices[symbol] or PRICE_UNIT
        base = self._part(self.view.data[2], 0.3, 1.02)  # now and then more than is allowed
        amount = base * 10 ** self.d.reserves[symbol].decimals // price
        if amount == 0:
            return []
        return [(f"borrow {symbol}", pool.borrow(self.d, symbol, amount, self.view.wallet))]

    def _repay(self, symbol: str) -> list[tuple[str, ContractCall]]:
        amount = self._part(self.view.borrowed[symbol], 0.1, 0.6)
        call = pool.repay(self.d, symbol, amount, self.view.wallet)
        return [*self._funded(symbol, amount), (f"repay {symbol}", call)]

    def _withdraw(self, symbol: str) -> list[tuple[str, ContractCall]]:
        everything = not self.view.has_debt and self.rng.random() < 0.3
        amount = pool.MAX_UINT256 if everything else self._part(self.view.supplied[symbol], 0.05, 0.5)
        return [(f"withdraw {symbol}", pool.withdraw(self.d, symbol, amount, self.view.wallet))]

    def _funded(self, symbol: str, amount: int) -> list[tuple[str, ContractCall]]:
        """The tokens come out of nothing; the allowance has to be given."""
        return [
            (f"mint {symbol}", pool.mint(self.d, symbol, self.view.wallet, amount)),
            (f"approve {symbol}", pool.approve(self.d, symbol)),
        ]

    def _part(self, whole: int, low: float, high: float) -> int:
        """A random part of `whole` between two shares, at least one unit."""
        return max(1, whole * self.rng.randint(int(low * 10_000), int(high * 10_000)) // 10_000)

"""Gives the devnet's Comet a population and a life of its own, with base that changes hands in silence."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from app.domain.chain import Address, ContractCall, Returned
from devnet import comet
from devnet.assets import ADMIN, LIQUIDATOR, LIQUIDITY_PROVIDER, Token
from devnet.chain import MULTICALL3, DevChain
from devnet.codec import Value, aggregate_data, call_data
from devnet.comet import BORROW_MIN, COLLATERALS, Account, Comet

GAS = 1_500_000
UINT256_MAX = 2**256 - 1
ACTIONS_PER_BLOCK = (0, 1, 1, 2)
SILENT_PART = 0.25
"""Of the blocks: in these nothing happens at the Comet but one transfer of a debt, which emits nothing. (Beside other
life its accrual would be taken for theirs, and a reader would find it only in its slow round.)"""


def join(
    chain: DevChain,
    tokens: Mapping[str, Token],
    prices: Mapping[str, int],
    wallets: Sequence[Address],
    seed: int,
    network: str,
) -> CometLife:
    """Deploy, and populate at these prices (USD, 8 decimals)."""
    return CometLife(chain, comet.deploy(chain, tokens, network), wallets, prices, seed)


class CometLife:
    """What wallets do at the Comet, drawn from randomness of its own: a `Neighbour` of Aave."""

    def __init__(
        self, chain: DevChain, deployed: Comet, wallets: Sequence[Address], prices: Mapping[str, int], seed: int
    ) -> None:
        """The first half of the wallets are given a position."""
        self.comet = deployed
        self._chain = chain
        self._rng = random.Random(f"{seed} comet")
        self.wallets = list(wallets[: (len(wallets) + 1) // 2])
        self._populate(prices)

    @property
    def state(self) -> object:
        return self._rng.getstate()

    @state.setter
    def state(self, state: object) -> None:
        self._rng.setstate(state)  # type: ignore[arg-type]  # what getstate() gave, opaque by design

    def as_row(self, chain_id: int) -> dict[str, object]:
        """In the shape of a deployments file."""
        return self.comet.as_row(chain_id)

    def queue_prices(self, prices: Mapping[str, int]) -> None:
        """Nothing: it reads the feeds that everybody shares."""

    def exposed(self) -> set[Address]:
        """Wallets with a debt now."""
        return {wallet for wallet in self.wallets if self.account(wallet).principal < 0}

    def account(self, wallet: Address) -> Account:
        """The contract's views on a wallet now."""
        return self.comet.read_account(self._chain, wallet)

    def queue_block(self) -> None:
        """Queue one block: liquidations and what users do, or a transfer that nobody is told of."""
        rng = self._rng
        if rng.random() < SILENT_PART:
            self._queue_silent_transfer()
            return
        for wallet in rng.sample(self.wallets, min(len(self.wallets), 15)):
            if self.account(wallet).is_liquidatable:
                label = f"liquidate {self.comet.id}"
                self.send(LIQUIDATOR, "absorb(address,address[])", LIQUIDATOR, [wallet], label=label)
        acting = rng.sample(self.wallets, min(len(self.wallets), rng.choice(ACTIONS_PER_BLOCK)))
        for wallet in acting:
            self._act(wallet, alone=len(acting) == 1)

    def send(
        self, sender: Address, signature: str, *arguments: Value, label: str = "", must_succeed: bool = False
    ) -> None:
        """Queue a call of the Comet by anybody; it may be refused unless it must not."""
        label = label or f"comet {signature.partition('(')[0]}"
        data = call_data(signature, *arguments)
        self._chain.send(sender, self.comet.address, data, gas=GAS, label=label, must_succeed=must_succeed)

    def silent_pair(self) -> tuple[Address, Address, int] | None:
        """Two borrowers and an amount of base that the first can send the second without either being named."""
        accounts = {wallet: self.account(wallet) for wallet in self.wallets}
        borrowers = [wallet for wallet, account in accounts.items() if account.borrowed > 3 * BORROW_MIN]
        self._rng.shuffle(borrowers)
        for source in borrowers:
            for target in borrowers:
                amount = min(accounts[source].borrowed, accounts[target].borrowed) // 1000
                data = call_data("transfer(address,uint256)", target, amount)
                if source != target and isinstance(
                    self._chain.try_call(ContractCall(self.comet.address, data), source), Returned
                ):
                    return source, target, amount
        return None

    def _queue_silent_transfer(self) -> None:
        if (pair := self.silent_pair()) is not None:
            source, target, amount = pair
            self.send(source, "transfer(address,uint256)", target, amount, label="comet silent transfer")

    def _populate(self, prices: Mapping[str, int]) -> None:
        """A lender first, then every wallet: most borrow, somewhere between safe and nearly too much."""
        rng, base = self._rng, self.comet.base
        tokens = [base, *self.comet.collaterals.values()]
        for wallet in (LIQUIDITY_PROVIDER, *self.wallets):
            calls = [
                ContractCall(token.address, call_data("mint(address,uint256)", wallet, 10**40)) for token in tokens
            ]
            self._chain.send(ADMIN, MULTICALL3, aggregate_data(calls, may_fail=False), gas=5_000_000)
            for token in tokens:
                self._chain.execute(wallet, token.address, "approve(address,uint256)", self.comet.address, UINT256_MAX)
        self._chain.mine()
        lent = max(5_000_000, 100_000 * len(self.wallets))
        self._supply(LIQUIDITY_PROVIDER, base, _worth(lent, base, prices), must_succeed=True)
        for wallet in self.wallets:
            if rng.random() < 0.15:
                self._supply(wallet, base, _worth(rng.randint(100, 50_000), base, prices), must_succeed=True)
                continue
            power = 0
            for terms in rng.sample(COLLATERALS, rng.choice((1, 2, 3))):
                dollars = rng.randint(2_000, 80_000)
                token = self.comet.collaterals[terms.symbol]
                self._supply(wallet, token, _worth(dollars, token, prices), must_succeed=True)
                power += dollars * terms.borrow // 10_000
            part = rng.choice((0, rng.randint(300, 900), rng.randint(900, 995)))
            if part:
                amount = _worth(power, base, prices) * part // 1000
                self.send(wallet, "withdraw(address,uint256)", base.address, amount, must_succeed=True)
        self._chain.mine()

    def _supply(self, wallet: Address, token: Token, amount: int, *, must_succeed: bool = False) -> None:
        self.send(wallet, "supply(address,uint256)", token.address, amount, must_succeed=must_succeed)

    def _act(self, wallet: Address, *, alone: bool) -> None:
        """One user's doing. Who is not alone does not transfer: beside other life that may be silent too."""
        rng, base, account = self._rng, self.comet.base, self.account(wallet)
        symbol = rng.choice(list(self.comet.collaterals))
        token, held = self.comet.collaterals[symbol], account.collaterals.get(symbol, 0)
        other, part = rng.choice(self.wallets), rng.randint(1, 10**6)
        amount = rng.randint(1, 10 ** (base.decimals + rng.randint(1, 4)))
        options = ["supply", "add collateral", "borrow", "claim"]
        options += ["transfer", "transfer"] if alone else []
        options += ["take collateral", "give collateral"] if held else []
        options += ["repay all"] if account.borrowed else []
        match rng.choice(options):
            case "supply":
                self._supply(wallet, base, amount)
            case "add collateral":
                self._supply(wallet, token, rng.randint(1, 10 ** (token.decimals + rng.randint(-1, 1))))
            case "borrow":
                self.send(wallet, "withdraw(address,uint256)", base.address, amount)
            case "transfer":
                self.send(wallet, "transfer(address,uint256)", other, amount)
            case "claim":
                self.send(wallet, "accrueAccount(address)", wallet)
            case "take collateral":
                taken = max(1, held * part // 3 // 10**6)
                self.send(wallet, "withdraw(address,uint256)", token.address, taken)
            case "give collateral":
                given = max(1, held * part // 5 // 10**6)
                self.send(wallet, "transferAsset(address,address,uint256)", other, token.address, given)
            case _:
                self._supply(wallet, base, account.borrowed)


def _worth(dollars: int, token: Token, prices: Mapping[str, int]) -> int:
    """So many dollars in a token's own units."""
    unit: int = 10 ** (8 + token.decimals)
    return dollars * unit // prices[token.symbol]

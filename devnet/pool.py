"""The Aave Pool's calls and what it says about accounts; the signatures used are the same in V3.0 and V3.6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.domain.chain import Address, ContractCall, Returned
from app.errors import Fatal
from devnet.chain import DevChain
from devnet.codec import call_data, wallet_call_data, words
from devnet.deployed import Deployed

MAX_UINT256 = 2**256 - 1
WAD = 10**18
POOL_GAS = 3_000_000
VARIABLE_RATE = 2

AccountData = tuple[int, int, int, int, int, int]
"""getUserAccountData: collateral, debt, available borrows (USD, 8 decimals), threshold, LTV (bps), health (WAD)."""


@dataclass(frozen=True, slots=True)
class AccountView:
    """One wallet in one deployment, straight from the contracts."""

    wallet: Address
    data: AccountData
    supplied: Mapping[str, int]
    borrowed: Mapping[str, int]
    collateral: frozenset[str]
    """Symbols whose collateral bit is set, with or without a balance."""
    emode: int

    @property
    def health_wad(self) -> int:
        return self.data[5]

    @property
    def has_debt(self) -> bool:
        return self.data[1] > 0 or any(self.borrowed.values())


def supply(d: Deployed, symbol: str, amount: int, owner: Address) -> ContractCall:
    data = call_data("supply(address,uint256,address,uint16)", d.reserves[symbol].asset, amount, owner, 0)
    return ContractCall(d.pool, data)


def withdraw(d: Deployed, symbol: str, amount: int, to: Address) -> ContractCall:
    return ContractCall(d.pool, call_data("withdraw(address,uint256,address)", d.reserves[symbol].asset, amount, to))


def borrow(d: Deployed, symbol: str, amount: int, owner: Address) -> ContractCall:
    asset = d.reserves[symbol].asset
    signature = "borrow(address,uint256,uint256,uint16,address)"
    return ContractCall(d.pool, call_data(signature, asset, amount, VARIABLE_RATE, 0, owner))


def repay(d: Deployed, symbol: str, amount: int, owner: Address) -> ContractCall:
    asset = d.reserves[symbol].asset
    return ContractCall(
        d.pool, call_data("repay(address,uint256,uint256,address)", asset, amount, VARIABLE_RATE, owner)
    )


def repay_with_a_tokens(d: Deployed, symbol: str, amount: int) -> ContractCall:
    asset = d.reserves[symbol].asset
    return ContractCall(d.pool, call_data("repayWithATokens(address,uint256,uint256)", asset, amount, VARIABLE_RATE))


def use_as_collateral(d: Deployed, symbol: str, enabled: bool) -> ContractCall:
    asset = d.reserves[symbol].asset
    return ContractCall(d.pool, call_data("setUserUseReserveAsCollateral(address,bool)", asset, enabled))


def set_emode(d: Deployed, category: int) -> ContractCall:
    return ContractCall(d.pool, call_data("setUserEMode(uint8)", category))


def transfer_a_token(d: Deployed, symbol: str, to: Address, amount: int) -> ContractCall:
    return ContractCall(d.reserves[symbol].a_token, call_data("transfer(address,uint256)", to, amount))


def mint(d: Deployed, symbol: str, to: Address, amount: int) -> ContractCall:
    return ContractCall(d.reserves[symbol].asset, call_data("mint(address,uint256)", to, amount))


def approve(d: Deployed, symbol: str) -> ContractCall:
    return ContractCall(d.reserves[symbol].asset, call_data("approve(address,uint256)", d.pool, MAX_UINT256))


def liquidate(d: Deployed, collateral: str, debt: str, wallet: Address, amount: int) -> ContractCall:
    assets = (d.reserves[collateral].asset, d.reserves[debt].asset)
    signature = "liquidationCall(address,address,address,uint256,bool)"
    return ContractCall(d.pool, call_data(signature, *assets, wallet, amount, False))


def read_account_data(
    chain: DevChain, d: Deployed, wallets: Sequence[Address], block_number: int | None = None
) -> list[AccountData | None]:
    """getUserAccountData of each wallet at one block; None where it reverts (a broken price feed)."""
    calls = [ContractCall(d.pool, wallet_call_data("getUserAccountData(address)", wallet)) for wallet in wallets]
    results = chain.read(calls, block_number)
    return [_account_data(result.data) if isinstance(result, Returned) else None for result in results]


def read_accounts(chain: DevChain, d: Deployed, wallets: Sequence[Address]) -> list[AccountView | None]:
    """Everything of each wallet at the newest block; None where its account data reverts."""
    calls: list[ContractCall] = []
    for wallet in wallets:
        for name in ("getUserAccountData", "getUserConfiguration", "getUserEMode"):
            calls.append(ContractCall(d.pool, wallet_call_data(f"{name}(address)", wallet)))
        for reserve in d.reserves.values():
            calls.append(ContractCall(reserve.a_token, wallet_call_data("balanceOf(address)", wallet)))
            calls.append(ContractCall(reserve.v_token, wallet_call_data("balanceOf(address)", wallet)))
    results = chain.read(calls)
    width = 3 + 2 * len(d.reserves)
    views: list[AccountView | None] = []
    for index, wallet in enumerate(wallets):
        row = results[index * width : (index + 1) * width]
        answers = [result.data for result in row if isinstance(result, Returned)]
        views.append(_view(d, wallet, answers) if len(answers) == width else None)
    return views


def read_prices(chain: DevChain, d: Deployed) -> dict[str, int | None]:
    """The oracle's price of each reserve's asset, USD with 8 decimals; None where its feed reverts."""
    calls = [ContractCall(d.oracle, call_data("getAssetPrice(address)", r.asset)) for r in d.reserves.values()]
    results = chain.read(calls)
    return {
        symbol: words(result.data)[0] if isinstance(result, Returned) else None
        for symbol, result in zip(d.reserves, results, strict=True)
    }


def _view(d: Deployed, wallet: Address, answers: Sequence[bytes]) -> AccountView:
    bitmap, emode = words(answers[1])[0], words(answers[2])[0]
    balances = [words(answer)[0] for answer in answers[3:]]
    symbols = tuple(d.reserves)  # in the order of reserve ids, which is the order of the bitmap
    return AccountView(
        wallet=wallet,
        data=_account_data(answers[0]),
        supplied=dict(zip(symbols, balances[0::2], strict=True)),
        borrowed=dict(zip(symbols, balances[1::2], strict=True)),
        collateral=frozenset(s for i, s in enumerate(symbols) if bitmap >> (2 * i + 1) & 1),
        emode=emode,
    )


def _account_data(data: bytes) -> AccountData:
    values = words(data)
    if len(values) != 6:
        raise Fatal(f"getUserAccountData answered {len(values)} words")
    a, b, c, e, f, g = values
    return (a, b, c, e, f, g)

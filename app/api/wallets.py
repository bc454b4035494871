"""/v1/wallets/{address}: how far one wallet is from liquidation, everywhere."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from app.api.conversion import conversion_of
from app.api.details import parse_include, with_details
from app.api.examples import common as examples
from app.api.frame.addresses import BadAddress, WalletReference, parse_wallet, to_checksum
from app.api.frame.answers import answer, restarting
from app.api.frame.decimals import WAD_DECIMALS
from app.api.frame.deps import KeptAnswer, ReadContext, context_of
from app.api.frame.freshness import least_fresh
from app.api.frame.heads import Directory, directory_at, load_directory, wanted_chains, with_troubles
from app.api.frame.problems import INVALID_ADDRESS, INVALID_PARAMETER, UNAVAILABLE, ApiProblem
from app.api.loaded import LoadedWallet
from app.api.render.wallets import account_view, totals_view
from app.api.schemas.base import AsOf
from app.api.schemas.wallets import WalletView
from app.domain.account import AccountSnapshot, AccountState, NotYetRead
from app.domain.chain import Address
from app.domain.units import WAD, parse_units
from app.store.accounts import load_wallet, load_wallet_at_heads
from app.valuation.assess import AccountAssessment, assess_account, sorted_riskiest_first, unknown_account
from app.valuation.faults import fault_at
from app.valuation.totals import wallet_totals

router = APIRouter(tags=["wallets"])

MAX_TARGET_WAD = 100 * WAD
BLOCK_NUMBER_MAX = 2**63 - 1

AddressPath = Annotated[
    str,
    Path(
        description="0x address in lower, upper or EIP-55 case, or CAIP-10 (`eip155:1:0x…`).",
        examples=[examples.WALLET_ADDRESS],
    ),
]
ChainIdQuery = Annotated[int | None, Query(ge=1, le=BLOCK_NUMBER_MAX, description="Only this chain.")]
BlockNumberQuery = Annotated[
    int | None,
    Query(ge=0, le=BLOCK_NUMBER_MAX, description="As of this past block; needs chain_id where several are followed."),
]
Context = Annotated[ReadContext, Depends(context_of)]


@router.get(
    "/v1/wallets/{address}",
    response_model=WalletView,
    responses=examples.responses(examples.WALLET, 400, 404, 422),
    summary="Health and distance from liquidation of one wallet",
)
async def get_wallet(
    request: Request,
    context: Context,
    address: AddressPath,
    chain_id: ChainIdQuery = None,
    block_number: BlockNumberQuery = None,
    target_health_factor: Annotated[
        str | None, Query(max_length=40, description="What `restore` aims at: above 1, at most 100.", examples=["1.5"])
    ] = None,
    include: Annotated[
        str | None,
        Query(max_length=40, description="`moves`, `buffers`, `exposure`, comma-separated.", examples=["moves"]),
    ] = None,
) -> Response:
    """Every account of the wallet on every protocol followed, riskiest first, by the contracts' own exact rules."""
    wallet = wallet_of(address)
    chain_id = one_chain(wallet, chain_id)
    target = parse_target(target_health_factor)
    kept = await _load(context, wallet.address, chain_id, block_number, target, parse_include(include))
    view = kept.view
    volatile = (view.totals.unknown_accounts, view.scan_remaining_blocks, view.troubled_deployments)
    return answer(request, view, view.chains, volatile=volatile, body=kept.body)


async def load_wallet_view(
    context: ReadContext,
    address: Address,
    *,
    chain_id: int | None = None,
    block_number: int | None = None,
    target_health_wad: int | None = None,
) -> WalletView:
    """Everything known of one wallet: the API's answer and the page's content.

    While block notifications are heard, whoever asks for the same in the same second and before the next block gets
    the same answer.

    Args:
        chain_id: only this chain; None for all.
        block_number: the newest stored block up to this one instead of the head; needs a single chain.
        target_health_wad: what `restore` aims at; None for the default of the options.

    Raises:
        ApiProblem: chain or block is not there (its `kind` and `detail` can be shown).
        Retryable: the database is out of reach.
    """
    return (await _load(context, address, chain_id, block_number, target_health_wad, frozenset())).view


async def load_wallet_state(
    context: ReadContext, address: Address, chain_id: int | None = None, block_number: int | None = None
) -> LoadedWallet:
    """The wallet with its raw states: what simulations are made of. Raises what `load_wallet_view` raises."""
    target = context.options.default_target_health_wad
    return await restarting(lambda: _read(context, address, chain_id, block_number, target))


async def _load(
    context: ReadContext,
    address: Address,
    chain_id: int | None,
    block_number: int | None,
    target_wad: int | None,
    include: frozenset[str],
) -> KeptAnswer:
    target = target_wad or context.options.default_target_health_wad

    async def load_once() -> KeptAnswer:
        loaded = await _read(context, address, chain_id, block_number, target)
        return KeptAnswer(await with_details(context, _wallet_view(loaded), loaded, include, target))

    generation = context.stream.generation
    if generation is None:
        return await restarting(load_once)
    # By both clocks: the second of one that is set back comes twice.
    seconds = (context.clock(), int(context.sightings.elapsed()))
    key = (generation, *seconds, address, chain_id, block_number, target, include)
    return await context.answers.get(key, lambda: restarting(load_once))


async def _read(
    context: ReadContext, address: Address, chain_id: int | None, block_number: int | None, target: int
) -> LoadedWallet:
    following = context.kept_following() if block_number is None else None
    if following is not None:
        wanted = wanted_chains(context, following, chain_id)
        heads, accounts = await load_wallet_at_heads(context.database, address, wanted)
        directory = directory_at(context, following, wanted, heads)
    else:
        async with context.database.read() as session:
            directory = await load_directory(session, context, chain_id, block_number)
            accounts = await load_wallet(session, address, directory.blocks)
    if not directory.chains:
        raise ApiProblem(UNAVAILABLE, "no chain is followed yet", {"Retry-After": "5"})
    context.require_followed(directory.deployments, accounts)
    directory = await with_troubles(context, directory)
    accounts = [account for account in accounts if account.key.deployment_id in directory.deployments]
    assessed = [await _assess(context, directory, account, target) for account in accounts]
    conversions = {each.key: await conversion_of(context, directory, each) for each in assessed}
    return LoadedWallet(address, directory, accounts, assessed, conversions)


def wallet_of(text: str) -> WalletReference:
    """The wallet a path names.

    Raises:
        ApiProblem: it names none.
    """
    try:
        return parse_wallet(text)
    except BadAddress as error:
        raise ApiProblem(INVALID_ADDRESS, str(error)) from None


def one_chain(wallet: WalletReference, chain_id: int | None) -> int | None:
    """The chain meant by a CAIP-10 address and a chain_id together.

    Raises:
        ApiProblem: they contradict each other.
    """
    if None not in (wallet.chain_id, chain_id) and wallet.chain_id != chain_id:
        raise ApiProblem(INVALID_PARAMETER, f"chain_id: {chain_id} contradicts the address, which is on another chain")
    return chain_id if wallet.chain_id is None else wallet.chain_id


def parse_target(text: str | None) -> int | None:
    """A target health factor in WAD.

    Raises:
        ApiProblem: not a plain decimal number above 1 and at most 100.
    """
    if text is None:
        return None
    try:
        target = parse_units(text, WAD_DECIMALS)
    except ValueError:
        target = 0
    if not WAD < target <= MAX_TARGET_WAD:
        raise ApiProblem(INVALID_PARAMETER, "target_health_factor: a decimal number above 1 and at most 100")
    return target


async def _assess(
    context: ReadContext, directory: Directory, account: AccountState | NotYetRead, target_health_wad: int
) -> AccountAssessment:
    deployment = directory.deployments[account.key.deployment_id]
    block, trouble = directory.chains[deployment.chain_id].block, directory.troubles.get(deployment.id)
    state = None if block is None else await context.state_at(deployment, block)
    kind = context.kind_of(deployment)
    fault = None if state is not None or block is None else fault_at(deployment.id, block.ref)
    if fault is not None and trouble is None and isinstance(account, AccountSnapshot):
        return unknown_account(kind, state, account.key, fault, account.block_number)
    return assess_account(kind, state, account, target_health_wad, trouble)


def _wallet_view(loaded: LoadedWallet) -> WalletView:
    directory, accounts = loaded.directory, loaded.assessed

    def as_of(account: AccountAssessment) -> AsOf:
        return directory.chains[directory.deployments[account.key.deployment_id].chain_id].as_of

    answering = [as_of(account) for account in accounts]
    return WalletView(
        address=to_checksum(loaded.address),
        as_of=least_fresh(answering or directory.as_ofs),
        chains=directory.as_ofs,
        troubled_deployments=directory.troubled,
        totals=totals_view(wallet_totals(accounts, loaded.prices)),
        accounts=[
            account_view(
                account,
                directory.deployments[account.key.deployment_id],
                as_of(account),
                loaded.conversions[account.key],
            )
            for account in sorted_riskiest_first(accounts)
        ],
        scan_remaining_blocks=directory.unsearched,
    )

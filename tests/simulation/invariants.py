"""What must hold of the tables at every moment, whoever has just died: held against the model chain itself."""

from __future__ import annotations

from app.domain.account import AccountKey, AccountSnapshot, AccountState
from app.domain.chain import Address, Hash32
from app.store.accounts import load_accounts
from app.store.blocks import StoredBlock, load_head
from tests.indexer.model import CHAIN_ID, ModelBlock
from tests.simulation.chain import SimulatedChain
from tests.simulation.store import Place

_BLOCKS = "SELECT number, encode(hash, 'hex'), encode(parent_hash, 'hex') FROM blocks ORDER BY number"
_DUE = """
    SELECT d.slug, encode(a.wallet, 'hex'), a.unit FROM account_due t JOIN accounts a ON a.id = t.account_id
    JOIN deployments d ON d.id = a.deployment_id WHERE t.read_at_block_id IS NULL"""
_UNSEARCHED = "SELECT d.slug FROM log_scans t JOIN deployments d ON d.id = t.deployment_id"
_SET_ASIDE = """
    SELECT DISTINCT ON (d.slug) d.slug, t.trouble FROM deployment_troubles t
    JOIN deployments d ON d.id = t.deployment_id ORDER BY d.slug, t.block_id DESC"""


async def check(place: Place, chain: SimulatedChain, *, keeps_history: bool, gaps: bool) -> None:
    """Raise AssertionError, which says what does not hold.

    Args:
        keeps_history: What is stored of an account is all it had at that block; otherwise logs not searched yet may
            tell of more, and it is held against the chain once nothing is outstanding for it.
        gaps: Blocks may have been skipped.
    """
    line = _check_blocks(place, chain, gaps=gaps)
    if not line:
        return
    async with place.database.read() as session:
        head = await load_head(session, CHAIN_ID)
        assert head is not None
        stored = {one.id: await load_accounts(session, one.id, head) for one in chain.deployments}
    due = {AccountKey(slug, _wallet(wallet), unit) for slug, wallet, unit in place.rows(_DUE)}
    doubtful = {slug for (slug,) in place.rows(_UNSEARCHED)}
    doubtful |= {slug for slug, trouble in place.rows(_SET_ASIDE) if trouble is not None}
    for slug, accounts in stored.items():
        keys = [account.key for account in accounts]
        assert len(keys) == len(set(keys)), f"{slug}: an account is stored twice"
        for account in accounts:
            if keeps_history or (slug not in doubtful and account.key not in due):
                _check_account(account, head, line)
            if slug not in doubtful and account.key not in due:
                _check_current(account, line[-1])
        if slug not in doubtful:
            known = {key.wallet for key in keys} | {key.wallet for key in due if key.deployment_id == slug}
            held = {wallet for wallet, _ in line[-1].state.holdings}
            assert held <= known, f"{slug}: {len(held - known)} wallets with holdings were never found"


def _check_blocks(place: Place, chain: SimulatedChain, *, gaps: bool) -> list[ModelBlock]:
    """The stored blocks are one unbroken line of the chain, of whatever branch; that line from genesis on."""
    rows = place.rows(_BLOCKS)
    if not rows:
        return []
    most = max(block.ref.number for block in chain.blocks.values())
    assert rows[-1][0] <= most, f"block {rows[-1][0]} is stored above the highest there ever was, {most}"
    line = chain.touched_line(Hash32.fromhex(rows[-1][1]))
    numbers, first = [row[0] for row in rows], rows[0][0]
    assert gaps or numbers == list(range(first, first + len(rows))), f"the stored blocks skip one: {numbers}"
    for number, block_hash, parent_hash in rows:
        ref = line[number].ref
        assert (block_hash, parent_hash) == (ref.hash.hex(), ref.parent_hash.hex()), (
            f"block {number} is stored of another branch than the newest stored one, {rows[-1][0]}"
        )
    return line


def _check_account(account: AccountState, head: StoredBlock, line: list[ModelBlock]) -> None:
    """What is stored of an account was so at the block it is stored for."""
    key, number = account.key, account.block_number
    assert number <= head.ref.number, f"{key}: a state above the newest stored block"
    _check_equal(account, line[number], f"as stored at block {number}")


def _check_current(account: AccountState, newest: ModelBlock) -> None:
    """Nothing is outstanding for this account: then its newest state is that of the newest block."""
    _check_equal(account, newest, f"as it should be known at block {newest.ref.number}")


def _check_equal(account: AccountState, block: ModelBlock, when: str) -> None:
    wallet = account.key.wallet
    if not isinstance(account, AccountSnapshot):
        assert wallet in block.state.broken, f"{account.key}: unreadable although it can be read, {when}"
        return
    wanted = {
        str(market): (held.supplied, held.borrowed, held.flag)
        for (owner, market), held in block.state.holdings.items()
        if owner == wallet and (held.supplied or held.borrowed or held.flag)
    }
    found = {held.market: (held.supplied_raw, held.borrowed_raw, held.is_collateral) for held in account.positions}
    assert found == wanted, f"{account.key}: {found}, the chain has {wanted}, {when}"


def _wallet(wallet: str) -> Address:
    """A wallet from its hex digits."""
    return Address(bytes.fromhex(wallet))

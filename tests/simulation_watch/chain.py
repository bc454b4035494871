"""A model chain: a tree of blocks with values for every rule and account, of which one branch is stored at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random

from app.book import Keeper, Reading
from app.domain.chain import BlockRef, Hash32
from app.domain.watch import Measured, Metric, Subject
from app.store.blocks import StoredBlock
from app.watch.measures import Asked, Found
from tests.fakes.site import DEVNET, EPOCH
from tests.simulation_watch.setting import ACCOUNTS, PAIRS, RULES, Pair

_PLACES = (80, 95, 100, 101, 110, 111, 115, 120, 121, 125, 126, 130, 131, 150)
"""Values on, next to and between the levels. What is bad when high is 200 less them."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of the tree."""

    ref: BlockRef
    parent: Hash32 | None
    values: dict[Pair, int]
    unknown: frozenset[Pair]
    terms: dict[Subject, int]
    """How often the terms of an account got worse so far."""


class Tree:
    """Every block there ever was."""

    def __init__(self, seed: int) -> None:
        self._dice = Random(f"{seed} chain")
        self._seed = seed
        self.blocks: dict[Hash32, Block] = {}

    def child(self, parent: Hash32 | None) -> Block:
        """A new block on this one."""
        dice = self._dice
        before = None if parent is None else self.blocks[parent]
        number = 1 if before is None else before.ref.number + 1
        own = Hash32(blake2b(f"{self._seed} {len(self.blocks)}".encode(), digest_size=32).digest())
        ref = BlockRef(DEVNET, number, own, parent or Hash32(bytes(32)), EPOCH + number)
        values = {
            pair: dice.choice(_PLACES) if before is None or dice.random() < 0.3 else before.values[pair]
            for pair in PAIRS
        }
        unknown = frozenset(pair for pair in PAIRS if dice.random() < 0.1)
        terms = {
            account: (0 if before is None else before.terms[account]) + (dice.random() < 0.15) * dice.randrange(1, 4)
            for account in ACCOUNTS
        }
        self.blocks[own] = Block(ref, parent, values, unknown, dict(terms))
        return self.blocks[own]

    def value(self, pair: Pair, at: Hash32, before: Hash32 | None) -> int | None:
        """What is measured at a block; `before` is the one that changes of terms are counted from."""
        block = self.blocks[at]
        if pair in block.unknown:
            return None
        rule = RULES[pair[0]]
        if rule.metric is Metric.PARAMETERS:
            return 0 if before is None else block.terms[pair[1]] - self.blocks[before].terms[pair[1]]
        return block.values[pair] if rule.is_bad_below else 200 - block.values[pair]

    def line(self, tip: Hash32) -> set[Hash32]:
        """A block and all it stands on."""
        found: set[Hash32] = set()
        at: Hash32 | None = tip
        while at is not None:
            found.add(at)
            at = self.blocks[at].parent
        return found


class TreeMeasures:
    """Measures as the real ones do: whoever is calm or unknown is left out unless asked for by name."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    async def measure(
        self, keeper: Keeper, reading: Reading, asked: Sequence[Asked], before: StoredBlock | None
    ) -> list[Found]:
        """Every rule's finds."""
        del keeper
        compared = None if before is None else before.ref.hash
        return [self._found(one, reading.block.ref.hash, compared) for one in asked]

    def _found(self, asked: Asked, at: Hash32, before: Hash32 | None) -> Found:
        rule, wallets = asked.rule, {member.wallet for member in asked.members}
        measured = []
        for account in ACCOUNTS:
            value = self._tree.value((rule.id, account), at, before)
            is_news = value is not None and not rule.is_clear(value)
            if account in asked.must or (account.wallet in wallets and is_news):
                measured.append(Measured(account, value, {"value": value}))
        return Found(rule.id, tuple(measured), len(wallets), 0)

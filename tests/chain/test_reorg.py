"""Placing a head: every chain, fork and set of stored blocks up to a size, and random larger ones.

The model is a tree of blocks. What is right is told from the tree itself (who descends from whom), by other means
than the code under test, which only sees what a node answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chain.reorg import Behind, Forked, Gap, Next, Placement, Same, TooDeep, locate
from app.chain.wire import Header
from app.domain.chain import BlockRef, Hash32

CHAIN = 31337


@dataclass
class Tree:
    """Blocks by hash, and the line a node calls canonical."""

    blocks: dict[Hash32, BlockRef] = field(default_factory=dict)
    canonical: list[BlockRef] = field(default_factory=list)
    fetched: list[int | Hash32] = field(default_factory=list)
    missing: set[Hash32] = field(default_factory=set)

    def grow(self, parent: BlockRef | None, length: int, branch: int) -> list[BlockRef]:
        """`length` blocks on top of `parent`."""
        line: list[BlockRef] = []
        for _ in range(length):
            number = parent.number + 1 if parent else 0
            parent_hash = parent.hash if parent else Hash32(bytes(32))
            parent = BlockRef(CHAIN, number, Hash32(bytes([branch]) + number.to_bytes(31, "big")), parent_hash, number)
            self.blocks[parent.hash] = parent
            line.append(parent)
        return line

    def line_of(self, head: BlockRef) -> dict[int, BlockRef]:
        """The head and its ancestors by number."""
        line = {head.number: head}
        while head.number:
            head = self.blocks[head.parent_hash]
            line[head.number] = head
        return line

    async def fetch(self, at: int | Hash32) -> Header | None:
        self.fetched.append(at)
        if isinstance(at, bytes):
            block = None if at in self.missing else self.blocks.get(at)
        else:
            block = self.canonical[at] if at < len(self.canonical) else None
        return None if block is None else Header(block, b"")


def right_placement(tree: Tree, head: BlockRef, stored: Sequence[BlockRef], finality: int) -> Placement:
    """The answer by looking at the whole tree."""
    if not stored:
        return Next()
    line, tip = tree.line_of(head), stored[0]
    if head == tip:
        return Same()
    comparable = [block for block in stored if block.number <= head.number]
    replaced = [block for block in comparable if line[block.number] != block]
    kept = [block for block in comparable if line[block.number] == block]
    if replaced:
        depths = [tip.number - block.number + 1 for block in replaced]
        too_deep = [depth for depth in depths if depth > finality]
        if too_deep:
            return TooDeep(min(too_deep))
        return Forked(kept[0] if kept else None)
    if kept and kept[0] == tip:
        return Next() if head.number == tip.number + 1 else Gap(tip.number + 1, head.number - 1)
    return Behind()


def two_branches(trunk: int, ours: int, theirs: int) -> tuple[Tree, list[BlockRef], list[BlockRef]]:
    """A tree whose stored branch and canonical branch share `trunk` blocks."""
    tree = Tree()
    root = tree.grow(None, trunk, branch=0)
    our_line = root + tree.grow(root[-1], ours, branch=1)
    their_line = root + tree.grow(root[-1], theirs, branch=2)
    tree.canonical = their_line
    return tree, our_line, their_line


async def test_every_small_chain_fork_and_set_of_stored_blocks_is_placed_right() -> None:
    """Trunk of 1 to 3, branches of 0 to 3 each, every subset of our line stored, three finality depths."""
    checked = 0
    seen: set[type] = set()
    for trunk in range(1, 4):
        for ours in range(4):
            for theirs in range(4):
                tree, our_line, their_line = two_branches(trunk, ours, theirs)
                head = their_line[-1]
                for count in range(len(our_line) + 1):
                    for chosen in combinations(reversed(our_line), count):
                        for finality in (1, 2, 10):
                            placed = await locate(tree.fetch, head, chosen, finality)
                            assert placed == right_placement(tree, head, chosen, finality), (head, chosen, finality)
                            seen.add(type(placed))
                            checked += 1
    assert checked == 2520
    assert seen == {Same, Next, Gap, Behind, Forked, TooDeep}


@given(
    trunk=st.integers(1, 30),
    ours=st.integers(0, 30),
    theirs=st.integers(0, 60),
    keep=st.lists(st.booleans(), min_size=60, max_size=60),
    finality=st.integers(1, 40),
)
@settings(max_examples=150, deadline=None)
async def test_any_fork_with_gaps_is_placed_right(
    trunk: int, ours: int, theirs: int, keep: list[bool], finality: int
) -> None:
    tree, our_line, their_line = two_branches(trunk, ours, theirs)
    stored = [block for block, wanted in zip(reversed(our_line), keep, strict=False) if wanted]
    placed = await locate(tree.fetch, their_line[-1], stored, finality)
    assert placed == right_placement(tree, their_line[-1], stored, finality)


@given(
    steps=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.booleans()), min_size=1, max_size=25),
    finality=st.integers(20, 40),
)
@settings(max_examples=100, deadline=None)
async def test_following_placements_always_ends_on_the_nodes_own_line(
    steps: list[tuple[int, int, bool]], finality: int
) -> None:
    """An indexer that does what it is told, through reorgs on reorgs, stores only blocks of the head's line."""
    tree = Tree()
    tree.canonical = tree.grow(None, 1, branch=0)
    stored: list[BlockRef] = []
    for branch, (drop, grow, seen) in enumerate(steps, start=1):
        kept = tree.canonical[: max(1, len(tree.canonical) - drop)]
        tree.canonical = kept + tree.grow(kept[-1], grow, branch)
        head = tree.canonical[-1]
        if not seen:
            continue
        for _ in range(3):
            placed = await locate(tree.fetch, head, stored, finality)
            if isinstance(placed, Forked):
                above = -1 if placed.ancestor is None else placed.ancestor.number
                stored = [block for block in stored if block.number <= above]
            elif isinstance(placed, Next | Gap):
                stored.insert(0, head)
            else:
                break
        assert isinstance(placed, Same | Behind | TooDeep)
        if isinstance(placed, Same):
            line = tree.line_of(head)
            assert all(line[block.number] == block for block in stored)


async def test_near_the_head_nothing_is_looked_up_by_number() -> None:
    """Numbers may be answered by another backend on another branch: only hashes tie a chain together."""
    tree, our_line, their_line = two_branches(5, 4, 9)
    tree.canonical = our_line  # what a lagging backend would answer by number
    placed = await locate(tree.fetch, their_line[-1], our_line[::-1], 64)
    assert placed == Forked(our_line[4])
    assert all(isinstance(at, bytes) for at in tree.fetched)


async def test_a_long_gap_costs_no_more_fetches_than_the_finality_depth() -> None:
    tree, our_line, their_line = two_branches(10, 0, 5000)
    assert await locate(tree.fetch, their_line[-1], [our_line[-1]], 64) == Gap(10, 5008)
    assert len(tree.fetched) <= 66


async def test_an_ancestor_the_node_does_not_have_means_waiting() -> None:
    tree, our_line, their_line = two_branches(3, 2, 6)
    tree.missing = {their_line[5].hash}
    assert await locate(tree.fetch, their_line[-1], our_line[::-1], 64) == Behind()


async def test_a_node_that_is_far_behind_replaces_nothing() -> None:
    tree, our_line, _ = two_branches(50, 0, 0)
    assert await locate(tree.fetch, our_line[9], our_line[::-1][:20], 64) == Behind()
    assert await locate(tree.fetch, our_line[9], [our_line[40], our_line[5]], 64) == Behind()


async def test_an_old_gap_in_what_is_stored_does_not_make_a_shallow_reorg_deep() -> None:
    """Stored: block 10 and, after a stop, block 500. Block 500 is replaced: one block, not 490."""
    tree, our_line, their_line = two_branches(500, 1, 2)
    assert await locate(tree.fetch, their_line[-1], [our_line[500], our_line[10]], 64) == Forked(our_line[10])


@pytest.mark.parametrize("depth", [1, 2, 3])
async def test_a_reorg_of_everything_stored_leaves_no_ancestor(depth: int) -> None:
    tree, our_line, their_line = two_branches(7, depth, depth + 1)
    assert await locate(tree.fetch, their_line[-1], our_line[::-1][:depth], 64) == Forked(None)

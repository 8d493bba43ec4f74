"""The tree of common prefixes: every row is spelled by its path, and nothing that is supervised is shared."""

import sys
import tracemalloc
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from test_layout import forests

from affina.core.kinds import Ints, Row
from affina.data.layout import layout
from affina.data.prefixes import SHORTEST_SHARED, shareable, tree
from affina.data.supervised import Supervised


class Node(NamedTuple):
    start: int
    stop: int
    parent: int
    rows: list[int]


def row(tokens: list[int], targets: int = 1) -> Row:
    weights = np.zeros(len(tokens), np.float32)
    if targets:
        weights[-targets:] = 1
    return Row("r", np.array(tokens, np.int32), weights)


def limits(rows: list[Row]) -> Ints:
    return shareable(rows, Supervised.of(rows).firsts_R)


def nodes_of(rows: list[Row], share: bool = True) -> list[Node]:
    found = tree(rows, share)
    columns = zip(found.starts_K.tolist(), found.stops_K.tolist(), found.parents_K.tolist(), strict=True)
    firsts = found.firsts_K.tolist()
    return [Node(*each, found.shared.get(k, [firsts[k]])) for k, each in enumerate(columns)]


def path(nodes: list[Node], leaf: int) -> list[Node]:
    found = [nodes[leaf]]
    while found[0].parent >= 0:
        found.insert(0, nodes[found[0].parent])
    return found


@settings(deadline=None, max_examples=300)
@given(forests(), st.booleans())
def test_each_row_has_one_leaf_whose_path_spells_it(rows: list[Row], share: bool) -> None:
    nodes, most_R = nodes_of(rows, share), limits(rows)
    leaves = {node.rows[0]: number for number, node in enumerate(nodes) if len(node.rows) == 1}
    assert sorted(leaves) == list(range(len(rows))) and len(leaves) == sum(len(node.rows) == 1 for node in nodes)
    for r, leaf in leaves.items():
        way = path(nodes, leaf)
        spelled = [rows[node.rows[0]].tokens[node.start : node.stop] for node in way]
        assert np.concatenate(spelled).tolist() == rows[r].tokens.tolist()
        assert all(r in node.rows for node in way)
        assert all(node.stop <= most_R[r] for node in way[:-1])
        assert all(node.stop > node.start for node in way)


@settings(deadline=None, max_examples=300)
@given(forests())
def test_rows_that_may_share_enough_do(rows: list[Row]) -> None:
    """Pair by pair: of the shareable tokens two rows agree on, fewer than SHORTEST_SHARED are computed twice."""
    nodes, most_R = nodes_of(rows), limits(rows)
    leaves = {node.rows[0]: number for number, node in enumerate(nodes) if len(node.rows) == 1}
    for a in range(len(rows)):
        for b in range(a):
            most = min(most_R[[a, b]])
            same = rows[a].tokens[:most] == rows[b].tokens[:most]
            agree = most if same.all() else int(same.argmin())
            met = [x.stop for x, y in zip(path(nodes, leaves[a]), path(nodes, leaves[b]), strict=False) if x is y]
            assert agree - max(met, default=0) < SHORTEST_SHARED
            assert max(met, default=0) <= agree


def test_the_whole_bestiary_in_one_forest() -> None:
    """A row of one token, identical rows, a row that is a prefix of another, and a row with an empty suffix."""
    head = list(range(100, 120))
    rows = [row([7], 0), row([*head, 1]), row([*head, 1]), row(head, 0), row([*head, 1, 2], 2), row([7], 0)]
    batch = layout(rows)
    spelled = [(each.stop - each.start, each.parent) for each in batch.segments]
    # 19 tokens are shared by all, since the row that ends there keeps its last; then 1 token is too short to share.
    assert spelled == [(1, -1), (19, -1), (2, 1), (2, 1), (1, 1), (3, 1), (1, -1)]
    assert batch.tokens == 1 + 21 + 21 + 20 + 22 + 1


def test_prefixes_may_nest_deeper_than_python_recurses() -> None:
    depth = sys.getrecursionlimit() + 200
    tokens = np.arange(SHORTEST_SHARED * (depth + 1), dtype=np.int32)
    rows = [row(tokens[: SHORTEST_SHARED * n + 1].tolist()) for n in range(1, depth)]
    batch = layout(rows)
    assert len(batch.segments) > 2 * depth - 10
    assert len(batch.tokens_T) < 3 * len(tokens)  # everything but the last tokens stands once


def test_a_shared_prefix_is_looked_at_once_per_row_and_not_copied() -> None:
    """1,000 rows of 1,000 tokens that share 990: the batch holds 11,000 tokens, so no [rows × tokens] array is made."""
    head = list(range(990))
    rows = [row([*head, *range(1000 + n, 1010 + n)]) for n in range(1000)]
    tracemalloc.start()
    batch = layout(rows)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(batch.tokens_T) < 11_000
    assert most < 4_000_000  # 8 MB would hold the rows' places once

"""The compiled predictor of a forest: the same bits as xgboost's own, several times faster on days of one cell.

Over the days of one cell most decisions of a tree are the same: soils do not change, slow memories hardly. So a tree is
first reduced to the decisions that differ within the days at hand, and all days go through these together, as vectors.
Leaves are then added to the base score in the order of the trees, in float32, as xgboost adds them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numba
import numpy as np
from numpy.typing import NDArray

OUTPUTS: Final = 5
"""Values of a leaf."""

_NODE = np.dtype([("threshold", np.float32), ("feature", np.int32), ("left", np.int32), ("right", np.int32)])
_TOGETHER: Final = 16  # trees whose leaves are added at once, so that sums stay in registers
_LINE: Final = 16  # float32 numbers in a cache line


@dataclass(frozen=True)
class Forest:
    """Trees as arrays. Children and roots below 0 are leaves: -1 - the row of `leaves`.

    roots   of the trees, int32
    nodes   inner nodes of all trees; `left` where the feature is below the threshold
    leaves  shape (leaves, 5), float32
    base    what the sum starts from, shape (5,), float32
    columns features that a prediction needs
    """

    roots: NDArray[np.int32]
    nodes: NDArray[Any]
    leaves: NDArray[np.float32]
    base: NDArray[np.float32]
    columns: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The trees of a model as xgboost writes it in JSON: one forest of multi-output regression trees.

        Raises ValueError for any other kind of model, and KeyError, TypeError or ValueError for what is none.
        """
        learner = document["learner"]
        booster, shape = learner["gradient_booster"], learner["learner_model_param"]
        columns = int(shape["num_feature"])
        # Others transform what the trees yield, or weigh the trees.
        if booster["name"] != "gbtree" or learner["objective"]["name"] != "reg:squarederror":
            raise ValueError("a forest of regression trees is wanted")
        roots, nodes, leaves = [], [], []
        first_node = first_leaf = 0
        for tree in booster["model"]["trees"]:
            if int(tree["tree_param"]["size_leaf_vector"]) != OUTPUTS or any(tree["split_type"]):
                raise ValueError(f"trees with {OUTPUTS} outputs and splits at thresholds are wanted")
            weights = np.array(tree["leaf_weights"], np.float32).reshape(-1, OUTPUTS)
            root, part = _packed(tree, columns, len(weights), first_node, first_leaf)
            roots.append(root)
            nodes.append(part)
            leaves.append(weights)
            first_node, first_leaf = first_node + len(part), first_leaf + len(weights)
        if not roots:
            raise ValueError("the model has no trees")
        base = np.broadcast_to(np.array(json.loads(shape["base_score"]), np.float32), OUTPUTS).copy()
        return cls(np.array(roots, np.int32), np.concatenate(nodes), np.concatenate(leaves), base, columns)

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predictions of shape (cells, 5, days), clipped to [0, 1]; NaN on days with any feature that is not finite.

        features  shape (cells, columns, days), float32; a hundred days or more of each cell are the fastest
        """
        cells, columns, days = features.shape
        if columns != self.columns:
            raise ValueError(f"the forest wants {self.columns} features, not {columns}")
        padded = -(-days // _LINE) * _LINE
        out = np.empty((cells, OUTPUTS, days), np.float32)
        _predict(
            np.ascontiguousarray(features, np.float32),
            self.roots,
            self.nodes,
            self.leaves,
            self.base,
            _aligned((columns, padded), np.float32),
            _aligned((_TOGETHER, padded), np.int32),
            out,
        )
        return out


def _packed(
    tree: Mapping[str, Any], columns: int, leaves: int, first_node: int, first_leaf: int
) -> tuple[int, NDArray[Any]]:
    """Root and inner nodes of a tree, numbered after those of the trees before it."""
    left, right = (np.array(tree[f"{side}_children"], np.int64) for side in ("left", "right"))
    feature, place = np.array(tree["split_indices"], np.int64), np.arange(len(left))
    inner = left >= 0
    # The compiled code trusts these numbers. Children come after their parents, so that no walk is endless; the right
    # child of a leaf is its row in the leaf weights.
    ordered = (left > place) & (right > place) & (np.maximum(left, right) < len(left)) & (feature < columns)
    if not np.where(inner, ordered & (feature >= 0), (right >= 0) & (right < leaves)).all() or not len(left):
        raise ValueError("a tree refers to nodes, leaves or features that it does not have")
    code = np.where(inner, first_node + np.cumsum(inner) - 1, -1 - (first_leaf + right))
    part = np.empty(np.count_nonzero(inner), _NODE)
    part["threshold"] = np.array(tree["split_conditions"], np.float32)[inner]
    part["feature"] = feature[inner]
    part["left"], part["right"] = code[left[inner]], code[right[inner]]
    return int(code[0]), part


def _aligned(shape: tuple[int, int], dtype: type) -> NDArray[Any]:
    """Zeros that start at a cache line: vectors that cross lines take twice as long."""
    count = shape[0] * shape[1]
    raw: NDArray[Any] = np.zeros(count + _LINE, dtype)
    offset = -raw.ctypes.data % (4 * _LINE) // 4
    return raw[offset : offset + count].reshape(shape)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _settle(node: Any, nodes: Any, low: Any, high: Any) -> Any:
    """The first node from `node` on at which not all days go the same way, or the leaf that they reach."""
    while node >= 0:
        here = nodes[np.uint64(node)]
        feature = np.uint64(here.feature)
        if high[feature] < here.threshold:
            node = here.left
        elif low[feature] >= here.threshold:
            node = here.right
        else:
            break
    return node


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _divide(row: Any, threshold: Any, here: Any, left: Any, right: Any, places: Any) -> None:
    # Added and not assigned: a conditional assignment becomes a masked store, five times slower on AMD.
    to_left, to_right = left - here, right - here
    for day in range(len(places)):
        step = to_left if row[day] < threshold else to_right
        places[day] += step if places[day] == here else np.int32(0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add(places: Any, trees: Any, leaves: Any, sums: Any) -> None:
    for day in range(sums.shape[0]):
        s0, s1, s2, s3, s4 = sums[day, 0], sums[day, 1], sums[day, 2], sums[day, 3], sums[day, 4]
        for tree in range(trees):
            leaf = np.uint64(-1 - places[tree, day])
            s0 += leaves[leaf, 0]
            s1 += leaves[leaf, 1]
            s2 += leaves[leaf, 2]
            s3 += leaves[leaf, 3]
            s4 += leaves[leaf, 4]
        sums[day, 0], sums[day, 1], sums[day, 2], sums[day, 3], sums[day, 4] = s0, s1, s2, s3, s4


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _predict(features: Any, roots: Any, nodes: Any, leaves: Any, base: Any, rows: Any, places: Any, out: Any) -> None:
    """rows: space for the features of one cell; places: of its days in some trees, open nodes from 0 on or leaves."""
    cells, columns, days = features.shape
    low, high = np.empty(columns, np.float32), np.empty(columns, np.float32)
    sums = np.empty((days, OUTPUTS), np.float32)
    opened = np.empty(len(nodes) + 1, np.int32)
    for cell in range(cells):
        finite = 0
        for column in range(columns):
            row, copy = features[cell, column], rows[column]
            least, most = np.float32(np.inf), np.float32(-np.inf)
            for day in range(days):
                value = row[day]
                copy[day] = value
                least = value if value < least else least
                most = value if value > most else most
                finite += value - value == 0
            low[column], high[column] = least, most
        for day in range(days):
            sums[day] = base
        for first in range(0, len(roots), _TOGETHER):
            trees = min(_TOGETHER, len(roots) - first)
            for tree in range(trees):
                node = _settle(roots[first + tree], nodes, low, high)
                place = places[tree]
                place[:] = min(node, 0)
                opened[0] = node
                count, here = np.int32(node >= 0), np.int32(0)
                while here < count:
                    split = nodes[opened[here]]
                    left = _settle(split.left, nodes, low, high)
                    right = _settle(split.right, nodes, low, high)
                    if left >= 0:
                        opened[count] = left
                        left = count
                        count += np.int32(1)
                    if right >= 0:
                        opened[count] = right
                        right = count
                        count += np.int32(1)
                    _divide(rows[split.feature], split.threshold, here, np.int32(left), np.int32(right), place)
                    here += np.int32(1)
            _add(places, trees, leaves, sums)
        whole = finite == columns * days
        for day in range(days):
            valid = True
            if not whole:
                for column in range(columns):
                    valid &= rows[column, day] - rows[column, day] == 0
            for output in range(OUTPUTS):
                value = min(max(sums[day, output], np.float32(0)), np.float32(1))
                out[cell, output, day] = value if valid else np.float32(np.nan)

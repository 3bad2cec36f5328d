"""Naive numpy twins of the tree core: float sums over masks of rows, nothing packed or kept.

Bin codes are integers: 0, 1, ... for bins of values or categories, and ``missing`` for
missing values. A row has a gradient g, a hessian h (both times its weight) and a weight w.
"""

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

#: What the package documents: see its kernels of splitting and growth.
CATEGORY_SMOOTHING = 10.0
MIN_HESSIAN = 1e-3
RELATIVE_MIN_GAIN = 1e-10


def thresholds(values, weights, max_bins):
    """Halfway points after the values at which 1/k, 2/k, ... of the weight are reached."""
    total_of = {}
    for value, weight in zip(values, weights, strict=True):
        if not np.isnan(value):
            total_of[value] = total_of.get(value, 0) + int(weight)
    distinct = sorted(total_of)
    cuts = range(len(distinct) - 1)
    if len(distinct) > max_bins:
        cumulative = [sum(total_of[v] for v in distinct[: i + 1]) for i in range(len(distinct))]
        cuts = set()
        for i in range(1, max_bins):
            target = Fraction(cumulative[-1] * i, max_bins)
            cuts.add(min(j for j, below in enumerate(cumulative) if below >= target))
        cuts = sorted(cuts - {len(distinct) - 1})
    return [_between(distinct[j], distinct[j + 1]) for j in cuts]


def _between(a, b):
    """Halfway between two floats, computed exactly; a itself if that rounds to b."""
    middle = float((Fraction(float(a)) + Fraction(float(b))) / 2)
    return middle if a <= middle < b else a


def codes_of(X, edges, n_categories, missing):
    """Bin codes of all rows: the number of thresholds below a value, or its category."""
    codes = np.empty(X.shape, dtype=int)
    for feature in range(X.shape[1]):
        values = X[:, feature].astype(float)
        known = ~np.isnan(values)
        codes[~known, feature] = missing
        if n_categories[feature]:
            codes[known, feature] = values[known]
        else:
            codes[known, feature] = np.searchsorted(edges[feature], values[known], side="left")
    return codes


def histograms(codes, rows, payload, n_codes):
    """Sums of the payload (m, n_words) of some rows: shape (n_features, n_codes, n_words)."""
    out = np.zeros((codes.shape[1], n_codes, payload.shape[1]), dtype=payload.dtype)
    for feature in range(codes.shape[1]):
        np.add.at(out[feature], codes[rows, feature], payload)
    return out


@dataclass
class Limits:
    """When a tree stops growing, and how its leaves are valued."""

    max_leaf_nodes: float = np.inf
    max_depth: float = np.inf
    min_weight: float = 1.0
    l2: float = 0.0
    learning_rate: float = 1.0


@dataclass
class Split:
    """A split, and what it saves: score(left) + score(right) - score(parent)."""

    gain: float
    feature: int = -1
    bin: int = -1
    codes_left: frozenset | None = None  # categorical only
    missing_left: bool = False
    left: np.ndarray | None = None  # mask of the node's rows


@dataclass
class Rows:
    """The rows of a node, or all of them."""

    codes: np.ndarray
    g: np.ndarray
    h: np.ndarray
    w: np.ndarray

    def take(self, mask):
        """Return some of the rows."""
        return Rows(self.codes[mask], self.g[mask], self.h[mask], self.w[mask])


def score(rows, l2):
    """G^2 / (H + l2): twice the loss that a Newton leaf saves."""
    return rows.g.sum() ** 2 / (rows.h.sum() + l2)


def children_score(rows, left, l2, min_weight):
    """Scores of the two children less the parent's; -1 if a child is too small.

    Rounded to single precision: what differs by less is equal, and the first one counts.
    """
    floor = MIN_HESSIAN * rows.h.sum() / rows.w.sum()
    total = 0.0
    for side in (rows.take(left), rows.take(~left)):
        if side.w.sum() < min_weight or side.h.sum() <= floor:
            return -1.0
        total += score(side, l2)
    return float(np.float32(total - score(rows, l2)))


def best_numerical(rows, feature, n_bins, missing, limits, floor=-1.0):
    """Try every threshold, missing values right first, then left; the first best one counts."""
    codes = rows.codes[:, feature]
    is_missing = codes == missing
    best = Split(floor)
    for missing_left in (False, True) if is_missing.any() else (False,):
        for b in range(n_bins):
            left = np.where(is_missing, missing_left, codes <= b)
            gain = children_score(rows, left, limits.l2, limits.min_weight)
            if gain > best.gain:
                best = Split(gain, feature, b, None, missing_left, left)
    if best.feature == feature and not is_missing.any():
        best.missing_left = 2 * rows.w[best.left].sum() >= rows.w.sum()
    return best


def smoothing_of(rows):
    """What is added to the hessians of categories."""
    return CATEGORY_SMOOTHING * rows.h.sum() / rows.w.sum()


def best_categorical(rows, feature, missing, limits, floor=-1.0):
    """Try every prefix of the categories in the order of G / (H + smoothing)."""
    codes, smoothing = rows.codes[:, feature], smoothing_of(rows)

    def key(code):
        inside = rows.take(codes == code)
        return inside.g.sum() / (inside.h.sum() + smoothing), code

    in_order = sorted(np.unique(codes).tolist(), key=key)
    best = Split(floor)
    for size in range(1, len(in_order)):
        left = np.isin(codes, in_order[:size])
        gain = children_score(rows, left, limits.l2 + smoothing, limits.min_weight)
        if gain > best.gain:
            best = Split(
                gain, feature, 0, frozenset(in_order[:size]), missing in in_order[:size], left
            )
    if best.feature == feature and missing not in in_order:
        best.missing_left = 2 * rows.w[best.left].sum() >= rows.w.sum()
    return best


def best_subset_score(rows, feature, limits):
    """The best score of any two sets of categories, all 2^k of them tried."""
    codes = rows.codes[:, feature]
    used, l2 = np.unique(codes), limits.l2 + smoothing_of(rows)
    best = -1.0
    for number in range(1, 2**used.size - 1):
        chosen = used[[bool(number >> i & 1) for i in range(used.size)]]
        left = np.isin(codes, chosen)
        best = max(best, children_score(rows, left, l2, limits.min_weight))
    return best


@dataclass
class Node:
    """A node of a grown tree; its children are ``left`` and ``left + 1``."""

    rows: np.ndarray  # positions of all its rows
    depth: int
    value: float = 0.0
    weight: float = 0.0
    split: Split | None = None  # the best one, taken or not
    left: int = -1


@dataclass
class Grower:
    """Grows one tree, best split first."""

    all_rows: Rows
    n_bins: np.ndarray
    categorical: np.ndarray
    missing: int
    limits: Limits
    nodes: list = field(default_factory=list)

    def grow(self):
        """Return the nodes in the order in which they come into being."""
        self._add(np.arange(self.all_rows.g.size), 0)
        leaves = [0]  # a left child takes its parent's place, a right one comes last
        while len(leaves) < self.limits.max_leaf_nodes:
            gains = [self.nodes[leaf].split.gain for leaf in leaves]
            chosen = int(np.argmax(gains))
            if gains[chosen] <= 0.0:
                break
            parent = self.nodes[leaves[chosen]]
            parent.left = len(self.nodes)
            self._add(parent.rows[parent.split.left], parent.depth + 1)
            self._add(parent.rows[~parent.split.left], parent.depth + 1)
            leaves[chosen] = parent.left
            leaves.append(parent.left + 1)
        return self.nodes

    def _add(self, positions, depth):
        rows = self.all_rows.take(positions)
        hessian = rows.h.sum() + self.limits.l2
        value = -self.limits.learning_rate * rows.g.sum() / hessian if hessian > 0 else 0.0
        node = Node(positions, depth, value, rows.w.sum())
        node.split = Split(-1.0)
        if depth < self.limits.max_depth and hessian > 0:
            node.split = self._best_split(rows)
        self.nodes.append(node)

    def _best_split(self, rows):
        best = Split(score(rows, self.limits.l2) * RELATIVE_MIN_GAIN)
        for feature in range(rows.codes.shape[1]):
            if self.categorical[feature]:
                found = best_categorical(rows, feature, self.missing, self.limits, best.gain)
            else:
                found = best_numerical(
                    rows, feature, self.n_bins[feature], self.missing, self.limits, best.gain
                )
            if found.feature >= 0:
                best = found
        return best if best.feature >= 0 else Split(-1.0)


def find_leaf(row, nodes, category_sets):
    """Walk down a stored tree (records as the package publishes them) with raw values."""
    at = 0
    while nodes["feature"][at] >= 0:
        value = row[nodes["feature"][at]]
        if np.isnan(value):
            left = bool(nodes["missing_left"][at])
        elif nodes["category_set"][at] >= 0:
            left = int(value) in members(category_sets[nodes["category_set"][at]])
        else:
            left = value <= nodes["threshold"][at]
        at = nodes["left"][at] + (not left)
    return at


def members(words):
    """The numbers in a set of four 64-bit words."""
    return {64 * i + bit for i in range(4) for bit in range(64) if int(words[i]) >> bit & 1}


def weighted_quantile(values, weights, level):
    """Quantile of the values repeated weight times: the mean of both at a jump."""
    repeated = sorted(np.repeat(values, weights).tolist())
    target = Fraction(level) * len(repeated)
    lower = int(target) if target != int(target) else int(target) - 1
    upper = int(target)
    return (repeated[lower] + repeated[min(upper, len(repeated) - 1)]) / 2

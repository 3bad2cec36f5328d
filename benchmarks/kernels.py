"""Histogram additions per second: of the kernel alone, and of whole fits.

    python benchmarks/kernels.py
    python benchmarks/kernels.py --rows 20000 --save kernels.json

An addition is one row's payload (of one word for squared error, of two for log loss) added to
the bin of one feature. The kernel alone runs in one thread, and in several at once on rows of
their own. A fit needs one addition per feature for each row of a tree's root and of the smaller
child of each split, unless neither child can be split again; how many of these it achieves per
second, binning and all else included, is compared with what the kernel alone does on all rows
with as many threads and words: that is the distance from the limit.

After a change of a kernel, point NUMBA_CACHE_DIR at an empty folder: Numba's cache does not
notice a change in a function that is called from another file, and old code would be timed.
"""

import argparse
import statistics
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from _common import duration, print_circumstances, print_row, save, seconds, smooth_data
from _libraries import Settings, make_rmtgb

from rmtgb.engine.jit import kernel
from rmtgb.engine.team import Team
from rmtgb.tree.kernels import histograms
from rmtgb.tree.kernels.packing import BLOCK_BITS
from rmtgb.tree.records import Packing
from rmtgb.tree.weights import WeightUnits, Words

N_CODES = 256

COLUMNS = {"work": 34, "threads": 7, "time": 8, "additions/s": 12, "of the kernel": 13}


@kernel
def build(member, n_members, row_codes, order, payload, packing, sum_words, blocks, out):
    """Call the kernel of the package, which Python cannot, on a member's share of the rows."""
    first = order.size * member // n_members
    stop = order.size * (member + 1) // n_members
    histograms.build_histograms(
        row_codes,
        0,
        row_codes.shape[1],
        order[first:stop],
        payload,
        packing,
        sum_words,
        N_CODES,
        blocks[member],
        out[member],
    )


def kernel_alone(options, n_words, n_threads):
    """Yield name, seconds and additions of building histograms of all and of half of the rows."""
    rng = np.random.default_rng(0)
    shape = (options.rows, options.features)
    row_codes = rng.integers(0, N_CODES, shape, dtype=np.uint8)
    units = WeightUnits.of(np.ones(options.rows), np.array([0, options.rows]))
    words = Words.choose(units, n_words == 1)
    gradient = rng.integers(-1000, 1000, options.rows)
    shift = BLOCK_BITS + 1 if words.block_rows else options.rows.bit_length()
    packing = Packing(n_words, shift, n_words == 1)
    payload = (gradient << shift) + 1
    if n_words == 2:
        payload = np.column_stack([gradient, np.full_like(gradient, (1 << shift) + 1)]).ravel()
    blocks = np.empty((n_threads, histograms.block_width(n_words)), np.int64)
    out = np.zeros((n_threads, options.features, N_CODES * words.per_sum), np.int64)
    half = np.sort(rng.choice(options.rows, options.rows // 2, replace=False))
    with Team(n_threads) as team:
        for name, rows in (("all rows", np.arange(options.rows)), ("half of the rows", half)):
            order = rows.astype(np.uint32)
            arguments = row_codes, order, payload, packing, words.per_sum, blocks, out
            run = partial(team.run, build, *arguments)
            run()
            expected = gradient if words.block_rows else payload[::n_words]
            assert out[:, 0, :: words.per_sum].sum() == expected[rows].sum()
            times = [seconds(run) for _ in range(options.runs)]
            yield name, statistics.median(times), rows.size * options.features


def whole_fit(options, loss, n_threads):
    """Return seconds and additions of a fit of stage 1."""
    settings = Settings(loss=loss, threads=n_threads)
    X, y = smooth_data(options.rows, options.features)
    y = y if settings.is_regression else (y > 0).astype(np.int64)
    model = make_rmtgb(settings, shared=settings.rounds).fit(X, y)
    times = [seconds(lambda: model.fit(X, y)) for _ in range(options.runs)]
    rows = rows_to_add(model._model.shared, settings)
    return statistics.median(times), rows * options.features


def rows_to_add(ensemble, settings):
    """Return how many rows the histograms of a fit must add up, if siblings are subtracted."""
    total = 0.0
    for first, stop in pairwise(ensemble.tree_starts):
        nodes = ensemble.nodes[first:stop]
        left = np.sort(nodes["left"][nodes["feature"] >= 0])
        if left.size == settings.leaves - 1:
            left = left[:-1]  # the tree is full: nobody asks how to split its last two leaves
        weight = nodes["weight"].astype(np.float64)
        siblings = weight[np.stack([left, left + 1])]
        can_be_split = siblings.max(axis=0) >= 2 * settings.min_leaf
        total += weight[0] + siblings.min(axis=0)[can_be_split].sum()
    return total


def measure(options):
    """Yield the results, one dict for each line of the table."""
    for n_words, loss in ((1, "squared_error"), (2, "log_loss")):
        words = "one word" if n_words == 1 else "two words"
        for n_threads in sorted({1, options.threads}):
            peak = 0.0
            for rows, time, additions in kernel_alone(options, n_words, n_threads):
                peak = peak or additions / time  # that of all rows, in sequence
                yield result(f"kernel, {words}, {rows}", n_threads, time, additions, peak)
            time, additions = whole_fit(options, loss, n_threads)
            yield result(f"fit, {words}, {loss}", n_threads, time, additions, peak)


def result(work, n_threads, time, additions, peak):
    """Return one line of the table as a dict."""
    rate = additions / time
    return {
        "name": f"{work}, {n_threads} threads",
        "work": work,
        "threads": n_threads,
        "seconds": time,
        "additions_per_second": rate,
        "share_of_the_kernel": rate / peak,
    }


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=28)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--save", type=Path, metavar="FILE.json")
    options = parser.parse_args()
    print_circumstances()
    print_row(COLUMNS, COLUMNS.values())
    results = []
    for line in measure(options):
        results.append(line)
        texts = (
            line["work"],
            line["threads"],
            duration(line["seconds"]),
            f"{line['additions_per_second'] / 1e6:.0f} M",
            f"{line['share_of_the_kernel']:.0%}",
        )
        print_row(texts, COLUMNS.values())
    asked = {name: value for name, value in vars(options).items() if name != "save"}
    save(options.save, asked, results)


if __name__ == "__main__":
    main()

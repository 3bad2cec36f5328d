"""Whether verdicts on pooling are right: ``python benchmarks/transfer_verdicts.py [FOLDER]``.

1. Level. Shifts at the point of break-even of the designs that were drawn, where any verdict is
   wrong: the share of data with one, for noise of several kinds. Errors count in the true
   covariance of the features. With several auxiliary tasks, all at that point: the share of data
   with a verdict on any of them.
   Then noise that grows with the one feature in which tasks differ, where the difference of the
   fits is noisiest, with few rows of the others too.
2. Power. Equal tasks: the share of data with the verdict "helps", beside the most that any test
   can have that says it at break-even in no more than four fifths of 5 % of the data, if designs
   are balanced and the other task has infinitely many rows; and three times the shift of
   break-even: that of "hurts".
3. Covariate shift. Features of the other task vary otherwise, and pooling hurts.
4. Real tasks, with a folder of files (parquet or csv.gz; features, ``task`` and ``y`` or
   ``target``). Of each main task some rows are known; other rows tell the error of least squares
   alone, and of pooling where the estimated benefit is above 0. Its sign is compared with that of
   ten-fold cross-validation on the known rows, where the others' rows are always known. Errors are
   geometric means over cases, relative to alone. Rules: errors count in the covariance of all
   rows, in that of the main rows drawn to the former with the weight of d rows, and in that of
   the main rows (the default); and cross-validation itself. "helps" and "hurts" are the shares of
   verdicts of the default and how often held-out rows agree.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from _common import print_circumstances, print_row
from scipy.stats import chi2, ncx2

from rmtgb.transfer import estimate_problem
from rmtgb.transfer.dependence import own_parts

NOISES = ("normal", "t3", "outliers", "growing", "falling")
SETTINGS = (
    *((1, 3, 30), (1, 40, 400), (3, 5, 40), (3, 8, 60), (3, 20, 60), (3, 60, 600)),
    *((10, 12, 100), (10, 14, 40), (10, 22, 200), (10, 60, 100)),
)
#: Of d = 10 features, as many rows of each auxiliary task as in the last column.
MANY = ((5, 60, 100), (40, 60, 100))
#: Where noise grows with the feature in which tasks differ.
NOISY = (
    *((1, 40, 400), (1, 40, 10), (3, 8, 60), (3, 40, 40), (3, 60, 600)),
    *((3, 20, 10), (3, 40, 10), (3, 60, 6), (10, 40, 13)),
)
KNOWN = (7, 10, 20, 40, 80)
TASKS_PER_SET, MOST_FEATURES = 14, 10


def noise_scale(kind, X):
    """Return the standard deviation of the noise of each row."""
    if kind == "growing":
        return np.abs(X[:, 0])
    return 1 / (0.3 + np.abs(X[:, 0])) if kind == "falling" else np.ones(len(X))


def draw_noise(kind, X, rng):
    n = len(X)
    if kind == "t3":
        return rng.standard_t(3, n) / np.sqrt(3)
    if kind == "outliers":  # one row in twenty, ten times as far
        return np.where(rng.random(n) < 0.05, 10, 1) * rng.standard_normal(n) / np.sqrt(5.95)
    return noise_scale(kind, X) * rng.standard_normal(n)


def break_even_shift(X, X_other, kind, direction):
    """Return the shift in a direction at which pooling makes no difference, 0 if it hurts."""
    parts = []
    for rows in (X, X_other):
        centred = rows - rows.mean(axis=0)
        weighted = centred * noise_scale(kind, rows)[:, None]
        parts.append((centred.T @ centred, weighted.T @ weighted))
    (S, noise), (S_other, noise_other) = parts
    own, M = np.linalg.inv(S), np.linalg.inv(S + S_other)
    gain = np.trace(own @ noise @ own) - np.trace(M @ (noise + noise_other) @ M)
    return direction * np.sqrt(max(gain, 0.0)) / np.linalg.norm(M @ S_other @ direction)


def simulated(d, n, n_other, kind, factor, rng, n_others=1):
    """Draw tasks whose shifts are a multiple of that of break-even."""
    X = [rng.standard_normal((n, d))]
    y = [draw_noise(kind, X[0], rng)]
    for _ in range(n_others):
        rows = rng.standard_normal((n_other, d))
        shift = factor * break_even_shift(X[0], rows, kind, rng.standard_normal(d))
        X.append(rows)
        y.append(rows @ shift + draw_noise(kind, rows, rng))
    return X, y


def verdicts(setting, kind, factor, n_repeats, n_others=1):
    """Return lists of the verdicts on each task, one per data set."""
    rng = np.random.default_rng(int(10 * factor) + n_others)
    return [
        [line.verdict for line in estimate_problem(*data).each]
        for data in (simulated(*setting, kind, factor, rng, n_others) for _ in range(n_repeats))
    ]


def share(lists, *wanted):
    return np.mean([any(verdict in wanted for verdict in one) for one in lists])


def print_level_and_power(n_repeats):
    columns = ("d, rows, others' rows", *NOISES)
    widths = (24, *(10 for _ in NOISES))
    for title, factor, wanted in (
        ("Any verdict at break-even, %", 1.0, ("helps", "hurts")),
        ('"helps" for equal tasks, %', 0.0, ("helps",)),
        ('"hurts" at three times the shift of break-even, %', 3.0, ("hurts",)),
    ):
        print(f"\n{title}")
        most = factor == 0
        print_row(columns + (("any test",) if most else ()), widths + ((10,) if most else ()))
        for setting in SETTINGS:
            d = setting[0]
            cells = [
                f"{100 * share(verdicts(setting, kind, factor, n_repeats), *wanted):.1f}"
                for kind in NOISES
            ]
            if most:
                cells.append(f"{100 * chi2.cdf(ncx2.ppf(0.04, d, d), d):.1f}")
            print_row((str(setting), *cells), widths + ((10,) if most else ()))
    print("\nAny verdict on any of several tasks at break-even, d = 10, %")
    print_row(("others, rows, their rows", "normal", "t3"), (24, 10, 10))
    for n_others, n, n_other in MANY:
        cells = [
            100
            * share(
                verdicts((10, n, n_other), kind, 1.0, n_repeats // 4, n_others), "helps", "hurts"
            )
            for kind in ("normal", "t3")
        ]
        print_row((str((n_others, n, n_other)), *(f"{cell:.1f}" for cell in cells)), (24, 10, 10))


def print_noisy_direction(n_repeats):
    """Print how often a verdict is wrong where noise grows with the feature that differs."""
    print("\nWrong verdicts at break-even, noise grows with the feature in which tasks differ, %")
    rng = np.random.default_rng(0)
    for d, n, n_other in NOISY:
        wrong = 0
        for _ in range(n_repeats):
            X = [rng.standard_normal((rows, d)) for rows in (n, n_other)]
            y = [draw_noise("growing", rows, rng) for rows in X]
            shift = break_even_shift(*X, "growing", np.eye(d)[0])
            y[1] += X[1] @ shift
            told = estimate_problem(X, y).together.verdict
            # the noise of few rows of the other task alone may make pooling hurt
            wrong += told == "helps" or (told == "hurts" and shift.any())
        print_row((str((d, n, n_other)), f"{100 * wrong / n_repeats:.1f}"), (24, 10))


def print_covariate_shift(n_repeats):
    """Fifteen features vary ten times as much in the other task, five 0.3 times; these differ."""
    rng = np.random.default_rng(0)
    spread = np.repeat([10.0, 0.3], [15, 5])
    shift = np.repeat([0.0, 1.0], [15, 5])
    found = {"main": [], "all": []}
    for _ in range(n_repeats):
        X = [rng.standard_normal((60, 20)), rng.standard_normal((2000, 20)) * spread]
        y = [rng.standard_normal(60), X[1] @ shift + rng.standard_normal(2000)]
        for covariance, lists in found.items():
            with warnings.catch_warnings(action="ignore", category=UserWarning):
                lists.append([estimate_problem(X, y, covariance=covariance).together.verdict])
    print("\nFeatures vary otherwise, pooling hurts; verdicts, %")
    for covariance, lists in found.items():
        text = ", ".join(f"{word} {100 * share(lists, word):.1f}" for word in ("helps", "hurts"))
        print(f"errors count in the covariance of {covariance}: {text}")


def read_folder(folder):
    """Yield names of files with their features, on one scale, targets and labels."""
    for path in sorted([*folder.glob("*.parquet"), *folder.glob("*.csv.gz")]):
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        y = frame.pop("y" if "y" in frame else "target")
        labels = frame.pop("task").astype(str).to_numpy()
        if not pd.api.types.is_numeric_dtype(y) or y.nunique() <= 2:
            continue
        frame = frame.drop(columns="when", errors="ignore")
        numbers = frame.select_dtypes("number")
        texts = frame.select_dtypes(exclude="number")
        few = texts[[name for name in texts if texts[name].nunique() <= 4]]
        X = numbers.fillna(numbers.median())
        if few.shape[1]:
            X = X.join(pd.get_dummies(few, drop_first=True, dtype=float))
        yield path.name.split(".")[0], (X / X.std().replace(0, 1)).to_numpy(), y.to_numpy(), labels


def independent(rows, most):
    """Return the first columns that are neither constant nor nearly combinations of others."""
    kept = []
    for j in range(rows.shape[1]):
        tried = rows[:, [*kept, j]] - rows[:, [*kept, j]].mean(axis=0)
        if np.linalg.norm(tried[:, -1]) > 1e-6 and own_parts(tried)[-1] > 1e-2:
            kept.append(j)
        if len(kept) == most:
            break
    return kept


def cases(folder):
    """Yield the tasks of a case, the main one first, and the main rows to be predicted."""
    rng = np.random.default_rng(0)
    for name, X, y, labels in read_folder(folder):
        sizes = pd.Series(labels).value_counts()
        for main in rng.permutation(sizes.index[sizes >= min(KNOWN) + 3])[:TASKS_PER_SET]:
            own = rng.permutation(np.flatnonzero(labels == main))
            for n_known in (n for n in KNOWN if n + 3 <= len(own)):
                known, new = own[:n_known], own[n_known:]
                most = min(MOST_FEATURES, n_known // 2 if n_known < 12 else n_known - 2)
                columns = independent(X[known], most)
                others = [np.flatnonzero(labels == k) for k in sizes.index if k != main]
                others = [
                    rows
                    for rows in others
                    if len(rows) > len(columns) + 2
                    and len(independent(X[np.ix_(rows, columns)], MOST_FEATURES)) == len(columns)
                ]
                if not columns or not others or np.ptp(y[known]) == 0:
                    continue
                one = others[rng.integers(len(others))]
                for kind, used in (("all", others), ("one", [one])):
                    groups = [known, *used]
                    data = [X[np.ix_(rows, columns)] for rows in groups], [y[k] for k in groups]
                    yield name, kind, data, X[np.ix_(new, columns)], y[new]


def fits(X, y, moments, pulls):
    """Return predictions of least squares alone and pooled, of rows yet to come."""
    middle, level = X.mean(axis=0), y.mean()
    S, b = (X - middle).T @ (X - middle), (X - middle).T @ (y - level)
    both = [np.linalg.lstsq(A, c, rcond=None)[0] for A, c in ((S, b), (S + moments, b + pulls))]
    return [lambda new, w=w: level + (new - middle) @ w for w in both]


def compare(data, new, y_new, rng):
    """Return errors, and the benefit by each rule."""
    X, y = data
    centred = [(a - a.mean(axis=0), b - b.mean()) for a, b in zip(*data, strict=True)]
    moments = sum(a.T @ a for a, _ in centred[1:])
    pulls = sum(a.T @ b for a, b in centred[1:])
    alone, pooled = (np.mean((fit(new) - y_new) ** 2) for fit in fits(X[0], y[0], moments, pulls))
    own = centred[0][0].T @ centred[0][0]
    counts = [len(a) - 1 for a in X]
    d = X[0].shape[1]
    drawn = (own + d * (own + moments) / sum(counts)) / (counts[0] + d)
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        estimates = {
            "all": estimate_problem(X, y, covariance="all").together,
            "drawn": estimate_problem(X, y, covariance=drawn).together,
            "main": estimate_problem(X, y).together,
        }
    result = {name: estimate.benefit for name, estimate in estimates.items()}
    folds = np.array_split(rng.permutation(len(y[0])), min(10, len(y[0])))
    result["cross-validation"] = sum(
        np.sum((first(X[0][fold]) - y[0][fold]) ** 2 - (second(X[0][fold]) - y[0][fold]) ** 2)
        for fold in folds
        for first, second in [
            fits(np.delete(X[0], fold, 0), np.delete(y[0], fold), moments, pulls)
        ]
    )
    return result | {"alone": alone, "pooled": pooled, "verdict": estimates["main"].verdict}


def print_real(folder):
    rng = np.random.default_rng(0)
    lines = [
        {"set": name, "kind": kind} | compare(data, new, y_new, rng)
        for name, kind, data, new, y_new in cases(folder)
    ]
    table = pd.DataFrame(lines)
    table = table[(table["alone"] > 0) & (table["pooled"] > 0)]
    helps = table["pooled"] < table["alone"]
    print(f"\nReal tasks: {len(table)} cases from {table['set'].nunique()} sets")
    widths = (18, 22, 22, 20)
    print_row(("rule", "sign as by folds, %", "as on new rows, %", "error of advice"), widths)
    for rule in ("all", "drawn", "main", "cross-validation"):
        advice = np.where(table[rule] > 0, table["pooled"], table["alone"]) / table["alone"]
        same = (table[rule] > 0) == (table["cross-validation"] > 0)
        right = (table[rule] > 0) == helps
        error = np.exp(np.log(advice).mean())
        cells = f"{100 * same.mean():.1f}", f"{100 * right.mean():.1f}", f"{error:.3f}"
        print_row((rule, *cells), widths)
    for verdict, agrees in (("helps", helps), ("hurts", ~helps)):
        told = table["verdict"] == verdict
        print(
            f"{verdict}: {told.sum()} ({100 * told.mean():.1f} %), of which new rows agree with "
            f"{100 * agrees[told].mean():.1f} %"
        )
    told = np.where(table["verdict"] == "helps", table["pooled"], table["alone"])
    print(
        f"pooled only if the verdict is helps: {np.exp(np.log(told / table['alone']).mean()):.3f}"
    )
    by_set = np.log(np.where(table["main"] > 0, table["pooled"], table["alone"]) / table["alone"])
    print(
        "error of advice by set:", np.exp(by_set.groupby(table["set"]).mean()).round(3).to_dict()
    )


def main():
    """Print all parts."""
    parser = argparse.ArgumentParser(description="Are verdicts on pooling right?")
    parser.add_argument("folder", type=Path, nargs="*", help="of real tasks")
    parser.add_argument("--repeats", type=int, default=2000)
    options = parser.parse_args()
    print_circumstances()
    print_level_and_power(options.repeats)
    print_noisy_direction(options.repeats)
    print_covariate_shift(options.repeats // 10)
    for folder in options.folder:
        print_real(folder)


if __name__ == "__main__":
    main()

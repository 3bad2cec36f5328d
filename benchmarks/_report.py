"""Tables, sentences and the picture that accuracy is reported in."""

import numpy as np
import pandas as pd
from _methods import BOOSTED, METHODS, PEERS, RIVALS
from _sets import EIGHT, FRESH, REAL, group_of

SPLIT_TITLES = {
    "random": "20 % of the rows, at random",
    "time": "the last 20 % of each task",
    "unseen": "20 % of the tasks",
    "five": "tasks with five rows to learn from",
}

#: What a set and split is one row of, in all tables of errors below.
CASE = ["set", "split", "seed"]

N_RESAMPLES, LEVEL = 10_000, 0.95

#: What the picture shows: marks, colours (Okabe, Ito) that the colour-blind tell apart, sizes.
OURS = "#0072B2"
SHOWN = {
    "rmtgb": ("o", OURS, 70),
    "lgb-task": ("s", "#E69F00", 30),
    "catboost": ("D", "#009E73", 26),
    "ridge-slopes": ("^", "#CC79A7", 34),
}

#: Where larger ratios are put in the picture: how bad the worst is, is not what it is for.
EDGE = 2.0

BEGIN, END = "<!-- accuracy.py: begin -->", "<!-- accuracy.py: end -->"


def pivot(results, value):
    """Return a table of set, split and seed by method, in the order of measurement."""
    frame = pd.DataFrame(results).astype({value: float})
    table = frame.pivot_table(value, CASE, "method", sort=False, dropna=False, observed=True)
    return table.dropna(how="all")


def log_ratios(errors, peers):
    """Return the logarithm of rmtgb's error over the least of the peers, by set and seed."""
    best = errors[errors.columns.intersection(peers)].min(axis=1)
    return np.log(errors["rmtgb"] / best).dropna()


def by_set(log_ratio):
    return log_ratio.groupby(level="set", sort=False)


def interval(values):
    """Return the bounds that the mean of so many sets, drawn again, is between; two at least."""
    if len(values) < 2:
        return np.nan, np.nan
    draws = np.random.default_rng(0).choice(values, (N_RESAMPLES, len(values)))
    return tuple(np.quantile(draws.mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))


def has_rivals(errors):
    return "rmtgb" in errors and bool(set(PEERS) & set(errors))


def comparisons(errors):
    """Return a line for each rival and peer: how rmtgb's error compares, over sets."""
    lines = {}
    titles = {name: METHODS[name].title for name in PEERS}
    for title, peers in [*RIVALS.items(), *((titles[name], [name]) for name in PEERS)]:
        sets = by_set(log_ratios(errors, peers)).mean()
        if sets.empty:
            continue
        low, high = np.exp(interval(sets.to_numpy()))
        lines[title] = {
            "geometric mean": f"{np.exp(sets.mean()):.3f}",
            "95 % interval": "" if np.isnan(low) else f"{low:.3f} to {high:.3f}",
            "better on": f"{(sets < 0).sum()} of {len(sets)} sets",
            "worst": f"{sets.idxmax()} {np.exp(sets.max()):.3f}",
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("rmtgb's error over")


def error_table(errors):
    """Return mean errors over seeds, a line per method, and ratios to the best peer below."""
    methods = [name for name in METHODS if name in errors]
    means = errors[methods].groupby(level="set", sort=False).mean().T
    table = means.map(lambda value: "" if np.isnan(value) else f"{value:.4g}")
    table.index = [METHODS[name].title for name in methods]
    if has_rivals(errors):
        sets, boosted = (by_set(log_ratios(errors, peers)) for peers in (PEERS, BOOSTED))
        low, mean, high, mean_boosted = (
            np.exp(values).map("{:.3f}".format)
            for values in (sets.min(), sets.mean(), sets.max(), boosted.mean())
        )
        table.loc["rmtgb over the best of all peers"] = mean
        table.loc["its range over seeds"] = low + " to " + high
        table.loc["rmtgb over the best boosted peer"] = mean_boosted
    return table.fillna("").rename_axis("mean error")


def time_table(times):
    """Return mean seconds of a fit over cases, by method and group of sets."""
    groups = times.index.get_level_values("set").map(group_of)
    means = times.groupby(groups, sort=False).mean().T
    means = means.reindex([name for name in METHODS if name in times])
    means.index = [METHODS[name].title for name in means.index]
    table = means.map(lambda value: "" if np.isnan(value) else f"{value:.2f}")
    return table.rename_axis("seconds")


def report(results):
    """Yield titles and tables, real sets first."""
    errors = pivot(results, "error")
    groups = errors.index.get_level_values("set").map(group_of)
    splits = errors.index.get_level_values("split")
    for group in (REAL, EIGHT, FRESH):
        for split, title in SPLIT_TITLES.items():
            part = errors[(groups == group) & (splits == split)].dropna(axis=1, how="all")
            if part.empty:
                continue
            title = f"{group}: {title}"
            if has_rivals(part):
                yield title, comparisons(part)
            yield f"{title}, errors", error_table(part)
    yield "Seconds of a fit with its tuning, on one thread", time_table(pivot(results, "seconds"))


def markdown(results):
    """Return the report as text of a document."""
    return "\n\n".join(f"### {title}\n\n{table_text(table)}" for title, table in report(results))


def table_text(table):
    head = [str(table.index.name), *map(str, table.columns)]
    rows = [head, ["---"] * len(head), *table.reset_index().to_numpy()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def read_document(path):
    """Return the text before and after the place for a report; a new file is nothing else."""
    text = path.read_text(encoding="utf-8") if path.exists() else f"{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{path} has no lines {BEGIN} and {END} to write between")
    return before + begin, end + after


def write_markdown(path, results):
    before, after = read_document(path)
    path.write_text(f"{before}\n\n{markdown(results)}\n\n{after}", encoding="utf-8")


def seeds_of(errors):
    """Return least, mean and largest ratio to the best peer over seeds, by set, rows at random."""
    errors = errors.xs("random", level="split")
    best = errors[errors.columns.intersection(PEERS)].min(axis=1)
    sets = by_set(np.log(errors.div(best, axis=0)))
    return tuple(np.exp(part()) for part in (sets.min, sets.mean, sets.max))


def rows_of_picture(means):
    """Return titles of groups and names of sets from top to bottom, the best of each first."""
    groups = means.index.map(group_of)
    sorted_names = means.sort_values("rmtgb").index
    return [
        row
        for group in (REAL, EIGHT, FRESH)
        if group in groups
        for row in (group, *(name for name in sorted_names if group_of(name) == group))
    ]


def draw(errors):
    """Return a figure: a row per set, rmtgb's error over that of the best peer, and others'."""
    from matplotlib.figure import Figure

    low, mean, high = seeds_of(errors)
    rows = rows_of_picture(mean)
    is_set = np.isin(rows, mean.index)
    y, names = np.flatnonzero(is_set), [name for name in rows if name in mean.index]
    figure = Figure(figsize=(8, 1.2 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(1.0, color="#222222", linewidth=1, zorder=1)
    axes.hlines(y, low.loc[names, "rmtgb"], high.loc[names, "rmtgb"], OURS, linewidth=2, zorder=3)
    for name, (marker, color, size) in SHOWN.items():
        if name in mean:
            shown = mean.loc[names, name].clip(upper=EDGE)
            axes.scatter(
                shown, y, size, color, marker=marker, label=METHODS[name].title,
                zorder=5 if name == "rmtgb" else 4, edgecolor="white", linewidth=0.6,
            )  # fmt: skip
    for place in np.flatnonzero(~is_set):
        axes.text(
            0, place, rows[place], transform=axes.get_yaxis_transform(), weight="bold",
            va="center", backgroundcolor="white", zorder=2,
        )  # fmt: skip
    dress(axes, y, names, min(low["rmtgb"].min(), mean.min(axis=None)))
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def dress(axes, y, names, least):
    """Give the axes their scale and words."""
    axes.set(
        xscale="log", xlim=(least / 1.05, EDGE * 1.05), ylim=(max(y) + 0.6, -0.6),
        xlabel=f"error / error of the best peer there; left is better ({EDGE:g}: or more)",
    )  # fmt: skip
    axes.minorticks_off()
    ticks = [tick for tick in (0.3, 0.5, 0.7, 0.8, 0.9, 1, 1.2, 1.5, EDGE) if tick > least / 1.05]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks(y, names)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)

"""A picture of MultiTab-Bench data: what was asked for beside what was drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rmtgb._common import FloatArray, import_pyplot
from rmtgb.datasets.multitab_targets import power_sum
from rmtgb.datasets.multitab_truth import MultiTabTruth

__all__ = ["MultiTabDisplay"]

#: Points of a task's panel; more only make it black.
_MAX_POINTS = 1000


class MultiTabDisplay:
    """Correlation of the tasks, asked against realised, and targets against latent scores.

    Make it with `from_data`. What is asked of a task of classes is the correlation of its
    noisy polynomial, while realised is that of the class numbers.

    Parameters
    ----------
    truth : MultiTabTruth
        What is known about the tasks.
    latent_scores : ndarray of shape (n, n_tasks), float64
        Latent score of each row for each task.
    targets : ndarray of shape (n, n_tasks), float64
        Targets, NaN where a label is missing.

    Attributes
    ----------
    realised_correlation : ndarray of shape (n_tasks, n_tasks), float64
        Correlation of each pair of tasks on the rows that have both labels.
    figure_ : matplotlib Figure
        The figure, after `plot`.
    axes_ : ndarray of matplotlib Axes
        The two heat maps, then one panel per task, after `plot`.

    Examples
    --------
    >>> from rmtgb.datasets import MultiTabDisplay, make_multitab_bench
    >>> X, Y, truth = make_multitab_bench(500, return_truth=True, random_state=0)
    >>> display = MultiTabDisplay.from_data(X, Y, truth)
    >>> display.realised_correlation.shape
    (7, 7)
    >>> display.plot()  # doctest: +SKIP
    """

    def __init__(
        self, truth: MultiTabTruth, latent_scores: FloatArray, targets: FloatArray
    ) -> None:
        self.truth = truth
        self.latent_scores = latent_scores
        self.targets = targets
        self.realised_correlation = _pairwise_correlation(targets)

    @classmethod
    def from_data(
        cls, X: npt.ArrayLike, Y: npt.ArrayLike, truth: MultiTabTruth
    ) -> MultiTabDisplay:
        """Take what is to be shown from data in the wide layout.

        Parameters
        ----------
        X : array-like of shape (n, n_columns)
            Features; long data are turned by `to_wide`.
        Y : array-like of shape (n, n_tasks)
            Targets.
        truth : MultiTabTruth
            The truth that came with them.

        Returns
        -------
        display : MultiTabDisplay

        Raises
        ------
        ValueError
            If the shapes do not fit the truth.
        """
        targets = np.asarray(Y, dtype=np.float64)
        scores = truth.latent_scores(X)
        if targets.shape != scores.shape:
            raise ValueError(f"Y must have shape {scores.shape}, got {targets.shape}.")
        return cls(truth, scores, targets)

    def plot(self) -> MultiTabDisplay:
        """Draw the picture.

        Returns
        -------
        self : MultiTabDisplay
            With `figure_` and `axes_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot()
        n_tasks = len(self.truth.degrees)
        n_columns = 4
        n_rows = 1 + -(-n_tasks // n_columns)
        figure = plt.figure(figsize=(11, 3.6 + 2.3 * (n_rows - 1)), layout="constrained")
        maps, panels = figure.subfigures(2, 1, height_ratios=[3.6, 2.3 * (n_rows - 1)])
        map_axes = maps.subplots(1, 2)
        image = _draw_map(map_axes[0], self.truth.target_correlation, "asked (closed form)")
        _draw_map(map_axes[1], self.realised_correlation, "realised")
        maps.colorbar(image, ax=map_axes, label="correlation of targets")
        panel_axes = panels.subplots(n_rows - 1, n_columns, squeeze=False).ravel()
        for axis in panel_axes[n_tasks:]:
            axis.set_axis_off()
        for task, axis in enumerate(panel_axes[:n_tasks]):
            self._draw_task(axis, task)
        panels.supxlabel("latent score")
        panels.supylabel("target")
        self.figure_ = figure
        self.axes_ = np.concatenate([map_axes, panel_axes[:n_tasks]])
        return self

    def _draw_task(self, axis: Any, task: int) -> None:
        """Draw the targets of a task, with its polynomial if they are numbers."""
        truth = self.truth
        labelled = np.flatnonzero(~np.isnan(self.targets[:, task]))[:_MAX_POINTS]
        scores = self.latent_scores[labelled, task]
        axis.plot(scores, self.targets[labelled, task], ".", markersize=2, alpha=0.5)
        kind = truth.task_types[task]
        if kind == "regression" and scores.size:
            grid = np.linspace(scores.min(), scores.max(), 200)
            axis.plot(grid, power_sum(grid, truth.degrees[task]), color="black", linewidth=1)
        outlier = ", outlier" if task in truth.outlier_tasks else ""
        axis.set_title(f"task {task}: {kind}, degree {truth.degrees[task]}{outlier}", fontsize=9)


def _draw_map(axis: Any, correlation: FloatArray, title: str) -> Any:
    image = axis.imshow(correlation, vmin=-1, vmax=1, cmap="RdBu_r")
    if len(correlation) <= 10:
        for (row, column), value in np.ndenumerate(correlation):
            color = "white" if abs(value) > 0.6 else "black"
            text = {"ha": "center", "va": "center", "fontsize": 8, "color": color}
            axis.text(column, row, f"{value:.2f}", **text)
    axis.set(title=title, xlabel="task", ylabel="task")
    axis.set_xticks(range(len(correlation)))
    axis.set_yticks(range(len(correlation)))
    return image


def _pairwise_correlation(targets: FloatArray) -> FloatArray:
    """Return correlations on the rows that have both labels; NaN where there are too few."""
    import pandas as pd

    correlation: FloatArray = pd.DataFrame(targets).corr().to_numpy()
    return correlation

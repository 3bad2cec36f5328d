"""The outlier gate: a weight per task that divides it between the two sides of stage 2."""

import numpy as np
from scipy.special import expit

from rmtgb._jit import inner, kernel
from rmtgb._team import share

#: Logit of the outlier weight of a task before there is evidence: a weight of 0.12.
START = 2.0

#: Quantile groups in which a task's residuals are compared with the other tasks'.
PROFILE_GROUPS = 8

#: Robust standard deviations by which a task must differ from the others to start as outlier.
START_THRESHOLD = 3.0

#: Largest step of theta in one round, and largest theta.
MAX_STEP = 0.5
MAX_THETA = 6.0


class OutlierGate:
    """theta, its start, its Newton step, and the sign convention.

    The weight of a task is ``w = sigmoid(theta)``. Theta minimises the training loss plus
    ``partition_regularization * kappa / 2 * (theta - start)^2``, where kappa is the mean over
    tasks of the curvature that theta can have: rescaling the target, or repeating every
    row, changes loss and penalty alike and so no weight.

    Parameters
    ----------
    state : BoostState
        With gradients at the start of stage 2; always read where they are.
    regularization : float
        Strength of the penalty, >= 0.
    theta : ndarray of float64 of shape (n_tasks,), optional
        Start of theta; by default it depends on how much a task stands out.

    Attributes
    ----------
    theta : ndarray of float64 of shape (n_tasks,)
    """

    def __init__(self, state, regularization, theta=None):
        self._state, self._training, self._team = state, state.training, state.team
        self._regularization = regularization
        if theta is None:
            theta = START * np.where(self._standing_out(), 1.0, -1.0)
        self._start = theta
        self.theta = self._start.copy()

    @property
    def weights(self):
        """Outlier weights, in (0, 1), shape (n_tasks,)."""
        return expit(self.theta)

    def step(self, inlier, outlier):
        """Take one damped Newton step of theta at the gradients of the state.

        Parameters
        ----------
        inlier, outlier : ndarray of float64 of shape (n_outputs, n_rows)
            Predictions of the two sides.
        """
        slope, curvature = np.zeros(self.theta.size), np.zeros(self.theta.size)
        self._team.run(
            sum_by_task,
            self._training.offsets,
            self._state.gradient,
            self._state.hessian,
            inlier,
            outlier,
            slope,
            curvature,
        )
        curvature *= self._hessian_scale()
        spread = self.weights * (1.0 - self.weights)
        kappa = self._regularization * curvature.mean() / 16.0
        slope = spread * slope + kappa * (self.theta - self._start)
        curvature = spread**2 * curvature + kappa
        step = np.divide(slope, curvature, out=np.zeros_like(slope), where=curvature > 0.0)
        theta = self.theta - np.clip(step, -MAX_STEP, MAX_STEP)
        # Once the sides have fitted what there is, theta follows noise: it may take an
        # outlier task back, but call no task one that did not stand out at the start.
        highest = np.where(self._start > 0.0, MAX_THETA, 0.0)
        self.theta = np.clip(theta, -MAX_THETA, highest)

    def _hessian_scale(self):
        """Return what turns hessians into curvatures, in the unit of the target.

        Losses whose leaves are quantiles have hessian one by convention; the quadratic
        that touches |r| from above has curvature 1 / |r|.
        """
        training = self._training
        if training.loss.leaf_quantile is None:
            return 1.0
        residual = np.abs(training.y - self._state.raw[0])
        return 1.0 / max(np.average(residual, weights=training.weight), 1e-300)

    def combine(self, offset, inlier, outlier):
        """Make ``offset + (1 - w) I + w O``, all (n_outputs, n_rows), the raw prediction."""
        self._team.run(
            combine,
            self._training.task_codes,
            self.weights,
            offset,
            inlier,
            outlier,
            self._state.raw,
        )

    def fix_sign(self):
        """Make "outlier" the side with fewer rows' worth of tasks; a tie goes to the first task.

        Returns
        -------
        bool
            Whether the sides were exchanged.
        """
        offsets, weight = self._training.offsets, self._training.weight
        rows = np.add.reduceat(weight, offsets[:-1])
        balance = rows @ np.sign(self.theta)
        exchange = balance > 0 or (balance == 0 and self.theta[0] > 0)
        if exchange:
            self.theta = -self.theta
        return bool(exchange)

    def _standing_out(self):
        """Return which tasks' residuals differ from the others' more than tasks do.

        A task's distance from the median of all tasks, less what noise alone would give, is
        compared with the spread of these distances over tasks and with its own error.
        Then tasks that are nearer to those that stand out than to the others join them.
        """
        training = self._training
        if training.n_tasks < 3:
            return np.zeros(training.n_tasks, dtype=bool)
        # at the baseline: what stage 1 leaves of its training rows is noise
        raw = np.ascontiguousarray(training.baseline[training.task_codes].T)
        gradient, hessian = training.loss.gradients(training.y, raw, training.weight)
        sums, information = self._profiles(gradient, hessian)
        mean = np.divide(sums, information, out=np.zeros_like(sums), where=information > 0)
        known = np.where(information > 0, mean, np.nan)
        occupied = (information > 0).any(axis=0)
        centre = np.zeros(sums.shape[1])
        centre[occupied] = np.nanmedian(known[:, occupied], axis=0)
        noise, error = self._profile_noise(gradient, hessian, information)
        distance = _distance(mean, centre, information) - noise
        middle = np.median(distance)
        spread = 1.4826 * np.median(np.abs(distance - middle))
        # the spread of few tasks is itself uncertain
        threshold = START_THRESHOLD * (1.0 + 3.0 / (distance.size - 2.0))
        outliers = distance - middle > threshold * np.hypot(spread, error)
        if not outliers.any():
            return outliers
        sides = [
            np.average(mean[side], axis=0, weights=information[side] + 1e-300)
            for side in (~outliers, outliers)
        ]
        from_inliers, from_outliers = (_distance(mean, side, information) for side in sides)
        return outliers | (from_inliers - from_outliers > error)

    def _profile_noise(self, gradient, hessian, information):
        """Return mean and standard deviation of a task's distance if it were noise alone."""
        offsets = self._training.offsets[:-1]
        weight = np.where(self._training.weight > 0, self._training.weight, 1.0)
        squares = np.add.reduceat((np.square(gradient) / weight).sum(axis=0), offsets)
        hessians = np.add.reduceat(hessian.sum(axis=0), offsets)
        noise = squares / np.maximum(hessians, 1e-300)
        n_groups = np.count_nonzero(information > 0, axis=1)
        total = np.maximum(information.sum(axis=1), 1e-300)
        return noise * n_groups / total, noise * np.sqrt(2.0 * n_groups) / total

    def _profiles(self, gradient, hessian):
        """Return each task's gradient and hessian sums by quantile group of each feature."""
        training = self._training
        n_tasks, n_outputs = training.n_tasks, training.loss.n_outputs
        n_features = training.n_features
        shape = (n_tasks, n_outputs, n_features, PROFILE_GROUPS + 1)
        sums, information = np.zeros(shape), np.zeros(shape)
        self._team.run(
            sum_profiles,
            training.binned.column_codes,
            training.binned.n_bins,
            training.task_codes,
            gradient,
            hessian,
            sums,
            information,
        )
        return -sums.reshape(n_tasks, -1), information.reshape(n_tasks, -1)


def _distance(mean, centre, information):
    """Return each task's mean squared distance from a profile."""
    total = np.maximum(information.sum(axis=1), 1e-300)
    return (information * np.square(mean - centre)).sum(axis=1) / total


@kernel
def sum_by_task(member, n_members, offsets, gradient, hessian, inlier, outlier, slope, curvature):
    """Sum ``g (O - I)`` and ``h (O - I)^2`` over the rows of each task; members share the tasks.

    Parameters
    ----------
    offsets : ndarray of int64 of shape (n_tasks + 1,)
        Where the rows of each task start.
    gradient, hessian, inlier, outlier : ndarray of float64 of shape (n_outputs, n_rows)
    slope, curvature : ndarray of float64 of shape (n_tasks,)
        OUT.
    """
    for task in range(member, slope.size, n_members):
        first, second = 0.0, 0.0
        for k in range(gradient.shape[0]):
            for i in range(offsets[task], offsets[task + 1]):
                difference = outlier[k, i] - inlier[k, i]
                first += gradient[k, i] * difference
                second += hessian[k, i] * difference * difference
        slope[task], curvature[task] = first, second


@kernel
def combine(member, n_members, task_codes, weights, offset, inlier, outlier, raw):
    """Write ``offset + (1 - w) I + w O``; all members together.

    Parameters
    ----------
    task_codes : ndarray of int32 of shape (n_rows,)
    weights : ndarray of float64 of shape (n_tasks,)
    offset, inlier, outlier : ndarray of float64 of shape (n_outputs, n_rows)
    raw : ndarray of float64 of shape (n_outputs, n_rows)
        OUT.
    """
    start, stop = share(0, task_codes.size, member, n_members)
    for k in range(raw.shape[0]):
        for i in range(start, stop):
            w = weights[task_codes[i]]
            raw[k, i] = offset[k, i] + (1.0 - w) * inlier[k, i] + w * outlier[k, i]


@inner
def _group(code, n_bins):
    return min(code * PROFILE_GROUPS // n_bins, PROFILE_GROUPS)


@kernel
def sum_profiles(
    member, n_members, column_codes, n_bins, task_codes, gradient, hessian, sums, information
):
    """Sum gradients and hessians by task, feature and group of bins; members share the features.

    Parameters
    ----------
    column_codes : ndarray of uint8 of shape (n_features, n_rows)
    n_bins : ndarray of int32 of shape (n_features,)
    task_codes : ndarray of int32 of shape (n_rows,)
    gradient, hessian : ndarray of float64 of shape (n_outputs, n_rows)
    sums, information : ndarray of float64 of shape (n_tasks, n_outputs, n_features, groups)
        INOUT, added to.
    """
    for feature in range(member, n_bins.size, n_members):
        column = column_codes[feature]
        for k in range(gradient.shape[0]):
            for i in range(task_codes.size):
                group = _group(np.int64(column[i]), n_bins[feature])
                sums[task_codes[i], k, feature, group] += gradient[k, i]
                information[task_codes[i], k, feature, group] += hessian[k, i]

"""The fitted model: invariances, bits, folds, and data that leave little to fit."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from rmtgb.engine.team import Team
from rmtgb.linear import system as system_module
from rmtgb.linear.fit import MixedData, _fit, fit_mixed, out_of_fold
from rmtgb.linear.kernels import rows, tasks, triangular
from rmtgb.losses import make_loss
from tests.linear.cases import mixed_data

LOSSES = [
    "squared_error",
    "log_loss",
    "multiclass",
    "poisson",
    "huber",
    "absolute_error",
    "quantile",
]
SCALE_FREE = ["squared_error", "huber", "absolute_error", "quantile"]


def predictions(data, team=None):
    return fit_mixed(data, team).predict(data.X, data.task, team)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_number_of_threads_changes_no_bit(loss, monkeypatch):
    monkeypatch.setattr(system_module, "PIECE_ROWS", 50)
    data = mixed_data(n_rows=400, n_levels=4, n_tasks=30, loss=loss)
    fold = np.arange(400) % 3
    with Team(3) as team:
        model, others = fit_mixed(data, team), out_of_fold(fit_mixed(data), data, fold, team)
        raw = model.predict(data.X, data.task, team)
    alone = fit_mixed(data)
    np.testing.assert_array_equal(model.fixed, alone.fixed)
    np.testing.assert_array_equal(model.effects, alone.effects)
    np.testing.assert_array_equal(raw, alone.predict(data.X, data.task))
    np.testing.assert_array_equal(others, out_of_fold(alone, data, fold))


@pytest.mark.parametrize("loss", SCALE_FREE)
@pytest.mark.parametrize("exponent", [-900, -3, 5, 900])
def test_a_power_of_two_times_the_target_is_one_times_the_prediction(loss, exponent):
    data = mixed_data(loss=loss)
    factor = 2.0**exponent
    scaled = replace(data, y=data.y * factor, loss=data.loss.in_unit(1 / factor))
    np.testing.assert_array_equal(predictions(scaled), predictions(data) * factor)


def test_a_constant_added_to_the_target_is_added_to_the_prediction():
    data = mixed_data()
    moved = predictions(replace(data, y=data.y + 1000.0))
    np.testing.assert_allclose(moved, predictions(data) + 1000.0, rtol=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_order_of_rows_and_the_names_of_tasks_do_not_matter(loss):
    data = mixed_data(n_rows=300, n_levels=3, n_tasks=12, loss=loss)
    rng = np.random.default_rng(0)
    order, labels = rng.permutation(300), rng.permutation(12)
    other = replace(data, X=data.X[order], y=data.y[order], task=labels[data.task[order]])
    np.testing.assert_allclose(
        predictions(other), predictions(data)[:, order], rtol=1e-8, atol=1e-10
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_integer_weights_are_repetitions(loss):
    data = mixed_data(n_rows=150, n_levels=3, loss=loss)
    weight = np.random.default_rng(0).integers(0, 4, 150)
    rows = np.repeat(np.arange(150), weight)
    weighted = replace(data, weight=weight.astype(float))
    repeated = replace(
        data, X=data.X[rows], y=data.y[rows], task=data.task[rows], weight=np.ones(rows.size)
    )
    np.testing.assert_allclose(
        predictions(weighted)[:, rows], predictions(repeated), rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_folds_are_predicted_by_fits_to_the_others(loss):
    data = mixed_data(n_rows=200, n_levels=3, n_tasks=8, loss=loss)
    fold = np.where(data.task == 3, 1, np.arange(200) % 3)  # a task in one fold
    model = fit_mixed(data)
    raw = out_of_fold(model, data, fold)
    for number in range(3):
        here = fold == number
        left = replace(
            data, X=data.X[~here], y=data.y[~here], task=data.task[~here],
            weight=data.weight[~here],
        )  # fmt: skip
        refitted = _fit(model.design, left, model.variances, Team(1))
        expected = refitted.predict(data.X[here], data.task[here])
        np.testing.assert_allclose(raw[:, here], expected, rtol=1e-8, atol=1e-10)
        if number == 1:
            alone = (data.task == 3) & here
            fixed_part = refitted.predict(data.X[alone], np.full(alone.sum(), -1))
            np.testing.assert_allclose(raw[:, alone], fixed_part, rtol=1e-8, atol=1e-10)


def test_a_fold_may_hold_all_that_was_ever_counted():
    data = tiny([0.0, 0.0, 0.0, 0.0, 3.0, 5.0], task=[0, 0, 1, 1, 0, 1], loss="poisson")
    raw = out_of_fold(fit_mixed(data), data, np.array([0, 0, 0, 0, 1, 1]))
    assert np.isfinite(raw).all()
    assert raw[0, 4:].max() < -10  # nothing was counted outside


def test_a_held_out_target_does_not_matter_to_its_prediction():
    data = mixed_data()
    model, fold = fit_mixed(data), np.arange(data.y.size) % 4
    y = np.where(fold == 2, 1e6 * data.y, data.y)
    raw = out_of_fold(model, data, fold)[0, fold == 2]
    np.testing.assert_allclose(
        out_of_fold(model, replace(data, y=y), fold)[0, fold == 2], raw, rtol=1e-12
    )


def test_unseen_tasks_get_the_fixed_part():
    data = mixed_data(n_rows=200)
    model = fit_mixed(data)
    unseen = model.predict(data.X, np.full(200, -1))
    np.testing.assert_array_equal(
        replace(model, effects=np.zeros_like(model.effects)).predict(data.X, data.task), unseen
    )
    assert np.any(unseen != model.predict(data.X, data.task))


def test_predictions_stay_near_those_of_the_fit():
    data = mixed_data(loss="poisson")
    model = fit_mixed(data)
    inside = model.predict(data.X, data.task)
    far = model.predict(1e3 * data.X, data.task)
    assert far.max() <= inside.max() + 1.0
    assert far.min() >= inside.min() - 1.0


def test_a_model_can_be_pickled_and_not_be_written_to():
    data = mixed_data()
    model = fit_mixed(data)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        again.predict(data.X, data.task), model.predict(data.X, data.task)
    )
    with pytest.raises(ValueError, match="read-only"):
        model.fixed[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        model.design.columns["low"][0] = 1.0


def tiny(y, X=None, task=None, loss="squared_error", n_tasks=None, **options):
    y = np.array(y, dtype=float)
    X = np.arange(y.size, dtype=float)[:, None] if X is None else np.array(X, dtype=float)
    task = np.zeros(y.size, dtype=np.int64) if task is None else np.array(task)
    return MixedData(
        X, np.zeros(X.shape[1], bool), y, task, n_tasks or int(task.max()) + 1, np.ones(y.size),
        make_loss(loss, y=y, **options),
    )  # fmt: skip


def options_of(loss):
    all_options = {
        "huber": {"huber_delta": 1.35}, "quantile": {"quantile": 0.8}, "log_loss": {"n_classes": 2}
    }  # fmt: skip
    return all_options.get(loss, {})


@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute_error", "poisson"])
@pytest.mark.parametrize("value", [0.1, 5.0])
def test_a_constant_target_is_predicted(loss, value):
    data = tiny([value] * 7, task=[0, 0, 0, 1, 1, 2, 2], loss=loss, **options_of(loss))
    raw = data.loss.inverse_link(predictions(data))
    np.testing.assert_allclose(raw, value, rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_single_class_is_predicted(value):
    data = tiny([value] * 6, task=[0, 0, 0, 1, 1, 2], loss="log_loss", n_classes=2)
    np.testing.assert_allclose(data.loss.inverse_link(predictions(data)), value, atol=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile", "log_loss", "poisson"])
@pytest.mark.parametrize("task", [[0, 0], [0, 1]])
def test_two_rows_are_drawn_to_their_mean(loss, task):
    data = tiny([0.0, 1.0], task=task, loss=loss, **options_of(loss))
    raw = predictions(data)
    assert np.isfinite(raw).all()
    assert np.abs(raw).max() < 10
    if loss == "squared_error":
        assert 0.0 < raw[0, 0] < 0.5 < raw[0, 1] < 1.0


@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute_error", "log_loss"])
def test_more_columns_than_rows_of_noise_say_nearly_nothing(loss):
    rng = np.random.default_rng(0)
    X, y, task = rng.normal(size=(30, 80)), rng.normal(size=30), np.arange(30) % 4
    y = (y > 0).astype(float) if loss == "log_loss" else y
    model = fit_mixed(tiny(y, X, task, loss, **options_of(loss)))
    new = model.predict(rng.normal(size=(200, 80)), np.arange(200) % 4)
    assert np.isfinite(new).all()
    assert new.std() < 1.0


def test_one_row_and_empty_tasks():
    assert predictions(tiny([3.0])).tolist() == [[3.0]]
    model = fit_mixed(tiny([1.0, 2.0, 4.0], task=[0, 0, 2], n_tasks=5))
    assert np.all(model.effects[0, [1, 3, 4]] == 0.0)


def test_no_features_leave_shrunken_means():
    rng = np.random.default_rng(0)
    task = np.arange(60) % 6
    data = tiny(task + rng.normal(size=60), np.empty((60, 0)), task)
    raw, means = predictions(data)[0, :6], [data.y[task == t].mean() for t in range(6)]
    shrunken = (raw - raw.mean()) / (means - np.mean(means))
    assert np.all((shrunken > 0.5) & (shrunken < 1.0))
    np.testing.assert_allclose(shrunken, shrunken[0], rtol=1e-9)


def test_an_exact_line_is_found():
    X = np.random.default_rng(0).normal(size=(100, 2))
    data = tiny(1.0 + X @ [2.0, -3.0], X, np.arange(100) % 5)
    np.testing.assert_allclose(predictions(data)[0], data.y, atol=1e-4)


def test_missing_values_everywhere():
    data = mixed_data(n_rows=200, n_levels=3)
    X = data.X.copy()
    X[np.random.default_rng(0).random(X.shape) < 0.3] = np.nan
    raw = predictions(replace(data, X=X))
    assert np.isfinite(raw).all()
    assert np.corrcoef(raw[0], data.y)[0, 1] > 0.5


def test_inputs_may_be_of_other_orders_and_read_only():
    data = mixed_data()
    X = np.asfortranarray(data.X)
    X.flags.writeable = data.y.flags.writeable = data.task.flags.writeable = False
    np.testing.assert_array_equal(predictions(replace(data, X=X)), predictions(data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.ones(3)}, "task must have shape"),
        ({"weight": np.ones(3)}, "weight must have shape"),
        ({"categorical": np.ones(9, bool)}, "categorical must have shape"),
        ({"weight": np.zeros(120)}, "one of them positive"),
        ({"weight": np.full(120, np.nan)}, "one of them positive"),
        ({"X": np.full((120, 3), np.inf)}, "found an infinite one"),
        ({"X": np.ones((5, 3))}, "a row for each of 120 targets"),
        ({"y": np.full(120, np.nan)}, "finite values in y"),
        ({"task": np.full(120, 6)}, "codes from 0 to 5"),
        ({"task": np.full(120, -1)}, "codes from 0 to 5"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        fit_mixed(replace(mixed_data(), **change))


def test_predict_and_folds_refuse_what_does_not_fit():
    data = mixed_data()
    model = fit_mixed(data)
    with pytest.raises(ValueError, match="3 columns"):
        model.predict(data.X[:, :2], data.task)
    with pytest.raises(ValueError, match="codes from -1 to 5"):
        model.predict(data.X, data.task + 6)
    with pytest.raises(ValueError, match="fold must have shape"):
        out_of_fold(model, data, np.zeros(3, dtype=np.int64))
    with pytest.raises(ValueError, match="outside of fold 0"):
        out_of_fold(model, data, np.zeros(120, dtype=np.int64))


def test_kernels_are_compiled_for_one_type_of_arrays():
    data = mixed_data(n_levels=3)
    model = fit_mixed(data)  # its arrays are read-only
    out_of_fold(model, data, np.arange(120) % 2)
    for kernel in (
        rows.predict_rows, rows.weighted_moments, tasks.sum_pieces, tasks.sum_tasks,
        tasks.solve_tasks, tasks.sum_derivatives, triangular.solve_fixed,
        triangular.solve_positive,
    ):  # fmt: skip
        assert len(getattr(kernel, "signatures", [0])) == 1


@pytest.mark.parametrize("heavy", [1e9, 1e12, 1e15])
def test_heavy_rows_leave_finite_effects(heavy):
    """What is left of the sums of a heavy task is a difference of which no digit may be known."""
    data = mixed_data(n_rows=120, n_levels=0, n_tasks=2)
    weight = np.ones(120)
    weight[::40], weight[7] = heavy / 1e3, heavy
    with np.errstate(all="raise"):
        model = fit_mixed(replace(data, weight=weight))
    raw = model.predict(data.X, data.task)
    assert np.isfinite(raw).all()
    assert np.abs(raw).max() < 100 * np.abs(data.y).max()
    is_heavy = weight > 1.0
    residual = np.abs(data.y - raw[0])
    assert residual[is_heavy].max() < 1e-2 * residual.max()  # four rows, and as many coefficients


@pytest.mark.parametrize("seed", range(6))
def test_one_heavy_row_among_many_levels(seed):
    """The sums that it leaves are rounding, which no coefficient may be a multiple of."""
    data = mixed_data(n_rows=120, n_levels=20, n_tasks=4, loss="absolute_error", seed=seed)
    weight = np.ones(120)
    weight[3] = 1e12
    with np.errstate(all="raise"):
        model = fit_mixed(replace(data, weight=weight))
    assert np.abs(model.fixed).max() < 100 * np.abs(data.y).max()
    raw = model.predict(data.X, data.task)
    assert abs(raw[0, 3] - data.y[3]) < 1e-2 * np.abs(data.y).max()

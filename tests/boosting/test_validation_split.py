"""Validation rows in groups and in time, and the folds that go with them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.boosting.choose.validation_split import choose_validation, folds_of_rows
from tests.boosting.helpers import task_data, training_set


def grouped(groups, seed=0):
    """A training set whose rows, as they were given, are of these groups."""
    X, y = task_data(n_rows=len(groups), seed=seed)
    training = training_set(X, y)
    return replace(training, groups=np.asarray(groups, np.int64)[training.order])


@given(st.integers(0, 1000), st.integers(2, 60), st.floats(0.05, 0.5))
def test_a_group_is_on_one_side(seed, n_groups, fraction):
    groups = np.random.default_rng(seed).integers(0, n_groups, 300)
    groups[:2] = 0, 1
    training = grouped(groups, seed)
    choices = choose_validation(training, fraction, seed, last=False)
    assert choices
    assert np.sum(choices, axis=0).max() == 1
    for held_out in choices:
        share = np.bincount(training.groups, held_out, n_groups)
        size = np.bincount(training.groups, minlength=n_groups)
        assert np.isin(share[size > 0], [0, *size]).all()
        assert set((share / np.maximum(size, 1)).tolist()) == {0.0, 1.0}
        # a group is where its middle is: half of the largest at each end
        assert abs(held_out.mean() - fraction) <= size.max() / 300 + 1e-9 or len(choices) == 1


def test_labels_of_groups_and_the_order_of_rows_do_not_matter():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 20, 300)
    X, y = task_data(n_rows=300)
    relabelled = rng.permutation(20)[groups]
    order = rng.permutation(300)
    sets = [
        (training_set(X, y), groups),
        (training_set(X, y), relabelled),
        (training_set(X[order], y[order]), groups[order]),
    ]
    chosen = []
    for training, of_rows in sets:
        with_groups = replace(training, groups=of_rows[training.order])
        held_out, *_ = choose_validation(with_groups, 0.2, 3, last=False)
        chosen.append({float(value) for value in training.y[held_out]})
    assert chosen[0] == chosen[1] == chosen[2]


def test_repeated_rows_are_weights():
    rng = np.random.default_rng(1)
    groups, times = rng.integers(0, 12, 200), rng.integers(1, 4, 200)
    X, y = task_data(n_rows=200)
    rows = np.repeat(np.arange(200), times)
    weighted = training_set(X, y, times.astype(float))
    repeated = training_set(X[rows], y[rows])
    weighted = replace(weighted, groups=groups[weighted.order])
    repeated = replace(repeated, groups=groups[rows][repeated.order])
    for one, other in zip(
        choose_validation(weighted, 0.2, 0, last=False),
        choose_validation(repeated, 0.2, 0, last=False),
        strict=True,
    ):
        assert set(weighted.y[one]) == set(repeated.y[other])


def test_few_groups_are_all_tried():
    """What one group of four says is chance."""
    training = grouped(np.arange(400) % 4)
    choices = choose_validation(training, 0.2, 0, last=False)
    assert np.sum(choices, axis=0).min() == 1


def test_the_last_rows_of_each_task():
    X, y = task_data(n_rows=400)
    training = training_set(X, y)
    (held_out,) = choose_validation(training, 0.15, 0, last=True)
    for start, stop in zip(training.offsets[:-1], training.offsets[1:], strict=True):
        n_last = round(0.15 * (stop - start))
        assert held_out[start : stop - n_last].sum() == 0
        assert held_out[stop - n_last : stop].all()
        assert (np.diff(training.order[start:stop]) > 0).all(), "as they were given"


def test_a_task_keeps_a_row_when_its_last_ones_validate():
    X, y = task_data(n_rows=20)
    X[:, -1] = np.arange(20) // 2
    training = training_set(X, y)
    (held_out,) = choose_validation(training, 0.99, 0, last=True)
    assert held_out.tolist() == [False, True] * 10
    X[:, -1] = np.arange(20)
    assert choose_validation(training_set(X, y), 0.99, 0, last=True) == []


def test_folds_keep_groups_together_and_time_in_order():
    training = grouped(np.arange(300) % 7)
    fold = folds_of_rows(training, 5, 0, last=False)
    assert set(fold) == set(range(5))
    for group in range(7):
        assert len(set(fold[training.groups == group])) == 1
    in_time = folds_of_rows(replace(training, groups=None), 5, 0, last=True)
    for start, stop in zip(training.offsets[:-1], training.offsets[1:], strict=True):
        of_task = in_time[start:stop]
        assert (np.diff(of_task) >= 0).all()
        assert np.bincount(of_task).tolist() == pytest.approx([(stop - start) / 5] * 5, abs=1)


def small(**settings):
    limits = {"n_iter_shared": 200, "n_iter_partition": 50, "n_iter_task": 100}
    plan = {"task_baseline": "shrunken", "task_descriptors": False, "splitter": "best"}
    return RMTGBRegressor(random_state=0, n_jobs=1, **limits | plan | settings)


def blocks(seed):
    """A feature that tells a known block of rows, and says nothing of a new one."""
    rng = np.random.default_rng(seed)
    block = np.repeat(np.arange(30), 20)
    mark = rng.standard_normal(30)
    effect = 2.0 * rng.standard_normal(30)
    x = rng.standard_normal(600)
    X = np.column_stack([mark[block], x])
    return X, x + effect[block] + 0.3 * rng.standard_normal(600), block


def test_what_is_chosen_holds_for_new_groups_and_for_later_rows():
    """Trees that learn marks of known blocks by heart help none that is new."""
    errors = np.zeros((3, 3))
    for seed in range(3):
        X, y, block = blocks(seed)
        known = block < 20
        for column, (split, groups) in enumerate(
            [("random", None), ("random", block[known]), ("last", None)]
        ):
            model = small(validation_split=split).fit(X[known], y[known], groups=groups)
            errors[seed, column] = np.mean((model.predict(X[~known]) - y[~known]) ** 2)
    assert (np.log(errors[:, 1:] / errors[:, :1]).mean(axis=0) < np.log(0.9)).all()


def test_groups_are_the_tasks():
    """Whole tasks are held out; all tasks are known to the model that is kept."""
    X, y, task = blocks(0)
    model = small(task_baseline="linear").fit(X, y, task=task, groups=task)
    assert model.n_tasks_ == 30
    assert model.n_iter_task_.max() == 0, "own trees do nothing for a task that is new"
    other = small(task_baseline="linear")
    other.fit(X, y, task=task, groups=np.array([f"site {99 - t}" for t in task]))
    np.testing.assert_array_equal(model.predict(X, task=task), other.predict(X, task=task))


def test_rows_of_weight_zero_lose_their_group():
    X, y, task = blocks(0)
    weight = np.ones(600)
    weight[::3] = 0.0
    used = weight > 0
    one = small().fit(X, y, groups=task, sample_weight=weight)
    other = small().fit(X[used], y[used], groups=task[used])
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.zeros(600), "groups holds one label"),
        (np.zeros(599), "inconsistent numbers of samples"),
        (np.zeros((600, 2)), "one-dimensional"),
        (np.append(np.arange(599.0), np.nan), "no label in 1 rows, the first in row 599"),
    ],
)
def test_groups_that_cannot_be(groups, message):
    X, y, _ = blocks(0)
    with pytest.raises(ValueError, match=message):
        RMTGBRegressor().fit(X, y, groups=groups)


def test_groups_and_the_last_rows_exclude_each_other():
    X, y, task = blocks(0)
    with pytest.raises(ValueError, match="groups is for validation_split='random'"):
        RMTGBRegressor(validation_split="last").fit(X, y, groups=task)


def test_classes_and_frames():
    """Groups of text, classes, and several threads: the same bits."""
    X, y, task = blocks(0)
    label = np.where(y > np.median(y), "high", "low")
    groups = np.array([f"g{t}" for t in task])
    models = [
        RMTGBClassifier(n_iter_shared=50, random_state=0, n_jobs=n_jobs).fit(
            X, label, groups=groups
        )
        for n_jobs in (1, 2)
    ]
    np.testing.assert_array_equal(*(model.predict_proba(X) for model in models))

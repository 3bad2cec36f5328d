"""Which trees try random thresholds, and what validation rows have to do with it."""

import numpy as np
import pytest

from rmtgb import RMTGBClassifier, RMTGBRegressor
from tests.boosting.helpers import QUICK, classifier, regressor, task_data

#: Random thresholds need more rounds.
N_ITER_TASK = {"smooth": 200, "steps": 60}
PREFERRED = {"smooth": "random", "steps": "best"}


def independent_tasks(kind, n_rows=300, n_tasks=4, seed=0):
    """Tasks of their own functions, with the task in the last column.

    Sums of sines, for which random thresholds are better, or one high step between two of ten
    values, for which exact ones are.
    """
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(n_rows * n_tasks, 5))
    task = np.arange(n_rows * n_tasks) % n_tasks
    if kind == "smooth":
        frequency, phase = rng.uniform(3, 9, (n_tasks, 5)), rng.uniform(0, 6, (n_tasks, 5))
        y = np.sin(frequency[task] * X + phase[task]).sum(axis=1)
    else:
        X = np.floor(10 * X)
        y = 5.0 * (X[:, 0] > rng.integers(2, 7, n_tasks)[task])
    return np.column_stack([X, task]), y + 0.05 * rng.standard_normal(y.size)


def parts(model, X):
    """The bits of all parts of a prediction."""
    return [part.tobytes() for part in model.predict_parts(X).values()]


@pytest.mark.parametrize("kind", ["smooth", "steps"])
@pytest.mark.parametrize("given_rows", [False, True])
class TestTheChoiceOfStage3:
    """Stage 3 takes the thresholds that validation rows prefer."""

    def fitted(self, kind, given_rows):
        """All three models, with rows held out or given."""
        X, y = independent_tasks(kind)
        held_out = np.arange(len(y)) % 5 == 0
        fit = {"X_val": X[held_out], "y_val": y[held_out]} if given_rows else {}
        rows = ~held_out if given_rows else slice(None)
        return X, {
            splitter: RMTGBRegressor(
                task_feature=-1,
                splitter=splitter,
                task_baseline="shrunken",
                early_stopping=True,
                random_state=0,
                n_iter_shared=0,
                n_iter_partition=0,
                n_iter_task=N_ITER_TASK[kind],
            ).fit(X[rows], y[rows], **fit)
            for splitter in ("auto", "best", "random")
        }

    def test_it_is_the_better_one(self, kind, given_rows):
        X, models = self.fitted(kind, given_rows)
        losses = {name: m.validation_score_["task"].min() for name, m in models.items()}
        other = {"best": "random", "random": "best"}[PREFERRED[kind]]
        assert losses[PREFERRED[kind]] < 0.95 * losses[other], "the data must tell"
        assert losses["auto"] <= min(losses["best"], losses["random"]) + 1e-12
        preferred = models[PREFERRED[kind]]
        assert parts(models["auto"], X) == parts(preferred, X)
        assert parts(models["auto"], X) != parts(models[other], X)
        np.testing.assert_array_equal(models["auto"].n_iter_task_, preferred.n_iter_task_)
        for name in ("train_score_", "validation_score_"):
            curves = (getattr(models[which], name)["task"] for which in ("auto", PREFERRED[kind]))
            np.testing.assert_array_equal(*curves)


class TestWhereNothingIsChosen:
    @pytest.mark.parametrize(
        ("stage", "same_as"),
        [("n_iter_shared", "random"), ("n_iter_partition", "random"), ("n_iter_task", "best")],
    )
    @pytest.mark.parametrize("make", [regressor, classifier])
    def test_auto_by_stage(self, make, stage, same_as):
        X, y = task_data()
        y = y if make is regressor else y > np.median(y)
        rounds = {name: 0 for name in QUICK if name.startswith("n_iter")} | {stage: 6}
        bits = {
            splitter: parts(make(splitter=splitter, **rounds).fit(X, y), X)
            for splitter in ("auto", "best", "random")
        }
        assert bits["best"] != bits["random"]
        assert bits["auto"] == bits[same_as]

    def test_all_stages(self):
        X, y = task_data()
        models = {s: regressor(splitter=s).fit(X, y) for s in ("auto", "random")}
        before = [
            [m.predict_parts(X)[name].tobytes() for name in ("shared", "inlier", "outlier")]
            for m in models.values()
        ]
        assert before[0] == before[1]
        own = [m.predict_parts(X)["task_specific"] for m in models.values()]
        assert not np.array_equal(*own)

    @pytest.mark.parametrize("stage", ["n_iter_shared", "n_iter_partition", "n_iter_task"])
    def test_the_seed_decides_random_thresholds_and_no_exact_ones(self, stage):
        X, y = task_data()
        rounds = {name: 0 for name in QUICK if name.startswith("n_iter")} | {stage: 6}

        def bits(splitter, seed):
            model = regressor(splitter=splitter, **rounds).set_params(random_state=seed)
            return parts(model.fit(X, y), X)

        assert bits("random", 1) == bits("random", 1)
        assert bits("random", 1) != bits("random", 2)
        assert bits("best", 1) == bits("best", 2)


def test_a_stage_of_no_rounds_has_no_choice():
    """With n_iter_task=0 there is nothing to prefer, and "auto" is "random"."""
    X, y = independent_tasks("steps")
    settings = {"n_iter_shared": 20, "n_iter_partition": 0, "n_iter_task": 0}
    auto, random = (
        regressor(splitter=splitter, early_stopping=True, **settings).fit(X, y)
        for splitter in ("auto", "random")
    )
    assert parts(auto, X) == parts(random, X)
    np.testing.assert_array_equal(auto.n_iter_task_, [0] * 4)


@pytest.mark.parametrize("kind", [RMTGBRegressor, RMTGBClassifier])
def test_defaults(kind):
    """Long stages that stopping shortens, and the automatic choice."""
    parameters = kind().get_params()
    assert parameters["splitter"] == "auto"
    names = ("n_iter_shared", "n_iter_partition", "n_iter_task")
    assert [parameters[name] for name in names] == [1000, 1000, 500]

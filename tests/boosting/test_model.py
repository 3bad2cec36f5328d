"""A fitted model: its parts, the bits of training, and what importing it costs."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from rmtgb.boosting import fit
from rmtgb.engine.team import Team
from tests.boosting.helpers import classifier, outliers_by_rows, regressor, task_data


@pytest.fixture
def trained(monkeypatch):
    """The last state of training that a fit left, and its model in the unit of training."""
    last = SimpleNamespace()
    fit_three_stages = fit.fit_three_stages

    def note(state, *arguments):
        last.state, last.model = state, fit_three_stages(state, *arguments)
        return last.model

    monkeypatch.setattr(fit, "fit_three_stages", note)
    return last


CASES = {
    "plain": {},
    "linear leaves": {"linear_leaves": True},
    "medians": {"loss": "absolute_error"},
    "subsample": {"subsample": 0.6, "max_features": 0.5},
    "categories": {"categorical_features": [2]},
    # a linear part has other predictions for training rows: out of their fold
    "chosen lengths": {"early_stopping": True, "task_baseline": "shrunken"},
    "three classes": {},
}


@pytest.mark.parametrize("stands_out", [False, True])
@pytest.mark.parametrize("case", CASES)
class TestPrediction:
    def fitted(self, case, stands_out):
        """Return an estimator and its rows."""
        X, y = outliers_by_rows() if stands_out else task_data(n_rows=400, n_tasks=6)
        X[:, 2] = np.nan_to_num(np.round(2 * X[:, 2]) % 5)
        make = regressor
        if case == "three classes":
            make, y = classifier, np.digitize(y, [-1.0, 2.0])
        model = make(learning_rate=0.3, **CASES[case]).fit(X, y)
        if stands_out:
            assert model.outlier_tasks_.tolist() == [0]
        return model, X

    def test_training_rows_have_the_bits_of_training(self, trained, case, stands_out):
        _, X = self.fitted(case, stands_out)
        training, model = trained.state.training, trained.model
        rows = X[training.order, :-1]
        with Team(1) as team:
            raw = model.raw(rows, training.task_codes.astype(np.int64), team)
        np.testing.assert_array_equal(raw, trained.state.raw)

    def test_parts_add_up(self, case, stands_out):
        model, X = self.fitted(case, stands_out)
        unseen = X[:50].copy()
        unseen[:, -1] = -1.0
        codes = np.append(X[:, -1].astype(np.int64), np.full(50, -1))
        rows = np.vstack([X, unseen])[:, :-1]
        with Team(1) as team:
            parts = model._model.predict_parts(rows, codes, team)
            raw = model._model.raw(rows, codes, team)
        # rounding of sums of five
        atol = 1e-12 * np.abs(parts).sum(axis=0).max()
        np.testing.assert_allclose(parts.sum(axis=0), raw, rtol=0.0, atol=atol)
        assert np.abs(parts).max(axis=(1, 2)).all() or case == "chosen lengths"

    def test_the_last_stage_of_a_prediction_is_the_prediction(self, case, stands_out):
        model, X = self.fitted(case, stands_out)
        codes = X[:, -1].astype(np.int64)
        with Team(1) as team:
            raw = model._model.raw(X[:, :-1], codes, team)
        *_, last = model._model.staged_raw(X[:, :-1], codes)
        np.testing.assert_allclose(last, raw, rtol=0.0, atol=1e-12 * np.abs(raw).max())


def test_a_model_needs_nothing_of_training():
    """Who predicts imports neither the kernels of boosting nor the stages."""
    program = (
        "import sys, rmtgb.boosting.model\n"
        "print(*(name for name in sys.modules if name.startswith('rmtgb.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("rmtgb.boosting")} == {
        "rmtgb.boosting",
        "rmtgb.boosting.added_features",
        "rmtgb.boosting.model",
        "rmtgb.boosting.parts",
    }
    assert not loaded & {"rmtgb.tree.grower", "rmtgb.tree.kernels.growth", "rmtgb.tree.binning"}

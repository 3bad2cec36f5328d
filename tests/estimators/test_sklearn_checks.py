"""scikit-learn's own checks, without a single expected failure."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from rmtgb import RMTGBClassifier, RMTGBRegressor

FEW = {"n_iter_shared": 5, "n_iter_partition": 5, "n_iter_task": 5, "learning_rate": 0.3}
NONE = {"n_iter_shared": 0, "n_iter_partition": 0, "n_iter_task": 0, "learning_rate": 0.3}

#: What every run of CI checks; the others are checked with one set of versions.
DEFAULTS = [{}, FEW | {"min_samples_leaf": 1, "min_samples_leaf_task": 1}]
SETTINGS = [
    FEW | {"min_samples_leaf": 5, "min_samples_leaf_task": 5},
    NONE | {"n_iter_shared": 10},
    NONE | {"n_iter_partition": 10},
    NONE | {"n_iter_task": 10},
    FEW | {"early_stopping": True},
    FEW | {"early_stopping": True, "min_samples_leaf": 1, "min_samples_leaf_task": 1},
]


@parametrize_with_checks(
    [kind(**setting) for kind in (RMTGBRegressor, RMTGBClassifier) for setting in DEFAULTS]
)
def test_defaults(estimator, check):
    check(estimator)


@pytest.mark.settings
@parametrize_with_checks(
    [kind(**setting) for kind in (RMTGBRegressor, RMTGBClassifier) for setting in SETTINGS]
)
def test_settings(estimator, check):
    check(estimator)


@pytest.mark.settings
@parametrize_with_checks(
    [RMTGBRegressor(**FEW, loss=loss) for loss in ("absolute_error", "huber", "quantile")]
)
def test_losses(estimator, check):
    check(estimator)


@parametrize_with_checks([RMTGBClassifier(**FEW, min_samples_leaf=1, class_weight="balanced")])
def test_class_weight(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kind", [RMTGBRegressor, RMTGBClassifier])
def test_no_failure_is_expected(kind):
    assert not kind().__sklearn_tags__().no_validation
    assert not kind().__sklearn_tags__().non_deterministic

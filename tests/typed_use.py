"""What a user's mypy must accept, and must refuse; checked by `mypy`, never run.

An ignored error that no longer occurs is an error itself (`warn_unused_ignores`).
"""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import rmtgb
from rmtgb import RMTGBClassifier, RMTGBRegressor

Floats = NDArray[np.float64]


def accepted(X: Any, y: Floats) -> None:
    regressor = RMTGBRegressor(task_feature="school", learning_rate=0.1, random_state=0)
    assert_type(regressor.fit(X, y, sample_weight=y), RMTGBRegressor)
    assert_type(regressor.predict(X), Floats)
    assert_type(regressor.score(X, y), float)
    assert_type(regressor.predict_parts(X), dict[str, Floats])
    assert_type(regressor.feature_importances_, Floats)
    assert_type(regressor.tasks_, NDArray[Any])
    for prediction in regressor.staged_predict(X):
        assert_type(prediction, Floats)
    classifier = RMTGBClassifier(class_weight={"ill": 2.0}, categorical_features=["a", 0])
    assert_type(classifier.fit(X, y).predict_proba(X), Floats)
    assert_type(classifier.predict(X), NDArray[Any])


def refused(X: Any, y: Floats) -> None:
    RMTGBRegressor(learning_rat=0.1)  # type: ignore[call-arg]
    RMTGBRegressor(learning_rate="slow")  # type: ignore[arg-type]
    RMTGBRegressor("school")  # type: ignore[call-arg]
    RMTGBClassifier(quantile=0.5)  # type: ignore[call-arg]
    RMTGBRegressor().fit(X)  # type: ignore[call-arg]
    RMTGBRegressor().predict(X, tasks=y)  # type: ignore[call-arg]
    rmtgb.RMTGBRanker()  # type: ignore[attr-defined]

"""Neither the memory for histograms nor the size of a team changes a bit of a tree."""

import numpy as np
import pytest
from numba import config

from rmtgb import RMTGBRegressor
from rmtgb.boosting import stage_3_task_specific
from rmtgb.estimators import _base
from rmtgb.tree import grower
from rmtgb.tree.kernels.growth import MIN_ROWS_PER_MEMBER
from rmtgb.tree.kernels.histograms import TILE
from tests.tree.cases import draw, grow

MEMBERS = (2, 4)


class TestHistogramsNotKept:
    @pytest.mark.parametrize("constant_hessian", [True, False])
    @pytest.mark.parametrize("n_members", [1, 2])
    @pytest.mark.slow
    @pytest.mark.parametrize("random_thresholds", [False, True])
    def test_any_number_of_kept_histograms(
        self, monkeypatch, constant_hessian, n_members, random_thresholds
    ):
        problem = draw(0, n=500, n_numerical=4, n_categories=(20,), missing=0.05)
        options = {"constant_hessian": constant_hessian, "max_leaf_nodes": 40}
        options["random_thresholds"] = random_thresholds
        everything = grow(problem, n_members, **options).bits
        one = 8 * 5 * 256 * (1 if constant_hessian else 2)  # bytes of a leaf's histograms
        for kept in (0, 1, 2, 3, 7, 39):
            monkeypatch.setattr(grower, "HISTOGRAM_BYTES", kept * one)
            assert grow(problem, n_members, **options).bits == everything


@pytest.mark.skipif(config.DISABLE_JIT, reason="without compilation a team is one")
class TestTeams:
    @pytest.mark.parametrize("random_thresholds", [False, True])
    @pytest.mark.parametrize("constant_hessian", [True, False])
    @pytest.mark.parametrize(
        ("n", "n_numerical"),
        [
            (5 * MIN_ROWS_PER_MEMBER, 3),  # members divide the rows of a histogram
            (600, 4 * TILE + 3),  # members divide its features
            (3, 2),  # more members than rows and features
            (100, 1),
        ],
    )
    def test_same_bits(self, constant_hessian, n, n_numerical, random_thresholds):
        problem = draw(1, n=n, n_numerical=n_numerical, n_categories=(12,), missing=0.05)
        options = {"constant_hessian": constant_hessian, "max_leaf_nodes": 25, "n_trees": 2}
        options["random_thresholds"] = random_thresholds
        alone = grow(problem, 1, **options).bits
        for n_members in MEMBERS:
            assert grow(problem, n_members, **options).bits == alone

    def test_same_random_choices(self):
        problem = draw(2, n=3000, n_numerical=10)
        options = {"max_features": 0.3, "subsample": 0.7, "n_trees": 3}
        alone = grow(problem, 1, **options).bits
        for n_members in MEMBERS:
            assert grow(problem, n_members, **options).bits == alone

    def test_equal_features_are_told_apart_by_number(self):
        problem = draw(3, n=400, n_numerical=2)
        problem.X = np.tile(problem.X, 4)
        problem.n_categories = np.zeros(8, dtype=int)
        for n_members in (1, *MEMBERS):
            nodes = grow(problem, n_members).nodes
            assert nodes["feature"].max() == 1

    @pytest.mark.parametrize("splitter", ["best", "random"])
    @pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
    def test_the_three_stages(self, monkeypatch, loss, splitter):
        problem, task = draw(4, n=700, n_categories=(5,), missing=0.05), np.arange(700) % 3
        monkeypatch.setattr(_base, "SMALL_CODES", 0)  # teams whatever the size

        def bits(n_jobs, task_codes_of_a_team):
            monkeypatch.setattr(stage_3_task_specific, "TEAM_TASK_CODES", task_codes_of_a_team)
            model = RMTGBRegressor(
                n_iter_shared=3,
                n_iter_partition=3,
                n_iter_task=3,
                early_stopping=False,
                subsample=0.8,
                max_features=0.8,
                categorical_features=[3],
                loss=loss,
                splitter=splitter,
                random_state=0,
                n_jobs=n_jobs,
            ).fit(problem.X, -problem.g, task=task)
            assert model.n_iter_task_.min() == 3
            return model.predict(problem.X, task=task).tobytes()

        alone = bits(1, 0)
        for n_members in MEMBERS:
            assert bits(n_members, 0) == alone  # members work on each task together
            assert bits(n_members, 2**60) == alone  # each takes tasks of its own

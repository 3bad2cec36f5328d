"""How many rounds a call of the kernel makes is nobody's business."""

import numpy as np
import pytest

from rmtgb.boosting import booster
from tests.boosting.helpers import classifier, regressor, task_data

#: Other numbers than before lead to other rounds per call: one, or a few, or all.
SMALLER = [
    {"CODES_PER_CALL": 1},
    {"NODES_PER_CALL": 1},
    {"CODES_PER_CALL": 240 * 4 * 8},  # rows times features times rounds: 8, and 4 of two sides
]


@pytest.fixture
def rounds_of_calls(monkeypatch):
    """Rounds that were made in each call, in all fits since."""
    made, collect = [], booster.Booster._collect

    def note(self, store, n_rounds):
        made.append(n_rounds)
        return collect(self, store, n_rounds)

    monkeypatch.setattr(booster.Booster, "_collect", note)
    return made


@pytest.mark.parametrize("limits", SMALLER, ids=str)
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", ["squared_error", "absolute_error", "three classes"])
def test_no_bit_depends_on_it(monkeypatch, rounds_of_calls, limits, early_stopping, kind):
    """Neither parts nor curves nor lengths; with stops in the middle of a call or not."""
    X, y = task_data()
    settings = dict.fromkeys(("n_iter_shared", "n_iter_partition", "n_iter_task"), 21)
    settings |= {"early_stopping": early_stopping, "n_iter_no_change": 3, "learning_rate": 0.3}
    settings |= {"subsample": 0.7, "max_features": 0.7, "task_baseline": "shrunken"}
    settings |= {"task_descriptors": False}
    if kind == "three classes":
        model, y = classifier(**settings), np.digitize(y, [-1.0, 2.0])
    else:
        model = regressor(loss=kind, **settings)

    def results():
        rounds_of_calls.clear()
        model.fit(X, y)
        parts = [*model.predict_parts(X).values(), *model.validation_score_.values()]
        parts += [*model.train_score_.values(), model.theta_, model.n_iter_task_]
        parts += [[model.n_iter_shared_, model.n_iter_partition_]]
        return [np.asarray(part).tobytes() for part in parts], list(rounds_of_calls)

    expected, calls = results()
    for name, value in limits.items():
        monkeypatch.setattr(booster, name, value)
    bits, more_calls = results()
    assert bits == expected
    assert sum(more_calls) == sum(calls)
    assert len(more_calls) > len(calls)
    assert max(more_calls) <= (8 if limits == SMALLER[-1] else 1)


def test_a_round_of_classes_is_a_tree_for_each(monkeypatch, rounds_of_calls):
    monkeypatch.setattr(booster, "CODES_PER_CALL", 2**17)
    X, y = task_data()
    settings = {"n_iter_shared": 100, "n_iter_partition": 0, "n_iter_task": 0}
    settings["task_baseline"] = "global"  # no pauses to estimate offsets
    settings["max_leaf_nodes"] = 2
    regressor(**settings).fit(X, y)
    rounds = max(rounds_of_calls)
    assert 3 < rounds < 100
    rounds_of_calls.clear()
    classifier(**settings).fit(X, np.digitize(y, [-1.0, 2.0]))
    assert max(rounds_of_calls) == rounds // 3


def test_large_trees_are_worth_more_than_their_rows(monkeypatch, rounds_of_calls):
    """Each of their leaves has histograms that are looked through."""
    monkeypatch.setattr(booster, "CODES_PER_CALL", 2**18)
    X, y = task_data()
    settings = {"n_iter_shared": 100, "n_iter_partition": 0, "n_iter_task": 0}
    settings["task_baseline"] = "global"  # no pauses to estimate offsets
    rounds = []
    for max_leaf_nodes in (2, None):
        rounds_of_calls.clear()
        regressor(max_leaf_nodes=max_leaf_nodes, min_samples_leaf=1, **settings).fit(X, y)
        rounds.append(max(rounds_of_calls))
    assert rounds[0] > 10 * rounds[1]

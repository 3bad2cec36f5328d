"""Tasks in frames: the same answers as from arrays, and errors that name columns."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rmtgb.transfer import estimate_problem, safe_combination

W = np.array([1.0, -1.0, 2.0])


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.standard_normal((75, 3)), columns=list("abc"))
    rows["y"] = rows[list("abc")] @ W + rng.standard_normal(75)
    rows["site"] = np.repeat(["south", "north", "east"], [20, 25, 30])
    return rows.sample(frac=1, random_state=1)


def arrays(frame, labels=("north", "south", "east"), columns=("a", "b", "c")):
    groups = [frame[frame["site"] == label] for label in labels]
    return [rows[list(columns)].to_numpy() for rows in groups], [rows["y"] for rows in groups]


def order_of_others(frame):
    return [label for label in pd.unique(frame["site"]) if label != "north"]


def same(one, other):
    columns = [name for name in one.to_frame() if name != "verdict"]
    assert_allclose(
        one.to_frame()[columns].to_numpy(float), other.to_frame()[columns].to_numpy(float), 1e-9
    )


def test_a_frame_with_a_task_column(frame):
    estimate = estimate_problem(frame, "y", task="site", main="north")
    others = order_of_others(frame)
    assert estimate.labels == ("north", *others)
    assert estimate.features == ("a", "b", "c")
    assert list(estimate.to_frame().index) == [*others, "all"]
    same(estimate, estimate_problem(*arrays(frame, ("north", *others))))
    beside = estimate_problem(frame.drop(columns="y"), frame["y"], task="site", main="north")
    same(estimate, beside)


def test_a_frame_of_another_library(frame):
    estimate = estimate_problem(frame, "y", task="site", main="north")
    same(estimate, estimate_problem(pl.from_pandas(frame), "y", task="site", main="north"))
    with pytest.raises(TypeError, match="lazy frame"):
        estimate_problem(pl.from_pandas(frame).lazy(), "y", task="site", main="north")


def test_a_dict_of_frames_is_matched_by_column_name(frame):
    parts = {label: rows.drop(columns="site") for label, rows in frame.groupby("site")}
    parts["south"] = parts["south"][["c", "y", "a", "b"]]
    estimate = estimate_problem(parts, "y", main="north")
    assert estimate.labels == ("north", "east", "south")
    same(estimate, estimate_problem(*arrays(frame, ("north", "east", "south"))))
    assert estimate_problem(parts, "y").labels[0] == "east"  # the first
    targets = {label: rows.pop("y") for label, rows in parts.items()}
    same(estimate, estimate_problem(parts, targets, main="north"))


def test_a_dict_of_arrays(frame):
    X, y = arrays(frame)
    labels = ("north", "south", "east")
    as_dicts = dict(zip(labels, X, strict=True)), dict(zip(labels, y, strict=True))
    estimate = estimate_problem(*as_dicts)
    assert estimate.labels == labels
    same(estimate, estimate_problem(X, y))


def test_a_sequence_of_frames_in_any_order_of_columns(frame):
    X, y = arrays(frame)
    frames = [pd.DataFrame(rows, columns=list("abc")) for rows in X]
    frames[1] = frames[1][list("cab")]
    same(estimate_problem(X, y), estimate_problem(frames, y))


@pytest.mark.parametrize("kind", ["str", "category", "object"])
def test_texts_become_indicators_on_request(frame, kind):
    texts = np.resize(["u", "v", "w"], len(frame))
    frame["kind"] = pd.Series(texts, index=frame.index).astype(kind)
    with pytest.raises(TypeError, match=r"Column 'kind' holds text or categories \('u'\): leave"):
        estimate_problem(frame, "y", task="site", main="north")
    estimate = estimate_problem(frame, "y", task="site", main="north", one_hot=True)
    assert estimate.features == ("a", "b", "c", "kind_v", "kind_w")
    coded = frame.assign(kind_v=texts == "v", kind_w=texts == "w").drop(columns="kind")
    same(estimate, estimate_problem(coded, "y", task="site", main="north"))


def test_a_category_of_no_row_has_no_indicator(frame):
    texts = pd.Series(np.resize(["u", "v", "w"], len(frame)), index=frame.index)
    expected = estimate_problem(
        frame.assign(kind=texts), "y", task="site", main="north", one_hot=True
    )
    kind = pd.Categorical(texts, categories=["t", "u", "v", "w"])
    estimate = estimate_problem(
        frame.assign(kind=kind), "y", task="site", main="north", one_hot=True
    )
    assert estimate.features == ("a", "b", "c", "kind_v", "kind_w")
    same(estimate, expected)


def test_an_indicator_does_not_share_its_name(frame):
    texts = np.resize(["u", "v", "w"], len(frame))
    with pytest.raises(ValueError, match="would be called 'kind_v', as another column is"):
        estimate_problem(
            frame.assign(kind=texts, kind_v=frame["a"] ** 2),
            "y",
            task="site",
            main="north",
            one_hot=True,
        )


def test_rows_may_have_any_index_and_columns_any_name(frame):
    expected = estimate_problem(frame, "y", task="site", main="north")
    same(expected, estimate_problem(frame.set_axis([0] * 75), "y", task="site", main="north"))
    numbered = frame.set_axis(range(5), axis=1)
    same(expected, estimate_problem(numbered, 3, task=4, main="north"))
    parts = {label: rows[range(4)] for label, rows in numbered.groupby(4, sort=False)}
    same(expected, estimate_problem(parts, 3, main="north"))
    same(expected, estimate_problem([parts[label] for label in expected.labels], 3))


@pytest.mark.parametrize("kind", ["int64", "float64", "Int64", "category"])
def test_labels_are_plain_values(frame, kind):
    frame["site"] = frame["site"].map({"north": 0, "south": 1, "east": 2}).astype(kind)
    labels = estimate_problem(frame, "y", task="site", main=0).labels
    assert sorted(labels) == [0, 1, 2]
    assert labels[0] == 0
    assert {type(label) for label in labels} <= {int, float}


def test_a_covariance_in_a_frame_is_matched_by_name(frame):
    C = pd.DataFrame(np.diag([1.0, 4.0, 9.0]), index=list("abc"), columns=list("abc"))
    of_frame = {"task": "site", "main": "north"}
    expected = estimate_problem(frame, "y", covariance=C.to_numpy(), **of_frame)
    same(expected, estimate_problem(frame, "y", covariance=C[list("cab")], **of_frame))
    with pytest.raises(ValueError, match=r"each of \['a', 'b', 'c'\], got \['a', 'b', 'z'\]"):
        estimate_problem(frame, "y", covariance=C.rename(columns={"c": "z"}), **of_frame)
    X, y = arrays(frame, expected.labels)
    same(expected, estimate_problem(X, y, covariance=C))  # arrays have no names to match


def test_numbers_of_any_type_are_numbers(frame):
    one = estimate_problem(frame, "y", task="site", main="north")
    other = frame.assign(a=frame["a"].astype("Float64"), b=frame["b"].astype(object))
    same(one, estimate_problem(other, "y", task="site", main="north"))


# --- errors --------------------------------------------------------------------------------


def spoil(frame, label, column, value, n=1):
    changed = frame.copy()
    rows = changed.index[changed["site"] == label][:n]
    changed.loc[rows, column] = value
    return changed


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: spoil(f, "east", "b", np.nan, 2), ValueError, "'b' of task east has 2 missing"),
        (lambda f: spoil(f, "south", "c", np.inf), ValueError, "'c' of task south has 1 infinite"),
        (lambda f: spoil(f, "south", "a", 4.0, 20), ValueError, r"south .* column 'a' \(constant"),
        (
            lambda f: f.assign(twice=2 * f["a"] + 1),
            ValueError,
            r"task north are collinear .* leave out column 'twice' \(a combination",
        ),
        (
            lambda f: f.assign(when=pd.Timestamp("2020-01-01")),
            TypeError,
            "Column 'when' is of type datetime64.* neither number nor text",
        ),
        (lambda f: spoil(f, "east", "y", np.nan), ValueError, "of task east has 1 missing value"),
        (lambda f: spoil(f, "east", "y", np.inf), ValueError, "of task east has 1 infinite value"),
        (lambda f: f.assign(y=1e200 * f["y"]), ValueError, "target of task north has .* unit"),
        (lambda f: f.assign(a=1e-200 * f["a"]), ValueError, "'a' of task north has .* unit"),
        (lambda f: f[["y", "site"]], ValueError, "task north has no column of features"),
        (lambda f: f[:0], ValueError, "frame of all tasks has no rows"),
        (lambda f: pd.concat([f, f["site"]], axis=1), ValueError, "more than one column 'site'"),
        (lambda f: f.rename(columns={"y": "score"}), ValueError, "no target column 'y'; there"),
        (
            lambda f: f.rename(columns={"site": "sites"}),
            ValueError,
            "'site'; did you mean 'sites'",
        ),
        (lambda f: f.replace({"site": {"north": "North"}}), ValueError, "did you mean 'North'"),
        (lambda f: spoil(f, "east", "site", None, 3), ValueError, "has 3 missing labels"),
        (lambda f: f[f["site"] == "north"], ValueError, "There is no task but 'north'"),
        (lambda f: f.groupby("site").head(4), ValueError, "task north has 4 rows"),
        (lambda f: f.set_axis(["a", "a", "c", "y", "site"], axis=1), ValueError, "one column 'a'"),
    ],
)
def test_errors_of_a_frame_name_the_column(frame, change, error, message):
    with pytest.raises(error, match=message):
        estimate_problem(change(frame), "y", task="site", main="north")


def test_errors_of_several_frames_name_the_column(frame):
    parts = {label: rows.drop(columns="site") for label, rows in frame.groupby("site")}
    with pytest.raises(ValueError, match="task south has no column 'b'; there are 'a', 'c'"):
        estimate_problem(parts | {"south": parts["south"].drop(columns="b")}, "y")
    with pytest.raises(ValueError, match="task south has a column 'z' that the main task has not"):
        estimate_problem(parts | {"south": parts["south"].assign(z=1.0)}, "y")
    with pytest.raises(ValueError, match="There is no task 'nort'; did you mean 'north'"):
        estimate_problem(parts, "y", main="nort")
    with pytest.raises(TypeError, match="name of the column of the target, got list"):
        estimate_problem(parts, [1, 2])
    with pytest.raises(ValueError, match="must have the same tasks"):
        estimate_problem(parts, {"north": [1.0]})
    with pytest.raises(TypeError, match="Either all tasks must be frames, or none"):
        estimate_problem(parts | {"south": np.ones((5, 3))}, "y")
    with pytest.raises(ValueError, match="empty dict"):
        estimate_problem({}, "y")


def test_arguments_that_do_not_fit(frame):
    X, y = arrays(frame)
    with pytest.raises(TypeError, match="task names a column, which only a frame has"):
        estimate_problem(X, y, task="site")
    with pytest.raises(TypeError, match="main is a label"):
        estimate_problem(X, y, main=0)
    with pytest.raises(TypeError, match="needs task, the name of the column"):
        estimate_problem(frame, "y")
    with pytest.raises(TypeError, match="needs main, the label of the main task"):
        estimate_problem(frame, "y", task="site")
    with pytest.raises(TypeError, match="Column 'a' holds a number too large for a float"):
        estimate_problem(frame.assign(a=[10**400] * len(frame)), "y", task="site", main="north")
    with pytest.raises(TypeError, match="one_hot must be True or False"):
        estimate_problem(X, y, one_hot="yes")
    with pytest.raises(TypeError, match="X_list must be a sequence with an item per task"):
        estimate_problem(3, y)
    for wrong in (y[0], None):
        with pytest.raises(ValueError, match=r"name of a column, or have shape \(75,\), got sh"):
            estimate_problem(frame.drop(columns="y"), wrong, task="site", main="north")
    masked = np.ma.masked_greater(frame.pop("y").to_numpy(), 1)
    with pytest.raises(TypeError, match="target of task north must not have masked values"):
        estimate_problem(frame, masked, task="site", main="north")
    frame["y"] = masked.data
    with pytest.raises(ValueError, match="labels are both said to be column 'site'"):
        estimate_problem(frame, "site", task="site", main="north")
    with pytest.raises(ValueError, match=r"There is no column \['site'\]"):
        estimate_problem(frame, "y", task=["site"], main="north")
    with pytest.raises(ValueError, match=r"No row is of task \['north'\]"):
        estimate_problem(frame, "y", task="site", main=["north"])
    with pytest.raises(TypeError, match="names a column, which only frames have"):
        estimate_problem(X, "y")


# --- the safe combination ------------------------------------------------------------------


def test_safe_combination_of_a_frame(frame):
    estimate = estimate_problem(frame, "y", task="site", main="north")
    X, y = arrays(frame)
    expected = safe_combination(X[0], y[0], estimate.auxiliary_coefficients)
    of_frame = safe_combination(frame, "y", estimate, task="site", main="north")
    assert_array_equal(of_frame.coefficients, expected.coefficients)
    alone = frame.loc[frame["site"] == "north", ["y", "c", "a", "b"]]
    assert_array_equal(safe_combination(alone, "y", estimate).coefficients, expected.coefficients)
    named = pd.Series(estimate.auxiliary_coefficients, index=list("abc"))[list("bca")]
    by_name = safe_combination(alone, "y", named)
    assert_allclose(by_name.coefficients, expected.coefficients[[1, 2, 0]])
    arrays_only = estimate_problem(X, y)
    assert_allclose(safe_combination(X[0], y[0], arrays_only).weight, expected.weight)


def test_safe_combination_of_texts(frame):
    frame["kind"] = np.resize(["u", "v", "w"], len(frame))
    frame.loc[(frame["site"] == "north") & (frame["kind"] == "u"), "kind"] = "v"
    frame = frame[frame["site"] != "south"]
    wanted = ["a", "b", "c", "kind_w"]
    coefficients = pd.Series([*W, 0.0], index=wanted)
    safe = safe_combination(frame, "y", coefficients, task="site", main="north", one_hot=True)
    assert safe.coefficients.shape == (4,)


def test_values_of_texts_that_coefficients_do_not_know_are_named(frame):
    frame = frame[frame["site"] != "south"].assign(kind="u")
    frame.loc[frame.index[::2], "kind"] = "v"
    coefficients = pd.Series([*W, 0.0], index=["a", "b", "c", "kind_w"])
    parts = {"task": "site", "main": "north", "one_hot": True}
    with pytest.raises(ValueError, match="Column 'kind' holds 'u' and 'v', but only one"):
        safe_combination(frame, "y", coefficients, **parts)
    with pytest.raises(ValueError, match=r"column 'kind_w' \(constant"):
        safe_combination(frame.assign(kind="u"), "y", coefficients, **parts)


def test_errors_of_a_safe_combination_name_the_column(frame):
    alone = frame[frame["site"] == "north"].drop(columns="site")
    named = pd.Series(W, index=["a", "b", "d"])
    with pytest.raises(ValueError, match="the main task has no column 'd'; there are"):
        safe_combination(alone, "y", named)
    with pytest.raises(ValueError, match="a column 'site' that the coefficients do not"):
        safe_combination(frame.assign(site=1), "y", pd.Series(W, index=list("abc")))
    with pytest.raises(ValueError, match="Column 'b' of the main task has 1 missing value"):
        safe_combination(alone.assign(b=[np.nan, *alone["b"][1:]]), "y", W)
    with pytest.raises(TypeError, match="Column 'b' holds text"):
        safe_combination(alone.assign(b="x"), "y", W)
    with pytest.raises(ValueError, match=r"main task are collinear .* column 'b' \(constant"):
        safe_combination(alone.assign(b=1.0), "y", W)
    with pytest.raises(ValueError, match="more than one entry 'b'"):
        safe_combination(alone, "y", pd.Series(W, index=list("abb")))
    with pytest.raises(TypeError, match="give its name, task, as well"):
        safe_combination(frame, "y", W, main="north")
    for wrong in (alone["y"], None):
        with pytest.raises(ValueError, match=r"or have shape \(75,\), got shape"):
            safe_combination(frame.drop(columns="y"), wrong, W, task="site", main="north")
    with pytest.raises(TypeError, match="task and main are for frames"):
        safe_combination(alone[list("abc")].to_numpy(), alone["y"], W, main="north")


def test_coefficients_far_away_have_no_weight(frame):
    X, y = arrays(frame)
    assert safe_combination(X[0], y[0], 1e200 * W).weight == 0


def test_an_estimate_for_another_main_task_is_refused(frame):
    estimate = estimate_problem(frame, "y", task="site", main="north")
    assert safe_combination(frame, "y", estimate, task="site", main="north").weight < 1
    with pytest.raises(ValueError, match="is for the main task 'north', got main='south'"):
        safe_combination(frame, "y", estimate, task="site", main="south")


def test_missing_numbers_among_objects_are_named(frame):
    objects = frame.assign(b=frame["b"].astype(object).where(frame.index != 3, pd.NA))
    with pytest.raises(ValueError, match=r"Column 'b' of task .* has 1 missing value"):
        estimate_problem(objects, "y", task="site", main="north")


def test_columns_called_by_numbers_are_matched_by_name(frame):
    numbered = frame.rename(columns={"a": 0, "b": 1, "c": 2})
    estimate = estimate_problem(numbered, "y", task="site", main="north")
    alone = numbered[numbered["site"] == "north"].drop(columns="site")
    expected = safe_combination(alone, "y", estimate)
    turned = safe_combination(alone[[2, "y", 0, 1]], "y", estimate)
    assert turned.weight == pytest.approx(expected.weight, rel=1e-9)
    assert_allclose(turned.coefficients, expected.coefficients, rtol=1e-9)
    # an estimate of arrays knows positions only
    X, y = arrays(frame)
    of_arrays = estimate_problem(X, y)
    by_position = safe_combination(alone.rename(columns=str), "y", of_arrays)
    assert_allclose(by_position.main_coefficients, expected.main_coefficients, rtol=1e-9)
    covariance = pd.DataFrame(np.diag([1.0, 2.0, 3.0]))
    first, second = (
        estimate_problem(numbered, "y", task="site", main="north", covariance=given)
        for given in (covariance, covariance.loc[[2, 1, 0], [2, 1, 0]])
    )
    assert_allclose(first.covariance, second.covariance)


def test_labels_of_text_are_not_taken_for_a_feature(frame):
    estimate = estimate_problem(frame, "y", task="site", main="north")
    with pytest.raises(ValueError, match="a column 'site' that the coefficients do not"):
        safe_combination(frame, "y", estimate, one_hot=True)

import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from polars.testing import assert_frame_equal as assert_polars_equal
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import StandardScaler

from rmtgb.tasks import split_task_column

SCHOOLS = ["north", "south", "north"]
COLUMNS = {"a": [1.0, 2.0, 3.0], "school": SCHOOLS, "b": [4, 5, 6]}


def pandas_frame():
    return pd.DataFrame(COLUMNS, index=[7, 3, 5])


def object_array():
    return np.array(list(zip(*COLUMNS.values(), strict=True)), dtype=object)


def test_without_task_feature_x_itself_comes_back():
    X = object()
    features, labels = split_task_column(X, None)
    assert features is X
    assert labels is None


@pytest.mark.parametrize("task_feature", ["school", np.str_("school"), 1, -2, np.int64(1)])
def test_pandas(task_feature):
    X = pandas_frame()
    before = copy.deepcopy(X)
    features, labels = split_task_column(X, task_feature)
    assert_frame_equal(features, before.drop(columns="school"))
    assert_array_equal(labels, SCHOOLS)
    assert isinstance(labels, np.ndarray)
    assert_frame_equal(X, before)


@pytest.mark.parametrize("task_feature", ["school", 1, -2])
@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["south", "north"])])
def test_polars(task_feature, dtype):
    X = pl.DataFrame(COLUMNS).with_columns(pl.col("school").cast(dtype))
    before = X.clone()
    features, labels = split_task_column(X, task_feature)
    assert_polars_equal(features, before.drop("school"))
    assert_array_equal(labels, SCHOOLS)
    assert_polars_equal(X, before)


def test_pyarrow_keeps_missing_labels_of_a_dictionary():
    pa = pytest.importorskip("pyarrow")
    X = pa.table({"x": [1, 2, 3], "t": pa.array(["a", "b", None]).dictionary_encode()})
    features, labels = split_task_column(X, "t")
    assert isinstance(features, pa.Table)
    assert features.column_names == ["x"]
    assert labels.tolist() == ["a", "b", None]


@pytest.mark.parametrize("position", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize("dtype", [float, int, np.float32, object, "U3"])
def test_numpy(position, dtype):
    X = np.arange(12).reshape(4, 3).astype(dtype)
    before = X.copy()
    features, labels = split_task_column(X, position)
    assert_array_equal(features, np.delete(before, position, axis=1))
    assert_array_equal(labels, before[:, position])
    assert features.dtype == labels.dtype == X.dtype
    assert_array_equal(X, before)
    assert np.shares_memory(features, X) == (position % 3 != 1)


def test_numpy_object_with_mixed_columns():
    features, labels = split_task_column(object_array(), 1)
    assert features.tolist() == [[1.0, 4], [2.0, 5], [3.0, 6]]
    assert labels.tolist() == SCHOOLS


def test_read_only_numpy():
    X = np.arange(6.0).reshape(2, 3)
    X.flags.writeable = False
    features, _ = split_task_column(X, 1)
    assert_array_equal(features, [[0, 2], [3, 5]])


@pytest.mark.parametrize("container", [list, tuple])
def test_rows_of_mixed_types_stay_what_they_are(container):
    X = container([1.0, school, 2] for school in SCHOOLS)
    features, labels = split_task_column(X, 1)
    assert features == [[1.0, 2]] * 3
    assert labels.tolist() == SCHOOLS
    assert list(X) == [[1.0, school, 2] for school in SCHOOLS]


def test_masked_array_gives_missing_labels():
    X = np.ma.MaskedArray([[1, 2], [3, 4]], mask=[[False, True], [False, False]])
    assert split_task_column(X, 1)[1].tolist() == [None, 4]


def test_only_the_task_column():
    features, labels = split_task_column(np.ones((3, 1)), 0)
    assert features.shape == (3, 0)
    assert labels.shape == (3,)


@pytest.mark.parametrize("X", [pandas_frame().iloc[:0], pl.DataFrame(COLUMNS)[:0]])
def test_no_rows(X):
    features, labels = split_task_column(X, "school")
    assert features.shape == (0, 2)
    assert labels.shape == (0,)


def test_categorical_and_index_are_kept_in_the_features():
    X = pandas_frame().assign(c=pd.Categorical(["u", "v", "u"]))
    features, labels = split_task_column(X.astype({"school": "category"}), "school")
    assert features["c"].dtype == X["c"].dtype
    assert_array_equal(features.index, X.index)
    assert_array_equal(labels, SCHOOLS)


@pytest.mark.parametrize("task_feature", [True, np.True_, 1.0, ("school",), ["school"], b"school"])
def test_type_of_task_feature(task_feature):
    with pytest.raises(TypeError, match="task_feature must be the name of a column"):
        split_task_column(pandas_frame(), task_feature)


@pytest.mark.parametrize("X", [object_array(), object_array().tolist()])
def test_name_without_column_names(X):
    with pytest.raises(
        ValueError, match=r"'school' is a column name.*task_feature=-1.*set_output"
    ):
        split_task_column(X, "school")


def test_name_is_found_by_its_position_at_fit():
    features, labels = split_task_column(object_array(), "school", fitted_names=list(COLUMNS))
    assert features.shape == (3, 2)
    assert labels.tolist() == SCHOOLS
    names = np.array(list(COLUMNS), dtype=object)
    assert split_task_column(object_array(), "school", fitted_names=names)[1].tolist() == SCHOOLS
    with pytest.raises(ValueError, match=r"no column names and 2 columns, but had 3 at fit"):
        split_task_column(object_array()[:, :2], "school", fitted_names=list(COLUMNS))


def test_position_of_another_column_than_at_fit():
    names = list(COLUMNS)
    assert split_task_column(pandas_frame(), 1, fitted_names=names)[1].tolist() == SCHOOLS
    with pytest.raises(ValueError, match="was the column 'school' at fit and is 'a' now"):
        split_task_column(pandas_frame()[["school", "a", "b"]], 1, fitted_names=names)
    # negative positions move with the number of columns
    with pytest.raises(ValueError, match="was the column 'b' at fit and is 'extra' now"):
        split_task_column(pandas_frame().assign(extra=1), -1, fitted_names=names)
    # a name goes wherever it is
    reordered = pandas_frame()[["school", "a", "b"]]
    assert split_task_column(reordered, "school", fitted_names=names)[1].tolist() == SCHOOLS


def test_after_a_column_transformer():
    transformer = ColumnTransformer([("s", StandardScaler(), ["a", "b"])], remainder="passthrough")
    X = transformer.fit_transform(pandas_frame())
    with pytest.raises(ValueError, match=r"set_output\(transform=\"pandas\"\)"):
        split_task_column(X, "school")
    assert split_task_column(X, -1)[1].tolist() == SCHOOLS
    X = transformer.set_output(transform="pandas").fit_transform(pandas_frame())
    with pytest.raises(ValueError, match=r"'remainder__school'.*verbose_feature_names_out=False"):
        split_task_column(X, "school")
    transformer.set_params(verbose_feature_names_out=False)
    X = transformer.fit_transform(pandas_frame())
    assert split_task_column(X, "school")[1].tolist() == SCHOOLS


@pytest.mark.parametrize("name", ["School", "shcool", "remainder__school", " school"])
@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_absent_name_lists_near_matches(name, make):
    with pytest.raises(ValueError, match=r"not among the 3 columns of X .*Did you mean 'school'"):
        split_task_column(make(COLUMNS), name)


def test_absent_name_without_near_match():
    X = pd.DataFrame(np.ones((2, 12)))
    with pytest.raises(ValueError, match=r"columns of X \(0, 1, .*, 9 and 2 more\)\.$"):
        split_task_column(X, "school")


def test_name_held_twice():
    X = pd.DataFrame(np.ones((2, 3)), columns=["school", "a", "school"])
    with pytest.raises(ValueError, match=r"names 2 columns of X \(positions 0, 2\)"):
        split_task_column(X, "school")
    features, labels = split_task_column(X, 2)
    assert list(features.columns) == ["school", "a"]
    assert labels.shape == (2,)


@pytest.mark.parametrize("position", [3, -4])
@pytest.mark.parametrize(
    "X", [pandas_frame(), pl.DataFrame(COLUMNS), object_array(), object_array().tolist()]
)
def test_position_out_of_range(X, position):
    with pytest.raises(ValueError, match=r"out of range: X has 3 columns \(-3 to 2 are allowed"):
        split_task_column(X, position)


@pytest.mark.parametrize(
    ("X", "got"),
    [
        (np.ones(3), "1D"),
        ([1.0, 2.0], "1D"),
        ([], "1D"),
        (pd.Series([1.0]), "1D"),
        (pl.Series([1.0]), "1D"),
        (np.float64(3), "0D"),
        (np.ones((2, 2, 2)), "3D"),
    ],
)
def test_not_two_dimensional(X, got):
    with pytest.raises(ValueError, match=f"Expected 2D array, got {got} array"):
        split_task_column(X, 0)


def test_rows_of_unequal_length():
    with pytest.raises(ValueError, match=r"row 0 has 2 values, row 1 has 1\."):
        split_task_column([[1, "a"], [2]], 1)
    with pytest.raises(ValueError, match="row 0 has 2 values, row 1 is 3"):
        split_task_column([[1, "a"], 3], 1)


@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.coo_array])
def test_sparse(make):
    with pytest.raises(TypeError, match=f"sparse {make.__name__}, which is not supported"):
        split_task_column(make(np.eye(3)), 0)


@pytest.mark.parametrize("X", [None, {"a": [1]}, "abc"])
def test_no_table(X):
    with pytest.raises(TypeError, match="X must be a data frame"):
        split_task_column(X, 0)


def test_lazy_frame():
    with pytest.raises(TypeError, match=r"LazyFrame\).*collect"):
        split_task_column(pl.DataFrame(COLUMNS).lazy(), "school")

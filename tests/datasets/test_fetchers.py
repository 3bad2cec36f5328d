"""Fetchers, on small files of the same formats as the real ones; nothing is downloaded."""

import dataclasses
import gzip
import hashlib
import inspect
import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import savemat

from rmtgb import RMTGBRegressor, datasets
from rmtgb.datasets import _files

FETCHERS = {
    name: getattr(datasets, name) for name in datasets.__all__ if name.startswith("fetch_")
}
RNG = np.random.default_rng(0)
NUMBERS = RNG.standard_normal((12, 40)).round(3)


def zipped(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def mat(**variables):
    stream = io.BytesIO()
    savemat(stream, variables)
    return stream.getvalue()


def cells(arrays):
    content = np.empty((1, len(arrays)), dtype=object)
    content[0] = arrays
    return content


def csv(rows, **options):
    return pd.DataFrame(rows).to_csv(**options)


def school_file():
    x = np.vstack([NUMBERS[:, :27].T, np.ones(12)])  # features x pupils, the last row is the bias
    return mat(x=x, y=NUMBERS[:, [30]], task_indexes=np.array([[1], [5], [10]]))


def computer_files():
    columns = ["hot_line", "ram", "price"]
    features = pd.DataFrame(np.sign(NUMBERS[:, :3]).astype(int), columns=columns)
    features["task"] = np.repeat([0.0, 1.0, 2.0], 4)
    return features.to_csv().encode(), pd.Series(np.arange(12)).to_csv().encode()


def parkinson_file():
    columns = ["subject#", "age", "sex", "test_time", "motor_UPDRS", "total_UPDRS", "Jitter(%)"]
    frame = pd.DataFrame(NUMBERS[:, :7], columns=columns)
    frame["subject#"] = np.repeat([1, 2, 7], 4)
    return zipped(**{"parkinsons_updrs.data": csv(frame, index=False)})


def landmine_file():
    return mat(
        feature=cells([NUMBERS[:4, :9], NUMBERS[4:9, :9]]),
        label=cells([[[0], [1], [0], [1]], [[1], [0], [0], [0], [0]]]),
    )


ADULT = """\
39, Local, 77516, Bachelors, 13, Single, Sales, Own, White, Male, 2174, 0, 40, US, <=50K
50, ?, 83311, HS-grad, 9, Married, Sales, Wife, Black, Female, 0, 0, 13, ?, >50K
"""
ADULT_TEST = """|1x3 Cross validator
25, Private, 226802, 11th, 7, Single, Sales, Own, Black, Male, 0, 0, 40, Peru, >50K.
"""
BANK = """"age";"job";"marital";"balance";"y"
58;"management";"married";2143;"no"
44;"technician";"single";29;"yes"
33;"management";"unknown";2;"no"
"""
AVILA = "0.1,0.2,0.3,0.4,{row},0.6,0.7,0.8,0.9,1.0,{letter}\n"
ABALONE = (
    "M,0.455,0.365,0.095,0.514,0.2245,0.101,0.15,15\nI,0.33,0.255,0.08,0.205,0.09,0.04,0.06,7\n"
)


def make_files():
    computer_data, computer_target = computer_files()
    avila = {
        "avila/avila-tr.txt": AVILA.format(row="0.261718", letter="A")
        + AVILA.format(row="0.082961", letter="W"),
        "avila/avila-ts.txt": AVILA.format(row="0.261718", letter="Y"),
    }
    return {
        "school": school_file(),
        "computer_data": computer_data,
        "computer_target": computer_target,
        "parkinson": parkinson_file(),
        "landmine": landmine_file(),
        "adult": zipped(**{"adult.data": ADULT, "adult.test": ADULT_TEST}),
        "avila": zipped(**avila),
        "bank": zipped(**{"bank.zip": zipped(**{"bank-full.csv": BANK})}),
        "abalone": zipped(**{"abalone.data": ABALONE}),
        "sarcos_train": mat(sarcos_inv=NUMBERS[:, :28]),
        "sarcos_test": mat(sarcos_inv_test=NUMBERS[:5, :28]),
    }


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Put small files into an offline folder, and expect their hashes."""
    files = make_files()
    assert set(files) == set(_files.FILES)
    for key, content in files.items():
        file = _files.FILES[key]
        (tmp_path / file.name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest() if file.sha256 else None
        monkeypatch.setitem(_files.FILES, key, dataclasses.replace(file, sha256=digest))
    monkeypatch.setenv("RMTGB_DATASETS", str(tmp_path))
    return tmp_path


NAMED = sorted(set(FETCHERS) - {"fetch_tasks"})


@pytest.mark.parametrize("name", NAMED)
def test_forms_agree(name, offline):
    bunch = FETCHERS[name]()
    assert list(bunch.data.columns) == bunch.feature_names
    assert bunch.feature_names[-1] == bunch.task_feature
    assert len(bunch.data) == len(bunch.target)
    X, y = FETCHERS[name](return_X_y=True)
    pd.testing.assert_frame_equal(X, bunch.data)
    pd.testing.assert_series_equal(y, bunch.target)
    X_array, y_array = FETCHERS[name](return_X_y=True, as_frame=False)
    assert X_array.dtype == np.float64
    labels = np.array(bunch.tasks)[X_array[:, -1].astype(int)]
    assert_array_equal(labels, X[bunch.task_feature])
    numbers = X.drop(columns=bunch.task_feature).select_dtypes("number")
    positions = [bunch.feature_names.index(column) for column in numbers]
    assert_array_equal(X_array[:, positions], numbers)
    assert_array_equal(y_array, y)


def test_school(offline):
    X, y = datasets.fetch_school(return_X_y=True)
    assert X.shape == (12, 28)
    assert_array_equal(X["school"], [0] * 4 + [1] * 5 + [2] * 3)
    assert_allclose(X.iloc[:, :27], NUMBERS[:, :27])
    assert_allclose(y, NUMBERS[:, 30])
    assert y.name == "score"


def test_computer(offline):
    X, y = datasets.fetch_computer(return_X_y=True)
    assert list(X.columns) == ["hot_line", "ram", "price", "person"]
    assert_array_equal(X["person"], np.repeat([0, 1, 2], 4))
    assert_array_equal(y, np.arange(12))


def test_parkinson(offline):
    X, y = datasets.fetch_parkinson(return_X_y=True)
    assert list(X.columns) == ["age", "sex", "test_time", "Jitter(%)", "subject"]
    assert y.name == "total_UPDRS"
    assert_allclose(y, NUMBERS[:, 5])


def test_landmine(offline):
    X, y = datasets.fetch_landmine(return_X_y=True)
    assert_array_equal(X["field"], [0] * 4 + [1] * 5)
    assert_array_equal(y, [0, 1, 0, 1, 1, 0, 0, 0, 0])
    assert_allclose(X.iloc[:, :9], NUMBERS[:9, :9])


@pytest.mark.parametrize("task", ["sex", "race"])
def test_adult(offline, task):
    X, y = datasets.fetch_adult(task=task, return_X_y=True)
    assert X.shape == (3, 14)
    assert X.columns[-1] == task
    assert_array_equal(y, [0, 1, 1])
    assert X["workclass"].isna().tolist() == [False, True, False]
    assert X["native-country"].tolist()[::2] == ["US", "Peru"]
    assert isinstance(X["education"].dtype, pd.CategoricalDtype)
    codes = datasets.fetch_adult(task=task, return_X_y=True, as_frame=False)[0]
    assert np.isnan(codes).sum() == 2
    with pytest.raises(ValueError, match="'sex' or 'race', got 'age'"):
        datasets.fetch_adult(task="age")


def test_avila(offline):
    bunch = datasets.fetch_avila()
    assert bunch.data.shape == (3, 10)
    assert bunch.tasks == [0.082961, 0.261718]
    assert bunch.target.tolist() == ["A", "W", "Y"]


def test_bank(offline):
    bunch = datasets.fetch_bank()
    assert bunch.tasks == ["management", "technician"]
    assert bunch.target.tolist() == [0, 1, 0]
    assert bunch.data["marital"].tolist() == ["married", "single", "unknown"]


def test_abalone(offline):
    bunch = datasets.fetch_abalone()
    assert bunch.tasks == ["I", "M"]
    assert bunch.target.tolist() == [15, 7]
    assert bunch.data["length"].tolist() == [0.455, 0.33]


def test_sarcos(offline):
    wide = datasets.fetch_sarcos(layout="wide")
    assert wide.data.shape == (12, 21)
    assert_allclose(wide.target, NUMBERS[:, 21:28])
    assert wide.tasks == [f"torque-{joint}" for joint in range(1, 8)]
    assert wide.task_feature is None
    X, y = datasets.fetch_sarcos(return_X_y=True, subset="test")
    assert X.shape == (35, 22)
    assert_allclose(y, NUMBERS[:5, 21:28].ravel())
    assert_array_equal(X["torque"][:7], wide.tasks)
    X_wide, Y = datasets.fetch_sarcos(layout="wide", return_X_y=True, as_frame=False)
    assert_allclose(X_wide, NUMBERS[:, :21])
    assert_allclose(Y, NUMBERS[:, 21:28])
    with pytest.raises(ValueError, match="subset must be"):
        datasets.fetch_sarcos(subset="all")
    with pytest.raises(ValueError, match="layout must be"):
        datasets.fetch_sarcos(layout="tall")


@pytest.mark.slow
def test_fetched_data_can_be_fitted(offline):
    bunch = datasets.fetch_abalone()
    model = RMTGBRegressor(task_feature=bunch.task_feature, n_iter_shared=2, n_iter_task=1)
    assert model.fit(bunch.data, bunch.target).tasks_.tolist() == bunch.tasks


# --- where files come from -----------------------------------------------------------------


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A "server" that is a folder, and no offline folder."""
    monkeypatch.delenv("RMTGB_DATASETS", raising=False)
    folder = tmp_path / "server"
    folder.mkdir()
    path = folder / "shops.csv.gz"
    path.write_bytes(gzip.compress(b"size,shop,kind,sales\n1.5,b,x,3\n2.5,a,y,4\n"))
    return path


def address(path):
    return path.as_uri().replace("file://", "file://localhost")  # a host is asked for


def load(source, tmp_path, **options):
    return datasets.fetch_tasks(
        address(source), task_feature="shop", target="sales", data_home=tmp_path, **options
    )


def test_any_csv_is_downloaded_once_and_kept(source, tmp_path):
    bunch = load(source, tmp_path)
    assert bunch.feature_names == ["size", "kind", "shop"]
    assert bunch.tasks == ["a", "b"]
    assert isinstance(bunch.data["kind"].dtype, pd.CategoricalDtype)
    assert bunch.target.tolist() == [3, 4]
    source.unlink()
    pd.testing.assert_frame_equal(load(source, tmp_path).data, bunch.data)


def test_files_of_one_name_do_not_mix(source, tmp_path):
    load(source, tmp_path)
    other = source.parent / "more"
    other.mkdir()
    (other / source.name).write_bytes(gzip.compress(b"shop,sales\nz,1\n"))
    assert load(other / source.name, tmp_path).tasks == ["z"]


def test_hash_of_the_first_download_is_kept(source, tmp_path):
    load(source, tmp_path)
    cached = next((tmp_path / "rmtgb").rglob("*.csv.gz"))
    cached.write_bytes(gzip.compress(b"size,shop,kind,sales\n9,b,x,3\n"))
    with pytest.raises(OSError, match=r"has the SHA-256 .*, expected is .*delete it"):
        load(source, tmp_path)


def test_wrong_hash_is_refused_and_the_right_one_taken(source, tmp_path):
    with pytest.raises(OSError, match="SHA256 checksum"):
        load(source, tmp_path, sha256="0" * 64)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert len(load(source, tmp_path, sha256=digest).target) == 2
    with pytest.raises(OSError, match="expected is 0000"):
        load(source, tmp_path, sha256="0" * 64)


def test_no_download_unless_allowed(source, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"download_if_missing is False.*shops\.csv\.gz"):
        load(source, tmp_path, download_if_missing=False)


def test_absent_columns_are_named(source, tmp_path):
    with pytest.raises(ValueError, match=r"no column 'store', only \['size', 'shop'"):
        datasets.fetch_tasks(
            address(source), task_feature="store", target="sales", data_home=tmp_path
        )


def test_offline_folder_is_used_alone(offline):
    (offline / "abalone.zip").unlink()
    with pytest.raises(FileNotFoundError, match=r"abalone\.zip is not in the folder of RMTGB_DAT"):
        datasets.fetch_abalone()


def test_damaged_file_is_refused(offline):
    (offline / "abalone.zip").write_bytes(b"damaged")
    with pytest.raises(OSError, match="SHA-256"):
        datasets.fetch_abalone()


@pytest.mark.parametrize("name", sorted(FETCHERS))
def test_docstring_has_every_parameter_and_a_licence(name):
    text = inspect.getdoc(FETCHERS[name])
    for parameter in inspect.signature(FETCHERS[name]).parameters:
        assert f"{parameter} : " in text or f"{parameter}, " in text, parameter
    assert "%(" not in text
    assert name == "fetch_tasks" or "Licence: " in text

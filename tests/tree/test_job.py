"""Records of addresses: what is refused, and what they hold."""

import numpy as np
import pytest

from rmtgb.tree.dtypes import JOB_ARRAYS
from rmtgb.tree.job import make_records


class TestRecords:
    def test_addresses_sizes_and_fields(self):
        y, raw = np.arange(5.0), np.zeros((2, 5))
        records = make_records(3, {"y": y, "raw": raw}, {"subsample": 0.5})
        assert records["member"].tolist() == [0, 1, 2]
        assert records["y"].tolist() == [y.ctypes.data] * 3
        assert records["raw"].tolist() == [raw.ctypes.data] * 3
        assert (records["n_outputs"] == 2).all()
        assert (records["n_rows"] == 5).all()
        assert (records["subsample"] == 0.5).all()

    @pytest.mark.parametrize("name", sorted(JOB_ARRAYS))
    def test_another_dtype(self, name):
        dtype, shape = JOB_ARRAYS[name]
        shape = [n if isinstance(n, int) else 2 for n in shape]
        assert make_records(1, {name: np.zeros(shape, dtype)}, {})[name][0] != 0
        with pytest.raises(TypeError, match=f"^{name} must be a C-ordered array of "):
            make_records(1, {name: np.zeros(shape, np.float16)}, {})

    @pytest.mark.parametrize(
        "raw", [np.zeros((2, 5), order="F"), np.zeros((2, 10))[:, ::2], np.zeros((5, 2)).T]
    )
    def test_another_order(self, raw):
        with pytest.raises(TypeError, match=r"^raw must be a C-ordered array of float64\.$"):
            make_records(1, {"y": np.zeros(5), "raw": raw}, {})

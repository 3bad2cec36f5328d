"""Records of addresses: what they hold, what is refused, and how a wild write is found."""

import numpy as np
import pytest
from numba import config

from rmtgb.boosting.records import BOOST
from rmtgb.engine import record as records
from rmtgb.engine.jit import kernel
from rmtgb.engine.record import Layout, Record, array_of, wait
from rmtgb.engine.team import Team
from rmtgb.tree.records import ENSEMBLE, GROW, STORE, VALUES

EVERY_LAYOUT = [BOOST, ENSEMBLE, GROW, STORE, VALUES]

LAYOUT = Layout(
    "some sums",
    {
        "given": (np.int32, ("n", 2)),
        "sums": (np.float64, ("m", "n")),
        "of_members": (np.int64, ("n_members", 3)),
        "single": (np.uint8, (1,)),
    },
    {"factor": np.float64, "position": np.int64},
)


compiled = pytest.mark.skipif(config.DISABLE_JIT, reason="numpy checks where is written")


@pytest.fixture
def guards(monkeypatch):
    """Guards around all arrays of a test."""
    monkeypatch.setenv(records.GUARDS_VARIABLE, "1")


@pytest.fixture
def no_guards(monkeypatch):
    """None, whatever the rest of the suite does."""
    monkeypatch.delenv(records.GUARDS_VARIABLE, raising=False)


def given(n=4):
    return np.arange(2 * n, dtype=np.int32).reshape(n, 2)


@kernel
def fill(member, n_members, all_members):
    """Write what is where: all arrays, each member its share."""
    record = all_members[member]
    lent, sums = array_of(record, "given"), array_of(record, "sums")
    own = array_of(record, "of_members")[member]
    for k in range(3):
        own[k] = 10 * member + k
    wait(record)
    if member == n_members - 1:
        for i in range(record["m"]):
            for j in range(record["n"]):
                sums[i, j] = record["factor"] * i + lent[j, 0] * lent[j, 1]
        array_of(record, "single")[0] = array_of(record, "of_members").sum()


@kernel
def write_wildly(member, n_members, all_members):
    """Write at a position of sums, as if it had one row without an end."""
    record = all_members[member]
    # unsigned, for numbers below zero would count from the end
    array_of(record, "sums")[0, np.uint64(record["position"])] = 1.0


@kernel
def write_wildly_in_the_first(member, n_members, all_members, others):
    """Write at a position of the sums of the first of two records."""
    record = all_members[member]
    array_of(record, "sums")[0, np.uint64(record["position"])] = 1.0


@kernel
def write_to_what_is_lent(member, n_members, all_members):
    """Write to an array that is only to be read."""
    array_of(all_members[member], "given")[0, 1] += 1


class TestLayout:
    def test_sizes_and_fields(self):
        assert LAYOUT.sizes == ("n", "m", "n_members")
        assert set(LAYOUT.dtype.names) == {
            *("given", "sums", "of_members", "single", "arrivals"),
            *("n", "m", "n_members", "member", "factor", "position"),
        }
        assert LAYOUT.dtype["given"] == np.uint64
        assert LAYOUT.dtype["n"] == np.int64
        assert LAYOUT.dtype["factor"] == np.float64

    @pytest.mark.parametrize("layout", EVERY_LAYOUT, ids=lambda layout: layout.name)
    def test_kernels_know_a_layout_by_its_fields(self, layout):
        others = [other for other in [*EVERY_LAYOUT, LAYOUT] if other is not layout]
        assert set(layout.dtype.names) not in [set(other.dtype.names) for other in others]

    def test_sizes_of_arrays(self):
        sizes = LAYOUT.sizes_of({"given": given(), "sums": np.zeros((7, 4))})
        assert sizes == {"n": 4, "m": 7}

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"given": given(4), "sums": np.zeros((7, 5))}, r"sums .* \(7, 5\), but n is 4"),
            ({"given": np.zeros((4, 3), np.int32)}, r"given of some sums .* \(4, 3\), but 2 is 2"),
            ({"single": np.zeros(2, np.uint8)}, r"single .* \(2,\), but 1 is 1"),
        ],
    )
    def test_shapes_that_contradict_each_other(self, arrays, message):
        with pytest.raises(ValueError, match=message):
            LAYOUT.sizes_of(arrays)
        with pytest.raises(ValueError, match=message):
            Record(LAYOUT, None, arrays)

    def test_another_number_of_dimensions(self):
        with pytest.raises(ValueError, match="zip"):
            Record(LAYOUT, None, {"given": np.zeros(8, np.int32)})

    def test_two_layouts_of_the_same_names_are_refused(self):
        """Kernels know a layout by its names."""
        with pytest.raises(ValueError, match="'a twin' has the names of another one"):
            Layout("a twin", LAYOUT.arrays, {"factor": np.float64, "position": np.int64})


@pytest.mark.parametrize("setting", ["guards", "no_guards"])
class TestRecord:
    @pytest.fixture(autouse=True)
    def _set(self, setting, request):
        request.getfixturevalue(setting)

    @pytest.mark.parametrize("n_members", [1, 3])
    def test_addresses_sizes_and_numbers(self, n_members):
        with Team(n_members) as team:
            record = Record(LAYOUT, team, {"given": given()}, {"m": 5}, {"factor": 0.5})
            n_members = team.n_members  # one, without compilation
        assert record.members["member"].tolist() == list(range(n_members))
        assert (record.members["n_members"] == n_members).all()
        expected = {"given": (4, 2), "sums": (5, 4), "of_members": (n_members, 3), "single": (1,)}
        for name, shape in expected.items():
            array = record.arrays[name]
            assert (array.shape, array.dtype) == (shape, LAYOUT.arrays[name][0])
            assert record.members[name].tolist() == [array.ctypes.data] * n_members
        np.testing.assert_array_equal(record.arrays["given"], given())
        for name, number in {"n": 4, "m": 5, "factor": 0.5, "position": 0}.items():
            assert (record.members[name] == number).all()
        record.check_guards()

    def test_sizes_that_nobody_names_are_zero(self):
        record = Record(LAYOUT, None, {"given": given()})
        assert record.arrays["sums"].shape == (0, 4)
        assert record.members["m"][0] == 0

    def test_arrays_for_another_team(self):
        of_members = {"of_members": np.zeros((3, 3), np.int64)}
        with (
            Team(2) as team,
            pytest.raises(ValueError, match=r"some sums contradict .*: 3"),
        ):
            Record(LAYOUT, team, of_members)

    def test_sizes_that_contradict_arrays(self):
        with pytest.raises(ValueError, match=r"sizes .*'n': 5.* of some sums contradict"):
            Record(LAYOUT, None, {"given": given()}, {"n": 5})
        assert Record(LAYOUT, None, {"given": given()}, {"n": 4}).members["n"][0] == 4

    @pytest.mark.parametrize("layout", EVERY_LAYOUT, ids=lambda layout: layout.name)
    def test_another_dtype(self, layout):
        for name, (dtype, shape) in layout.arrays.items():
            if name == "arrivals":  # the team's
                continue
            lengths = [{"n_members": 1}.get(n, 2) if isinstance(n, str) else n for n in shape]
            right = Record(layout, None, {name: np.zeros(lengths, dtype)})
            assert right.members[name][0] == right.arrays[name].ctypes.data
            with pytest.raises(TypeError, match=f"^{name} must be a C-ordered array of "):
                Record(layout, None, {name: np.zeros(lengths, np.float16)})

    @pytest.mark.parametrize(
        "sums", [np.zeros((2, 5), order="F"), np.zeros((2, 10))[:, ::2], np.zeros((5, 2)).T]
    )
    def test_another_order(self, no_guards, sums):
        with pytest.raises(TypeError, match=r"^sums must be a C-ordered array of float64\.$"):
            Record(LAYOUT, None, {"sums": sums})

    @pytest.mark.parametrize("n_members", [1, 2, 4])
    def test_what_kernels_find(self, n_members):
        numbers, lent = {"factor": 100.0}, given()
        with Team(n_members) as team:
            record = Record(LAYOUT, team, {"given": lent}, {"m": 3}, numbers)
            records.run(team, fill, [record])
            n_members = team.n_members  # one, without compilation
        of_members = 10 * np.arange(n_members)[:, None] + np.arange(3)
        np.testing.assert_array_equal(record.arrays["of_members"], of_members)
        assert record.arrays["single"][0] == of_members.sum()
        expected = 100.0 * np.arange(3)[:, None] + lent.prod(axis=1)
        np.testing.assert_array_equal(record.arrays["sums"], expected)

    def test_new_arrays(self):
        array = records.zeros((2, 3), np.int16)
        assert (array.dtype, array.shape, array.any()) == (np.int16, (2, 3), False)
        assert records.empty(4, np.uint8).shape == (4,)
        assert records.empty(np.int64(4), np.uint8).shape == (4,)
        assert records.empty((0, 3), float).shape == (0, 3)
        transposed = given().T
        copied = records.copy(transposed)
        np.testing.assert_array_equal(copied, transposed)
        assert copied.flags.c_contiguous
        assert not np.shares_memory(copied, transposed)


@pytest.mark.usefixtures("guards")
class TestGuards:
    def make(self, position=0, **arrays):
        arrays = {"given": given(), **arrays}
        return Record(LAYOUT, None, arrays, {"m": 3}, {"position": position})

    @compiled
    @pytest.mark.parametrize("position", [0, 11])
    def test_the_first_and_the_last_number_are_ours(self, position):
        records.run(Team(1), write_wildly, [self.make(position)])

    @compiled
    @pytest.mark.parametrize(
        ("position", "where"), [(-1, "before"), (-512, "before"), (12, "behind"), (523, "behind")]
    )
    def test_a_write_past_an_end(self, position, where):
        message = f"^a kernel wrote {where} the array sums of some sums, float64 of shape "
        with pytest.raises(RuntimeError, match=message):
            records.run(Team(1), write_wildly, [self.make(position)])

    @compiled
    def test_it_may_belong_to_another_record_of_the_call(self):
        with pytest.raises(RuntimeError, match="behind the array sums"):
            records.run(Team(1), write_wildly_in_the_first, [self.make(12), self.make()])
        sums = records.zeros((3, 4), np.float64)
        other, same = self.make(12, sums=sums), self.make(sums=sums)
        records.run(Team(1), write_wildly_in_the_first, [same, other])
        with pytest.raises(RuntimeError, match="behind the array sums"):
            records.run(Team(1), write_wildly_in_the_first, [other, same])

    def test_a_write_to_what_was_lent(self):
        lent = given()
        record = self.make(given=lent)
        assert not np.shares_memory(record.arrays["given"], lent)
        with pytest.raises(
            RuntimeError, match=r"^a kernel wrote to the array given of some sums, which it may"
        ):
            records.run(Team(1), write_to_what_is_lent, [record])
        np.testing.assert_array_equal(lent, given())

    def test_arrays_made_for_kernels_are_not_lent(self):
        own = records.copy(given())
        record = self.make(given=own)
        records.run(Team(1), write_to_what_is_lent, [record])
        assert record.arrays["given"] is own
        assert own[0, 1] == given()[0, 1] + 1

    def test_a_part_of_such_an_array_is_lent(self):
        record = self.make(given=records.copy(given(6))[:4])
        with pytest.raises(RuntimeError, match="given"):
            records.run(Team(1), write_to_what_is_lent, [record])

    def test_nan_that_is_lent_is_no_write(self):
        sums = np.full((3, 4), np.nan)
        self.make(sums=sums).check_guards()

    def test_they_go_with_their_arrays(self):
        before = len(records._guards)
        record = self.make()
        assert len(records._guards) > before
        del record
        assert len(records._guards) == before


@pytest.mark.usefixtures("no_guards")
class TestWithoutGuards:
    def test_nothing_is_copied_or_looked_at(self):
        lent, sums = given(), np.zeros((3, 4))
        record = Record(LAYOUT, None, {"given": lent, "sums": sums})
        assert record.arrays["given"] is lent
        assert record.arrays["sums"] is sums
        records.run(Team(1), write_to_what_is_lent, [record])
        assert lent[0, 1] == given()[0, 1] + 1

    def test_new_arrays_have_no_guards(self):
        before = len(records._guards)
        arrays = [records.empty(3, float), records.zeros(3, float), records.copy(np.ones(3))]
        assert len(records._guards) == before
        assert all(array.base is None for array in arrays)

    @pytest.mark.parametrize("value", ["0", "", "yes"])
    def test_only_one_switches_them_on(self, monkeypatch, value):
        monkeypatch.setenv(records.GUARDS_VARIABLE, value)
        assert not records.guards_are_on()

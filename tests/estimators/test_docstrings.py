"""The docstrings of the estimators say what is so."""

import doctest
import inspect
import re
import sys

import pytest
from numba import config

from rmtgb import RMTGBClassifier, RMTGBRegressor
from tests.estimators.data import few_rounds, school

KINDS = [RMTGBRegressor, RMTGBClassifier]


def entries(kind, section):
    """Names and types of a section of the class docstring."""
    text = inspect.getdoc(kind)
    body = re.search(rf"^{section}\n-+\n(.*?)(?=^\w+\n-+\n)", text, re.DOTALL | re.MULTILINE)[1]
    found = re.findall(r"^(\w[\w, ]*) : (.*)$", body, re.MULTILINE)
    return {name: kinds for names, kinds in found for name in names.split(", ")}


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_and_their_defaults(kind):
    documented = entries(kind, "Parameters")
    parameters = inspect.signature(kind).parameters
    assert list(documented) == list(parameters)
    for name, parameter in parameters.items():
        default = documented[name].split("default=")[1]
        assert eval(default, {}) == parameter.default, name


@pytest.mark.parametrize("kind", KINDS)
def test_attributes(kind):
    data = school(n_classes=2)
    model = kind(task_feature="school", **few_rounds(2)).fit(data.X, data.y)
    properties = {
        name
        for name, value in inspect.getmembers(type(model))
        if isinstance(value, property) and name.endswith("_") and not name.startswith("_")
    }
    fitted = {name for name in vars(model) if re.fullmatch(r"[a-z]\w*[a-z]_", name)}
    assert set(entries(kind, "Attributes")) == fitted | properties


@pytest.mark.parametrize("kind", KINDS)
def test_every_public_method_has_a_docstring(kind):
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.getdoc(method), name


@pytest.mark.skipif(config.DISABLE_JIT, reason="takes minutes as plain Python")
@pytest.mark.parametrize("kind", KINDS)
def test_examples(kind):
    result = doctest.testmod(sys.modules[kind.__module__])
    assert result.attempted > 5
    assert result.failed == 0

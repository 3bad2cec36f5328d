"""What the documents say is so: examples run, links lead somewhere, tables are complete."""

import dataclasses
import doctest
import inspect
import re
import runpy
from pathlib import Path

import pytest
from numba import config

import rmtgb
from rmtgb.cli import main
from rmtgb.datasets import TaskDials, make_multitab_bench, make_task_scenario

ROOT = Path(__file__).parent.parent
PAGES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md"))
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *PAGES]

NEEDS_COMPILER = pytest.mark.skipif(config.DISABLE_JIT, reason="takes minutes as plain Python")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def run_examples(name):
    """Run the Python blocks of a document one after another; return their variables."""
    variables = {}
    for position, block in enumerate(blocks(read(name), "python")):
        exec(compile(block, f"{name}, Python block {position}", "exec"), variables)
    return variables


@NEEDS_COMPILER
def test_examples_of_the_readme_run_and_find_the_outlier(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variables = run_examples("README.md")
    assert variables["model"].outlier_tasks_.tolist() == ["harbour"]
    train = {"X_train": variables["X"], "y_train": variables["y"]}
    table = variables["model"].task_scores(variables["X_new"], variables["y_new"], **train)
    assert (table["rmtgb"] < table["pooled"]).all()
    assert list(tmp_path.iterdir()) == []


@NEEDS_COMPILER
def test_examples_of_the_user_guide_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_examples("docs/user_guide.md")["model"].outlier_tasks_.tolist() == [5]


def test_examples_of_the_page_on_data_sets_run():
    variables = run_examples("docs/datasets.md")
    assert variables["truth"].dials == variables["dials"]
    assert variables["X"].shape == (3000, 7)  # five features, the time and the task


def test_the_page_on_data_sets_has_every_dial():
    rows = re.findall(r"^\| \w \| (.*?) \|", read("docs/datasets.md"), flags=re.MULTILINE)
    shown = {name for cell in rows for name in re.findall(r"`(\w+)`", cell)}
    assert {field.name for field in dataclasses.fields(TaskDials)} <= shown


def test_examples_of_the_transfer_page_run(capsys):
    variables = run_examples("docs/theory/transfer.md")
    assert variables["estimate"].together.verdict == "helps"
    assert "helps" in capsys.readouterr().out


@NEEDS_COMPILER
@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "examples").glob("*.py")), ids=str)
def test_example_scripts_run(path, tmp_path, monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pyplot, "show", lambda: None)
    runpy.run_path(str(path))
    pyplot.close("all")
    assert list(tmp_path.iterdir()) == []


def test_readme_has_two_commands_one_of_them_for_ci():
    text = read("README.md")
    commands = blocks(text, "bash")
    assert len(commands) == 2
    assert commands[0].strip().endswith(".venv/bin/rmtgb demo")
    assert "<!-- ci: test command -->\n```bash\n" + commands[1] in text


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    text = read(name)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https:", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        linked = ROOT / Path(name).parent / path if path else ROOT / name
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [as_anchor(heading) for heading in headings], target


def as_anchor(heading):
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize(
    ("heading", "function"),
    [
        ("Parameters of both estimators", rmtgb.RMTGBRegressor),
        ("Parameters of both estimators", rmtgb.RMTGBClassifier),
        ("make_task_scenario", make_task_scenario),
        ("make_multitab_bench", make_multitab_bench),
    ],
)
def test_reference_has_every_parameter_with_its_default(heading, function):
    documented = parameter_table(heading)
    if inspect.isclass(function):
        documented |= parameter_table(f"Only {function.__name__}")
    actual = {
        name: repr(parameter.default).replace("'", '"')
        for name, parameter in inspect.signature(function).parameters.items()
    }
    assert documented == actual


def parameter_table(heading):
    """Return names and defaults in the table below a heading of the reference."""
    section = re.split(r"^#+ ", read("docs/api.md"), flags=re.MULTILINE)
    text = next(part for part in section if part.replace("`", "").startswith(heading))
    return dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", text, flags=re.MULTILINE))


def test_reference_has_every_public_method_and_attribute():
    X, y = make_task_scenario(n_samples_per_task=10, random_state=0)
    text = read("docs/api.md")
    few = {"n_iter_shared": 1, "n_iter_partition": 1, "n_iter_task": 1}
    for estimator, target in ((rmtgb.RMTGBRegressor, y), (rmtgb.RMTGBClassifier, y > 0)):
        fitted = estimator(task_feature=-1, **few).fit(X, target)
        names = {name for name in dir(fitted) if not name.startswith("_")}
        names -= set(fitted.get_params())
        names -= {name for name in names if re.match("[sg]et_|callbacks?", name)}
        assert [name for name in sorted(names) if f"`{name}" not in text] == []


def test_reference_has_every_signature_of_the_calculator():
    text = read("docs/api.md")
    for name in rmtgb.transfer.__all__:
        item = getattr(rmtgb.transfer, name)
        assert f"`{name}" in text, name
        if inspect.isfunction(item):
            parameters = inspect.signature(item).parameters
            shown = re.search(rf"`{name}`\(([^)]*)\)", text).group(1)
            shown = [word.split("=")[0] for word in shown.split(", ") if word != "*"]
            assert shown == list(parameters), name


@pytest.mark.parametrize("module", [rmtgb.transfer, rmtgb.datasets], ids=lambda m: m.__name__)
def test_examples_of_docstrings_run(module):
    for name in module.__all__:
        item = getattr(module, name)
        finder = doctest.DocTestFinder(exclude_empty=True)
        for example in finder.find(item, name):
            result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)
            assert result.failed == 0, example.name


@pytest.mark.parametrize("command", ["demo", "compare", "transfer", "generate", "warmup"])
def test_reference_has_every_option_of_the_command(capsys, command):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    options = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    text = read("docs/api.md")
    assert [option for option in sorted(options) if f"`{option}" not in text] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_documents_name_exist(name):
    for path in re.findall(r"`((?:\.ci|rmtgb|tests|benchmarks|docs)/[\w./]+)`", read(name)):
        assert (ROOT / path).exists(), path


def test_the_architecture_page_names_every_module():
    page = read("docs/architecture.md")
    words = set(re.findall(r"\w+", page))
    modules = [path for path in (ROOT / "rmtgb").rglob("*.py") if path.stem != "__init__"]
    assert [str(path) for path in modules if path.stem not in words] == []

"""Claim: the example notebook runs, shows what it shows, and its page is made from it."""

import importlib.util
import json

import pytest

from tests.conftest import ROOT

NOTEBOOK = ROOT / "docs" / "examples" / "first-look.ipynb"


@pytest.fixture(scope="module")
def runner():
    about = importlib.util.spec_from_file_location("notebook_page", ROOT / "docs/notebook_page.py")
    module = importlib.util.module_from_spec(about)
    about.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stored():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def cells(*sources):
    return {"cells": [{"cell_type": "code", "source": [x], "outputs": []} for x in sources]}


@pytest.mark.claim("notebook")
def test_a_run_shows_what_is_stored(runner, stored, zoo, tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    (tmp_path / "docs" / "examples").mkdir(parents=True)
    (tmp_path / "zoo").symlink_to(zoo)
    monkeypatch.chdir(tmp_path / "docs" / "examples")
    found, kept = (runner.comparable(x) for x in (runner.executed(stored), stored))
    for cell, new, old in zip(stored["cells"], found, kept, strict=True):
        assert new == old, "".join(cell["source"])
    assert list((tmp_path / "docs" / "examples").iterdir()) == []


def test_its_page_is_up_to_date(runner, stored):
    assert runner.PAGE.read_text(encoding="utf-8") == runner.page(stored), (
        "run: python docs/notebook_page.py"
    )


def test_it_is_a_notebook_without_a_path_of_a_machine(stored):
    assert (stored["nbformat"], stored["metadata"]["kernelspec"]["name"]) == (4, "python3")
    code = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not any(word in json.dumps(stored) for word in ("/tmp", "/home", str(ROOT)))
    assert NOTEBOOK.stat().st_size < 100_000


def test_a_cell_that_raises_or_shows_something_else_is_noticed(runner):
    with pytest.raises(ZeroDivisionError):
        runner.executed(cells("x = 1", "x / 0"))
    one, two = (runner.executed(cells("x = 1", f"print(x)\n{y}")) for y in ("x + 1", "x + 2"))
    assert runner.comparable(one) == [[], ["1\n", "2"]]
    assert runner.comparable(one) != runner.comparable(two)
    slow, fast = (cells("1"), cells("1"))
    slow["cells"][0]["outputs"] = [{"text": ["read in 12.5 s; weightkin 1.0"]}]
    fast["cells"][0]["outputs"] = [{"text": ["read in 3 s; weightkin 1.1.dev0"]}]
    assert runner.comparable(slow) == runner.comparable(fast)

"""Claim: a package index shows the whole README, and one version is named everywhere."""

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import weightkin

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def shown():
    """The README as the package index gets it."""
    hook = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = README
    for change in hook["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    return text


def test_the_readme_has_no_link_or_picture_that_leads_nowhere():
    assert "](docs/" in README
    assert re.findall(r"\]\((?!https?:)", shown()) == []
    assert "![" not in shown()


def test_the_readme_keeps_its_words_commands_and_tables():
    words = re.sub(r"!\[[^\]]*\]\([^)]*\)|\]\([^)]*\)|\[", "", README)
    assert re.sub(r"[\[\]]", "", shown()).split() == re.sub(r"[\[\]]", "", words).split()


def test_what_cites_the_software_names_its_version_and_licence():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(cited["version"]) == weightkin.__version__
    assert cited["license"] == PROJECT["project"]["license"]
    assert cited["cff-version"] == "1.2.0"


def test_no_address_is_named_before_it_exists():
    assert "urls" not in PROJECT["project"]
    assert PROJECT["project"]["authors"] == [{"name": "the weightkin contributors"}]


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_forms_for_issues_have_fields_with_names_of_their_own(form):
    said = yaml.safe_load(form.read_text(encoding="utf-8"))
    if form.stem == "config":
        assert said == {"blank_issues_enabled": True}
        return
    assert {"name", "description", "body"} <= said.keys()
    fields = [x for x in said["body"] if x["type"] != "markdown"]
    assert {x["type"] for x in fields} <= {"input", "textarea", "dropdown"}
    assert len({x["id"] for x in fields}) == len(fields)
    assert all(x["attributes"]["label"] for x in fields)


@pytest.mark.parametrize("name", ["anatomy", "evasions", "formats", "registry", "sketch"])
def test_names_of_a_package_are_loaded_on_first_use_and_all_there(name):
    package = import_module(f"weightkin.{name}")
    assert dir(package) == sorted(package.__all__)
    found = {x: getattr(package, x) for x in package.__all__}
    assert not [x for x, value in found.items() if isinstance(value, ModuleType)]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


SEVERAL = "asyncio", "http.client", "multiprocessing", "urllib.request"
OF_MODELS = "scipy", "weightkin.anatomy.read", "weightkin.formats.table", "weightkin.sketch.take"


@pytest.mark.parametrize(
    ("loads", "unused"),
    [
        ("registry.listing, weightkin.report.lists", (*SEVERAL, *OF_MODELS)),
        ("api.compare, weightkin.report.comparison", SEVERAL),
    ],
)
def test_a_command_loads_nothing_that_it_does_not_need(loads, unused):
    check = f"print([x for x in {unused!r} if x in sys.modules])"
    line = f"import sys, weightkin.cli.main, weightkin.{loads}; {check}"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

"""Claim: tests use what is public, of benchmarks what no claim is in; claims are on top."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"weightkin", "benchmarks", "zoo", "tests"}
# folder of benchmarks: those it must not import
ABOVE = {
    "lib": {"claims", "generate"},
    "generate": {"claims"},
    "catalogue": {"claims", "generate"},
}
USED = ("benchmarks.lib.", "benchmarks.fuzz.", "benchmarks.catalogue.")  # by tests


def imports(tree):
    """Every name that is imported, in full: ``from a.b import c`` is ``a.b.c``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_private(name):
    return name.startswith("_") and not name.endswith("_")


def private_names(tree):
    """Private names of ours that a module imports or takes from an object other than its own."""
    foreign = {"self", "cls"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            foreign |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    for name in imports(tree):
        first, *rest = name.split(".")
        if first in OURS:
            yield from (part for part in rest if is_private(part))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            is_foreign = isinstance(node.value, ast.Name) and node.value.id in foreign
            if not is_foreign:
                yield node.attr


WRITERS = ROOT / "tests" / "fixtures" / "writers"  # run by hand, with the libraries of others
TESTS = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "tests").rglob("*.py")
         if path.parent != WRITERS}  # fmt: skip


@pytest.mark.parametrize("name", TESTS)
def test_tests_use_what_is_public(name):
    tree = ast.parse(TESTS[name].read_text(encoding="utf-8"))
    assert sorted(private_names(tree)) == []
    used = {name for name in imports(tree) if name.startswith("benchmarks")}
    assert {x for x in used if not x.startswith(USED)} == set()


@pytest.mark.parametrize("folder", ABOVE)
def test_folders_of_the_benchmarks_import_one_way(folder):
    for path in (ROOT / "benchmarks" / folder).rglob("*.py"):
        found = {name.split(".")[1] for name in imports(ast.parse(path.read_text("utf-8")))
                 if name.startswith("benchmarks.")}  # fmt: skip
        assert found & ABOVE[folder] == set(), path.name


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from weightkin.stats.copies import _x", ["_x"]),
        ("import torch\ntorch._neg_view(1)", []),
        ("from weightkin import stats\nstats._x", ["_x"]),
        ("class A:\n    def b(self):\n        return self._x", []),
        ("record()._repr_html_()", []),
        ("record()._x", ["_x"]),
    ],
)
def test_private_names_are_seen(text, found):
    assert list(private_names(ast.parse(text))) == found

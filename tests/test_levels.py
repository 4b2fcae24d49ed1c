"""Claim: rooms import only from lower levels, and the import graph has no cycle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import weightkin

SOURCE = Path(__file__).parents[1] / "src" / "weightkin"
LEVELS = {
    "errors": -2,
    "_version": -2,
    "arrays": -2,
    "notebooks": -2,
    "on_demand": -2,
    "text": -1,
    "processes": -1,
    "records": 0,
    "stats": 0,
    "scan": 0,
    "compute": 0,
    "catalogue": 0,
    "sources": 1,
    "formats": 2,
    "anatomy": 3,
    "sketch": 4,
    "evasions": 4,
    "evidence": 5,
    "derivation": 6,
    "localise": 6,
    "papers": 7,
    "lineage": 8,
    "api": 9,
    "registry": 10,
    "report": 10,
    "web": 11,
    "policy": 11,
    "cli": 12,
    "__main__": 13,
}
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.name != "__init__.py" or
                 path.parent != SOURCE)  # fmt: skip
FILES = {".".join(("weightkin", *path.relative_to(SOURCE).with_suffix("").parts))
         .removesuffix(".__init__"): path for path in SOURCE.rglob("*.py")}  # fmt: skip
HEAVY = {"torch", "transformers", "huggingface_hub", "safetensors", "diffusers", "gguf",
         "distributed", "lancedb", "pyarrow"}  # fmt: skip


def _imports(path):
    """Modules of ours that a file imports when it runs, not when it is type-checked."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "weightkin":
                yield from (f"weightkin.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _room(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LEVELS else None


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_room_imports_only_from_lower_rooms(path):
    own = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    assert own in LEVELS, f"room {own} has no level"
    for module in _imports(path):
        room = _room(module) if module.startswith("weightkin.") else None
        if room and room != own:
            assert LEVELS[room] < LEVELS[own], f"{path.name} imports {module}"


def _named(path):
    """Every module of ours that a file names in an import, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in FILES else node.module for name in inner)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_module_imports_the_package_itself():
    assert [name for name, path in FILES.items() if name != "weightkin" and
            "weightkin" in _named(path)] == []  # fmt: skip


def test_no_modules_import_one_another_in_a_circle():
    """Not even for type checking: what is needed on both sides belongs to a third module."""
    needs = {name: {x for x in _named(path) if x in FILES and x != name}
             for name, path in FILES.items() if name != "weightkin"}  # fmt: skip
    TopologicalSorter(needs).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_heavy_packages_are_never_imported_at_the_top(path):
    top = {m.split(".")[0] for node in ast.parse(path.read_text()).body
           if isinstance(node, ast.Import | ast.ImportFrom)
           for m in ([node.module or ""] if isinstance(node, ast.ImportFrom) else
                     [a.name for a in node.names])}  # fmt: skip
    assert not top & HEAVY


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_modules_stay_readable(path):
    assert len(path.read_text().splitlines()) <= 300


def test_no_room_hides_a_public_name():
    rooms = {path.name.removesuffix(".py") for path in SOURCE.iterdir()}
    assert not rooms & set(weightkin.__all__)

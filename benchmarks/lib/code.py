"""One hash over all that a benchmark's answer depends on: its code, the library's, the zoo."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "src" / "weightkin"
OURS = ("benchmarks", "tests", "zoo")


def code_hash(*modules: str, library: Path = LIBRARY) -> str:
    """Hash of some modules, of what they import from here, of the library and of the zoo."""
    held = {p.relative_to(library): p for p in library.rglob("*") if p.is_file()}
    held = {name: p for name, p in held.items() if p.suffix != ".pyc"}
    ours = [*files_of(*modules), ROOT / "constraints.txt", ROOT / "zoo" / "truth.json"]
    held |= {p.relative_to(ROOT): p for p in ours}  # where the checkout lies is no part of it
    total = hashlib.sha256()
    for name in sorted(held):
        total.update(f"{name.as_posix()}\n".encode() + held[name].read_bytes() + b"\n")
    return total.hexdigest()[:12]


def files_of(*modules: str) -> set[Path]:
    """Files of modules, packages whole, and of all that they import from here."""
    found: set[Path] = set()
    waiting = [path for name in modules for path in (_path(name), *_inside(name)) if path]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [p for name in _imported(path) if (p := _path(name))]
    return found


def _path(name: str) -> Path | None:
    """The file of a module or package; None of what is not ours."""
    if name.partition(".")[0] not in OURS:
        return None
    path = ROOT.joinpath(*name.split("."))
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.exists()), None)


def _inside(name: str) -> Iterator[Path]:
    return ROOT.joinpath(*name.split(".")).glob("*.py")


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (x.name for x in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{x.name}" for x in node.names)

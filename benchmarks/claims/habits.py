"""Habits of the source in numbers: its size, long functions, flags, circles, copies, docstrings.

python -m benchmarks.claims.habits            this tree beside 0.1.0 (`make results CLAIM=code`)
python -m benchmarks.claims.habits --places   also where, for each figure
python -m benchmarks.claims.habits FOLDER     another tree, which holds `src` and `tests`
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from benchmarks.lib.tables import markdown

ROOT = Path(__file__).parents[2]
PACKAGE = "weightkin"
MOST_LINES, MOST_PARAMETERS = 50, 6
N_DOCUMENTED = 3  # parameters from which a docstring has sections
N_ALIKE = 6  # lines of code that two places share
BROAD = {"Exception", "BaseException"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
IMPORTS = (ast.Import, ast.ImportFrom)
BEFORE = {  # of commit 31b1b9b, by this script
    "lines of Python": "36,361",
    "files of Python": "259",
    "functions over 50 lines": "13 of 1958 (0.7 %)",
    "functions over 6 parameters, commands apart": "24 of 1902 (1.3 %)",
    "public functions of 3 or more parameters without full docstring": "185 of 202 (91.6 %)",
    "positional flags": "18",
    "import circles": "2",
    "imports from a higher room": "16",
    "class names used twice": "16",
    "places that repeat 6 lines or more": "8",
    "broad excepts": "2",
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A file of the package: its name from the package on, and its text."""

    name: tuple[str, ...]
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """What Python reads."""
        return ast.parse(self.text)

    @cached_property
    def functions(self) -> list[Function]:
        """All functions and methods, those inside others too."""
        return [node for node in ast.walk(self.tree) if isinstance(node, FUNCTIONS)]


@dataclass(frozen=True)
class Figure:
    """One figure: its value, and the places that it counts."""

    value: str
    places: tuple[str, ...] = ()


def run() -> list[str]:
    """The table of the section."""
    return table(measure(ROOT))


def table(found: Mapping[str, Figure]) -> list[str]:
    """Figures beside those of 0.1.0."""
    rows = [(what, BEFORE[what], figure.value) for what, figure in found.items()]
    return markdown(("of `src`", "0.1.0", "now"), rows)


def measure(root: Path) -> dict[str, Figure]:
    """Each figure of the tree under ``root``, by what it counts."""
    modules = list(read(root / "src" / PACKAGE))
    every = [(m, f) for m in modules for f in m.functions]
    own = [(m, f) for m, f in every if m.name[:1] != ("cli",)]
    public = [(m, f) for m in modules for f in documented(m)]
    found = {
        "lines of Python": Figure(f"{sum(len(m.text.splitlines()) for m in modules):,}"),
        "files of Python": Figure(str(len(modules))),
        f"functions over {MOST_LINES} lines": _share(every, lambda f: n_lines(f) > MOST_LINES),
        f"functions over {MOST_PARAMETERS} parameters, commands apart": _share(
            own, lambda f: len(parameters(f)) > MOST_PARAMETERS
        ),
        f"public functions of {N_DOCUMENTED} or more parameters without full docstring": _share(
            public, lambda f: not is_documented(f)
        ),
    }
    counted = {
        "positional flags": [f"{_place(m, f)}: {x.arg}" for m, f in own for x in flags(f)],
        "import circles": [", ".join(group) for group in circles(modules)],
        "imports from a higher room": upward(modules, levels(root)),
        "class names used twice": used_twice(modules),
        f"places that repeat {N_ALIKE} lines or more": repeated(modules),
        "broad excepts": [_place(m, x) for m in modules for x in ast.walk(m.tree) if is_broad(x)],
    }
    return found | {what: Figure(str(len(x)), tuple(x)) for what, x in counted.items()}


def _share(functions: list[tuple[Module, Function]], is_one: Callable[[Function], bool]) -> Figure:
    places = tuple(_place(m, f) for m, f in functions if is_one(f))
    n = len(functions)
    return Figure(f"{len(places)} of {n} ({100 * len(places) / n:.1f} %)", places)


def _place(module: Module, node: ast.AST) -> str:
    name = f" {node.name}" if isinstance(node, FUNCTIONS) else ""
    return f"{'.'.join(module.name)}:{getattr(node, 'lineno', 0)}{name}"


def read(folder: Path) -> Iterator[Module]:
    """All Python files under the folder of the package."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        name = parts[:-1] if parts[-1] == "__init__" else parts
        yield Module(name, path.read_text(encoding="utf-8"))


def n_lines(function: Function) -> int:
    """Lines from ``def`` to the last one, the docstring apart."""
    text = ast.get_docstring(function, clean=False)
    return (function.end_lineno or 0) - function.lineno + 1 - (len(text.split("\n")) if text else 0)


def parameters(function: Function) -> list[ast.arg]:
    """Parameters by name; ``self`` and ``cls`` apart."""
    found = function.args
    every = [*found.posonlyargs, *found.args, *found.kwonlyargs]
    return [x for x in every if x.arg not in ("self", "cls")]


def flags(function: Function) -> list[ast.arg]:
    """Truth values that may be given by position."""
    found = function.args
    positional = [*found.posonlyargs, *found.args]
    with_default = dict(zip(reversed(positional), reversed(found.defaults), strict=False))
    return [
        x
        for x in positional
        if (isinstance(x.annotation, ast.Name) and x.annotation.id == "bool")
        or isinstance(getattr(with_default.get(x), "value", None), bool)
    ]


def imported(module: Module, *, with_types: bool = False) -> Iterator[tuple[str, ...]]:
    """Modules of ours that one imports, inside functions too; those for type checkers if asked."""
    waiting: list[ast.AST] = [module.tree]
    while waiting:
        node = waiting.pop()
        is_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if is_for_types and not with_types:
            continue
        waiting += ast.iter_child_nodes(node)
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            first, *rest = name.split(".")
            if first == PACKAGE:
                yield tuple(rest)


def circles(modules: Iterable[Module]) -> list[list[str]]:
    """Groups of modules that import one another, if only for type checkers."""
    named = {m.name: m for m in modules}
    number = {name: i for i, name in enumerate(named)}
    ends = [
        (number[name], number[target])
        for name, module in named.items()
        for target in (_known(x, number) for x in imported(module, with_types=True))
        if target is not None and target != name
    ]
    graph = coo_array(([1] * len(ends), tuple(zip(*ends, strict=True))), shape=(len(named),) * 2)
    groups: dict[int, list[str]] = defaultdict(list)
    for name, group in zip(named, connected_components(graph, connection="strong")[1], strict=True):
        groups[int(group)].append(".".join(name))
    return [group for group in groups.values() if len(group) > 1]


def _known(name: tuple[str, ...], number: Mapping[tuple[str, ...], int]) -> tuple[str, ...] | None:
    """The module that a name belongs to."""
    while name and name not in number:
        name = name[:-1]
    return name or None


def levels(root: Path) -> dict[str, int]:
    """Level of each room, as the tests of that tree state it."""
    tree = ast.parse((root / "tests" / "test_levels.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LEVELS":
            found: dict[str, int] = ast.literal_eval(node.value)
            return found
    raise ValueError("tests/test_levels.py states no LEVELS")


def upward(modules: Iterable[Module], level: Mapping[str, int]) -> list[str]:
    """Imports of a room no lower than one's own; the package root is as high as it reaches."""
    modules = list(modules)
    (root,) = (m for m in modules if not m.name)
    reached = {x[0] for x in imported(root, with_types=True) if x and x[0] in level}
    top = max(level[room] for room in reached)
    found = []
    for module in modules:
        own = module.name[0] if module.name else ""
        for target in set(imported(module)) if own in level else ():
            room = target[0] if target else ""
            if room != own and level.get(room, top) >= level[own]:
                found.append(f"{'.'.join(module.name)}: {'.'.join(target) or PACKAGE}")
    return sorted(found)


def used_twice(modules: Iterable[Module]) -> list[str]:
    """Names that more than one class has, private ones too."""
    count = Counter(x.name for m in modules for x in m.tree.body if isinstance(x, ast.ClassDef))
    return sorted(name for name, n in count.items() if n > 1)


def repeated(modules: Iterable[Module]) -> list[str]:
    """Places whose lines of code stand elsewhere too; imports, comments and brackets apart."""
    windows: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for module in modules:
        lines = list(_code_lines(module))
        for i in range(len(lines) - N_ALIKE + 1):
            text = tuple(x for _, x in lines[i : i + N_ALIKE])
            windows[text].append((".".join(module.name), i))
    places = sorted({place for found in windows.values() if len(found) > 1 for place in found})
    known = set(places)
    return [f"{name}, code line {i}" for name, i in places if (name, i - 1) not in known]


def _code_lines(module: Module) -> Iterator[tuple[int, str]]:
    """Lines with a letter or digit that are neither imports, comments nor docstrings."""
    left_out = set()
    for node in ast.walk(module.tree):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.stmt) and (is_text or isinstance(node, IMPORTS)):
            left_out |= set(range(node.lineno, (node.end_lineno or 0) + 1))
    for number, line in enumerate(module.text.splitlines(), 1):
        text = line.partition("  # ")[0].strip()
        if number not in left_out and not text.startswith("#") and any(map(str.isalnum, text)):
            yield number, text


def documented(module: Module) -> Iterator[Function]:
    """Public functions of three or more parameters, methods and commands apart."""
    if module.name[:1] != ("cli",):
        own = (x for x in module.tree.body if isinstance(x, FUNCTIONS) and x.name[0] != "_")
        yield from (x for x in own if len(parameters(x)) >= N_DOCUMENTED)


def is_documented(function: Function) -> bool:
    """Whether a docstring has Parameters, Returns where something comes back, Raises likewise."""
    text = ast.get_docstring(function) or ""
    wanted = ["Parameters"]
    returned = function.returns
    if returned is not None and ast.unparse(returned) not in ("None", "NoReturn", "Never"):
        wanted.append("Yields" if "yield" in ast.unparse(function) else "Returns")
    if any(isinstance(node, ast.Raise) and node.exc for node in ast.walk(function)):
        wanted.append("Raises")
    lines = text.splitlines()
    return all(word in lines or (word == "Yields" and "Returns" in lines) for word in wanted)


def is_broad(node: ast.AST) -> bool:
    """Whether an except clause catches nearly all there is."""
    if not isinstance(node, ast.ExceptHandler):
        return False
    names = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(x is None or (isinstance(x, ast.Name) and x.id in BROAD) for x in names)


def main() -> None:
    """Print the table, and the places if they are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.claims.habits")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT)
    parser.add_argument("--places", action="store_true", help="where each figure comes from")
    given = parser.parse_args()
    found = measure(given.folder)
    print("\n".join(table(found)))
    for what, figure in found.items():
        if given.places and figure.places:
            print("", what, *(f"    {place}" for place in figure.places), sep="\n")


if __name__ == "__main__":
    main()

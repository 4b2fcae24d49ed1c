"""A census of other people's classes: is a child found, and how much of each model is tested.

    python -m benchmarks.claims.census                        every class that builds
    python -m benchmarks.claims.census llama UNet2DModel      these model types or classes

One class of each model type of transformers and every class of diffusers is built tiny with random
weights (A), as a child with 10 % noise (C) and with other weights (B), and saved by its library.
C must be found from A; B must not be, nor any alignment with it. How much of a model lies on axes
is counted at real size, from names and shapes alone. A stopped run goes on where it was.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.catalogue.classes import ModelClass, all_classes, real, tiny
from benchmarks.catalogue.saved import empty_model
from benchmarks.catalogue.weights import child_of
from benchmarks.lib.bounded import each
from benchmarks.lib.code import code_hash
from benchmarks.lib.tables import markdown
from weightkin import Comparison, compare, read_anatomy
from weightkin.evidence.reach import declared_share

SECONDS = 180
GIGABYTES = 14
FOLDER = Path(__file__).parents[2] / "build" / "census"
FALSE = ("dependent", "aligned-only")
MAX_NAMED = 12  # classes named for one cause
Line = dict[str, Any]


def look_at(own: ModelClass) -> Line:
    """Build, compare and count one class; ``stage`` is how far it came."""
    started = time.perf_counter()
    line: Line = {"class": str(own), "library": own.library, "stage": "built"}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            _save_three(own, folder)
        except Exception as error:  # a library may raise anything
            return {**line, "stage": "not built", "why": _short(error)}
        try:
            child = compare(folder / "a", folder / "c", seed=0)
            other = compare(folder / "a", folder / "b", seed=0)
            line |= _found(child, other)
        except Exception as error:
            return {**line, "stage": "crashed", "why": _short(error)}
    try:
        model = empty_model(real(own))
    except Exception as error:
        line["not_real"] = _short(error)
    else:
        line["real"] = round(declared_share(model, read_anatomy(model)), 4)
    return {**line, "seconds": round(time.perf_counter() - started, 1)}


def lines_of(
    classes: Iterable[ModelClass], out: Path | None = None, *, seconds: float = SECONDS
) -> list[Line]:
    """Look at every class in processes of their own; those that ``out`` knows are not looked at.

    Parameters
    ----------
    classes : iterable of ModelClass
        What to look at.
    out : Path, optional
        A line of JSON for each class, written as soon as it is known.
    seconds : float
        Limit of one class.

    Returns
    -------
    list of dict
        In the order of the classes.
    """
    wanted = list(classes)
    known = {}
    if out is not None and out.exists():
        known = {x["class"]: x for x in map(json.loads, out.read_text().splitlines())}
    todo = [own for own in wanted if str(own) not in known]
    for own, found, why in each(look_at, todo, seconds=seconds, gigabytes=GIGABYTES):
        line = found or {"class": str(own), "library": own.library, "stage": "gave up", "why": why}
        known[str(own)] = line
        if out is not None:
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
    return [known[str(own)] for own in wanted]


def table(lines: Sequence[Line]) -> list[str]:
    """Results by library, causes where nothing was tested, and classes that were left out."""
    rows = [
        _row(library, [x for x in lines if library in ("all", x["library"])])
        for library in (*dict.fromkeys(x["library"] for x in lines), "all")
    ]
    header = ("library", "classes", "built", "child found", "not testable", "unrelated found",
              "crashed", "share on axes, median", "tenth percentile")  # fmt: skip
    return [
        *markdown(header, rows),
        "",
        "Children that were found, by the basis of the verdict and by the tests that passed"
        " (`units` counts channels and recurrent cells too, which no invariant confirms):",
        "",
        *markdown(("basis", "passed", "classes", "such as"), _bases(lines)),
        "",
        "Children that were not found, by what the record says stood in the way:",
        "",
        *markdown(("code", "classes", "such as"), _causes(lines)),
        "",
        "Left out:",
        "",
        *markdown(("why", "classes", "such as"), _left_out(lines)),
    ]


def run() -> list[str]:
    """The census in full."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    out = FOLDER / f"{code_hash('benchmarks.claims.census')}.jsonl"
    return table(lines_of(all_classes(only_main=True), out))


def _save_three(own: ModelClass, folder: Path) -> None:
    """A, its child C and an unrelated B, each as its library saves it."""
    model: Any = tiny(own, 0, 1)
    model.save_pretrained(folder / "a")
    child_of(model, 3)
    model.save_pretrained(folder / "c")
    model = tiny(own, 0, 2)
    model.save_pretrained(folder / "b")


def _found(child: Comparison, other: Comparison) -> Line:
    return {
        "child": child.verdict,
        "basis": child.basis,
        "passed": [x.axis for x in child.axes if x.passes],
        "other": other.verdict,
        "log10_pvalue": round(child.log10_pvalue, 1),
        "tested": child.tested_share,
        "codes": sorted({x.code for x in child.skipped}),
    }


def _row(library: str, lines: Sequence[Line]) -> tuple[object, ...]:
    built = [x for x in lines if "child" in x]
    shares = sorted(x["real"] for x in built if "real" in x)
    crashed = sum(x["stage"] == "crashed" for x in lines)
    tenth = quantiles(shares, n=10, method="inclusive")[0] if len(shares) > 1 else 0.0
    return (
        library,
        len(lines),
        len(built) + crashed,
        sum(x["child"] == "dependent" for x in built),
        sum(x["child"] == "not-testable" for x in built),
        sum(x["other"] in FALSE for x in built),
        crashed,
        f"{100 * median(shares):.0f} %" if shares else "",
        f"{100 * tenth:.0f} %",
    )


def _causes(lines: Sequence[Line]) -> list[tuple[object, ...]]:
    missed = [x for x in lines if "child" in x and x["child"] != "dependent"]
    by_code: dict[str, list[str]] = defaultdict(list)
    for x in missed:
        for code in x["codes"] or ["none"]:
            by_code[code].append(_name(x))
    return _counted(by_code)


def _bases(lines: Sequence[Line]) -> list[tuple[object, ...]]:
    by_basis: dict[tuple[str, str], list[str]] = defaultdict(list)
    for x in lines:
        if x.get("child") == "dependent":
            by_basis[x["basis"], ", ".join(x["passed"])].append(_name(x))
    groups = sorted(by_basis.items(), key=lambda x: (x[0][0], -len(x[1])))
    return [(*key, len(names), _such_as(names)) for key, names in groups]


def _left_out(lines: Sequence[Line]) -> list[tuple[object, ...]]:
    by_why: dict[str, list[str]] = defaultdict(list)
    for x in lines:
        if x["stage"] != "built":
            by_why[f"{x['stage']}: {_missing(x['why'])}"].append(_name(x))
    return _counted(by_why)


def _counted(groups: dict[str, list[str]]) -> list[tuple[object, ...]]:
    counts = Counter({key: len(names) for key, names in groups.items()})
    return [(key, n, _such_as(groups[key])) for key, n in counts.most_common()]


def _such_as(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (" ..." if len(names) > MAX_NAMED else "")


def _missing(why: str) -> str:
    """Why, without the long advice on a library that is not installed."""
    return why.partition("library but it was not found")[0].replace("|", "/")[:120].strip()


def _name(line: Line) -> str:
    return str(line["class"]).split(":")[1]


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def main(names: Sequence[str]) -> None:
    """Print the table of the classes that are named, or of all."""
    if not names:
        print("\n".join(run()))
        return
    wanted = [x for x in all_classes() if (x.is_main and x.kind in names) or x.name in names]
    found = lines_of(wanted)
    print("\n".join([*map(json.dumps, found), "", *table(found)]))


if __name__ == "__main__":
    main(sys.argv[1:])

"""The main job on the bundled zoo: which base does each model come from? Beside the truth."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from zoo import truth

from benchmarks.zoo_pairs import Outcome, compare_pair
from weightkin.report.terminal import comparison_lines
from weightkin.verbs.compare import compare

SHOWN = (("llama-a", "llama-a-ft3"), ("llama-a", "llama-b"))
SYMBOL = {"dependent": "yes", "aligned-only": "aligned", "no-evidence": ".", "not-testable": " "}


def main() -> None:
    """Two comparisons in full, then every model against every base."""
    started = time.perf_counter()
    entries = truth.load()
    for a, b in SHOWN:
        paths = [os.path.relpath(truth.ROOT / entries[name]["path"]) for name in (a, b)]
        print(f"$ weightkin compare {paths[0]} {paths[1]}\n")
        print("\n".join(comparison_lines(compare(*paths))), "\n")
    bases = [name for name, entry in entries.items() if entry["kind"] == "base"]
    pairs = [
        (name, base)
        for name in entries
        for base in bases
        if name != base and entries[name]["architecture"] == entries[base]["architecture"]
    ]
    with ProcessPoolExecutor(os.cpu_count() or 1) as pool:
        found = {(o.a, o.b): o for o in pool.map(compare_pair, pairs, chunksize=8)}
    print("Every model of the zoo against every base of its architecture (yes: dependent at alpha")
    print("1e-6; .: no evidence). An exclamation mark is a disagreement with the truth.\n")
    print("\n".join(_matrix(list(entries), bases, found)))
    wrong = sum(_is_wrong(o) for o in found.values())
    n_independent = sum(not o.related for o in found.values())
    accused = sum(o.verdict == "dependent" and not o.related for o in found.values())
    print(
        f"\n{len(found)} pairs, {wrong} against the truth; {accused} of {n_independent} independent"
    )
    print(f"pairs called dependent. {time.perf_counter() - started:.0f} s.")
    print("Try: .venv/bin/weightkin compare MODEL_A MODEL_B, or --json for the whole record.")
    sys.exit(1 if accused else 0)


def _matrix(
    names: list[str], bases: list[str], found: dict[tuple[str, str], Outcome]
) -> Iterator[str]:
    width = max(map(len, names))
    yield f"{'':<{width}}  " + "  ".join(f"{base:>8}" for base in bases)
    for name in names:
        cells = []
        for base in bases:
            outcome = found.get((name, base))
            mark = SYMBOL[outcome.verdict] if outcome else "itself" if name == base else ""
            cells.append(f"{mark + ('!' if outcome and _is_wrong(outcome) else ''):>8}")
        yield f"{name:<{width}}  " + "  ".join(cells)


def _is_wrong(outcome: Outcome) -> bool:
    return (outcome.verdict == "dependent") != outcome.related


if __name__ == "__main__":
    main()

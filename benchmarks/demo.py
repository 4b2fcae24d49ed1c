"""The main job on the bundled zoo: two comparisons, then the family graph beside the truth."""

from __future__ import annotations

import os
import sys
import time

from zoo import truth

from benchmarks.claims import family
from weightkin.api.compare import compare
from weightkin.cli.answers import Answer, Color, is_coloured, terminal_width
from weightkin.cli.progress import family_stages, progress_line
from weightkin.report.comparison import comparison_lines
from weightkin.report.html import page
from weightkin.report.tree import family_lines

PAGE = truth.ROOT.parent / "build" / "demo.html"
SHOWN = (("llama-a", "llama-a-ft3"), ("llama-a", "llama-b"))


def main() -> None:
    """Compare a child and an unrelated model, then recover the family of the whole zoo."""
    started = time.perf_counter()
    entries = truth.load()
    answer = Answer(False, False, terminal_width(), is_coloured(Color.AUTO))
    for a, b in SHOWN:
        paths = [os.path.relpath(truth.ROOT / entries[name]["path"]) for name in (a, b)]
        print(f"$ weightkin compare {paths[0]} {paths[1]}\n")
        answer.lines([*comparison_lines(compare(*paths)), ""])
    print(
        f"The family graph of {len(entries)} models, recovered from their weights alone (they were"
    )
    print("given neutral names in random order; the true names are put back for reading).\n")
    with progress_line(answer, family_stages()) as progress:
        graph, key = family.recover(progress=progress)
    found = family.score(graph, key)
    renamed = family.renamed(graph, key)
    answer.lines(family_lines(renamed, is_unicode=_is_unicode(), width=answer.width))
    print("\nBeside the truth:\n")
    print("\n".join(family.lines(found, graph)))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(renamed, command="make demo"), encoding="utf-8")
    print(f"The same to look at, with reasons on every edge: {os.path.relpath(PAGE)}")
    print(f"{time.perf_counter() - started:.0f} s. Try: .venv/bin/weightkin tree FOLDER, or")
    print(".venv/bin/weightkin compare MODEL_A MODEL_B, both with --json for the whole record.")
    sys.exit(1 if found.n_strangers_joined else 0)


def _is_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")


if __name__ == "__main__":
    main()

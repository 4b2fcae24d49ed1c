"""Real pretrained weights: MiniLM against its copies, and an unrelated model of its shape."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.generate.minilm_copies import make_copies, model_folder
from benchmarks.lib.tables import markdown
from weightkin.api.compare import compare
from weightkin.records import Comparison


def compare_copies(folder: Path, *, n_steps: int) -> dict[str, tuple[bool, Comparison]]:
    """Compare the original with every copy and unrelated model."""
    original = model_folder()
    copies = make_copies(folder, n_steps=n_steps)
    return {name: (rel, compare(original, path, seed=0)) for name, (path, rel) in copies.items()}


def lines(found: dict[str, tuple[bool, Comparison]]) -> list[str]:
    """The table of the section."""
    rows = []
    for name, (is_related, record) in found.items():
        best = min(record.axes, key=lambda axis: axis.log10_pvalue)
        ratio = best.effect.ratio if best.effect else 0.0
        truth = "related" if is_related else "independent"
        rows.append((name, truth, record.verdict, f"{record.log10_pvalue:.1f}", f"{ratio:.2f}"))
    return markdown(("MiniLM against", "truth", "verdict", "log10 p", "effect ratio"), rows)


def run(n_steps: int = 60) -> list[str]:
    """Make, compare, return the table."""
    with tempfile.TemporaryDirectory() as name:
        return lines(compare_copies(Path(name), n_steps=n_steps))

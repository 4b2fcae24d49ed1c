"""Mixtures of the zoo: parents, weights and method found among all models; what decoys reach."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.lib.tables import markdown
from weightkin import open_model
from weightkin.derivation.merge_methods import explain_merge
from weightkin.derivation.merges import find_merge, gram_matrices
from weightkin.sketch import Scheme, take_sketch

ZOO = Path(__file__).parents[2] / "zoo"


def values(truth: dict[str, Any], scheme: Scheme) -> list[dict[str, Any]]:
    """Sampled values of every model of the zoo."""
    found = []
    for record in truth.values():
        sketch = take_sketch(open_model(str(ZOO / record["path"])), scheme)
        found.append({name: tensor.values for name, tensor in sketch.tensors.items()})
    return found


def run() -> list[str]:
    """Explain every model by all others, from whole tensors and from default sketches."""
    truth = json.loads((ZOO / "truth.json").read_text(encoding="utf-8"))
    truth = truth.get("models", truth)
    names = list(truth)
    copies = {n for n in names if truth[n]["kind"] in ("identical", "header-only")}
    lines: list[str] = []
    for title, scheme in (("Whole tensors", Scheme.whole()), ("Default sketches", Scheme())):
        models = values(truth, scheme)
        grams = gram_matrices(models)
        rows, called = [], []
        decoys: list[tuple[float, float, str]] = []
        for k, name in enumerate(names):
            if name in copies:
                continue
            others = [j for j, other in enumerate(names) if j != k and other not in copies]
            found = explain_merge(k, others, models, labels=names, grams=grams)
            parents = {p["name"]: p["weight"] for p in truth[name]["parents"]}
            if len(parents) < 2:
                called += [name] if found else []
                loose = find_merge(k, others, grams[1], max_closure=0.9, min_gain=-1.0)
                decoys += [(loose.gain, loose.closure, name)] if loose else []
                continue
            told = "none", "", "", "", ""
            if found:
                pairs = zip(found.parents, found.weights, strict=True)
                mix = " + ".join(f"{w:.3f} {names[p]}" for p, w in pairs)
                exact = f"{found.residual:.1e}", f"{found.closure:.3f}"
                told = mix, found.method, f"{found.gain:.4f}", *exact
            rows.append((name, " + ".join(f"{w:g} {p}" for p, w in parents.items()), *told))
        header = ("model", "truth", "found", "method", "gain", "residual", "closure")
        gain, closure, name = max(decoys, default=(0.0, 0.0, "none"))
        lines += [f"### {title}", "", *markdown(header, rows), ""]
        lines += [
            f"Called a merge among {len(names) - len(copies) - len(rows)} models that are none:"
            f" {', '.join(called) or 'none'}. Largest gain of a decoy with closure under 0.9:"
            f" {gain:.2f} ({name}, closure {closure:.2f}).",
            "",
        ]
    return lines


if __name__ == "__main__":
    sys.stdout.write("\n".join(run()) + "\n")

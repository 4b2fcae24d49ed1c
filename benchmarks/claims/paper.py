"""The first paper's experiments at the scale of the zoo, its own statistics beside ours.

Zhu, Ahmed, Kuditipudi, Liang, "Independence Tests for Language Models" (ICML 2025). Their models
have 1 to 70 billion weights, the zoo's 0.7 million, so that levels of p differ; what is compared is
what each statistic finds and what it accuses falsely.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import numpy as np
from zoo import truth

from benchmarks.claims import paper_hybrid, paper_places, paper_refits
from benchmarks.lib.paper_statistics import (
    STATISTICS,
    Beside,
    Seen,
    beside,
    can_run,
    folder_of,
    see,
    span,
    zoo_script,
)
from benchmarks.lib.tables import markdown

MODELS = (
    "llama-a", "llama-a-ft1", "llama-a-ft2", "llama-a-ft1b", "llama-a-long", "llama-a-new-mlps",
    "llama-b", "llama-b-ft1", "llama-c", "llama-c-ft1", "llama-c-twin", "llama-distilled",
)  # fmt: skip
LONG = "llama-a-long"  # what is trained again, with checkpoints
CHECKPOINTS = (0, 100, 300, 1000)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models, what is true of them, and what was found."""

    a: str
    b: str
    relation: str
    related: bool
    found: Beside


def run() -> list[str]:
    """All six experiments as Markdown; one line where models cannot be run."""
    if not can_run():
        return ["Not run: it needs torch and transformers, `pip install 'weightkin[torch]'`."]
    torch = import_module("torch")
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the zoo was trained
    try:
        with tempfile.TemporaryDirectory() as name:
            return _experiments(Path(name))
    finally:
        torch.set_num_threads(n_threads)


def _experiments(folder: Path) -> list[str]:
    return [
        "### All pairs",
        "",
        *pair_lines(all_pairs(MODELS)),
        "",
        "### Along a long fine-tune",
        "",
        *drift_lines(folder),
        "",
        "### Every MLP retrained",
        "",
        *paper_refits.retrained_lines(folder),
        "",
        "### Other architectures: the generalised test",
        "",
        *paper_refits.generalised_lines(),
        "",
        "### Pruned in depth, units and residual width at once",
        "",
        *paper_places.pruned_lines(folder),
        "",
        "### A hybrid",
        "",
        *paper_hybrid.hybrid_lines(folder),
    ]


def all_pairs(names: Sequence[str]) -> list[Pair]:
    """Every statistic of every pair; each model is run once."""
    seen = {name: see(folder_of(name)) for name in names}
    return [
        Pair(a, b, relation(a, b), truth.related(a, b), beside(seen[a], seen[b], seed=k))
        for k, (a, b) in enumerate(combinations(names, 2))
    ]


def relation(a: str, b: str) -> str:
    """What is true of a pair, in the terms of the paper's questions."""
    entries = truth.load()
    if not truth.related(a, b):
        taught = {a, b} & {"llama-distilled"} and any(
            "llama-a" in entries[x]["origins"] for x in (a, b)
        )
        return "student and its teacher's family" if taught else "unrelated, same data"
    if "llama-a-new-mlps" in (a, b):
        return "every MLP new, the rest kept"
    known = truth.relation(a, b)
    names = {"ancestor": "parent and child", "descendant": "parent and child"}
    return names.get(known, known.replace("-", " "))


def pair_lines(pairs: Sequence[Pair]) -> list[str]:
    """Detections and false detections at 0.01, then each relation by itself."""
    related = [p for p in pairs if p.related]
    strangers = [p for p in pairs if not p.related]
    rows = []
    for key, words in STATISTICS:
        found, accused = (sum(p.found.finds(key) for p in some) for some in (related, strangers))
        spans = [span([p.found.log10[key] for p in some]) for some in (related, strangers)]
        counts = f"{found} of {len(related)}", f"{accused} of {len(strangers)}"
        rows.append((words, *counts, *spans))
    n_models = len({x for p in pairs for x in (p.a, p.b)})
    lines = [
        f"{n_models} trained models of one shape, {len(pairs)} pairs: {len(related)} related,"
        f" {len(strangers)} independent. The paper: 21 models, 69 and 141 pairs. Every p-value is"
        " that of one pair, not corrected for the number of pairs.",
        "",
        *markdown(
            ("statistic", "related found at 0.01", "independent at 0.01",
             "log10 p, related", "log10 p, independent"),
            rows,
        ),
    ]  # fmt: skip
    verdicts = [sum(p.found.verdict == "dependent" for p in some) for some in (related, strangers)]
    spans = [
        span([getattr(p.found, what) for p in some], digits)
        for what, digits in (("agreement", 3), ("ratio", 2), ("jsd", 3))
        for some in (related, strangers)
    ]
    lines += [
        "",
        f"`compare` at its own level (1e-6, and an effect): {verdicts[0]} of {len(related)} related"
        f" pairs dependent, {verdicts[1]} of {len(strangers)} independent ones.",
        f"Agreement of gates and ups (phi_MATCH): {spans[0]} in related pairs, {spans[1]} in"
        f" independent ones. Effect ratio of `compare`: {spans[2]} and {spans[3]}.",
        f"phi_JSD, a raw value: {spans[4]} and {spans[5]}.",
        "",
        *_by_relation(pairs),
    ]
    return lines


def _by_relation(pairs: Sequence[Pair]) -> list[str]:
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda p: (not p.related, p.relation)):
        groups[pair.relation].append(pair)
    columns = ("phi_l2", "u", "h", "match", "ours")
    rows = [
        (
            words,
            len(some),
            *(f"{sum(p.found.finds(k) for p in some)}" for k in columns),
            span([p.found.agreement for p in some], 2),
            span([p.found.log10["ours"] for p in some]),
            span([p.found.jsd for p in some], 2),
        )
        for words, some in groups.items()
    ]
    header = ("relation", "pairs", *columns, "agreement", "our log10 p", "JSD")
    header = tuple({"u": "phi_U", "h": "phi_H", "match": "phi_MATCH"}.get(x, x) for x in header)
    return ["Detections at 0.01 by relation:", "", *markdown(header, rows)]


def drift_lines(folder: Path) -> list[str]:
    """Every statistic against the parent at checkpoints of a long fine-tune."""
    recipe = next(r for r in zoo_script("recipes").RECIPES if r.name == LONG)
    saved = dict(checkpoints(recipe, CHECKPOINTS, folder))
    saved[recipe.steps] = folder_of(LONG)
    parent = see(folder_of(recipe.parent))
    rows = []
    for step, path in saved.items():
        child = see(path)
        found = beside(parent, child)
        numbers = [f"{found.log10[key]:.1f}" for key in ("phi_l2", "u", "h", "match", "ours")]
        moved = f"{100 * distance(parent, child):.0f} %"
        rows.append((step, moved, *numbers[:4], f"{found.agreement:.2f}", f"{found.jsd:.3f}",
                     numbers[4], f"{found.ratio:.2f}" if step else "-"))  # fmt: skip
    header = ("steps", "moved", "phi_l2", "phi_U", "phi_H", "phi_MATCH", "agreement", "JSD",
              "`compare`", "effect ratio")  # fmt: skip
    return [
        f"`{recipe.parent}` (1500 steps) trained on for {recipe.steps} steps on other data at its"
        f" first rate ({recipe.lr:g}), as `{LONG}`, the last row. log10 p against"
        f" `{recipe.parent}`; moved is the distance over the norm of the parent. The longest"
        " fine-tune of the paper (Llemma) is 37 % of its base's budget, this one 133 %.",
        "",
        *markdown(header, rows),
    ]


def checkpoints(recipe: Any, at: Sequence[int], folder: Path) -> Iterator[tuple[int, Path]]:
    """Train by a recipe of the zoo until the last checkpoint; save each."""
    torch, grow = import_module("torch"), zoo_script("grow")
    model = grow.starting_point(recipe).train()
    optimiser = torch.optim.AdamW(
        model.parameters(), betas=(0.9, 0.95), weight_decay=grow.WEIGHT_DECAY
    )
    data = zoo_script("families").batches(
        recipe.family, recipe.domains, order=recipe.order, steps=recipe.steps
    )
    for step, (x, y) in enumerate(islice(data, max(at) + 1)):
        if step in at:
            path = folder / f"{recipe.name}-{step}"
            model.save_pretrained(path)
            yield step, path
        for group in optimiser.param_groups:
            group["lr"] = recipe.lr * grow.schedule(step, recipe.steps)
        loss = grow.fit(model, x, y)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()


def distance(a: Seen, b: Seen) -> float:
    """Norm of the difference over the norm of a, all weights together."""
    moved = total = 0.0
    for name in a.side.model.tensors:
        x, y = (s.side.model.rows(name).astype(np.float64) for s in (a, b))
        moved += float(((x - y) ** 2).sum())
        total += float((x**2).sum())
    return float(np.sqrt(moved / total))

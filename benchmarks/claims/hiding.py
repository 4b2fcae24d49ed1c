"""Every evasion on every sort of child: is the relation still found, and on which basis?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import numpy.typing as npt
from zoo import truth

from benchmarks.lib import tuning
from benchmarks.lib.framed import EVERYTHING, Aim, framed
from benchmarks.lib.tables import markdown
from weightkin import evasions
from weightkin.anatomy import Anatomy
from weightkin.api.compare import compare
from weightkin.errors import UsageError
from weightkin.evasions import Rewritten
from weightkin.formats import Model, model_from_arrays, open_model

FRAMING_ROUNDS = 12
CHILDREN = {
    "llama-a": ("llama-a", "llama-a-long", "llama-a-lora16", "llama-a-prune50"),
    "gpt-a": ("gpt-a", "gpt-a-long", "gpt-a-lora4", "gpt-a-prune50"),
    "vit-a": ("vit-a", "vit-a-long", "vit-a-lora4", "vit-a-prune50"),
    "moe-a": ("moe-a", "moe-a-ft1"),
}
FOR_INNOCENTS = ("permute, rotate", "all together")  # of all independent pairs of trained models
STRANGERS = {
    "llama-a": ("llama-b", "llama-c", "llama-distilled"),
    "gpt-a": ("gpt-b",),
    "vit-a": ("vit-b",),
    "moe-a": ("moe-b",),
}
TUNED = "all together, then fine-tuned"
UNUSED_ROWS = range(480, 512)  # of every embedding of the zoo: zoo/README.md
AND = " + "  # between rewrites that are made one after the other
Arrays = dict[str, npt.NDArray[np.float32]]
REWRITES: dict[str, Callable[..., Rewritten]] = {
    "permute units": evasions.permute_units,
    "permute residual stream": evasions.permute_residual,
    "rotate residual stream": evasions.rotate_residual,
    "rotate queries, keys": evasions.rotate_queries_keys,
    "change value basis": evasions.change_value_basis,
    "permute heads": evasions.permute_heads,
    "rescale units": evasions.rescale_units,
    "flip unit signs": evasions.flip_unit_signs,
    "flip value signs": evasions.flip_value_signs,
    "permute, rotate": lambda arrays, anatomy, rng: _permuted_and_rotated(arrays, anatomy, rng),
    "split units, shuffled": partial(evasions.split_units, shuffle=True),
    "duplicate units, shuffled": partial(evasions.duplicate_units, shuffle=True),
    "pad units, shuffled": partial(evasions.pad_units, shuffle=True),
    "permute experts": evasions.permute_experts,
    "all together": evasions.change_all,
}
ADDED: dict[str, Callable[..., Rewritten]] = {
    "block in front": evasions.insert_blocks,
    "block in the middle": partial(evasions.insert_blocks, before=(2,)),
    "unused rows made large": partial(evasions.enlarge_rows, rows=UNUSED_ROWS),
    "permute vocabulary": evasions.permute_vocabulary,
    "turn planes by quarters": partial(evasions.turn_planes, is_quarter=True),
    "turn planes": evasions.turn_planes,
    "cancel units, shuffled": partial(evasions.cancel_units, n_pairs=8, shuffle=True),
    "factorise MLPs": evasions.factorise_mlps,
    "spread units, shuffled": partial(evasions.spread_units, n_extra=32, shuffle=True),
}
REWRITES |= ADDED
PAIRS = (
    *(
        AND.join((first, second))
        for first in ("permute, rotate", "all together")
        for second in ADDED
    ),
    *map(AND.join, combinations(ADDED, 2)),
)


@dataclass(frozen=True, slots=True)
class Hidden:
    """One evaded model against the base: what was said."""

    base: str
    child: str
    related: bool
    rewrite: str
    verdict: str  # "-" where the rewrite does not apply
    basis: str
    log10_pvalue: float
    ratio: float
    kinds: tuple[str, ...]


def all_hidden(*, workers: int = 1, framed: bool = True) -> list[Hidden]:
    """Every rewrite of every child and other model, and each of these framed, against the base.

    What is fine-tuned after hiding needs the extra ``[torch]`` and takes most of the time.
    """
    return _all(list(_jobs(framed=framed)), workers)


def run_innocents(*, workers: int = 1) -> list[str]:
    """All independent pairs of trained models of one architecture, one of them rewritten."""
    pairs = innocents()
    found = _all([(a, b, False, how) for a, b in pairs for how in FOR_INNOCENTS], workers)
    rows = []
    for how in FOR_INNOCENTS:
        here = [h for h in found if h.rewrite == how]
        said = [sum(h.verdict == v for h in here) for v in ("dependent", "aligned-only")]
        least = min(h.log10_pvalue for h in here)
        rows.append((how, str(len(here)), *map(str, said), f"{least:.2f}"))
    header = ("rewrite of the second model", "pairs", "dependent", "aligned-only", "least log10 p")
    return markdown(header, rows)


def _all(jobs: Sequence[tuple[str, str, bool, str]], workers: int) -> list[Hidden]:
    if workers == 1:
        return [_compare(job) for job in jobs]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(_compare, jobs, chunksize=2))


def lines(found: Sequence[Hidden]) -> list[str]:
    """Relatives by rewrite, then unrelated models."""
    table = ["Relatives hidden by a rewrite, against the base:", ""]
    header = ("rewrite", "child", "verdict", "basis", "log10 p", "effect ratio", "named")
    table += markdown(header, [_row(h) for h in found if h.related])
    if not tuning.can_train():
        table += ["", f"{TUNED}: {tuning.MISSING}."]
    strangers = [h for h in found if not h.related and h.verdict != "-"]
    accused = sum(h.verdict == "dependent" for h in strangers)
    table += [
        "",
        f"Unrelated models after every rewrite: {accused} of {len(strangers)} called dependent.",
    ]
    framed = [h for h in strangers if h.rewrite.startswith("framed")]
    table += ["", "Unrelated models framed to line up with the base:", ""]
    return table + markdown(header, [_row(h) for h in framed])


def innocents() -> list[tuple[str, str]]:
    """All independent pairs of trained models of one architecture."""
    entries = truth.load()
    trained = [name for name, e in entries.items() if e["trained"]]
    return [
        (a, b)
        for a, b in combinations(trained, 2)
        if entries[a]["architecture"] == entries[b]["architecture"]
        and not truth.share_an_origin(entries[a], entries[b])
    ]


def _jobs(*, framed: bool) -> Iterator[tuple[str, str, bool, str]]:
    for base in CHILDREN:
        for rewrite in (*REWRITES, *([TUNED] if tuning.can_train() else [])):
            for child in CHILDREN[base]:
                yield base, child, True, rewrite
            for stranger in STRANGERS[base]:
                yield base, stranger, False, rewrite
        for rewrite in PAIRS:
            for child in CHILDREN[base][:2]:
                yield base, child, True, rewrite
            yield base, STRANGERS[base][0], False, rewrite
        for stranger in STRANGERS[base] if framed else ():
            yield base, stranger, False, "framed"
            yield base, stranger, False, "framed with rotation"
            yield base, stranger, False, "framed with rotation, aimed at block 0"


def _compare(job: tuple[str, str, bool, str]) -> Hidden:
    return hide_and_compare(*job)


def hide_and_compare(base: str, child: str, related: bool, rewrite: str) -> Hidden:
    """Rewrite one model of the zoo and compare it with the base."""
    reference, model = _open(base), _open(child)
    try:
        if rewrite.startswith("framed"):
            hidden = framed(
                model,
                reference,
                Aim(blocks=(0,)) if rewrite.endswith("block 0") else EVERYTHING,
                rounds=FRAMING_ROUNDS,
                with_rotation=rewrite != "framed",
            )
        elif rewrite == TUNED:
            rewritten = apply_rewrite(model, evasions.change_all)
            arrays = {name: rewritten.rows(name) for name in rewritten.tensors}
            hidden = tuning.fine_tuned(arrays, rewritten.config)
        else:
            hidden = model
            for step in rewrite.split(AND):
                hidden = apply_rewrite(hidden, REWRITES[step])
    except UsageError:
        return Hidden(base, child, related, rewrite, "-", "-", 0.0, 0.0, ())
    record = compare(reference, hidden, seed=0)
    decisive = [x for x in record.axes if x.passes] or list(record.axes)
    best = min(decisive, key=lambda axis: axis.log10_pvalue, default=None)
    ratio = best.effect.ratio if best is not None and best.effect is not None else 0.0
    return Hidden(
        base,
        child,
        related,
        rewrite,
        record.verdict,
        record.basis,
        record.log10_pvalue,
        ratio,
        record.kind,
    )


def apply_rewrite(model: Model, rewrite: Callable[..., Rewritten]) -> Model:
    """A model after one rewrite of the evasions, in memory."""
    arrays = {name: model.rows(name) for name in model.tensors}
    changed = rewrite(arrays, evasions.whole_anatomy(model), np.random.default_rng(7))
    return model_from_arrays(changed.arrays, config={**model.config, **changed.config_changes})


def _permuted_and_rotated(arrays: Arrays, anatomy: Anatomy, rng: np.random.Generator) -> Rewritten:
    permuted = evasions.permute_units(arrays, anatomy, rng)
    return evasions.rotate_residual(permuted.arrays, anatomy, rng)


def _open(name: str) -> Model:
    return open_model(truth.ROOT / truth.load()[name]["path"])


def _row(h: Hidden) -> tuple[str, ...]:
    if h.verdict == "-":
        return h.rewrite, h.child, "does not apply", "-", "-", "-", "-"
    named = ", ".join(h.kinds) or "-"
    return h.rewrite, h.child, h.verdict, h.basis, f"{h.log10_pvalue:.1f}", f"{h.ratio:.2f}", named

"""Members of other depth, width or number of experts, in the frame of the family.

The frame is the layout of most members. A block, unit or expert of another layout is numbered as
the one it was made from; what was made from none is kept apart. Only the sample is numbered anew:
its values stay what they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weightkin.derivation.pairing import TensorPair, pair_tensors
from weightkin.sketch import Sketch
from weightkin.sketch.types import SketchedTensor

MOST_ASKED = 3  # members of the frame that one of another layout is compared with
LEAST_KEPT = 0.5  # share of the units of a matrix that must be found again
OUTSIDE = "'"  # after the stack of what has no place in the frame


def in_family_frame(sketches: Sequence[Sketch]) -> list[Sketch]:
    """The sketches of a family, those of another layout numbered as the layout of most of them.

    Parameters
    ----------
    sketches : sequence of Sketch
        Of one scheme.

    Returns
    -------
    list of Sketch
        In the same order; a sketch that has nothing of the frame stays as it is.
    """
    layouts = [_layout(x) for x in sketches]
    counts = Counter(layouts)
    size = {own: sketches[k].n_parameters for k, own in enumerate(layouts)}
    main = max(counts, key=lambda own: (counts[own], size[own], len(own)))
    frame = [x for x, own in zip(sketches, layouts, strict=True) if own == main]
    asked = frame[:: max(1, len(frame) // MOST_ASKED)][:MOST_ASKED]
    return [
        x if own == main else _numbered(x, asked) for x, own in zip(sketches, layouts, strict=True)
    ]


def _layout(sketch: Sketch) -> frozenset[tuple[str, tuple[int, ...]]]:
    return frozenset(
        (x.name, x.shape) for x in sketch.tensors.values() if x.block >= 0 and len(x.shape) > 1
    )


def _numbered(sketch: Sketch, frame: Sequence[Sketch]) -> Sketch:
    """The sketch as that member of the frame numbers it with which it has most in common."""
    choices = [pair_tensors(other, sketch) for other in frame]
    n_common = [sum(p.both.values_b.size for p in pairs) for pairs in choices]
    pairs = choices[int(np.argmax(n_common))]
    found: dict[str, SketchedTensor] = {}
    used: set[str] = set()
    for pair in pairs:
        if pair.a.name not in found and pair.b.name not in used and _is_enough(pair):
            found[pair.a.name] = _as_in_frame(pair)
            used.add(pair.b.name)
    if not used:
        return sketch
    for x in sketch.tensors.values():
        if x.name not in used:
            key = replace(x.key, stack=f"{x.key.stack}{OUTSIDE}")
            found[str(key)] = replace(x, key=key)
    return replace(sketch, tensors=found)


def _is_enough(pair: TensorPair) -> bool:
    """Whether most units of the smaller tensor were found again."""
    if pair.units is None:
        return True
    sizes = [len(x.columns) if _is_turned(pair) else len(x.rows) for x in (pair.a, pair.b)]
    return len(pair.units[0]) >= LEAST_KEPT * min(sizes)


def _is_turned(pair: TensorPair) -> bool:
    return pair.a.matrix_shape[1] != pair.b.matrix_shape[1]


def _as_in_frame(pair: TensorPair) -> SketchedTensor:
    own = replace(pair.b, key=pair.a.key, stack=pair.a.stack, block=pair.a.block)
    if pair.units is None:
        return own
    here, there = pair.units
    is_turned = _is_turned(pair)
    index = own.columns if is_turned else own.rows
    place = {int(x): k for k, x in enumerate(index)}
    at = np.array([place[int(x)] for x in there], dtype=np.int64)
    order = np.argsort(here)
    at, numbers = at[order], np.asarray(here)[order]
    stored = own.stored[:, at] if is_turned else own.stored[at]
    if is_turned:
        return replace(own, shape=pair.a.shape, columns=numbers, stored=stored)
    return replace(own, shape=pair.a.shape, rows=numbers, stored=stored, n_run=0)

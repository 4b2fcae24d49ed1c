"""The components of a member of a family, each known by its values whatever they are called."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict

from weightkin.anatomy.translate import parts_of
from weightkin.derivation.vectors import tells
from weightkin.lineage.relatives import cut
from weightkin.records.components import NodeComponent
from weightkin.sketch import Sketch
from weightkin.sketch.types import SketchedTensor


def has_components(sketch: Sketch) -> bool:
    """Whether a model is made of several networks with names, as diffusion models are."""
    return bool(parts_of(x.stored_name for x in sketch.tensors.values()))


def node_components(sketch: Sketch) -> tuple[NodeComponent, ...]:
    """Every component of a model; one without a name where it has none.

    Parameters
    ----------
    sketch : Sketch
        The model, in the layout of its collection.

    Returns
    -------
    tuple of NodeComponent
        Those of which what is sampled is not all constants.
    """
    parts = parts_of(x.stored_name for x in sketch.tensors.values())
    held: dict[str, list[SketchedTensor]] = defaultdict(list)
    for x in cut(sketch).tensors.values():
        held[parts.get(x.stored_name, "")].append(x)
    if parts:
        held.pop("", None)
    return tuple(
        NodeComponent(name=name, digest=_digest(tensors), n_parameters=_count(tensors))
        for name, tensors in held.items()
        if any(tells(x.values, x.lattice) for x in tensors)
    )


def _digest(tensors: list[SketchedTensor]) -> str:
    """Equal for equal values in equal shapes, whatever the names, formats and order."""
    every = sorted(
        hashlib.sha256(f"{x.matrix_shape}".encode() + x.values.tobytes()).digest() for x in tensors
    )
    return f"wkc1-{hashlib.sha256(b''.join(every)).hexdigest()}"


def _count(tensors: list[SketchedTensor]) -> int:
    return sum(math.prod(x.shape) for x in tensors)

"""Whether one model holds the other after rounding, under any names and in any layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from weightkin.derivation.equality import Equality, equality
from weightkin.derivation.lattice import cast_to
from weightkin.sketch.facts import sample_digest
from weightkin.sketch.types import Lattice, Sketch

LEAST_OF_IT = 0.5  # of the values of a model's matrices, which a format must hold
LEAST_MORE = 0.1  # by which that is more than the same of the other model
NARROWEST_FIRST: tuple[Lattice, ...] = ("fp8_e4m3", "fp8_e5m2", "bf16", "fp16")


@dataclass(frozen=True, slots=True)
class Rounded:
    """What is equal once both models are rounded to the narrower format of one of them."""

    found: Equality
    sketches: tuple[Sketch, Sketch]
    format: Lattice  # one of `NARROWEST_FIRST`
    child: str  # "a" or "b": the one that is of that format


def rounded_equality(a: Sketch, b: Sketch) -> Rounded | None:
    """Compare two models of unlike formats, both rounded to the narrower one.

    What is equal says less then than equal values do, and is
    weighed by the digits of the narrower format.

    Parameters
    ----------
    a, b : Sketch
        Of one scheme and layout.

    Returns
    -------
    Rounded or None
        The comparison that says most; None where there is none to make.
    """
    tried = [
        Rounded(equality(x, y), (x, y), name, child)
        for name, child in _formats(a, b)
        for x, y in [(_as_rounded(a, name), _as_rounded(b, name))]
    ]
    return max(tried, key=lambda x: x.found.n_same + x.found.n_other, default=None)


def _formats(a: Sketch, b: Sketch) -> Iterator[tuple[Lattice, str]]:
    """Formats that most of one model is in, and less of the other."""
    shares = [_shares(x) for x in (a, b)]
    for own, child in ((0, "a"), (1, "b")):
        narrow, wide = shares[own], shares[1 - own]
        kept = (f for f in NARROWEST_FIRST if LEAST_OF_IT <= narrow[f] > wide[f] + LEAST_MORE)
        yield from ((name, child) for name in islice(kept, 1))


def _shares(sketch: Sketch) -> dict[Lattice, float]:
    """Share of the values of matrices that each narrow format holds."""
    sizes = dict.fromkeys(NARROWEST_FIRST, 0)
    total = 1
    for tensor in sketch.tensors.values():
        if len(tensor.shape) > 1 and tensor.lattice not in ("integer", "none"):
            total += tensor.stored.size
            for name in sizes:
                sizes[name] += tensor.stored.size * (name in tensor.lattice)
    return {name: size / total for name, size in sizes.items()}


def _as_rounded(sketch: Sketch, name: Lattice) -> Sketch:
    """A model with every value rounded."""
    tensors = {}
    for key, tensor in sketch.tensors.items():
        with np.errstate(all="ignore"):
            stored, tail = cast_to(tensor.values, name), cast_to(tensor.tail_values, name)
        tensors[key] = replace(
            tensor,
            stored=stored,
            tail_stored=tail,
            digest=sample_digest("F32", tensor.shape, stored, tail),
            lattice=tensor.lattice if tensor.lattice == "integer" else name,
        )
    return replace(sketch, tensors=tensors)

"""Maps that lose something, and in one direction only: the image is the child.

Every tensor of a supposed child is asked whether it is the image of its parent's: equal, rounded to
a narrower format, put on few levels, with small entries set to zero. What the shapes say (fewer
blocks or units, more token rows, repeated blocks, experts) counts beside. A direction follows only
when the parent explains every tensor of the child, and no shape says the opposite.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from weightkin.arrays import Floats
from weightkin.derivation.distances import ROUNDING, PairRelation
from weightkin.derivation.lattice import FORMATS, KnownLevels, Levels, cast_to, is_rounded
from weightkin.derivation.lossy_details import level_details, pruning_details
from weightkin.derivation.structure import Structure, structure_of
from weightkin.records import Clue, clue
from weightkin.sketch.types import Sketch, SketchedTensor

Image = Literal[
    "equal",
    "cast",
    "quantised",
    "levels",
    "pruned",
    "near",
    "scaled",
    "finer",
    "factored",
    "low-rank",
    "changed",
]
NUMPY_FORMATS = {
    "bf16": "bfloat16",
    "fp16": "float16",
    "fp8_e4m3": "float8_e4m3fn",
    "fp8_e5m2": "float8_e5m2",
}
HALF_STEP = 0.5 + 1e-4  # of a step: how far rounding moves a value
MIN_ZEROS = 0.02  # share of entries set to zero that counts as pruning
EXPERT_DISTANCE = 0.2  # of an expert from the MLP that it was copied from
LEVEL_DISTANCE = 0.5  # of levels from what they stand for, where rounding is not to the nearest
PRODUCT_ROUNDING = 1e-2  # of a product of as many terms as a matrix has rows or columns
RANK_DISTANCE = 0.5  # of a product of few terms from the matrix that it stands for


@dataclass(frozen=True, slots=True)
class Packing:
    """How a child is stored where its parent is not.

    AWQ scales channels first, and takes the scales back in the vectors before them.
    """

    is_packed: bool = False  # on few levels
    is_scaled: bool = False  # by AWQ


NOT_PACKED = Packing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """How far one model is the image of the other."""

    images: Counter[str]
    structure: Structure
    details: dict[str, Any] = field(default_factory=dict)
    is_complete: bool = False  # every tensor of the child is an image
    is_map: bool = False  # every tensor that has a partner is one, some changed by the map
    is_noisy: bool = False  # what the parent holds beyond the child may be noise

    @property
    def is_two_way(self) -> bool:
        """Whether nothing is lost: a product can be stored as factors, and multiplied out."""
        return self.images.keys() <= {"equal", "factored"} and not self.structure.kinds

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the maps, those of shape first; only complete explanations name the others."""
        names = list(self.structure.kinds)
        if self.is_complete or self.is_map:
            for image, kind in (
                *(("pruned", "magnitude-pruned"), ("quantised", "quantised"), ("cast", "cast")),
                *(("low-rank", "factorised"), ("factored", "factorised")),
            ):
                if self.images[image] and kind not in names:
                    names.append(kind)
        elif not self.images["changed"] and (self.images["levels"] or self.images["finer"]):
            names += ["cast"] * bool(self.images["finer"] or self.images["cast"])
            names.append("quantised")
        return tuple(names)


def explain(
    relation: PairRelation,
    parent: Sketch,
    child: Sketch,
    *,
    is_turned: bool = False,
    known: KnownLevels | None = None,
) -> Explained:
    """Ask whether `child` is the image of `parent`, tensor by tensor.

    Parameters
    ----------
    relation : PairRelation
        Of (parent, child), or of (child, parent) with ``is_turned``.
    parent, child : Sketch
        The supposed direction.
    is_turned : bool
        Whether the child is model a of ``relation``.
    known : KnownLevels, optional
        Levels found before, added to.

    Returns
    -------
    Explained
        Images of the tensors, kinds and their numbers.
    """
    known = known or KnownLevels()
    structure = structure_of(relation, parent, child, is_turned=is_turned)
    images: Counter[str] = Counter()
    explained_blocks: dict[tuple[str, int], bool] = {}
    levels: list[Levels] = []
    zeros: list[tuple[Floats, Floats]] = []
    formats: Counter[str] = Counter()
    packed: Counter[str] = Counter()
    ranks: Counter[int] = Counter()
    is_quantised = any(t.code for t in child.tensors.values())
    is_awq = any(t.code.startswith("awq") for t in child.tensors.values())
    for p, c, x, y in _oriented(relation, is_turned=is_turned):
        is_packed = bool(c.code) and c.code != p.code
        # one tensor changed otherwise already rules quantisation out
        is_open = not images["changed"] or "stacked" in structure.kinds
        image, found = image_of(
            x, y, c, known, with_levels=is_open, packing=Packing(is_packed, is_awq)
        )
        if image in ("changed", "levels") and is_packed and not p.code and is_rounded(x, y, c):
            image = "quantised"
        if image == "changed" and is_quantised and _is_cast_of(x, y, p):
            image = "finer"
        if image == "changed" and bool(p.rank) != bool(c.rank):
            image = _of_factors(x, y, (p, c))
            ranks.update([c.rank] if c.rank else [])
        packed.update([c.code] if is_packed else [])
        is_expert = "upcycled" in structure.kinds and p.role.startswith("mlp.")
        if image == "changed" and is_expert and _distance(x, y) < EXPERT_DISTANCE:
            image = "near"
        images[image] += 1
        key = (c.stack, c.block)
        explained_blocks[key] = explained_blocks.get(key, True) and image not in (
            *("changed", "levels", "finer"),
        )
        if isinstance(found, Levels):
            levels.append(found)
        elif isinstance(found, str):
            formats[found] += 1
        elif image == "pruned":
            zeros.append((x, y))
    is_complete = bool(images) and not any(images[x] for x in ("changed", "levels", "finer"))
    if "stacked" in structure.kinds:  # the other half may come from a relative
        inside = [ok for (_, block), ok in explained_blocks.items() if block >= 0]
        is_complete = sum(inside) * 2 >= len(inside)
    is_map = is_complete and bool(structure.unexplained)
    is_map = is_map and any(images[x] for x in ("pruned", "quantised", "cast"))
    details = dict(structure.details)
    details |= level_details(levels) if levels else {}
    details |= {"packed": packed.most_common(1)[0][0]} if packed else {}
    details |= {"rank": ranks.most_common(1)[0][0]} if ranks else {}
    details |= {"dtype": NUMPY_FORMATS[formats.most_common(1)[0][0]]} if formats else {}
    details |= pruning_details(zeros) if zeros else {}
    return Explained(
        images=images,
        structure=structure,
        details=details,
        is_complete=is_complete and not structure.unexplained,
        is_map=is_map,
    )


def image_of(
    parent: Floats,
    child: Floats,
    tensor: SketchedTensor,
    known: KnownLevels | None = None,
    *,
    with_levels: bool = True,
    packing: Packing = NOT_PACKED,
) -> tuple[Image, Levels | str | None]:
    """Which image of `parent` the values of `child` are; with levels or format where they have one.

    Parameters
    ----------
    parent, child : (n_rows, n_columns) array
        Values of both, in equal order.
    tensor : SketchedTensor
        The child's, for the lattice and the levels of its whole sample.
    known : KnownLevels, optional
        Levels that were found before.
    with_levels : bool
        Look for levels, which is the slow part.
    packing : Packing
        How the child is stored, and the parent is not.

    Returns
    -------
    tuple
        The image, with its levels or its format where it has one.
    """
    if np.array_equal(parent, child):
        return "equal", None
    for name in FORMATS:
        if name in tensor.lattice and np.array_equal(cast_to(parent, name), child):
            return "cast", name
    is_new_zero = (child == 0) & (parent != 0)
    is_pruned = len(tensor.shape) > 1 and is_new_zero.mean() >= MIN_ZEROS
    if is_pruned and np.array_equal(parent[~is_new_zero], child[~is_new_zero]):
        return "pruned", None
    if packing.is_scaled and len(tensor.shape) == 1:
        return "scaled", None
    if not with_levels or len(tensor.shape) != 2 or child.shape != tensor.stored.shape:
        return "changed", None
    known = known or KnownLevels()
    found = known.levels(tensor)
    is_close = _distance(parent, child) < LEVEL_DISTANCE
    if packing.is_scaled and not is_close:
        is_close = _distance(_scaled_like(parent, child), child) < LEVEL_DISTANCE
    if found is None:  # the levels of a packed tensor may be more than a sample can show
        return ("levels" if packing.is_packed and is_close else "changed"), None
    steps = known.steps(tensor, child, found)
    with np.errstate(invalid="ignore"):
        is_outside = np.abs(parent.astype(np.float64) - child) > HALF_STEP * steps
    is_known = np.isfinite(steps)
    if found.scheme != "nf4" and is_known.any() and not is_outside[is_known].any():
        return "quantised", found
    if is_close and (packing.is_packed or len(np.unique(parent)) > 2 * len(np.unique(child))):
        return "levels", found
    return "changed", None


def clues_of_kind(explained: Explained, child: str) -> tuple[Clue, ...]:
    """What was found, by codes that name the child."""
    images = {image: n for image in get_args(Image) if (n := explained.images[image])}
    dtype = explained.details.get("dtype", "")
    found = clue("images", child=child, images=images, dtype=dtype)
    structure = explained.structure.clues
    return (found, *(replace(x, data={"child": child, **x.data}) for x in structure))


def _oriented(
    relation: PairRelation, *, is_turned: bool
) -> Iterator[tuple[SketchedTensor, SketchedTensor, Floats, Floats]]:
    """Parent's tensor, child's tensor, and their common samples."""
    for pair in relation.pairs:
        x, y = pair.both.values_a, pair.both.values_b
        yield (pair.b, pair.a, y, x) if is_turned else (pair.a, pair.b, x, y)


def _distance(x: Floats, y: Floats) -> float:
    p, q = x.astype(np.float64), y.astype(np.float64)
    return float(np.sqrt(np.sum((p - q) ** 2) / max(np.sum(p * p), 1e-300)))


def _of_factors(
    parent: Floats, child: Floats, tensors: tuple[SketchedTensor, SketchedTensor]
) -> Image:
    """Whether one of two matrices is the product of factors that stand for the other."""
    far = _distance(parent, child)
    is_full = max(x.rank for x in tensors) >= min(tensors[1].matrix_shape)
    if far <= (PRODUCT_ROUNDING if is_full else ROUNDING):
        return "factored"
    return "low-rank" if tensors[1].rank and not is_full and far < RANK_DISTANCE else "changed"


def _is_cast_of(x: Floats, y: Floats, parent: SketchedTensor) -> bool:
    """Whether x is y in a narrower format."""
    return any(name in parent.lattice and np.array_equal(cast_to(y, name), x) for name in FORMATS)


def _scaled_like(x: Floats, y: Floats) -> Floats:
    """Scale columns, then rows of x to come nearest to y."""
    for axis in (0, 1):
        size = np.maximum(np.sum(x * x, axis=axis, keepdims=True), 1e-30)
        x = x * (np.sum(x * y, axis=axis, keepdims=True) / size)
    return x

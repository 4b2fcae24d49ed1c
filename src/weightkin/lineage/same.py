"""Members under one set of names, and members of equal values as one.

A model that was stored without its outer module, inside another one, or under the names of another
publisher is given the names of the first member whose blocks have equal roles and shapes; measures
that go by names then see it beside its relatives. Members whose values are all equal, whatever
their names and dtypes were, are one member with duplicates.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from weightkin.anatomy.types import Anatomy
from weightkin.lineage.candidates import Member
from weightkin.sketch import Sketch

MOST_ALIKE = 0.8  # share of the matrices in blocks that must have a partner by role and shape


def under_one_spelling(members: Sequence[Member]) -> list[Member]:
    """Rename the tensors of members whose blocks are those of an earlier one by other names."""
    spellings: list[Sketch] = []
    found = []
    for member in members:
        own = member.sketch
        names = _names_in_blocks(own)
        other = next((x for x in spellings if names & _names_in_blocks(x)), None)
        is_known = other is not None
        other = other or next((x for x in spellings if _is_alike(own, x)), None)
        if other is None:
            spellings.append(own)
        elif new := new_names(own, other, only_sure=is_known):
            member = replace(member, sketch=renamed(own, new))
        found.append(member)
    return found


def collapsed(members: Sequence[Member]) -> list[Member]:
    """Members of equal values become the first of them; the others are its duplicates."""
    facts = [_facts(member.sketch) for member in members]
    seen = Counter(facts)
    found: dict[str, Member] = {}
    for fact, member in zip(facts, members, strict=True):
        key = values_of(member.sketch) if seen[fact] > 1 else f"{fact}"
        first = found.get(key)
        if first is None:
            found[key] = member
        else:
            same = (*first.duplicates, member.id, *member.duplicates)
            found[key] = replace(first, duplicates=same)
    return list(found.values())


def values_of(sketch: Sketch) -> str:
    """Digest of all sampled values under their names, whatever they were stored as."""
    digest = hashlib.sha256()
    for name, tensor in sorted(sketch.tensors.items()):
        digest.update(f"{name}\0{tensor.shape}\0".encode())
        for values in (tensor.values, tensor.tail_values):
            digest.update(np.ascontiguousarray(values + np.float32(0)).tobytes())
    return digest.hexdigest()


def _facts(sketch: Sketch) -> int:
    """A number that members of equal values share, at the price of a look at their facts."""
    facts = [(x.name, x.shape, x.n_finite, x.sum_squares) for x in sketch.tensors.values()]
    return hash(tuple(facts))


def new_names(own: Sketch, other: Sketch, *, only_sure: bool = False) -> dict[str, str]:
    """Names of the tensors of one sketch in another of the same blocks, where that is clear.

    Parameters
    ----------
    own, other : Sketch
        The one whose tensors are renamed, and the one whose names they get.
    only_sure : bool
        Only where the role keys are equal, not where roles and shapes agree alone.

    Returns
    -------
    dict of str
        New name by own name; no new name is given twice.
    """
    rest = [tensor for name, tensor in other.tensors.items() if name not in own.tensors]
    by_key = {other.keys[tensor.name]: tensor for tensor in rest}
    found: dict[str, str] = {}
    for name, tensor in own.tensors.items():
        if name in other.tensors:
            continue
        near = [x for x in rest if x.block == tensor.block and len(x.shape) == len(tensor.shape)]
        alike = by_key.get(own.keys[name])
        exact = [alike] if alike is not None and alike in near else []
        same = [x for x in near if (x.stack, x.role) == (tensor.stack, tensor.role)]
        tails = [x for x in same if _tail(x.name) == _tail(name)]
        for some in (exact,) if only_sure else (exact, tails, same):
            if len(some) == 1:
                found[name] = some[0].name
                break
    seen = Counter(found.values())
    return {name: new for name, new in found.items() if seen[new] == 1}


def renamed(sketch: Sketch, names: Mapping[str, str]) -> Sketch:
    """A sketch under other names; what it is a sketch of stays."""
    tensors = {
        names.get(name, name): replace(tensor, name=names.get(name, name))
        for name, tensor in sketch.tensors.items()
    }
    anatomy: Anatomy = replace(
        sketch.anatomy,
        axes=tuple(
            replace(
                axis,
                places=tuple(
                    replace(place, tensor=names.get(place.tensor, place.tensor))
                    for place in axis.places
                ),
            )
            for axis in sketch.anatomy.axes
        ),
        roles=tuple((names.get(name, name), role) for name, role in sketch.anatomy.roles),
    )
    return replace(sketch, tensors=dict(sorted(tensors.items())), anatomy=anatomy)


def _names_in_blocks(sketch: Sketch) -> set[str]:
    return {name for name, tensor in sketch.tensors.items() if tensor.block >= 0}


def _is_alike(a: Sketch, b: Sketch) -> bool:
    """Whether the matrices in the blocks of two models have equal roles and shapes."""
    parts = [
        {
            (t.stack, t.block, t.role, t.shape)
            for t in x.tensors.values()
            if t.block >= 0 and len(t.shape) > 1 and t.role != "other"
        }
        for x in (a, b)
    ]
    return bool(parts[0]) and len(parts[0] & parts[1]) >= MOST_ALIKE * max(map(len, parts))


def _tail(name: str) -> str:
    return ".".join(name.split(".")[-2:])

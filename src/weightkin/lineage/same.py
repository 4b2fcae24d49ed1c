"""Members in one layout, and members of equal values as one.

Models whose blocks hold matrices of equal roles and shapes may be stored in different ways: fused
or split, transposed. They are brought into one layout, so that what goes by roles sees one beside
the other. Members whose values are all equal, whatever their names, layouts and dtypes were, are
one member with duplicates.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from weightkin.lineage.candidates import Member
from weightkin.sketch import Sketch
from weightkin.sketch.layout import in_one_layout, matrices_in_blocks

MOST_ALIKE = 0.8  # share of the matrices in blocks that must have a partner by role and shape


def in_common_layouts(members: Sequence[Member]) -> list[Member]:
    """Members with equal blocks, in one layout."""
    groups: list[tuple[set[frozenset[tuple[str, tuple[int, ...]]]], list[int]]] = []
    for i, member in enumerate(members):
        own = matrices_in_blocks(member.sketch)
        for known, those in groups:
            if own in known or any(_is_alike(own, x) for x in known):
                known.add(own)
                those.append(i)
                break
        else:
            groups.append(({own}, [i]))
    found = list(members)
    for _, those in groups:
        sketches = in_one_layout([members[i].sketch for i in those])
        for i, sketch in zip(those, sketches, strict=True):
            found[i] = replace(members[i], sketch=sketch)
    return found


def _is_alike(
    a: frozenset[tuple[str, tuple[int, ...]]], b: frozenset[tuple[str, tuple[int, ...]]]
) -> bool:
    return bool(a) and len(a & b) >= MOST_ALIKE * max(len(a), len(b))


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
    """Digest of all sampled values by their roles, whatever they were stored as."""
    digest = hashlib.sha256()
    for name, tensor in sorted(sketch.tensors.items()):
        digest.update(f"{name}\0{tensor.shape}\0".encode())
        for values in (tensor.values, tensor.tail_values):
            digest.update(np.ascontiguousarray(values + np.float32(0)).tobytes())
    return digest.hexdigest()


def _facts(sketch: Sketch) -> int:
    """A number that members of equal values share, at the price of a look at their facts."""
    facts = [(x.name, x.shape, x.n_finite, x.sum_squares) for x in sketch.tensors.values()]
    return hash(frozenset(facts))

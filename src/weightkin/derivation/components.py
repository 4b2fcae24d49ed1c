"""Components of diffusion models, one by one: which are shared, which changed, which are others."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from weightkin.anatomy.translate import parts_of
from weightkin.derivation.distances import MIN_RELATED_COSINE, TensorDistance, relate
from weightkin.derivation.equality import TensorMatch, is_cast
from weightkin.derivation.in_common import InCommon
from weightkin.derivation.pairing import TensorPair
from weightkin.records.components import ComponentRelation, ComponentState
from weightkin.sketch.types import Sketch

ALL = 0.999  # of the parameters of a component, but for tables that are computed


@dataclass(slots=True)
class _Found:
    """What is known of one component of a and the one of b that it is compared with."""

    distances: list[TensorDistance] = field(default_factory=list)
    pairs: list[TensorPair] = field(default_factory=list)
    n_compared: int = 0


def components_of_pair(common: InCommon) -> tuple[ComponentRelation, ...]:
    """What became of every component, where one of two related models has several.

    Parameters
    ----------
    common : InCommon
        Sketches of both, with what is equal in them.

    Returns
    -------
    tuple of ComponentRelation
        Components of a first; none where neither model has components.
    """
    a, b = common.sketches
    names_a, names_b = (_parts(x) for x in (a, b))
    if not any(names_a.values()) and not any(names_b.values()):
        return ()
    found: dict[tuple[str, str], _Found] = defaultdict(_Found)
    relation = relate(a, b)
    for t, pair in zip(relation.tensors, relation.pairs, strict=True):
        both = found[names_a[t.name_a], names_b[t.name_b]]
        both.distances.append(t)
        both.pairs.append(pair)
        both.n_compared += math.prod(a.tensors[t.name_a].shape)
    for name, match in common.found.a.items():
        for partner in match.partners if match.is_moved else ():
            if partner in names_b:
                found[names_a[name], names_b[partner]].n_compared += match.n_parameters
    sizes = _sizes(a, names_a), _sizes(b, names_b)
    relations: list[ComponentRelation] = []
    used: set[str] = set()
    for part in sizes[0]:
        partners = {y: x.n_compared for (own, y), x in found.items() if own == part}
        if not partners:
            relations.append(_alone(part, "", sizes[0][part]))
            continue
        partner = max(partners, key=partners.__getitem__)
        used.add(partner)
        is_a_smaller = sizes[0][part] <= sizes[1][partner]
        n = min(sizes[0][part], sizes[1][partner])
        side = ((names_a, part), (names_b, partner))[not is_a_smaller]
        state = _state(common, side, a_is_it=is_a_smaller, found=found[part, partner])
        far = [t.relative_distance for t in found[part, partner].distances if t.n_dims > 1]
        distance = round(float(np.median(far)), 6) if state == "changed" and far else 0.0
        relations.append(
            ComponentRelation(a=part, b=partner, state=state, n_parameters=n, distance=distance)
        )
    return (*relations, *(_alone("", y, sizes[1][y]) for y in sizes[1] if y not in used))


def _alone(a: str, b: str, n: int) -> ComponentRelation:
    return ComponentRelation(a=a, b=b, state="alone", n_parameters=n)


def _parts(sketch: Sketch) -> dict[str, str]:
    """The component of each tensor, by its name; "" of a model without components."""
    known = parts_of(t.stored_name for t in sketch.tensors.values())
    return {name: known.get(t.stored_name, "") for name, t in sketch.tensors.items()}


def _sizes(sketch: Sketch, names: Mapping[str, str]) -> dict[str, int]:
    """Parameters of each component; what is in none counts only where there are no others."""
    sizes: Counter[str] = Counter()
    for name, t in sketch.tensors.items():
        sizes[names[name]] += math.prod(t.shape)
    if len(sizes) > 1:
        sizes.pop("", None)
    return dict(sizes)


def _state(
    common: InCommon,
    side: tuple[Mapping[str, str], str],
    *,
    a_is_it: bool,
    found: _Found,
) -> ComponentState:
    """What became of the smaller of two components."""
    names, part = side
    matches = common.found.a if a_is_it else common.found.b
    if _is_held({n: x for n, x in matches.items() if names.get(n) == part}):
        return "equal"
    if common.rounded is not None:
        rounded = common.rounded.found.a if a_is_it else common.rounded.found.b
        if _is_held({n: x for n, x in rounded.items() if names.get(n) == part}):
            return "rounded"
    n_paired = len({pair.a.name if a_is_it else pair.b.name for pair in found.pairs})
    if n_paired == sum(own == part for own in names.values()) and _is_cast(found.pairs):
        return "rounded"
    matrices = [t.cosine for t in found.distances if t.n_dims > 1]
    cosines = matrices or [t.cosine for t in found.distances]
    is_near = bool(cosines) and float(np.median(cosines)) >= MIN_RELATED_COSINE
    return "changed" if is_near else "unrelated"


def _is_cast(pairs: list[TensorPair]) -> bool:
    """Whether one side of all pairs is the other, rounded."""
    return any(
        all(x.is_same_shape and is_cast(*((x.a, x.b)[::way])) for x in pairs) for way in (1, -1)
    )


def _is_held(matches: Mapping[str, TensorMatch]) -> bool:
    """Whether the other model holds all of it, but for a little."""
    n = sum(x.n_parameters for x in matches.values())
    same = sum(x.n_parameters for x in matches.values() if x.is_same or x.share == 1.0)
    return bool(n) and same >= ALL * n and any(x.is_told for x in matches.values())

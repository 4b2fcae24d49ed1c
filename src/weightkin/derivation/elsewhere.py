"""Kind and direction of two networks that stand under different names in two models.

A fine-tuned copy under another prefix, beside other weights, is compared with its parent as if
each stood alone: their tensors are given the names of one network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from weightkin.anatomy.roles import RoleKey
from weightkin.derivation.derived import scheme_for
from weightkin.derivation.disguise import Disguise
from weightkin.derivation.equal import Shared, sketches_of
from weightkin.derivation.in_common import in_common
from weightkin.derivation.kinds import Derivation, KnownPair, kind_of
from weightkin.derivation.networks import MOST_LINEAGE
from weightkin.derivation.opened import Pair
from weightkin.evidence.stacks import Names
from weightkin.records import clue
from weightkin.records.kinds import equal_kinds
from weightkin.sketch.layout import in_parts
from weightkin.sketch.types import Sketch

MIN_WHOLE = 0.98  # of the smaller model, from which a network is all of it


def derive_elsewhere(
    pair: Pair, names: Names, undone: Disguise, shared: Shared
) -> Derivation | None:
    """How one network of a was made from one of b, or the reverse; None where nothing pairs.

    Parameters
    ----------
    pair : Pair
        The two models.
    names : (str, str)
        The two stacks that a test found to share weights.
    undone : Disguise
        Disguise of the stack of b that was seen through.
    shared : Shared
        What was found equal before.

    Returns
    -------
    Derivation or None
        The kind of the two networks. Where it is less than half of the smaller model that was
        changed, the models share a part.
    """
    scheme = scheme_for(pair.models, frugal=bool(pair.settings.frugal))
    whole = shared.common.sketches
    if whole[0].scheme != scheme:
        whole = sketches_of(pair.models, scheme)
    a, b = (_network(x, own) for x, own in zip(whole, _stacks(whole, names), strict=True))
    if a.tensors.keys() != b.tensors.keys():
        apart = tuple(map(in_parts, whole))
        a, b = (_network(x, own) for x, own in zip(apart, _stacks(whole, names), strict=True))
    if not a.tensors.keys() & b.tensors.keys():
        return None
    known = KnownPair(disguise=undone, is_other_file=True, common=in_common(a, b))
    found = kind_of(a, b, known)
    share = min(x.n_parameters for x in (a, b)) / max(1, min(x.n_parameters for x in whole))
    found = replace(found, equality=None, details=found.details | _where(names))
    if share < MOST_LINEAGE:
        parts = {"parts": [names[0]], "share": round(share, 4)}
        return _without_direction(("shared-part",), found.details | parts)
    if equal_kinds(found.kind):
        kind = "part" if share >= MIN_WHOLE else "shared-part"
        return _without_direction((kind,), _where(names))
    return found


def _without_direction(kind: tuple[str, ...], details: Mapping[str, object]) -> Derivation:
    return Derivation(
        kind=kind,
        details=dict(details),
        parent="undetermined",
        probability=0.5,
        evidence=(clue("equal-has-no-direction"),) if kind == ("part",) else (),
    )


def _where(names: Names) -> dict[str, object]:
    return {"stacks": dict(zip("ab", names, strict=True))}


def _stacks(both: tuple[Sketch, Sketch], names: Names) -> tuple[dict[str, str], dict[str, str]]:
    """Stacks of both networks by the name that they get: that of a's.

    Beside the two that were found, those whose names begin as theirs do and end alike: an encoder
    beside its decoder.
    """
    words = [name.split(".") for name in names]
    n_same = 0
    for x, y in zip(*(reversed(own) for own in words), strict=False):
        if x != y:
            break
        n_same += 1
    begins = ["".join(f"{w}." for w in own[: len(own) - n_same]) for own in words]
    here, known = ({key.stack for key in _keys(x)} for x in both)
    pairs = dict([names])
    for stack in sorted(here if n_same else ()):
        other = begins[1] + stack.removeprefix(begins[0])
        if stack.startswith(begins[0]) and other in known:
            pairs[stack] = other
    return {stack: stack for stack in pairs}, {other: stack for stack, other in pairs.items()}


def _keys(sketch: Sketch) -> Iterator[RoleKey]:
    return (tensor.key for tensor in sketch.tensors.values())


def _network(sketch: Sketch, names: Mapping[str, str]) -> Sketch:
    """Some stacks of a model under other names, with what belongs to them outside the blocks."""
    held = [
        replace(
            tensor,
            key=replace(tensor.key, stack=names[tensor.key.stack]),
            stack=names.get(tensor.stack, tensor.stack),
        )
        for tensor in sketch.tensors.values()
        if tensor.key.stack in names
    ]
    return replace(
        sketch,
        tensors={tensor.name: tensor for tensor in held},
        stacks=tuple((names[stack], n) for stack, n in sketch.stacks if stack in names),
        n_parameters=sum(math.prod(tensor.shape) for tensor in held),
        before=None,
    )

"""An anatomy read under the names of the library, put back on the tensors as they are stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from weightkin.anatomy.by_table import Home
from weightkin.anatomy.translate import Component
from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.formats.model import Problem

_FUSED = ("attn.q", "attn.k", "attn.v")


def stored_anatomy(anatomy: Anatomy, component: Component) -> Anatomy:
    """Name every place by the tensor that holds it.

    An axis is left out where a place of it has no counterpart in what is stored: along the columns
    of a fused tensor, an axis must hold for all that stands in it.
    """
    homes = component.homes
    if all(home.tensor == name and not home.spans for name, home in homes.items()):
        return anatomy
    n_parts: dict[str, int] = defaultdict(int)
    for home in homes.values():
        n_parts[home.tensor] += 1
    axes = [_axis(axis, homes, n_parts) for axis in anatomy.axes]
    roles: dict[str, list[str]] = defaultdict(list)
    for name, role in anatomy.roles:
        roles[homes[name].tensor].append(role)
    kept = tuple(axis for axis in axes if axis is not None)
    skipped = anatomy.skipped
    if n_lost := len(axes) - len(kept):
        why = "they run across a part of a fused tensor"
        skipped = (*skipped, Problem(f"{n_lost} axes", why, code="fused"))
    return replace(
        anatomy,
        axes=kept,
        roles=tuple((name, _role(those)) for name, those in roles.items()),
        skipped=skipped,
    )


def _role(roles: list[str]) -> str:
    if len(set(roles)) == 1:
        return roles[0]
    return "attn.qkv" if tuple(roles) == _FUSED else "other"


def _axis(axis: Axis, homes: Mapping[str, Home], n_parts: Mapping[str, int]) -> Axis | None:
    places: list[Place] = []
    across: dict[Place, int] = defaultdict(int)  # columns of a fused tensor: parts they hold for
    roles: dict[Place, str] = {}
    for place in axis.places:
        home = homes[place.tensor]
        if not home.spans or (place.dim and n_parts[home.tensor] == 1):
            places.append(replace(place, tensor=home.tensor))
        elif place.dim or place.index is not None:
            whole = replace(place, tensor=home.tensor, role="")
            across[whole] += 1
            roles.setdefault(whole, place.role)
        elif (moved := _moved(place, home)) is not None:
            places.append(moved)
        else:
            return None
    if any(n != n_parts[whole.tensor] for whole, n in across.items()):
        return None
    places += [replace(whole, role=roles[whole]) for whole in across]
    return replace(axis, places=tuple(places))


def _moved(place: Place, home: Home) -> Place | None:
    """A place along the rows of a part; None where it spans a cut."""
    before = 0
    for begin, end in home.spans:
        if before <= place.start and place.start + place.size <= before + end - begin:
            return replace(place, tensor=home.tensor, start=place.start - before + begin)
        before += end - begin
    return None

"""`family_graph(method="mother")`: the MoTHer recipe on a collection, as a graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Doubles
from weightkin.lineage.arborescence import ROOT
from weightkin.lineage.candidates import CandidateEdge, Member
from weightkin.lineage.mother import common_square, distances, mother
from weightkin.records import Skipped, clue, left_out
from weightkin.sketch import Sketch


class Squares(Mapping[str, npt.NDArray[np.float32]]):
    """Square matrices of one model by role, read whole when they are asked for.

    What a sketch holds whole is taken from it; what is part of a larger tensor is left out else.
    """

    def __init__(self, member: Member) -> None:
        sketch, model = member.sketch, member.model
        self._model = None if sketch.scheme.is_whole else model
        self._held = {
            name: t
            for name, t in sketch.tensors.items()
            if len(t.shape) == 2
            and t.shape[0] == t.shape[1]
            and (self._model is None or (t.stored_name in self._model.tensors and not t.is_cut))
        }

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        tensor = self._held[name]
        if self._model is None:
            return tensor.values
        rows = self._model.rows(tensor.stored_name)
        return rows.T if tensor.is_turned else rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


def mother_edges(
    members: Sequence[Member], families: Sequence[Sequence[int]]
) -> tuple[list[CandidateEdge], list[Skipped]]:
    """Edges of the recipe inside known families, layout by layout (it needs equal shapes).

    The stage is taken as specialisation, the one of fine-tuning, which the paper must be told.
    """
    edges, skipped = [], []
    for family in families:
        layouts = by_layout([m.sketch for m in members], family)
        for layout in layouts:
            if len(layout) < 2:
                if len(layouts) > 1:
                    skipped.append(_skipped(members, layout, "no-relative-of-shape"))
                continue
            if any(not members[i].sketch.scheme.is_whole and not members[i].model for i in layout):
                skipped.append(_skipped(members, layout, "whole-matrices-needed"))
                continue
            squares = [Squares(members[i]) for i in layout]
            names = common_square(squares)
            if not names:
                skipped.append(_skipped(members, layout, "no-common-square"))
                continue
            parents = mother(squares, 1)
            far: Doubles = distances(squares, names, "l_FT")
            edges += [
                CandidateEdge(
                    parent=layout[int(u)],
                    child=layout[v],
                    kind="unknown",
                    distance=max(0.0, float(far[u, v])),
                    direction=0.5,
                    evidence=(clue("recipe"),),
                )
                for v, u in enumerate(parents)
                if u != ROOT
            ]
    return edges, skipped


def _skipped(members: Sequence[Member], layout: Sequence[int], code: str) -> Skipped:
    return left_out(", ".join(members[i].id for i in layout), code)


def by_layout(sketches: Sequence[Sketch], family: Sequence[int]) -> list[list[int]]:
    """Members whose tensors inside blocks have equal names and shapes, largest group first."""
    groups: dict[frozenset[tuple[str, tuple[int, ...]]], list[int]] = defaultdict(list)
    for i in family:
        groups[_layout_of(sketches[i])].append(i)
    return sorted(groups.values(), key=lambda g: (-len(g), g))


def _layout_of(sketch: Sketch) -> frozenset[tuple[str, tuple[int, ...]]]:
    """Names and shapes of all tensors inside blocks; of all tensors where none is in a block."""
    tensors = sketch.tensors.values()
    inside = frozenset((t.name, t.shape) for t in tensors if t.block >= 0)
    return inside or frozenset((t.name, t.shape) for t in tensors)

"""`family_graph(method="mother")`: the MoTHer recipe on a collection, as a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from weightkin.arrays import Doubles
from weightkin.lineage.arborescence import ROOT
from weightkin.lineage.candidates import CandidateEdge, Member
from weightkin.lineage.mother import common_square, distances, mother
from weightkin.lineage.trained import by_layout
from weightkin.records import Skipped, clue, left_out


class Squares(Mapping[str, npt.NDArray[np.float32]]):
    """Square matrices of one model by name, read whole when they are asked for.

    A sketch may have the names of its family where the file has others: what it holds whole is
    taken from it.
    """

    def __init__(self, member: Member) -> None:
        sketch, model = member.sketch, member.model
        self._model = None if sketch.scheme.is_whole else model
        self._sketch = sketch
        names = sketch.tensors if self._model is None else self._model.tensors
        self._names = [
            t.name
            for t in sketch.tensors.values()
            if len(t.shape) == 2 and t.shape[0] == t.shape[1] and t.name in names
        ]

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        if self._model is not None:
            return self._model.rows(name)
        return self._sketch.tensors[name].values

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


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

"""Models whose matrices are all equal: one place in the tree for all of them.

They differ in what has no counterpart (token rows that were cut or added, a head, an outer part) or
in vectors alone. Equal matrices show no direction. The largest of them stands for all; a child of
it hangs on the one that has the child's own names and shapes, where only one has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from weightkin.derivation.distances import relate
from weightkin.derivation.shared import shared_tensors
from weightkin.lineage.candidates import CandidateEdge, first_kind
from weightkin.lineage.relatives import Relatives
from weightkin.records import clue
from weightkin.sketch import Sketch

TIED_DISTANCE = 1e-9  # relative distance


def twins_of(
    sketches: Sequence[Sketch], members: Sequence[int], root: int | None = None
) -> dict[int, list[int]]:
    """Members by the one of equal matrices that stands for them.

    Parameters
    ----------
    sketches : sequence of Sketch
        All models.
    members : sequence of int
        Positions of the models looked at.
    root : int, optional
        The one that stands for its own twins; elsewhere the largest does.

    Returns
    -------
    dict of list of int
        Position of the one that stands for them: the others, none where it is alone.
    """
    tensors = shared_tensors([sketches[i] for i in members])
    classes: dict[str, list[int]] = {}
    for k, i in enumerate(members):
        digest = hashlib.sha256(b"".join(t.values[k].tobytes() for t in tensors))
        classes.setdefault(digest.hexdigest() if tensors else str(i), []).append(i)
    found = {}
    for those in classes.values():
        first = min(those, key=lambda i: (i != root, -sketches[i].n_parameters, i))
        found[first] = [i for i in those if i != first]
    return found


def twin_edges(
    relatives: Relatives, twins: dict[int, list[int]], edges: Sequence[CandidateEdge]
) -> list[CandidateEdge]:
    """Edges between twins, and edges from them with the twin that a child belongs to.

    Parameters
    ----------
    relatives : Relatives
        All models and the tests of their pairs.
    twins : dict of list of int
        As `twins_of` gives them.
    edges : sequence of CandidateEdge
        Between those that stand for their twins.

    Returns
    -------
    list of CandidateEdge
        These edges first, then one to each other twin.
    """
    found = [_settled(relatives.sketches, twins.get(e.parent, []), e) for e in edges]
    for first, others in twins.items():
        for other in others:
            derivation, relation = relatives.derive(first, other)
            is_known = derivation.parent == "a"
            found.append(
                CandidateEdge(
                    parent=first,
                    child=other,
                    kind=first_kind(derivation.kind),
                    details=derivation.details,
                    log10_pvalue=relatives.test(first, other)[0],
                    direction=derivation.probability if is_known else 0.5,
                    distance=relation.relative_distance,
                    evidence=derivation.evidence if is_known else (clue("twins"),),
                )
            )
    return found


def _settled(
    sketches: Sequence[Sketch], others: Sequence[int], edge: CandidateEdge
) -> CandidateEdge:
    """The edge from whichever twin has the child's names and shapes, or from the first, open."""
    if not others:
        return edge
    wanted = _shapes(sketches[edge.child])
    those = [u for u in (edge.parent, *others) if _shapes(sketches[u]) == wanted]
    far = {u: relate(sketches[u], sketches[edge.child]).relative_distance for u in those}
    nearest = [u for u in those if far[u] <= min(far.values()) + TIED_DISTANCE]
    if len(nearest) == 1:
        return replace(edge, parent=nearest[0])
    rival = next(u for u in (*nearest, *others) if u != edge.parent)
    said = clue("tied-twin", model=sketches[rival].name)
    return replace(
        edge, direction=0.5, evidence=(*edge.evidence, said), runner_up=rival, behind=0.0
    )


def _shapes(sketch: Sketch) -> frozenset[tuple[str, tuple[int, ...]]]:
    return frozenset((t.name, t.shape) for t in sketch.tensors.values())

"""One edge between trained models: how sure its parent and direction are, and what says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit

from weightkin.derivation.clock import MIN_CLOCK_ROWS, STILL, collinear_rows
from weightkin.lineage.candidates import CandidateEdge, first_kind
from weightkin.lineage.measured import Pairwise
from weightkin.lineage.orient import Orientation
from weightkin.lineage.relatives import Relatives
from weightkin.records import Clue, clue
from weightkin.sketch import Sketch

MERELY_OLDER = 0.75  # probability of a direction that only says who is older
CLOCK = 6.0  # log-odds that the model whose unused rows shrank less came first
OF_PAIRS = ("ask-relatives", "unused-rows")  # clues of a pair alone, which relatives replace
CAME = 0.98  # probability that a model came through the copy whose loss it holds
HELD_LEAST = 0.8  # of what its parent learned: below, an older sibling is as likely


def trained_edge(
    relatives: Relatives,
    members: Sequence[int],
    found: Orientation,
    v: int,
    distance: float,
    known_root: int | None = None,
) -> CandidateEdge:
    """The edge into a model, as sure as its direction, and as this parent rather than the next.

    Parameters
    ----------
    relatives : Relatives
        All models, and what is known of pairs of them.
    members : sequence of int
        Those of the tree.
    found : Orientation
        The tree: parents and directions by position among the members.
    v : int
        Position of the child; it has a parent.
    distance : float
        Relative distance of the child to its parent.
    known_root : int, optional
        The model that is known to be the root of the tree.

    Returns
    -------
    CandidateEdge
        Between models, not positions.
    """
    u = int(found.parents[v])
    undone = relatives.undone(members[u], members[v])
    derivation, _ = relatives.derive(members[u], members[v], undone)
    evidence = [clue("relative-distance", distance=round(distance, 6))]
    held, direction = float(found.held[v]), float(found.direction[v])
    if not np.isnan(held):
        evidence.append(clue("inherits", share=round(held, 4)))
        direction = min(direction, MERELY_OLDER) if held < HELD_LEAST else direction
    second = int(found.runner_up[v])
    is_seen = not undone  # by distances
    if second >= 0 and is_seen and not relatives.undone(members[u], members[second]):
        direction *= float(expit(found.margin[v]))  # that parent rather than the next one
    if "noise" in derivation.kind and derivation.parent == "undetermined":
        direction = min(direction, MERELY_OLDER)
        evidence.append(clue("noise-undetermined"))
    if (
        undone
        and members[u] != known_root
        and not _is_odd_one(relatives, members, members[u], members[v])
    ):
        direction = min(direction, 0.5)
        evidence.append(clue("rewritten-undetermined"))
    evidence += _clock_clues(*(relatives.sketches[members[k]] for k in (u, v)))
    return CandidateEdge(
        parent=members[u],
        child=members[v],
        kind=first_kind(derivation.kind),
        details=derivation.details,
        log10_pvalue=relatives.test(members[u], members[v])[0],
        direction=round(direction, 4),
        distance=distance,
        support=float(found.support[v]),
        evidence=(*evidence, *(x for x in derivation.evidence if x.code not in OF_PAIRS)),
        runner_up=members[second] if second >= 0 else None,
        behind=round(float(found.margin[v]), 3),
        unit="log-odds",
    )


def _is_odd_one(relatives: Relatives, members: Sequence[int], u: int, v: int) -> bool:
    """Whether a disguised model is alone in its order and scales, and its parent is not in its own.

    Of two that are written differently the one without relatives of its kind was rewritten.
    """
    has_mate = False
    for x in members:
        if x in (u, v):
            continue
        like_u, like_v = not relatives.undone(u, x), not relatives.undone(v, x)
        if like_v and not like_u:
            return False
        has_mate = has_mate or (like_u and not like_v)
    return has_mate


def _clock_clues(parent: Sketch, child: Sketch) -> list[Clue]:
    found = collinear_rows(parent, child)
    if found.n_rows < MIN_CLOCK_ROWS or abs(found.c - 1.0) <= STILL:
        return []
    log_odds = CLOCK if found.c < 1.0 else -CLOCK
    return [clue("unused-rows-shrank", n_rows=found.n_rows, c=found.c, log_odds=log_odds)]


def pairwise(own: Sequence[Sketch]) -> Pairwise:
    """What the clock of unused token rows says about pairs, and how many rows they share."""
    n = len(own)
    odds, rows = np.zeros((n, n)), np.full((n, n), np.nan)
    for i in range(n):
        for j in range(i):
            found = collinear_rows(own[i], own[j])
            if found.n_sampled:
                rows[i, j] = rows[j, i] = found.n_rows
            if found.n_rows >= MIN_CLOCK_ROWS and abs(found.c - 1.0) > STILL:
                odds[i, j] = CLOCK if found.c < 1.0 else -CLOCK
                odds[j, i] = -odds[i, j]
    return Pairwise(odds, rows)


def came_through(edge: CandidateEdge, root: int, said: Clue) -> CandidateEdge:
    """An edge below a known root: those that leave it rest on what its copy lost.

    Parameters
    ----------
    edge : CandidateEdge
        Any edge.
    root : int
        The known root.
    said : Clue
        The evidence that is added.

    Returns
    -------
    CandidateEdge
        The same where it does not leave the root.
    """
    if edge.parent != root:
        return edge
    return replace(edge, direction=min(edge.direction, CAME), evidence=(*edge.evidence, said))


def beside(
    leaving: Sequence[CandidateEdge], root: int, unobserved: int, code: str
) -> list[CandidateEdge]:
    """Hang children and the root itself from an ancestor that nobody has.

    Parameters
    ----------
    leaving : sequence of CandidateEdge
        Edges from the root to those children; at least one.
    root, unobserved : int
        The root, and the number of the ancestor.
    code : str
        Why: the evidence of the new edges.

    Returns
    -------
    list of CandidateEdge
        One for each child, and that of the root.
    """
    ends = [*leaving, replace(leaving[0], child=root)]
    return [
        replace(
            edge,
            parent=unobserved,
            kind="unknown",
            details={},
            direction=1.0 if code == "distant" else MERELY_OLDER,
            evidence=(clue(code),),
            runner_up=None,
            behind=0.0,
        )
        for edge in ends
    ]

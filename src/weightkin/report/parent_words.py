"""How probable the parent of an edge is, and who else it may be, in words."""

from __future__ import annotations

import math
from collections.abc import Callable

from weightkin.records.accounting import PossibleParent
from weightkin.records.family import NOT_HERE, FamilyEdge, RunnerUp
from weightkin.records.form import probability_words
from weightkin.records.kinds import KINDS
from weightkin.records.registry import Step
from weightkin.report.terminal import printable
from weightkin.text import percent

NO_NODE = dict(zip(NOT_HERE, ("a model that is not here", "none of them"), strict=True))
MOST_OTHERS = 3  # candidates in one line
BEHIND = {  # how far behind the runner-up is, by the unit of the record
    "log-odds": lambda behind: f"{_times(behind)} less probable",
    "log distance": lambda behind: f"{_times(behind)} as far away",
    "distance": lambda behind: f"farther by {behind:.3g} of the norm",
}
MOST_TIMES = 100  # from which on a factor says no more
Names = Callable[[str], str]


def parent_words(edge: FamilyEdge | Step, named: Names = printable, most: int = MOST_OTHERS) -> str:
    """The figures of an edge: ``parent 0.93 (or x 0.04), direction 0.98``.

    Parameters
    ----------
    edge : FamilyEdge or Step
        Without a probability of the parent there is that of the direction alone.
    named : callable
        What a node is called.
    most : int
        Other candidates that are listed; one that is tied always is.

    Returns
    -------
    str
        An edge that is not determined says so.
    """
    older = probability_words(edge.direction_probability)
    is_open = edge.direction != "determined"
    if edge.parent_probability is None:
        return f"direction {f'undetermined ({older})' if is_open else older}"
    sure = probability_words(edge.parent_probability)
    others = other_words(edge, named, most) if isinstance(edge, FamilyEdge) else ""
    if is_open:
        sure = f"undetermined ({sure}{others and f', {others}'})"
    elif others:
        sure = f"{sure} ({others})"
    return f"parent {sure}, direction {older}"


def open_words(edge: FamilyEdge, named: Names = printable) -> str:
    """What is not determined about an edge, and who else may be the parent."""
    if edge.parent_probability is None:
        return "direction undetermined"
    sure = f"parent {probability_words(edge.parent_probability)}"
    tied, others = _others(edge, named)
    said = tied or [f"or {x}" for x in others[:1]]
    return f"{sure} ({said[0]})" if said else sure


def other_words(edge: FamilyEdge, named: Names = printable, most: int = 1 << 30) -> str:
    """Who else may be the parent: ``tied with x 0.39, or a model that is not here 0.06``."""
    tied, others = _others(edge, named)
    listed = others[:most]
    listed += [f"{len(others) - most} more"] if len(others) > most > 0 else []
    return ", ".join([*tied, *([f"or {', '.join(listed)}"] if listed else [])])


def _others(edge: FamilyEdge, named: Names) -> tuple[list[str], list[str]]:
    """The candidate that is as good, if there is one, and the others."""
    tied = edge.runner_up.parent if edge.runner_up and is_tied(edge) else ""
    others = others_of(edge)
    same = [x for x in others if x.observed and x.parent == tied]
    left = [candidate_words(x, named) for x in others if x not in same]
    said = candidate_words(same[0], named) if same else named(tied) if tied else ""
    return ([f"tied with {said}"] if said else []), left


def candidate_words(x: PossibleParent, named: Names = printable) -> str:
    """A candidate with its probability."""
    name = named(x.parent) if x.observed else NO_NODE[x.parent]
    return f"{name} {probability_words(x.probability)}"


def others_of(edge: FamilyEdge) -> tuple[PossibleParent, ...]:
    """Members of the 95 % set that the edge does not come from; of a merge, which has all, none."""
    if edge.weight != 1.0:
        return ()
    is_unseen = any(x.code == "several-roots" for x in edge.evidence)
    own = ("unobserved", False) if is_unseen else (edge.parent, True)
    return tuple(x for x in edge.parents or () if (x.parent, x.observed) != own)


def is_tied(edge: FamilyEdge) -> bool:
    """Whether another parent is as good, so that nothing was determined."""
    second = edge.runner_up
    return edge.direction != "determined" and second is not None and second.behind == 0


def rival_words(edge: FamilyEdge, named: Names = printable) -> str:
    """Who else may be the parent, or else who comes next and how far behind."""
    second = edge.runner_up
    if others := other_words(edge, named):
        return others.removeprefix("or ")
    return f"{named(second.parent)}, {behind_words(second)}" if second else "no other candidate"


def is_support_known(edge: FamilyEdge | Step) -> bool:
    """Whether there was another candidate that could have been nearer in the resamples."""
    if any(x.code in ("several-roots", "recipe") for x in edge.evidence):
        return False
    if edge.support >= 1 and KINDS[edge.kind].disguise:
        return False  # a disguised copy is found by its units, not by distances
    return isinstance(edge, Step) or edge.weight != 1.0 or edge.runner_up is not None


def support_number(edge: FamilyEdge | Step) -> str:
    """The support of an edge for a table; a dash where nothing could have been nearer."""
    return f"{edge.support:.2f}" if is_support_known(edge) else "–"


def support_words(edge: FamilyEdge | Step) -> str:
    """How often the parent is the nearest model where parts of the two are drawn again."""
    if not edge.support:
        if edge.weight != 1.0:
            return "a single model is nearer in every resample of the matrices"
        return "another model is nearer in every resample of the matrices; other evidence decides"
    share = f"in {percent(edge.support)} of the resamples of the matrices"
    if edge.weight != 1.0:
        return f"the mixture is nearer than any other model {share}"
    return f"the nearest model {share}"


def behind_words(second: RunnerUp) -> str:
    """By how much another parent would be worse."""
    if second.behind <= 0:
        return "tied"
    worse = BEHIND.get(second.unit)
    return worse(second.behind) if worse else f"worse by {second.behind:.3g}"


def _times(log_factor: float) -> str:
    """A factor that is stored as its natural logarithm."""
    factor = math.exp(min(log_factor, 50.0))
    return f"over {MOST_TIMES} times" if factor > MOST_TIMES else f"{factor:.2g} times"

"""All ancestors of a registered model: above it in the family graph, or declared alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from weightkin.registry.standing import Placing, Standing

Basis = Literal["determined", "undetermined", "declared", "copy"]
Place = str | int  # a node of the graph, or a model that is declared
Up = Callable[[Place], Iterable[Place]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """One model above another; ``id`` is 0 where it is not registered.

    ``basis``: ``determined`` (every edge up to it is), ``undetermined`` (over an edge that is not),
    ``declared`` (over a declared parent that no edge of the graph shows) or ``copy`` (the contents
    of an ancestor, registered after it).
    """

    id: int
    steps: int
    basis: Basis


def ancestry(placing: Placing, standings: Mapping[int, Standing], number: int) -> list[Ancestor]:
    """Every ancestor of a model, through all of its parents, nearest first.

    Parameters
    ----------
    placing, standings : Placing, mapping of int to Standing
        All models in the family graph, and where each stands.
    number : int
        The model.

    Returns
    -------
    list of Ancestor
        Each once, by what shows it best; a declared parent that is contradicted is none, and so is
        a parent in the graph that the model is not shown to be related to.
    """
    node = placing.nodes.get(number, "")
    sure = placing.above(node)
    found: dict[Place, tuple[int, Basis]] = {x: (len(p), "determined") for x, p in sure.items()}

    def in_graph(at: Place) -> Iterator[Place]:
        own = placing.nodes.get(at, "") if isinstance(at, int) else at
        yield from placing.shown_parents(own)

    def also_declared(at: Place) -> Iterator[Place]:
        yield from in_graph(at)
        members = [at] if isinstance(at, int) else [x.id for x in placing.members.get(at, ())]
        for x in members:
            for said in standings[x].declared:
                if said.id and said.state != "contradicted":
                    yield said.id

    for at, steps in _walk(number, in_graph).items():
        found.setdefault(at, (steps, "undetermined"))
    for at, steps in _walk(number, also_declared).items():
        found.setdefault(at, (steps, "declared"))
    listed: dict[int, Ancestor] = {}
    hidden = []
    for at, (steps, basis) in found.items():
        members = [at] if isinstance(at, int) else [x.id for x in placing.members.get(at, ())]
        if not members:
            hidden.append(Ancestor(id=0, steps=steps, basis=basis))
        for k, x in enumerate(members):
            listed.setdefault(x, Ancestor(id=x, steps=steps, basis="copy" if k else basis))
    listed.pop(number, None)
    return sorted([*listed.values(), *hidden], key=lambda x: (x.steps, not x.id, x.id))


def _walk(start: Place, up: Up) -> dict[Place, int]:
    """Everything that is reached, by the fewest steps."""
    found = {start: 0}
    waiting = deque([start])
    while waiting:
        at = waiting.popleft()
        for x in up(at):
            if x not in found:
                found[x] = found[at] + 1
                waiting.append(x)
    del found[start]
    return found

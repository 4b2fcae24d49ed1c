"""What a model declares about its parents, beside where its weights place it."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import PurePath
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from weightkin.records.registry import DeclaredParent, Registered, Relative, State, Step
from weightkin.registry.placement import Placement
from weightkin.registry.proposing import Compared
from weightkin.sources.hub import SCHEME

LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def check_declared(
    declared: Sequence[str],
    matches: Mapping[str, Sequence[int]],
    found: Compared,
    place: Placement,
) -> tuple[DeclaredParent, ...]:
    """State of every declared parent, and of every inferred one that is not declared.

    Parameters
    ----------
    declared : sequence of str
        The names that the model declares as its parents.
    matches : mapping
        Numbers of the registered models that a declared name may mean.
    found, place : Compared, Placement
        What was found about registered models, and the edges around this one.

    Returns
    -------
    tuple of DeclaredParent
        One for each declared name, then one for each inferred parent that is not declared.
    """
    own = found.request.number
    stated = []
    meant: set[int] = set()
    tested = {x.model.id: x for x in (*found.relatives, *found.others)}
    above = takewhile(lambda step: step.direction == "determined", place.path)
    sure = [step for step in place.parents if step.direction == "determined"]
    on_path = {s.parent_id: s for s in (*above, *sure)}
    for name in declared:
        ids = [i for i in matches.get(name, ()) if i in tested]
        meant.update(ids)
        if not ids and own and own in matches.get(name, ()):
            stated.append(DeclaredParent(name=name, state="confirmed", code="itself", id=own))
            continue
        stated.append(_state(name, ids, tested, on_path, place.below))
    for step in place.parents:
        if step.parent_id and step.parent_id not in meant:
            is_sure = step.direction == "determined"
            stated.append(
                DeclaredParent(
                    name=step.parent,
                    state="undeclared" if is_sure else "possible",
                    code="inferred" if is_sure else "perhaps",
                    data=parent_figures(step, tested[step.parent_id].model, found.request.own)
                    if step.parent_id in tested
                    else parent_figures(step),
                    id=step.parent_id,
                )
            )
    return tuple(stated)


def parent_figures(
    step: Step, parent: Registered | None = None, own: Registered | None = None
) -> dict[str, Any]:
    """What is known of an inferred parent, as the data of its code.

    Parameters
    ----------
    step : Step
        The edge to it.
    parent, own : Registered, optional
        The two, where both are registered.

    Returns
    -------
    dict
        ``kind``; ``probability`` of this parent among all candidates; ``older``, the probability
        that it is the older one of the two; ``distance``, and ``is_registered_first``, where known.
    """
    far = (x.data["distance"] for x in step.evidence if x.code == "relative-distance")
    known: dict[str, Any] = {
        "kind": step.kind,
        "probability": step.parent_probability,
        "older": step.direction_probability,
        "distance": next(far, None),
    }
    if parent is not None and own is not None and parent.added != own.added:
        known["is_registered_first"] = parent.added < own.added
    return {k: x for k, x in known.items() if x is not None}


def matching(connection: sqlite3.Connection, name: str) -> list[int]:
    """Ids of the registered models that a declared name may mean; by indexes, however many."""
    exact = connection.execute(
        "SELECT id FROM models WHERE name = ? UNION"
        " SELECT id FROM models WHERE source IN (?, ?) ORDER BY id",
        (name, name, f"{SCHEME}{name}"),
    ).fetchall()
    last = PurePath(name).name
    query = "SELECT id FROM models WHERE name = ? COLLATE NOCASE ORDER BY id"  # as on a hub
    named = connection.execute(query, (last,))
    return [row[0] for row in exact or named.fetchall()]


class Named:
    """What `matching` finds among all registered models, for many names at once."""

    def __init__(self, models: Iterable[Registered]) -> None:
        self._names: defaultdict[str, set[int]] = defaultdict(set)
        self._sources: defaultdict[str, set[int]] = defaultdict(set)
        self._loose: defaultdict[str, list[int]] = defaultdict(list)
        for model in models:
            self._names[model.name].add(model.id)
            self._sources[model.source].add(model.id)
            self._loose[_folded(model.name)].append(model.id)

    def __call__(self, name: str) -> list[int]:
        """Numbers of the models that a declared name may mean, in their order."""
        sources = (self._sources.get(x, set()) for x in (name, f"{SCHEME}{name}"))
        exact = self._names.get(name, set()).union(*sources)
        return sorted(exact) or self._loose.get(_folded(PurePath(name).name), [])


def _folded(name: str) -> str:
    """As SQLite compares without case: letters of ASCII alone."""
    return name.translate(LOWER)


def _state(
    name: str,
    ids: Sequence[int],
    tested: Mapping[int, Relative],
    on_path: Mapping[int, Step],
    below: frozenset[int],
) -> DeclaredParent:
    if not ids:
        return DeclaredParent(name=name, state="unverifiable", code="not-registered")
    related = [i for i in ids if tested[i].verdict == "dependent"]
    above = next((i for i in related if i in on_path), None)
    meant = above or next(iter(related or ids))
    state: State = "confirmed"
    if not related:
        code = "compared"
        state = "unverifiable" if tested[meant].verdict == "not-testable" else "contradicted"
    elif above is not None:
        code = "on-path"
    elif all(i in below for i in related):
        code, state = "made-from-it", "contradicted"
    else:
        code = "place-not-shown"
    summary = tested[meant].summary
    return DeclaredParent(name=name, state=state, code=code, summary=summary, id=meant)

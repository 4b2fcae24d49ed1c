"""What a model declares about its parents, beside where its weights place it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import PurePath

from weightkin.records.registry import DeclaredParent, Relative, State, Step
from weightkin.registry.placing import Placement
from weightkin.registry.searching import Compared
from weightkin.sources.hub import SCHEME


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
            why = "the model itself, by its values"
            stated.append(DeclaredParent(name=name, state="confirmed", why=why, id=own))
            continue
        stated.append(_state(name, ids, tested, on_path, place.below))
    for step in place.parents:
        if step.parent_id and step.parent_id not in meant:
            is_sure = step.direction == "determined"
            why = f"inferred as a parent ({step.kind})" if is_sure else f"related ({step.kind})"
            why += ", and not declared" if is_sure else ", perhaps a parent, and not declared"
            stated.append(
                DeclaredParent(name=step.parent, state="undeclared", why=why, id=step.parent_id)
            )
    return tuple(stated)


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


def _state(
    name: str,
    ids: Sequence[int],
    tested: Mapping[int, Relative],
    on_path: Mapping[int, Step],
    below: frozenset[int],
) -> DeclaredParent:
    related = [i for i in ids if tested[i].verdict == "dependent"]
    if not ids:
        return DeclaredParent(name=name, state="unverifiable", why="not in this registry")
    if not related:
        why = tested[ids[0]].sentence
        is_open = tested[ids[0]].verdict == "not-testable"
        state: State = "unverifiable" if is_open else "contradicted"
        return DeclaredParent(name=name, state=state, why=why, id=ids[0])
    above = next((i for i in related if i in on_path), None)
    if above is not None:
        why = f"on the path to the root; {tested[above].sentence}"
        return DeclaredParent(name=name, state="confirmed", why=why, id=above)
    if all(i in below for i in related):
        why = f"shares weights, but was made from this model; {tested[related[0]].sentence}"
        return DeclaredParent(name=name, state="contradicted", why=why, id=related[0])
    why = f"shares weights, its place as a parent is not shown; {tested[related[0]].sentence}"
    return DeclaredParent(name=name, state="confirmed", why=why, id=related[0])

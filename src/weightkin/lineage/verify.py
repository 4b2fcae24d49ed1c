"""Reruns any record that can be rerun: pairs as `verbs.verify` does it, families here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, Literal

from weightkin.errors import UnreadableModel, UsageError
from weightkin.lineage.among import compare_among
from weightkin.lineage.family import family_graph
from weightkin.records import Comparison
from weightkin.records.family import FamilyGraph, FamilyNode
from weightkin.records.location import Location
from weightkin.verbs import verify as pairs

METHODS: dict[str, Literal["weightkin", "mother"]] = {
    "weightkin/1": "weightkin",
    "mother/1": "mother",
}

Record = Comparison | Location | FamilyGraph


def verify(
    record: Record, a: pairs.Source | None = None, b: pairs.Source | None = None
) -> list[str]:
    """Rerun a record with its own parameters and list what differs.

    Parameters
    ----------
    record : Comparison, Location or FamilyGraph
        What `compare`, `locate` or `tree` said.
    a, b : Model, str or Path, optional
        Where the two models of a pair are now; a family is read where its nodes say.

    Returns
    -------
    list of str
        Empty when digests and all that was said are the same: counts and words exactly, other
        numbers to one in a thousand (tests that ran the models: see `verbs.verify`). Of a family
        the duplicates are not read again. Cost: that of the verb.

    Raises
    ------
    UnreadableModel
        A model cannot be read where the record says, or the record was not written by this tool.
    """
    if isinstance(record, Comparison) and (relatives := record.parameters.get("relatives")):
        if not isinstance(relatives, list) or not all(isinstance(x, str) for x in relatives):
            raise UnreadableModel("record: malformed relatives, expected a list of sources")
        return pairs.verify(record, a, b, again_with=partial(compare_among, relatives=relatives))
    if not isinstance(record, FamilyGraph):
        return pairs.verify(record, a, b)
    if a is not None or b is not None:
        raise UsageError("a record of tree is read where its nodes say: name no models")
    if record.method not in METHODS:
        found = record.method[: pairs.SHOWN]
        raise UnreadableModel(f"record: method {found!r}, expected one of {[*METHODS]}")
    pairs.check_level(record.alpha, record.seed)
    sources = [node.source for node in record.nodes if node.observed]
    if not sources:
        raise UnreadableModel("record: no model in it, expected at least one")
    again = family_graph(
        sources, alpha=record.alpha, seed=record.seed, method=METHODS[record.method]
    )
    return family_differences(record, again)


def family_differences(old: FamilyGraph, new: FamilyGraph) -> list[str]:
    """What two records of one family disagree on; other contents are said first, and alone.

    Models are told apart by their sources. Where they came in, how long it took and how many bytes
    were read does not count.
    """
    now = {node.source: node for node in new.nodes if node.observed}
    names, found = {}, []
    for node in (x for x in old.nodes if x.observed):
        if (there := now.get(node.source)) is None:
            why = [skip.why for skip in new.skipped if new.incomplete]
            if why:
                raise UnreadableModel(why[0])
            found.append(f"{node.id}: holds now what another model of the record holds")
        elif there.digest != node.digest:
            found.append(f"digest of {node.id}: {node.digest} in the record, {there.digest} now")
        else:
            names[there.id] = node.id
    if found:
        return found
    return pairs.value_differences(_values(old, {}), _values(new, names))


def what_agrees(record: Record) -> str:
    """What an empty list of differences means for this record."""
    if not isinstance(record, FamilyGraph):
        return pairs.what_agrees(record)
    counts = {"duplicates": sum(len(node.duplicates) for node in record.nodes)}
    counts["skipped models"] = len(record.skipped)
    not_read = [f"{n} {what}" for what, n in counts.items() if n]
    left_out = f" ({' and '.join(not_read)} were not read again)" if not_read else ""
    return f"sample digests of {len(record.nodes)} nodes, edges and components agree{left_out}"


def _said(node: FamilyNode) -> dict[str, Any]:
    """What a family says about a node, but for what is not read again."""
    is_hidden = not node.observed
    source = is_hidden or node.source
    return {"observed": not is_hidden, "digest": node.digest, "name": node.name, "source": source}


def _values(graph: FamilyGraph, names: Mapping[str, str]) -> dict[str, Any]:
    """What a family says, whatever its models are called now."""

    def name(i: str) -> str:
        return names.get(i, i)

    edges: dict[str, Any] = {}
    for edge in graph.edges:
        said = asdict(edge)
        if edge.runner_up is not None:
            said["runner_up"]["parent"] = name(edge.runner_up.parent)
        said["parent"], said["child"] = name(edge.parent), name(edge.child)
        edges[f"{said['parent']} -> {said['child']}"] = said
    return {
        "edges": edges,
        "nodes": {name(node.id): _said(node) for node in graph.nodes},
        "components": sorted(sorted(name(i) for i in group) for group in graph.components),
        "parameters": graph.parameters,
    }

"""Can the evidence be recomputed? Reruns any record with its own parameters and compares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from weightkin.api.arguments import check_alpha, check_count, check_effort, check_kind, check_seed
from weightkin.api.compare import MOST_PUBLISHED, Options, compare
from weightkin.api.differences import (
    MAX_VALUE_LENGTH,
    differences,
    other_models,
    value_differences,
    verdict_differences,
)
from weightkin.api.differences import what_agrees as pair_agrees
from weightkin.api.locate import locate
from weightkin.api.models import Source, as_source
from weightkin.errors import UnreadableModel, UsageError
from weightkin.lineage.family import find_family
from weightkin.records import Comparison, Effort, ModelRef, version1
from weightkin.records.family import FamilyGraph, FamilyNode
from weightkin.records.location import Location
from weightkin.sources.hub import pinned as at_commit
from weightkin.stats.sums import logsumexp

METHODS: dict[str, Literal["weightkin", "mother"]] = {
    "weightkin/1": "weightkin",
    "mother/1": "mother",
}

Record = Comparison | Location | FamilyGraph


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A second look at the two models of a record, on a sample of its own."""

    record: Comparison
    log10_pvalue: float  # of both looks: one over the mean of their e-values


def verify(record: Record, a: Source | None = None, b: Source | None = None) -> list[str]:
    """Rerun a record with its own parameters and list what differs.

    Parameters
    ----------
    record : Comparison, Location or FamilyGraph
        What `compare`, `locate` or `tree` said.
    a, b : Model, str, Path or state dict, optional
        Where the two models of a pair are now; a family is read where its nodes say.

    Returns
    -------
    list of str
        Empty when digests and every number of the record are the same: counts and words exactly,
        other numbers to one in a thousand. Tests that ran the models (`compare` with effort
        ``thorough``) need agree to 5 % only, and their logs of p-values to 20 %. Of a family the
        duplicates are not read again. Cost: that of the verb.

    Raises
    ------
    UnreadableModel
        A model cannot be read where the record says, or the record was not written by this tool.
    UsageError
        The record is of another verb, or models are named for one of `tree`.
    """
    check_kind("record", record, Record, "a record of compare, locate or tree")
    a, b = (x if x is None else as_source(name, x) for name, x in (("a", a), ("b", b)))
    _check_level(record.alpha, record.seed)
    if isinstance(record, FamilyGraph):
        return _of_family(record, a, b)
    is_old = is_of_version_1(record)
    sources = pinned(record.a) if a is None else a, pinned(record.b) if b is None else b
    is_there = a is None and b is None
    if isinstance(record, Location):
        location = locate(*sources, alpha=record.alpha, seed=record.seed)
        compared = verdict_differences if is_old else differences
        return compared(record, location, is_there=is_there)
    effort, options = _asked(record)
    again = compare(*sources, effort=effort, alpha=record.alpha, seed=record.seed, options=options)
    if is_old:
        return verdict_differences(record, again, is_there=is_there)
    return differences(_in_words_of_now(record, effort), again, is_there=is_there)


def is_of_version_1(record: Record) -> bool:
    """Whether a record is one of 0.1.0, whose numbers need not come out again."""
    return record.parameters.get(version1.MARK) == 1


def pinned(ref: ModelRef) -> str:
    """The source of a record; on a hub at the commit that was read then."""
    return at_commit(ref.source, ref.revision)


def _check_level(alpha: float, seed: int) -> None:
    """Refuse a level or a seed that no run can have had."""
    try:
        check_alpha(alpha)
        check_seed(seed)
    except UsageError as error:
        raise UnreadableModel(f"record: {error}") from None


def refreshed(record: Comparison, a: Source | None = None, b: Source | None = None) -> Refreshed:
    """Look at the two models of a record again, on a sample that fresh bytes draw.

    Null hypothesis: that of `compare`. The smaller of two p-values is none, so both stand side by
    side; the mean of their e-values is an e-value, whatever the draws were.

    Parameters
    ----------
    record : Comparison
        What `compare` said.
    a, b : Model, str, Path or state dict, optional
        Where the two models are now.

    Returns
    -------
    Refreshed
        The new record, and what both draws are worth together. Cost: that of `compare`.

    Raises
    ------
    UnreadableModel
        A model cannot be read where the record says, or the record was not written by this tool.
    UsageError
        The models are others than those of the record.
    """
    check_kind("record", record, Comparison, "a record of compare")
    a, b = (x if x is None else as_source(name, x) for name, x in (("a", a), ("b", b)))
    _check_level(record.alpha, record.seed)
    sources = pinned(record.a) if a is None else a, pinned(record.b) if b is None else b
    effort, options = _asked(record)
    options = replace(options, challenge="own")
    again = compare(*sources, effort=effort, alpha=record.alpha, options=options)
    if found := other_models(record, again):
        raise UsageError(f"verify --fresh: {found[0]}")
    logs = [-x.log10_pvalue * math.log(10.0) for x in (record, again)]
    together = float(logsumexp(np.array(logs))) - math.log(2.0)
    return Refreshed(again, min(0.0, -together / math.log(10.0)))


def _asked(record: Comparison) -> tuple[Effort, Options]:
    """What a comparison was asked for, as its record says; one of 0.1.0 had two flags."""
    stated = record.parameters
    flags = [_flag(stated, name) for name in ("thorough", "quick")]
    effort = stated.get("effort", "thorough" if flags[0] else "quick" if flags[1] else "standard")
    relatives = stated.get("relatives", [])
    if not isinstance(relatives, list) or not all(isinstance(x, str) for x in relatives):
        raise UnreadableModel("record: relatives is not a list of sources")
    try:
        check_effort(effort)
        published = check_count("published", stated.get("published"), MOST_PUBLISHED)
    except UsageError as error:
        raise UnreadableModel(f"record: {error}") from None
    options = Options(
        relatives=relatives,
        published=published,
        full_digest=_flag(stated, "with_full_digest"),
        controls=_controls(stated.get("controls")),
        frugal=_flag(stated, "frugal"),
        challenge=record.challenge or "own",  # without one nothing was drawn, or by the seed
    )
    return effort, options


def _flag(stated: Mapping[str, Any], name: str) -> bool:
    value = stated.get(name, False)
    if not isinstance(value, bool):
        raise UnreadableModel(f"record: {name} is {str(value)[:80]!r}, not true or false")
    return value


def _controls(stated: Any) -> Path | None:
    """The file of controls that was used; none is written as an empty text."""
    if not stated:
        return None
    if not isinstance(stated, str) or "\0" in stated or not Path(stated).is_file():
        raise UnreadableModel(f"record: its file of controls, {str(stated)[:80]!r}, is not there")
    return Path(stated)


def _in_words_of_now(record: Comparison, effort: Effort) -> Comparison:
    """A record whose parameters say the effort as they do today."""
    kept = {k: x for k, x in record.parameters.items() if k not in ("quick", "thorough")}
    return replace(record, parameters=kept | {"effort": effort})


def _of_family(record: FamilyGraph, a: Source | None, b: Source | None) -> list[str]:
    if a is not None or b is not None:
        raise UsageError("a result of tree names its models itself; name none here")
    if record.method not in METHODS:
        raise UnreadableModel(f"record: unknown method {record.method[:MAX_VALUE_LENGTH]!r}")
    sources = [node.source for node in record.nodes if node.observed]
    if not sources:
        raise UnreadableModel("record: no model in it")
    again = find_family(
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
            lost = [x.data["error"] for x in new.skipped if x.code == "unread" and new.incomplete]
            if lost:
                raise UnreadableModel(lost[0])
            found.append(f"{node.id}: now has the same contents as another model of the record")
        elif there.digest != node.digest:
            found.append(f"digest of {node.id}: {node.digest} in the record, {there.digest} now")
        else:
            names[there.id] = node.id
    if found:
        return found
    before, now_ = _values(old, {}), _values(new, names)
    if is_of_version_1(old):
        before, now_ = ({"components": x["components"]} for x in (before, now_))
    return value_differences(before, now_)


def what_agrees(record: Record) -> str:
    """What an empty list of differences means for this record."""
    if is_of_version_1(record):
        return f"the verdict; made by {record.version or '0.1.0'}: method differs"
    if not isinstance(record, FamilyGraph):
        return pair_agrees(record)
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
        for possible in said["parents"] or ():
            if possible["observed"]:
                possible["parent"] = name(possible["parent"])
        said["parent"], said["child"] = name(edge.parent), name(edge.child)
        edges[f"{said['parent']} -> {said['child']}"] = said
    return {
        "edges": edges,
        "nodes": {name(node.id): _said(node) for node in graph.nodes},
        "components": sorted(sorted(name(i) for i in group) for group in graph.components),
        "parameters": graph.parameters,
    }

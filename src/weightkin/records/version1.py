"""Records of version 1, as 0.1.0 wrote them, in the fields of version 2.

Sentences cannot become codes again: they are kept as they are, under the code `text`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Data = dict[str, Any]
PREFIX = "weightkin/"
GROUPS = {"blind tests": "blind", "calibrated": "calibrated", "activation tests": "activations"}
TESTABLE = "not testable: "
MARK = "record"  # parameter that says which version a record was read from
BASES = {"same files": "files", "same full digest": "digest", "all values": "all"}


def schema_of(schema: str) -> str:
    """Name of version 1 of a schema."""
    return f"{schema.rsplit('/', 1)[0]}/1"


def translated(data: Data) -> Data:
    """A record of version 1 as one of version 2.

    Raises
    ------
    ValueError
        It is none.
    """
    name = str(data["schema"]).removeprefix(PREFIX).split("/")[0]
    try:
        found = {**_RECORDS[name](data), "schema": f"{PREFIX}{name}/2"}
        if isinstance(found.get("parameters"), dict):
            found["parameters"] = {**found["parameters"], MARK: 1}
        return found
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"of version 1: {error}") from None


def edge(data: Any) -> Any:
    """What a registry keeps of a comparison, whichever version wrote it."""
    if not isinstance(data, dict) or "summary" in data or "verdict" not in data:
        return data
    return {**_without(data, "verdict", "basis", "log10_pvalue", "sentence", "kind"),
            "summary": _summary(data)}  # fmt: skip


def _comparison(data: Data) -> Data:
    direction = data["direction"]
    details = dict(data.get("kind_details", {}))
    if "identical" in details:
        details["identical"] = BASES.get(details["identical"], "sample")
    return {
        **data,
        "kind_details": details,
        "direction": {**direction, "evidence": _clues(direction.get("evidence", []))},
        "skipped": _all_skipped(data),
    }


def _location(data: Data) -> Data:
    return {**data, "skipped": _all_skipped(data)}


def _family(data: Data) -> Data:
    edges = [_with_clues(x) for x in data["edges"]]
    return {**data, "edges": edges, "skipped": _all_skipped(data)}


def _search(data: Data) -> Data:
    relatives = {key: [edge(x) for x in data.get(key, [])] for key in ("relatives", "others")}
    steps = {key: [_with_clues(x) for x in data.get(key, [])]
             for key in ("parents", "children", "path")}  # fmt: skip
    found = {**data, **relatives, **steps, "skipped": _all_skipped(data)}
    why = found.pop("not_testable", "")
    return {**found, "not_testable": _skipped({"what": "", "why": why})} if why else found


def _trace(data: Data) -> Data:
    declared = [
        {**_without(x, "why"), "code": "text", "data": {"text": x["why"]}}
        for x in data.get("declared", [])
    ]
    return {**data, "search": _search(data["search"]), "declared": declared}


def _check(data: Data) -> Data:
    models = [
        {**x, "skipped": _all_skipped(x), "against": [_against(y) for y in x.get("against", [])]}
        for x in data["models"]
    ]
    return {**data, "models": models}


def _against(data: Data) -> Data:
    kept = _without(data, "verdict", "log10_pvalue", "sentence")
    return {**kept, "summary": _summary({"basis": "exact", **data})}


def _listed(data: Data) -> Data:
    return {**data, "skipped": _all_skipped(data)}


_RECORDS: dict[str, Callable[[Data], Data]] = {
    "comparison": _comparison,
    "location": _location,
    "family": _family,
    "search": _search,
    "trace": _trace,
    "check": _check,
    "adding": _listed,
    "listing": dict,
    "model": _listed,
    "sketching": _listed,
    "estimate": _listed,
}


def _summary(data: Data) -> Data:
    found: Data = {
        key: data[key] for key in ("verdict", "basis", "log10_pvalue", "kind") if key in data
    }
    sentence = str(data.get("sentence", ""))
    if data["verdict"] == "not-testable":
        found["reason"] = _skipped({"what": "", "why": sentence.removeprefix(TESTABLE)})
    return found


def _skipped(data: Data) -> Data:
    what = data["what"]
    test = next((group for words, group in GROUPS.items() if words in what), "")
    return {"what": what, "code": "text", "data": {"text": data["why"]}, "test": test}


def _all_skipped(data: Data) -> list[Data]:
    return [_skipped(x) for x in data.get("skipped", [])]


def _clues(lines: list[str]) -> list[Data]:
    return [{"code": "text", "data": {"text": line}} for line in lines]


def _with_clues(data: Data) -> Data:
    return {**data, "evidence": _clues(data.get("evidence", []))}


def _without(data: Data, *names: str) -> Data:
    return {key: value for key, value in data.items() if key not in names}

"""Records as earlier versions wrote them, in the fields of this one.

Version 1 is that of 0.1.0; some of version 2 have had fields at other places. Sentences cannot
become codes again: they are kept as they are, under the code `text`.
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
    name = _name(data)
    try:
        found = {**_RECORDS[name](data), "schema": f"{PREFIX}{name}/2"}
        if isinstance(found.get("parameters"), dict):
            found["parameters"] = {**found["parameters"], MARK: 1}
        return found
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"of version 1: {error}") from None


def moved(data: Data) -> Data:
    """A record of version 2 with every field where it is now."""
    change = _MOVED.get(_name(data))
    return data if change is None else change(data)


def found(data: Any) -> Any:
    """What was found about another model, whichever version kept it, and under which fields."""
    if not isinstance(data, dict):
        return data
    summary = data.get("summary")
    merged = {**data, **summary} if isinstance(summary, dict) else dict(data)
    if data.get("imported") is True:
        merged["looked_at"] = "imported"
    sentence = merged.pop("sentence", None)
    if isinstance(sentence, str) and merged.get("verdict") == "not-testable":
        merged["reason"] = _text("", sentence.removeprefix(TESTABLE))
    return merged


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
    steps = {key: [_with_clues(x) for x in data.get(key, [])]
             for key in ("parents", "children", "path")}  # fmt: skip
    changed = {**data, **steps, "skipped": _all_skipped(data)}
    why = changed.pop("not_testable", "")
    return {**changed, "not_testable": _text("", why)} if why else changed


def _trace(data: Data) -> Data:
    declared = [
        {**_without(x, "why"), "code": "text", "data": {"text": x["why"]}}
        for x in data.get("declared", [])
    ]
    return {**data, "search": _search(data["search"]), "declared": declared}


def _check(data: Data) -> Data:
    return {**data, "models": [{**x, "skipped": _all_skipped(x)} for x in data["models"]]}


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


def _moved_search(data: Data) -> Data:
    lists = {
        key: [{**x, "model": _model(x["model"]), "summary": found(x)} for x in data.get(key, [])]
        for key in ("relatives", "others")
    }
    own = {"registered": _model(data["registered"])} if data.get("registered") else {}
    return {**data, **lists, **own}


def _moved_models(data: Data) -> Data:
    return {key: [_model(x) for x in value] if key in ("added", "known", "models") else value
            for key, value in data.items()}  # fmt: skip


def _model(data: Data) -> Data:
    notes = [{"code": "text", "data": {"text": x}} if isinstance(x, str) else x
             for x in data.get("notes", [])]  # fmt: skip
    return {**data, "notes": notes}


def _moved_check(data: Data) -> Data:
    models = []
    for model in data["models"]:
        against = [
            {
                **x,
                "summary": {"basis": "exact", **found(x.get("summary", x))},
                "limits": [_text("", y) if isinstance(y, str) else y for y in x.get("limits", [])],
            }
            for x in model.get("against", [])
        ]
        findings = [_finding(x) for x in model.get("findings", [])]
        models.append({**model, "against": against, "findings": findings})
    return {**data, "models": models}


def _finding(data: Data) -> Data:
    """A finding; which of the two came first was only in its sentence."""
    if "reason" not in data:
        return data
    changed = {**data, "code": "text", "data": {"text": data["reason"]}}
    if data.get("verdict"):
        summary = {**found(_without(data, "reason")), "probability": data["direction_probability"]}
        changed["summary"] = summary
    return changed


_MOVED: dict[str, Callable[[Data], Data]] = {
    "search": _moved_search,
    "trace": lambda data: {**data, "search": _moved_search(data["search"])},
    "check": _moved_check,
    "adding": _moved_models,
    "listing": _moved_models,
}


def _name(data: Data) -> str:
    return str(data["schema"]).removeprefix(PREFIX).split("/")[0]


def _skipped(data: Data) -> Data:
    what = data["what"]
    test = next((group for words, group in GROUPS.items() if words in what), "")
    return {**_text(what, data["why"]), "test": test}


def _text(what: str, text: str) -> Data:
    return {"what": what, "code": "text", "data": {"text": text}}


def _all_skipped(data: Data) -> list[Data]:
    return [_skipped(x) for x in data.get("skipped", [])]


def _clues(lines: list[str]) -> list[Data]:
    return [{"code": "text", "data": {"text": line}} for line in lines]


def _with_clues(data: Data) -> Data:
    return {**data, "evidence": _clues(data.get("evidence", []))}


def _without(data: Data, *names: str) -> Data:
    return {key: value for key, value in data.items() if key not in names}

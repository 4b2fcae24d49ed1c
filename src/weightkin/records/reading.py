"""Any record that can be rerun, read by the schema it names."""

from __future__ import annotations

from functools import partial
from typing import Any

from weightkin.errors import UsageError
from weightkin.records import checking, comparison, family, location, registry, version1
from weightkin.records.built import built
from weightkin.records.checking import Check
from weightkin.records.comparison import Comparison
from weightkin.records.family import FamilyGraph
from weightkin.records.form import data_of, from_data, schema_of
from weightkin.records.location import Location

Record = Comparison | Location | FamilyGraph | Check
_KINDS: dict[str, type[Record]] = {
    comparison.SCHEMA: Comparison,
    location.SCHEMA: Location,
    family.SCHEMA: FamilyGraph,
    checking.SCHEMA: Check,
}
_OF_A_REGISTRY = {registry.SEARCH_SCHEMA: "search", registry.TRACE_SCHEMA: "trace"}


def read_record(text: str, where: str = "record") -> Record:
    """Read what a command wrote that can be rerun; one line says what is wrong with a text.

    Raises
    ------
    UnreadableModel
        No JSON, another schema, a malformed field, or one that is not known here: what cannot be
        recomputed must not seem verified.
    UsageError
        A record of `search` or `trace`: it depends on a registry as it was then.
    """
    data = data_of(text, where)
    known = (*_KINDS, *_OF_A_REGISTRY)
    found = schema_of(data, where, (*known, *map(version1.schema_of, known)))
    schema = next(x for x in known if found in (x, version1.schema_of(x)))
    if verb := _OF_A_REGISTRY.get(schema):
        why = f"a result of {verb} depends on the registry as it was then"
        raise UsageError(f"{where}: {why} and cannot be verified; run {verb} again")
    build = _check if schema == checking.SCHEMA else partial(_strictly, _KINDS[schema])
    return from_data(data, where, schema, build)


def _strictly(kind: type[Record], data: dict[str, Any]) -> Record:
    return built(kind, data, is_strict=True)


def _check(data: dict[str, Any]) -> Check:
    """A check; its outcome is written beside the findings that it follows from."""
    stated = data.pop("outcome", None)
    record = built(Check, data, is_strict=True)
    if stated not in (None, record.outcome):
        raise ValueError(f"its findings say {record.outcome}, its outcome does not")
    return record

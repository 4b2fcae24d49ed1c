"""Any record that can be rerun, read by the schema it names."""

from __future__ import annotations

from functools import partial

from weightkin.errors import UsageError
from weightkin.records import comparison, family, location, registry, version1
from weightkin.records.built import built
from weightkin.records.comparison import Comparison
from weightkin.records.family import FamilyGraph
from weightkin.records.form import data_of, from_data, schema_of
from weightkin.records.location import Location

Record = Comparison | Location | FamilyGraph
_KINDS: dict[str, type[Record]] = {
    comparison.SCHEMA: Comparison,
    location.SCHEMA: Location,
    family.SCHEMA: FamilyGraph,
}
_OF_A_REGISTRY = {registry.SEARCH_SCHEMA: "search", registry.TRACE_SCHEMA: "trace"}


def read_record(text: str, where: str = "record") -> Record:
    """Read what `compare`, `locate` or `tree` wrote; one line says what is wrong with a text.

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
    return from_data(data, where, schema, partial(built, _KINDS[schema], is_strict=True))

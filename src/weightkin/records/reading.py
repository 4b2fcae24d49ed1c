"""Any record that can be rerun, read by the schema it names."""

from __future__ import annotations

from collections.abc import Callable

from weightkin.errors import UsageError
from weightkin.records import comparison, family, location, registry
from weightkin.records.comparison import Comparison
from weightkin.records.family import FamilyGraph
from weightkin.records.form import schema_of
from weightkin.records.location import Location

Record = Comparison | Location | FamilyGraph
_READERS: dict[str, Callable[[str, str], Record]] = {
    comparison.SCHEMA: Comparison.from_json,
    location.SCHEMA: Location.from_json,
    family.SCHEMA: FamilyGraph.from_json,
}
_OF_A_REGISTRY = {registry.SEARCH_SCHEMA: "search", registry.TRACE_SCHEMA: "trace"}


def read_record(text: str, where: str = "record") -> Record:
    """Read what `compare`, `locate` or `tree` wrote; one line says what is wrong with a text.

    Raises
    ------
    UnreadableModel
        No JSON, another schema, or a malformed field.
    UsageError
        A record of `search` or `trace`: it depends on a registry as it was then.
    """
    schema = schema_of(text, where, (*_READERS, *_OF_A_REGISTRY))
    if verb := _OF_A_REGISTRY.get(schema):
        wanted = "a record of compare, locate or tree"
        why = f"a record of {verb} needs the registry as it was then: run {verb} again"
        raise UsageError(f"{where}: {why}; expected {wanted}")
    return _READERS[schema](text, where)

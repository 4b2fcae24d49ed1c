"""Any record of two models, read by the schema it names."""

from __future__ import annotations

from collections.abc import Callable

from weightkin.records import comparison, location
from weightkin.records.comparison import Comparison
from weightkin.records.form import schema_of
from weightkin.records.location import Location

_READERS: dict[str, Callable[[str, str], Comparison | Location]] = {
    comparison.SCHEMA: Comparison.from_json,
    location.SCHEMA: Location.from_json,
}


def read_record(text: str, where: str = "record") -> Comparison | Location:
    """Read what `compare` or `locate` wrote; one line says what is wrong with a text that is none.

    Raises
    ------
    UnreadableModel
        No JSON, another schema, or a malformed field.
    """
    return _READERS[schema_of(text, where, tuple(_READERS))](text, where)

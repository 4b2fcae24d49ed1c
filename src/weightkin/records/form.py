"""Records as JSON text and back: one schema name each, no NaN, no empty optional fields."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from weightkin.errors import UnreadableModel
from weightkin.records import version1
from weightkin.records.built import parsed

T = TypeVar("T")
MOST_SAID = 300  # characters of what is wrong with a field


def to_text(schema: str, values: Mapping[str, Any], indent: int | None) -> str:
    """Return JSON with its schema first; fields that are None are left out.

    Parameters
    ----------
    schema : str
        Name with version.
    values : mapping
        Fields of the record.
    indent : int or None
        Spaces of a level; None: one line.

    Returns
    -------
    str
        No NaN and no infinity.

    Raises
    ------
    ValueError
        A value is NaN or infinite.
    """
    data = _without_none({"schema": schema, **values})
    return json.dumps(data, indent=indent, allow_nan=False)


def from_text(text: str, where: str, schema: str, build: Callable[[dict[str, Any]], T]) -> T:
    """Read a record from JSON.

    Parameters
    ----------
    text : str
        The JSON.
    where : str
        Its name in errors.
    schema : str
        The one that is expected; its version 1 is read too.
    build : callable
        Makes the record of the fields, without the schema.

    Returns
    -------
    object
        What ``build`` returns.

    Raises
    ------
    UnreadableModel
        No JSON, another schema, or a malformed field.
    """
    return from_data(data_of(text, where), where, schema, build)


def from_data(data: Any, where: str, schema: str, build: Callable[[dict[str, Any]], T]) -> T:
    """The same of JSON that has been parsed.

    Parameters
    ----------
    data : object
        The parsed JSON.
    where : str
        Its name in errors.
    schema : str
        The one that is expected; its version 1 is read too.
    build : callable
        Makes the record of the fields, without the schema.

    Returns
    -------
    object
        What ``build`` returns.

    Raises
    ------
    UnreadableModel
        Another schema, or a malformed field.
    """
    found = schema_of(data, where, (schema, version1.schema_of(schema)))
    try:
        data = version1.moved(data if found == schema else version1.translated(data))
        return build({key: value for key, value in data.items() if key != "schema"})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableModel(f"{where}: invalid record ({str(error)[:MOST_SAID]})") from None


def data_of(text: str, where: str) -> Any:
    """What a text says as JSON."""
    try:
        return parsed(text)
    except ValueError as error:
        raise UnreadableModel(f"{where}: not valid JSON ({error})") from None


def schema_of(data: Any, where: str, known: tuple[str, ...]) -> str:
    """Name of the schema of a record.

    Parameters
    ----------
    data : object
        The parsed JSON.
    where : str
        Its name in errors.
    known : tuple of str
        Schemas that are read.

    Returns
    -------
    str
        One of them.

    Raises
    ------
    UnreadableModel
        It names none of them.
    """
    found = data.get("schema") if isinstance(data, dict) else type(data).__name__
    if not isinstance(found, str) or found not in known:
        wanted = " or ".join(map(repr, known))
        raise UnreadableModel(f"{where}: its schema is {str(found)[:80]!r}, not {wanted}")
    return found


def pvalue_words(log10_pvalue: float) -> str:
    """A p-value for people, rounded towards one: never printed smaller than it is."""
    if log10_pvalue > -2:
        return f"p = {min(1.0, 10**log10_pvalue):.2f}"
    return f"p <= 1e-{int(-log10_pvalue)}"


def probability_words(probability: float) -> str:
    """A probability for people, rounded down: never 1, and 0.8 only where it is reached."""
    if probability > 0.99:
        return ">0.99"
    return "<0.01" if probability < 0.01 else f"{math.floor(100 * probability + 1e-9) / 100:.2f}"


def written(value: Any) -> Any:
    """A frozen value as it stands in JSON: what is None is not written."""
    return _without_none(asdict(value))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_without_none(v) for v in value]
    return value

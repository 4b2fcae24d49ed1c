"""Write the JSON Schemas of all records, from the dataclasses they are printed from.

    python docs/schema/make.py

Fields may be added at any time: whatever is not named here is allowed.
"""

from __future__ import annotations

import json
import types
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from weightkin.evidence.controls import CONTROLS_SCHEMA, Control
from weightkin.records import (
    checking,
    comparison,
    descendants,
    estimating,
    family,
    listing,
    location,
    sketching,
)
from weightkin.records import registry as registering
from weightkin.records.notes import Skipped
from weightkin.report import model

HERE = Path(__file__).parent
PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number"}
HIGHEST = {"log10_pvalue": 0.0}
MORE = {"check": {"outcome": {"enum": list(get_args(checking.Outcome))}}}  # written, not stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """Pairs of independent models, as a file of them contains them."""

    controls: tuple[Control, ...]
    skipped: tuple[Skipped, ...] = ()


RECORDS = {  # name: what its field `schema` says, and the dataclass
    "comparison": (comparison.SCHEMA, comparison.Comparison),
    "location": (location.SCHEMA, location.Location),
    "family": (family.SCHEMA, family.FamilyGraph),
    "model": (model.MODEL_SCHEMA, model.ModelRecord),
    "sketching": (sketching.SCHEMA, sketching.Sketching),
    "estimate": (estimating.SCHEMA, estimating.Estimate),
    "adding": (listing.ADDING_SCHEMA, listing.Adding),
    "listing": (listing.LISTING_SCHEMA, listing.Listing),
    "search": (registering.SEARCH_SCHEMA, registering.Search),
    "trace": (registering.TRACE_SCHEMA, registering.Trace),
    "descendants": (descendants.SCHEMA, descendants.Descendants),
    "check": (checking.SCHEMA, checking.Check),
    "controls": (CONTROLS_SCHEMA, Controls),
}


def schemas() -> dict[str, str]:
    """Text of each schema by the name of its file."""
    return {
        f"{name}.json": json.dumps(_record(name, *about), indent=1) + "\n"
        for name, about in RECORDS.items()
    }


def _record(name: str, schema: str, kind: type) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    body = _object(kind, definitions)
    body["properties"] = {"schema": {"const": schema}, **MORE.get(name, {}), **body["properties"]}
    body["required"] = ["schema", *body["required"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{schema.replace('/', ':')}",
        "title": f"weightkin {name}",
        "description": body.pop("description"),
        **body,
        **({"$defs": dict(sorted(definitions.items()))} if definitions else {}),
    }


def _object(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    """A dataclass: what has no default must be there, what is optional only with a value."""
    hints = get_type_hints(kind, include_extras=True)
    properties = {}
    required = []
    for field in fields(kind):
        found, is_optional = _without_none(hints[field.name])
        properties[field.name] = _type(found, definitions)
        if field.name in HIGHEST:
            properties[field.name]["maximum"] = HIGHEST[field.name]
        has_default = field.default is not MISSING or field.default_factory is not MISSING
        if not is_optional and not has_default:
            required.append(field.name)
    about = (kind.__doc__ or "").split("\n\n")[0].replace("``", "")
    return {
        "type": "object",
        "description": " ".join(about.split()),
        "properties": properties,
        "required": required,
    }


def _type(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    if is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}  # its place, for records that hold themselves
            definitions[kind.__name__] = _object(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return {"enum": list(kind.__metadata__[0].table)}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_type(x, definitions) for x in inner]}
    if origin is tuple and inner[-1] is Ellipsis:
        return {"type": "array", "items": _type(inner[0], definitions)}
    if origin is tuple:
        items = [_type(x, definitions) for x in inner]
        return {"type": "array", "prefixItems": items, "minItems": len(items),
                "maxItems": len(items)}  # fmt: skip
    if origin is dict:
        rest = {} if inner[1] is Any else {"additionalProperties": _type(inner[1], definitions)}
        return {"type": "object", **rest}
    raise TypeError(f"no schema for {kind}")


def _without_none(kind: Any) -> tuple[Any, bool]:
    inner = [x for x in get_args(kind) if x is not type(None)]
    is_union = get_origin(kind) in (Union, types.UnionType)
    if not is_union or len(inner) == len(get_args(kind)):
        return kind, False
    return (inner[0] if len(inner) == 1 else Union[tuple(inner)]), True  # noqa: UP007


if __name__ == "__main__":
    for name, text in schemas().items():
        (HERE / name).write_text(text, encoding="utf-8")

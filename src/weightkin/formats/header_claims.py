"""What the header of a safetensors file says of its model: a LoRA's base, what was merged.

Trainers (kohya: ``ss_*``) and interfaces (``sd_merge_recipe``, ``modelspec.*``) write it as texts.
Hostile until checked: lengths and counts are bounded, and a claim that cannot be read is listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from weightkin.errors import UnreadableModel
from weightkin.formats.json_text import parse
from weightkin.formats.model import Problem
from weightkin.text import shown

MOST_BYTES = 1 << 20  # of one recipe
MOST_ITEMS = 10_000  # commas and brackets of one
MOST_KEYS = 4096  # of a header that are looked at
MERGED = ("primary", "secondary", "tertiary")  # models of a recipe, in this order
BASES = (  # keys of trainers, the most telling first
    *("ss_base_model_name", "ss_sd_model_name", "ss_base_model_version"),
    *("ss_new_sd_model_hash", "ss_sd_model_hash"),
)
NOTHING = ("", "none", "null", "unknown")


@dataclass(frozen=True, slots=True)
class HeaderClaims:
    """Declared parents, each once; the licence; and what could not be read.

    ``method`` is how the parents are said to be merged, ``adapts`` the kind of an adapter's module.
    """

    parents: tuple[str, ...] = ()
    licence: str = ""
    method: str = ""
    adapts: str = ""
    unread: tuple[Problem, ...] = ()


def claims_in(metadata: Mapping[str, str]) -> HeaderClaims:
    """Read what the metadata of a header claims; nothing of it fails."""
    if not metadata or len(metadata) > MOST_KEYS:
        return HeaderClaims()
    unread: list[Problem] = []
    recipe = _object(metadata, "sd_merge_recipe", unread)
    models = _object(metadata, "sd_merge_models", unread)
    trained = [metadata[key] for key in BASES if _is_said(metadata.get(key))]
    joined = [x.strip() for x in metadata.get("modelspec.merged_from", "").split(",")]
    parents = [*_merged(recipe, models), *trained[:1], *joined]
    return HeaderClaims(
        parents=tuple(dict.fromkeys(x for x in parents if _is_said(x))),
        licence=metadata.get("modelspec.license", ""),
        method=str(recipe.get("interp_method") or recipe.get("type") or ""),
        adapts=metadata.get("ss_network_module", ""),
        unread=tuple(unread),
    )


def _object(metadata: Mapping[str, str], key: str, unread: list[Problem]) -> dict[str, Any]:
    text = metadata.get(key)
    if text is None:
        return {}
    raw = text.encode("utf-8", "replace")
    what = "header"
    try:
        if len(raw) > MOST_BYTES:
            raise UnreadableModel(f"{key}: too long ({len(raw)} bytes, at most {MOST_BYTES})")
        value = parse(raw, what, shown(key), is_hint=True, most=MOST_ITEMS)
    except UnreadableModel as error:
        unread.append(Problem(key, str(error), loses_tensors=False))
        return {}
    return value if isinstance(value, dict) else {}


def _merged(recipe: Mapping[str, Any], models: Mapping[str, Any]) -> Iterator[str]:
    """Names of the models of a recipe, or the hashes of those without; mergers nest recipes."""
    for place in MERGED:
        stated = recipe.get(f"{place}_model_hash")
        if not isinstance(stated, str):
            continue
        known = models.get(stated)
        name = known.get("name") if isinstance(known, dict) else None
        yield name if isinstance(name, str) and name.strip() else stated
    if not recipe:  # some interfaces list the models alone
        for known in models.values():
            name = known.get("name") if isinstance(known, dict) else None
            if isinstance(name, str):
                yield name


def _is_said(text: object) -> bool:
    return isinstance(text, str) and text.strip().casefold() not in NOTHING

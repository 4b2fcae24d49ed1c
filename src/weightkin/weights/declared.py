"""What a model says about itself: parents and licence. Claims, never evidence.

Read from ``config.json``, ``adapter_config.json``, the front matter of ``README.md`` and the keys
of a GGUF file, whatever of it is well formed; nothing here can fail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from weightkin.errors import WeightkinError
from weightkin.weights.hub import SCHEME
from weightkin.weights.model import Model, Problem
from weightkin.weights.source import base_and_adapter

CARD = "README.md"
MAX_BYTES = 1 << 20
MOST = 64  # parents
MAX_NAME = 256  # characters
_ENTRY = re.compile(r"^(base_model|license):[ \t]*(.*)$", re.MULTILINE)
_REPOSITORY = re.compile(r"https?://[^/]+/([^/]+/[^/]+?)/?")
_ITEM = re.compile(r"[ \t]*-[ \t]+(.+)")


@dataclass(frozen=True, slots=True)
class Declared:
    """Parents in the order they are named, each once, and the licence ("" where none is).

    ``unread`` lists files of claims that are there and could not be read.
    """

    parents: tuple[str, ...] = ()
    licence: str = ""
    unread: tuple[Problem, ...] = ()


def declared(model: Model) -> Declared:
    """Read the claims beside the weights of a model here or on a hub, or inside its GGUF file.

    An adapter declares its base first; a licence it does not name is that of its base.
    """
    pair = base_and_adapter(model.source)
    if pair is not None:
        below = declared(replace(model, source=pair[0]))
        own = Declared() if pair[1].startswith(SCHEME) else _of_folder(Path(pair[1]), {})
        name = pair[0].removeprefix(SCHEME).split("@")[0]
        others = [p for p in own.parents if _last(p) != _last(name)]
        return _kept([name, *others], own.licence or below.licence, model.source)
    if model.source.startswith(SCHEME):
        found = _of_texts(_beside(model, CARD), "", model.config)
    else:
        found = _of_folder(folder_of(Path(model.source)), model.config)
    return _kept(found.parents, found.licence, model.source)


def folder_of(path: Path) -> Path:
    """Where the claims about a local model lie; of ``base+adapter``, beside the adapter."""
    try:
        if "+" in str(path) and not path.exists():
            path = Path(str(path).rsplit("+", 1)[1])
        return path if path.is_dir() else path.parent
    except (OSError, ValueError):
        return path.parent


def _of_folder(folder: Path, config: Mapping[str, Any]) -> Declared:
    beside = _json(_text(folder / "config.json"))
    adapter = _text(folder / "adapter_config.json")
    return _of_texts(_text(folder / CARD), adapter, {**beside, **config})


def _of_texts(card: str, adapter: str, config: Mapping[str, Any]) -> Declared:
    """Parents by an adapter's config, a card, GGUF keys and a config; the first licence."""
    front = _front_matter(card)
    said = {key: list(_listed(front, start, first)) for key, start, first in _entries(front)}
    parents = [
        *_values(_json(adapter), "base_model_name_or_path"),
        *said.get("base_model", []),
        *_of_gguf(config.get("declared_base_models")),
        *_values(config, "_name_or_path"),
    ]
    licences = [*said.get("license", []), *_values(config, "declared_licence")]
    return Declared(tuple(parents), next((x for x in licences if x), ""))


def _kept(parents: Sequence[str], licence: str, source: str) -> Declared:
    own = {source, Path(source).name, ""}
    kept = [p for p in dict.fromkeys(parents) if p not in own and len(p) <= MAX_NAME]
    return Declared(tuple(kept[:MOST]), licence[:MAX_NAME])


def _of_gguf(bases: object) -> Iterator[str]:
    """``org/name`` of the base models that a GGUF file declares."""
    for base in bases if isinstance(bases, list) else []:
        if isinstance(base, dict):
            said = {k: v for k, v in base.items() if isinstance(v, str)}
            at = _REPOSITORY.fullmatch(said.get("repo_url", ""))
            organization, name = said.get("organization", ""), said.get("name", "")
            yield at[1] if at else f"{organization}/{name}" if organization and name else name


def _beside(model: Model, name: str) -> str:
    try:
        raw = model.beside(name, MAX_BYTES) if model.beside is not None else None
    except WeightkinError:  # a card that cannot be fetched says nothing
        raw = None
    return (raw or b"").decode("utf-8", errors="replace")


def _last(name: str) -> str:
    return PurePath(name).name


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode("utf-8", errors="replace")
    except (OSError, ValueError):
        return ""


def _json(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _values(data: Mapping[str, Any], key: str) -> list[str]:
    value = data.get(key)
    return [value] if isinstance(value, str) and value else []


def _front_matter(text: str) -> str:
    """Lines between the first two ``---``, if the text begins with one."""
    if not text.startswith("---"):
        return ""
    return text[3:].split("\n---", 1)[0]


def _entries(front: str) -> Iterator[tuple[str, int, str]]:
    for match in _ENTRY.finditer(front):
        yield match[1], match.end(), match[2].strip()


def _listed(front: str, start: int, first: str) -> Iterator[str]:
    """One value, a list in brackets, or a list of lines."""
    if first.startswith("["):
        yield from (_plain(x) for x in first.strip("[]").split(","))
    elif first:
        yield _plain(first)
    else:
        for line in front[start:].splitlines()[1:]:
            item = _ITEM.fullmatch(line)
            if item is None:
                return
            yield _plain(item[1])


def _plain(text: str) -> str:
    return text.split(" #", 1)[0].strip().strip("\"'")

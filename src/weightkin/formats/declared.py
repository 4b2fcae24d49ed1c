"""What a model says about itself: parents and licence. Claims, never evidence.

Read from ``config.json``, ``adapter_config.json``, the front matter of ``README.md``, the
keys of a GGUF file and the header of a safetensors file. Nothing here fails: what is there and
cannot be read is listed beside the claims.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from weightkin.errors import UnreadableModel, WeightkinError
from weightkin.formats.card import CARD, MAX_BYTES, said_in
from weightkin.formats.finder import ADAPTER_CONFIG, CONFIG
from weightkin.formats.folder import MAX_CONFIG
from weightkin.formats.header_claims import HeaderClaims, claims_in
from weightkin.formats.json_text import parse_object
from weightkin.formats.model import Model, Problem
from weightkin.sources.hub import SCHEME
from weightkin.sources.local import LocalFile, home_of
from weightkin.text import quoted, unreadable

MOST = 64  # parents
MAX_NAME = 256  # characters
_REPOSITORY = re.compile(
    r"(?:https?://[^/]+|(?:www\.)?(?:huggingface\.co|hf\.co))/([^/?#]+(?:/[^/?#]+)?)(?:[/?#].*)?",
    re.IGNORECASE,
)
_SNAPSHOT = re.compile(r"(?:.*/)?models--([^/]+)(?:/.*)?")
_AT_REVISION = re.compile(r"([^/@:]+/[^/@:]+)(?:@[^:]*)?(?::.*)?")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|.*\\")


@dataclass(frozen=True, slots=True)
class Declared:
    """Parents in the order they are named, each once, and the licence ("" where none is).

    ``relation`` is what the card says that the model is of them, in the words of a hub. Several
    licences are one text, with commas. ``unread`` lists claims that could not be read.
    """

    parents: tuple[str, ...] = ()
    licence: str = ""
    unread: tuple[Problem, ...] = ()
    relation: str = ""


def declared(model: Model) -> Declared:
    """Read the claims beside the weights of a model here or on a hub, or inside its GGUF file.

    An adapter declares its base first; a licence it does not name is that of its base.
    """
    if model.parts:
        *bases, adapter = model.parts
        base = "+".join(bases)
        own_parts = tuple(bases) if len(bases) > 1 else ()
        below = declared(replace(model, source=base, parts=own_parts, metadata={}))
        is_here = not adapter.startswith(SCHEME)
        own = _of_folder(folder_of(Path(adapter)), {}) if is_here else Declared()
        own = _with_header(own, claims_in(model.metadata))
        name = base.removeprefix(SCHEME).split("@")[0]
        others = [p for p in own.parents if _last(p) != _last(name)]
        unread = (*below.unread, *own.unread)
        kept = _kept([name, *others], own.licence or below.licence, model.source, unread)
        return replace(kept, relation=own.relation)
    if model.source.startswith(SCHEME):
        found = _of_texts(_Texts(lambda name, limit: _fetched(model, name, limit)), model.config)
    else:
        found = _of_folder(folder_of(Path(model.source)), model.config)
    found = _with_header(found, claims_in(model.metadata))
    kept = _kept(found.parents, found.licence, model.source, found.unread)
    return replace(kept, relation=found.relation)


def _with_header(found: Declared, header: HeaderClaims) -> Declared:
    """Claims beside the weights, then those in the header of the file itself."""
    return replace(
        found,
        parents=(*found.parents, *map(_clean, header.parents)),
        licence=found.licence or header.licence,
        unread=(*found.unread, *header.unread),
    )


def folder_of(path: Path) -> Path:
    """Where the claims about a local model lie; of ``base+adapter``, beside the adapter."""
    try:
        if "+" in str(path) and not path.exists():
            path = Path(str(path).rsplit("+", 1)[1])
        return path if path.is_dir() else path.parent
    except (OSError, ValueError):
        return path.parent


def _of_folder(folder: Path, config: Mapping[str, Any]) -> Declared:
    texts = _Texts(lambda name, limit: _local(folder, name, limit))
    return _of_texts(texts, {**texts.config(CONFIG), **config})


def _of_texts(texts: _Texts, config: Mapping[str, Any]) -> Declared:
    """Parents by an adapter's config, a card, GGUF keys and a config; all licences."""
    card = texts.card()
    parents = [
        *texts.values(texts.config(ADAPTER_CONFIG), "base_model_name_or_path", ADAPTER_CONFIG),
        *card["base_model"],
        *_of_gguf(config.get("declared_base_models")),
        *texts.values(config, "_name_or_path", CONFIG),
    ]
    named = card["license_name"]
    licences = [x for x in card["license"] if not (named and x.casefold() == "other")]
    licences += [*(named if len(licences) < len(card["license"]) else []),
                 *_values(config, "declared_licence")]  # fmt: skip
    licence = ", ".join({x.casefold(): x for x in reversed(licences)}.values())
    relation = _text(next(iter(card["base_model_relation"]), ""))[:MAX_NAME].casefold()
    return Declared(tuple(map(_clean, parents)), licence, tuple(texts.unread), relation)


@dataclass(frozen=True, slots=True)
class _Texts:
    """Small files beside a model, and what is there but could not be read."""

    read: Callable[[str, int], bytes | None]
    unread: list[Problem] = field(default_factory=list)

    def config(self, name: str) -> dict[str, Any]:
        """An object of JSON; empty where there is none."""
        raw = self._raw(name, MAX_CONFIG)
        if raw is None:
            return {}
        try:
            return parse_object(raw, name, "config", is_hint=True)
        except UnreadableModel as error:
            self.unread.append(Problem(name, str(error), loses_tensors=False))
            return {}

    def card(self) -> dict[str, list[str]]:
        """Values of the front matter of a card."""
        try:
            return said_in(self._raw(CARD, MAX_BYTES) or b"")
        except UnreadableModel as error:
            self.unread.append(Problem(CARD, str(error), loses_tensors=False))
        return said_in(b"")

    def values(self, config: Mapping[str, Any], key: str, name: str) -> list[str]:
        """Texts under one key of a config."""
        try:
            return _texts(config.get(key), name, key)
        except UnreadableModel as error:
            self.unread.append(Problem(name, str(error), loses_tensors=False))
            return []

    def _raw(self, name: str, limit: int) -> bytes | None:
        try:
            return self.read(name, limit)
        except WeightkinError as error:
            self.unread.append(Problem(name, str(error), loses_tensors=False))
            return None


def _local(folder: Path, name: str, limit: int) -> bytes | None:
    """The beginning of a file in a folder here."""
    path = folder / name
    if not os.path.lexists(path):
        return None
    file = LocalFile(path, (home_of(folder),))
    return file.read([(0, min(file.size, limit))]).tobytes()


def _fetched(model: Model, name: str, limit: int) -> bytes | None:
    """A file beside a model on a hub; its config was read when it was opened."""
    return model.beside(name, limit) if model.beside is not None and name == CARD else None


def _kept(
    parents: Sequence[str], licence: str, source: str, unread: tuple[Problem, ...]
) -> Declared:
    """What is declared, without the model itself; what is too much is listed as unread."""
    own = {_text(source), "" if "+" in source else _text(_clean(source)), "", "."}
    named = [p for p in dict.fromkeys(map(_text, parents)) if p not in own]
    kept = [p for p in named if len(p) <= MAX_NAME][:MOST]
    lost = []
    if len(kept) < len(named):
        why = f"{len(named) - len(kept)} of {len(named)} declared parents were left out:"
        why += f" more than {MOST}, or names over {MAX_NAME} characters"
        lost.append(Problem("declared parents", why, loses_tensors=False))
    if len(licence) > MAX_NAME:
        why = f"cut to {MAX_NAME} of {len(licence):,} characters"
        lost.append(Problem("declared licence", why, loses_tensors=False))
    return Declared(tuple(kept), _text(licence)[:MAX_NAME], (*unread, *lost))


def _text(name: str) -> str:
    """A name that any file or database takes: half surrogate pairs become question marks."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _of_gguf(bases: object) -> Iterator[str]:
    """``org/name`` of the base models that a GGUF file declares."""
    for base in bases if isinstance(bases, list) else []:
        if isinstance(base, dict):
            said = {k: v for k, v in base.items() if isinstance(v, str)}
            at = _REPOSITORY.fullmatch(said.get("repo_url", ""))
            organization, name = said.get("organization", ""), said.get("name", "")
            yield at[1] if at else f"{organization}/{name}" if organization and name else name


def _last(name: str) -> str:
    return PurePath(name).name


def _values(data: Mapping[str, Any], key: str) -> list[str]:
    value = data.get(key)
    return [value] if isinstance(value, str) and value else []


def _texts(value: Any, where: str, key: str) -> list[str]:
    """A text, or a list of texts; nothing of what is said is left out in silence."""
    listed = value if isinstance(value, list) else [value]
    if other := [x for x in listed if not (x is None or isinstance(x, str))]:
        raise unreadable(where, f"{key} is {quoted(other[0])}, not a text or a list of texts")
    return [x.strip() for x in listed if x]


def _clean(name: str) -> str:
    """A parent without what surrounds its name: an address, a cache, a revision, slashes."""
    if _WINDOWS.match(name):
        name = name.replace("\\", "/")
    name = name.removeprefix(SCHEME)
    if found := _REPOSITORY.fullmatch(name):
        return found[1]
    if found := _SNAPSHOT.fullmatch(name):
        return found[1].replace("--", "/")
    if found := _AT_REVISION.fullmatch(name):
        return found[1]
    return name.removeprefix("./").rstrip("/")

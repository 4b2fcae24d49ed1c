"""The models at the gate: what the sources of one call name or hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from weightkin.formats import Model
from weightkin.formats.card import CARD
from weightkin.formats.declared import folder_of
from weightkin.formats.finder import kind_of
from weightkin.formats.ledger import files_of
from weightkin.formats.other_files import MOST_STATE
from weightkin.formats.source import may_be_elsewhere
from weightkin.policy.beside import Beside
from weightkin.policy.naming import (
    Meant,
    Resolved,
    Unknown,
    is_path,
    registered_as,
    why_not_as_registered,
)
from weightkin.policy.reading import Policy
from weightkin.policy.tainted import Tainted
from weightkin.policy.walk import FoundSource, models_of
from weightkin.records import Because
from weightkin.records.checking import Checked
from weightkin.records.registry import Registered
from weightkin.registry import Registry
from weightkin.registry.queries import nowhere
from weightkin.text import shown, unreadable

Source = str | Path | Model


@dataclass(frozen=True, slots=True)
class Room:
    """What all models of one call share. ``problem``: why there is no registry to ask."""

    policy: Policy
    registry: Registry | None
    models: tuple[Registered, ...]
    named: dict[str, Resolved]
    families: dict[str, set[int]]
    tainted: dict[str, Tainted]
    problem: Because | None
    is_full: bool
    beside: Beside


def candidates_of(source: Source, room: Room) -> Iterable[FoundSource]:
    """What a source holds; where it is no path, the registered model of that name or number."""
    if isinstance(source, Model):
        return [FoundSource(source.source, source)]
    text = str(source)
    if is_path(text) and not text.startswith("#"):
        return models_of(source, room.beside)
    known = registered_as(text, room.models)
    if isinstance(known, Meant) and room.registry is not None:
        return _of_registered(known, room.registry, room.beside)
    if isinstance(known, Unknown) and not known.is_absent:
        return [FoundSource(text, unreadable(shown(text), known.why.sentence))]
    if room.registry and "+" not in text and not may_be_elsewhere(text):
        return [FoundSource(text, nowhere(text, room.registry.path))]
    return models_of(source, room.beside)


def _of_registered(known: Meant, registry: Registry, beside: Beside) -> Iterator[FoundSource]:
    """All that lies where the model of a name was registered from, if that is still there."""
    for model in {m.source: m for m in known.models}.values():
        why = why_not_as_registered(model, registry)
        failed = [] if why is None else [FoundSource(model.source, why)]
        yield from failed or models_of(model.source, beside)


def held_by_trainer(found: FoundSource, told: Checked) -> int:
    """Bytes of a trainer's own file that may be passed over, 0 if it may not.

    It is too small on disk for weights, whatever was or was not read of it. All such files of one
    call are weighed together afterwards.
    """
    is_open = all(x.state == "unverifiable" for x in told.findings)
    if not (found.is_state and told.findings and is_open):
        return 0
    files = [Path(found.source)]
    if isinstance(found.model, Model):
        files = [file for file in files_of(found.model.storage) if kind_of(file.name)]
    n_bytes = sum(file.stat().st_size for file in files)
    return n_bytes if n_bytes <= MOST_STATE else 0


def card_of(model: Model) -> str:
    """The file beside a local model that declares, "" if there is none."""
    if model.revision:
        return ""
    folder = folder_of(Path(model.parts[-1] if model.parts else model.source))
    names = (CARD, "config.json")
    return next((str(folder / name) for name in names if (folder / name).is_file()), "")

"""The models at the gate: what the sources of one call name or hold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from weightkin.policy.naming import Meant, Named, Unknown, as_registered, is_path, registered_as
from weightkin.policy.reading import Policy
from weightkin.policy.walk import Found, models_of
from weightkin.records.checking import Checked
from weightkin.records.registry import Registered
from weightkin.registry import Registry
from weightkin.weights import Model
from weightkin.weights.messages import shown, unreadable
from weightkin.weights.source import may_be_elsewhere

Source = str | Path | Model
MOST_STATE = 1 << 14  # numbers in what a trainer keeps: less than any model has


@dataclass(frozen=True, slots=True)
class Room:
    """What all models of one call share. ``problem`` says why there is no registry to ask."""

    policy: Policy
    registry: Registry | None
    models: tuple[Registered, ...]
    named: dict[str, Named]
    families: dict[str, set[int]]
    problem: str
    is_full: bool


def candidates_of(source: Source, room: Room) -> Iterable[Found]:
    """What a source holds; where it is no path, the registered model of that name or number."""
    if isinstance(source, Model):
        return [Found(source.source, source)]
    text = str(source)
    if is_path(text) and not text.startswith("#"):
        return models_of(source)
    known = registered_as(text, room.models)
    if isinstance(known, Meant):
        return [Found(known.first.source, as_registered(known.first))]
    if isinstance(known, Unknown) and not known.is_absent:
        return [Found(text, unreadable(shown(text), known.why, "one model"))]
    if room.registry and "+" not in text and not may_be_elsewhere(text):
        nowhere = f"neither a path nor a model of that name or number in {room.registry.path}"
        return [Found(text, unreadable(shown(text), nowhere, "one of them, or org/name"))]
    return models_of(source)


def held_by_trainer(found: Found, told: Checked) -> str:
    """Why a trainer's own file may be passed over, "" if it may not.

    It was opened and holds fewer numbers than any model, or its contents show no weights.
    """
    is_open = all(x.state == "unverifiable" for x in told.findings)
    if not (found.is_state and told.findings and is_open):
        return ""
    if not isinstance(found.model, Model):
        return "of a trainer, and too small for weights"
    n = sum(math.prod(info.shape) for info in found.model.tensors.values())
    return f"of a trainer, {n:,} numbers in it" if n <= MOST_STATE else ""

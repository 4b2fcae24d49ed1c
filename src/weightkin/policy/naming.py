"""What a name of a policy, or of a command line, means: a registered model, a path, a hub's name.

Numbers, digests and names never stand for each other. ``#3`` is a number and nothing else, a digest
is looked for among contents alone, an absolute path and ``hf://org/name`` are never registered, and
any other text is looked for among names alone; a name that two different models have means neither.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from weightkin.errors import WeightkinError
from weightkin.formats import Model, open_model
from weightkin.records import Skipped, left_out
from weightkin.records.checking import Ancestor
from weightkin.records.registry import Registered
from weightkin.registry import Registry
from weightkin.registry.browsing import sketch_of
from weightkin.registry.prepared import held_whole, weights_as_registered
from weightkin.sketch import Sketch
from weightkin.sources.hub import SCHEME
from weightkin.text import shown, unreadable

MODEL_NUMBER = re.compile(r"#([1-9][0-9]*)", re.ASCII)
DIGEST = re.compile(r"wk1-[0-9a-f]{64}(-partial)?", re.ASCII)
MARKS = ("#", "wk1-", "wkfull1-")  # no name begins with one of these


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that means nothing that can be looked at, and why."""

    why: Skipped

    @property
    def is_absent(self) -> bool:
        """Whether it is a name that no registered model has."""
        return self.why.code == "not-registered"


@dataclass(frozen=True, slots=True)
class Meant:
    """The registered models of a name: one, or several of one digest, of which each is meant."""

    models: tuple[Registered, ...]
    is_claimed: bool = False  # by a digest that nobody here computed

    @property
    def first(self) -> Registered:
        """The one registered first."""
        return self.models[0]


Resolved = Meant | Model | Unknown


def registered_as(name: str, models: Sequence[Registered]) -> Meant | Unknown | None:
    """The registered models that a name means, None where it can only mean a path or a hub's name.

    A name that means both a registered model and a path is taken for neither, and the text says
    so: whoever may write a folder here would choose what the policy means.
    """
    if name.startswith(MARKS):
        return _marked(name, models)
    if name.startswith(SCHEME) or PurePath(name).is_absolute():
        return None
    found = [m for m in models if m.name == name]
    if is_path(name):
        if not found:
            return None
        return Unknown(left_out(name, "path-and-registered", number=found[-1].id))
    if not found:
        return None
    if len({m.digest for m in found}) > 1:
        return Unknown(left_out(name, "several-of-name", numbers=[m.id for m in found[:8]]))
    return _of_one_digest(found)


def _marked(name: str, models: Sequence[Registered]) -> Meant | Unknown:
    """What a number or a digest means."""
    number = MODEL_NUMBER.fullmatch(name)
    if number is None and DIGEST.fullmatch(name) is None:
        return Unknown(left_out(name, "no-number-or-digest"))
    if number:
        found = [m for m in models if str(m.id) == number[1]]
        meant = Meant(tuple(found)) if found else None
    else:
        found = [m for m in models if m.digest == name]
        meant = _of_one_digest(found, by_digest=True) if found else None
    return meant or _absent(name, None)


def _absent(name: str, registry: Registry | None) -> Unknown:
    where = "" if registry is None else str(registry.path)
    return Unknown(left_out(name, "not-registered", registry=where))


def _of_one_digest(found: Sequence[Registered], *, by_digest: bool = False) -> Meant:
    """All models of one digest, without those that merely claim it where others have it."""
    computed = tuple(m for m in found if not m.claimed)
    return Meant(computed or tuple(found), is_claimed=by_digest and not computed)


def all_of(known: Registered, sketch: Sketch) -> Model | Skipped:
    """All of a registered model: its sketch where that holds everything, or else its weights."""
    return held_whole(sketch) or weights_as_registered(known, sketch)


def why_not_as_registered(known: Registered, registry: Registry) -> WeightkinError | None:
    """Why the weights of a registered model are no longer those, or cannot be looked at."""
    try:
        held = sketch_of(registry.path, known)
    except WeightkinError as error:
        return error
    if held is None:
        return unreadable(shown(known.source), "just removed from the registry")
    found = weights_as_registered(known, held)
    if not isinstance(found, Skipped):
        return None
    said = f"registered as #{known.id}, but {found.sentence}"
    return unreadable(shown(known.source), f"{said}; `weightkin add` registers what is there now")


def named(
    names: Sequence[str],
    registry: Registry | None,
    models: Sequence[Registered],
    *,
    only_registered: bool = False,
) -> dict[str, Resolved]:
    """Find every model that a policy names; opens those that are not registered.

    Parameters
    ----------
    names : sequence of str
        As the policy has them.
    registry : Registry or None
        For the words where a name is not registered.
    models : sequence of Registered
        All that is registered.
    only_registered : bool
        Open nothing: a name that is not registered is unknown.

    Returns
    -------
    dict
        By name: registered models, an open model, or why neither.
    """
    found: dict[str, Resolved] = {}
    for name in names:
        meant = registered_as(name, models)
        is_absent = isinstance(meant, Unknown) and meant.is_absent
        if is_absent or (meant is None and only_registered):
            meant = _absent(name, registry)
        found[name] = _opened(name) if meant is None else meant
    return found


def _opened(name: str) -> Model | Unknown:
    try:
        return open_model(name)
    except WeightkinError as error:
        return Unknown(left_out(name, "error", error=str(error)))


def is_path(name: str) -> bool:
    """Whether there is anything at a path of this name."""
    try:
        return "\0" not in name and Path(name).exists()
    except OSError:
        return False


def is_meant(declared_name: str, other: Ancestor) -> bool:
    """Whether a declared name may mean a model: its name or source, or the last part of both.

    Capital letters make no difference, as on a hub.
    """
    last = PurePath(declared_name).name.casefold()
    lasts = (other.name.casefold(), PurePath(other.source).name.casefold())
    return declared_name in (other.name, other.source) or last in lasts

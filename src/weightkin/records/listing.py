"""The records of `add` and `list`: which models are registered, and what each is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

from weightkin.notebooks import InNotebooks, InShort
from weightkin.records.built import built
from weightkin.records.form import from_text, to_text
from weightkin.records.frames import frame_of
from weightkin.records.notes import Skipped
from weightkin.records.registry import Registered
from weightkin.text import counted

ADDING_SCHEMA = "weightkin/adding/2"
LISTING_SCHEMA = "weightkin/listing/2"
ABOUT = (
    "model.licence", "model.declared_parents", "model.source", "model.revision", "model.digest",
    "model.added",
)  # fmt: skip
ADDING_COLUMNS = ("model.id", "model.name", "state", *ABOUT)
LISTING_COLUMNS = (
    "model.id", "model.name", "described.architecture", "described.n_parameters",
    "described.dtype", "described.family", *ABOUT,
)  # fmt: skip


class _InState(NamedTuple):
    """A row of what was added."""

    model: Registered
    state: str


class _Listed(NamedTuple):
    """A row of a list."""

    model: Registered
    described: Described | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adding(InNotebooks):
    """What one call of `add` (or `import`) did."""

    job: int
    added: tuple[Registered, ...]
    known: tuple[Registered, ...]  # were there already, unchanged
    skipped: tuple[Skipped, ...] = ()
    n_waiting: int = 0  # of those skipped, what another try may read: offline, or a server lost
    n_lost: int = 0  # of those skipped, what no worker finished: killed, or failed by a bug
    seconds: float = 0.0
    version: str = ""

    def __repr__(self) -> str:
        counts = f"{len(self.added)} added, {len(self.known)} known, {len(self.skipped)} skipped"
        return f"<Adding {counts}>"

    def to_pandas(self) -> Any:
        """Return the models as a `pandas.DataFrame`, a row each, the new ones first.

        Columns: ``id``, ``name``, ``state`` (``added`` or ``known``), ``licence``,
        ``declared_parents``, ``source``, ``revision``, ``digest``, ``added`` (the time).
        """
        rows = [_InState(x, "added") for x in self.added] + [
            _InState(x, "known") for x in self.known
        ]
        return frame_of(rows, ADDING_COLUMNS)

    @property
    def incomplete(self) -> bool:
        """Whether a model could not be read."""
        return bool(self.skipped)

    def to_json(self, indent: int | None = 2) -> str:
        """Return the record as JSON."""
        return to_text(ADDING_SCHEMA, asdict(self), indent)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> Adding:
        """Read a record back; one line says what is wrong with a text that is none."""
        return from_text(text, where, ADDING_SCHEMA, partial(built, Adding))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Described(InShort):
    """What a registered model is, for a list; empty where its sketch cannot be read."""

    id: int
    architecture: str = ""  # class of its config, or the family that its blocks are like
    n_parameters: int = 0
    dtype: str = ""  # of most parameters
    family: str = ""  # first model registered of it, in the family graph of the default level


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(InNotebooks):
    """Registered models, all or those that were asked for."""

    models: tuple[Registered, ...]
    described: tuple[Described, ...] = ()  # the same, in the same order

    def __repr__(self) -> str:
        families = {x.family for x in self.described if x.family}
        said = f"{counted(len(self.models), 'model')}, {counted(len(families), 'family')}"
        return f"<Listing of {said}>"

    def to_pandas(self) -> Any:
        """Return the models as a `pandas.DataFrame`, a row each, in the order of the record.

        Columns: ``id``, ``name``, ``architecture``, ``n_parameters``, ``dtype``, ``family``,
        ``licence``, ``declared_parents``, ``source``, ``revision``, ``digest``, ``added``.
        """
        known = {x.id: x for x in self.described}
        rows = [_Listed(x, known.get(x.id)) for x in self.models]
        return frame_of(rows, LISTING_COLUMNS)

    def to_json(self, indent: int | None = 2) -> str:
        """Return the record as JSON."""
        return to_text(LISTING_SCHEMA, asdict(self), indent)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> Listing:
        """Read a record back; one line says what is wrong with a text that is none."""
        return from_text(text, where, LISTING_SCHEMA, partial(built, Listing))

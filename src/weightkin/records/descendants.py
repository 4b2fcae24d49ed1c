"""The record of `descendants`: everything that was made from one model, with the path to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from weightkin.notebooks import InOneLine
from weightkin.records.built import built
from weightkin.records.form import from_text, to_text
from weightkin.records.frames import frame_of
from weightkin.records.notes import Skipped
from weightkin.records.registry import Among, Registered, Step
from weightkin.text import counted

SCHEMA = "weightkin/descendants/2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descendant:
    """A registered model, and the steps from the marked model to it.

    ``determined`` says that the direction of every step is, ``probability`` is the product of those
    of the parents along the path, ``log10_pvalue`` the largest of its steps. Of a model that only
    may descend, ``path`` has the edges between the two, whichever way they are drawn.
    """

    model: Registered
    determined: bool
    probability: float
    log10_pvalue: float
    path: tuple[Step, ...]

    def __repr__(self) -> str:
        how = f"{counted(len(self.path), 'step')}, probability {self.probability:.2f}"
        return f"<Descendant #{self.model.id} {self.model.name!r}: {how}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descendants(InOneLine):
    """Which registered models descend from one, at any depth, through merges and adapters.

    ``descendants`` are reached over edges of determined direction alone, nearest first.
    ``may_descend`` are models of the same family of which that is open.
    """

    name: str
    source: str
    digest: str
    alpha: float
    n_scanned: int
    identical: tuple[Registered, ...] = ()  # other models of the same contents
    descendants: tuple[Descendant, ...] = ()
    may_descend: tuple[Descendant, ...] = ()
    placed_among: Among = ""  # all models of the registry, or its nearest relatives alone
    registered: Registered | None = None  # the marked model itself, if it is
    skipped: tuple[Skipped, ...] = ()
    seconds: float = 0.0
    seed: int = 0
    version: str = ""
    incomplete: bool = False

    def __repr__(self) -> str:
        counts = f"{counted(len(self.descendants), 'model')}, "
        counts += f"{len(self.may_descend)} more may descend from it"
        return f"<Descendants of {self.name!r}: {counts}>"

    def to_pandas(self) -> Any:
        """Return the models as a `pandas.DataFrame`, a row each; those that may descend last."""
        return frame_of((*self.descendants, *self.may_descend))

    def to_json(self, indent: int | None = 2) -> str:
        """Return the record as JSON without empty optional fields; refuses NaN and infinity."""
        return to_text(SCHEMA, asdict(self), indent)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> Descendants:
        """Read a record back; one line says what is wrong with a text that is none."""
        return from_text(text, where, SCHEMA, partial(built, Descendants))

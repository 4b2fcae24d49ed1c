"""The record of `descendants`: everything that was made from one model, with the path to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from weightkin.notebooks import InNotebooks, short
from weightkin.records.built import built
from weightkin.records.form import from_text, to_text
from weightkin.records.frames import frame_of, needed
from weightkin.records.kinds import Kind
from weightkin.records.notes import Skipped
from weightkin.records.registry import Among, Registered, Step
from weightkin.text import counted

SCHEMA = "weightkin/descendants/2"
COLUMNS = (
    "model.id", "model.name", "determined", "probability", "n_steps", "kind", "log10_pvalue",
    "model.licence", "model.declared_parents", "model.source", "model.digest",
)  # fmt: skip


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

    @property
    def n_steps(self) -> int:
        """How many derivations lie between the two."""
        return len(self.path)

    @property
    def kind(self) -> Kind:
        """How the last of them was made."""
        return self.path[-1].kind if self.path else "unknown"

    def __repr__(self) -> str:
        how = f"{counted(len(self.path), 'step')}, probability {self.probability:.2f}"
        return f"<Descendant #{self.model.id} {short(self.model.name)}: {how}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descendants(InNotebooks):
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
        return f"<Descendants of {short(self.name)}: {counts}>"

    def to_pandas(self) -> Any:
        """Return the models as a `pandas.DataFrame`, a row each; those that may descend last.

        Columns: ``id``, ``name``, ``determined``, ``probability``, ``n_steps``, ``kind`` (of the
        last step), ``log10_pvalue``, ``licence``, ``declared_parents``, ``source``, ``digest``.
        """
        return frame_of((*self.descendants, *self.may_descend), COLUMNS)

    def to_networkx(self) -> Any:
        """Return a `networkx.DiGraph` of all paths: edges from parent to child, with their fields.

        A node has its number in the registry, ``id``, and its ``digest``; ``marked`` is true of the
        model that was asked about.
        """
        networkx = needed("networkx", "to_networkx")
        graph = networkx.DiGraph()
        steps = [y for x in (*self.descendants, *self.may_descend) for y in x.path]
        marked = next((x.path[0].parent for x in self.descendants if x.path), self.name)
        graph.add_node(marked, id=self.registered.id if self.registered else 0, digest=self.digest)
        for step in steps:
            fields = asdict(step)
            for end in ("parent", "child"):
                about = {"id": fields.pop(f"{end}_id"), "digest": fields.pop(f"{end}_digest")}
                graph.add_node(fields[end], **about)
            graph.add_edge(fields.pop("parent"), fields.pop("child"), **fields)
        networkx.set_node_attributes(graph, {x: x == marked for x in graph}, "marked")
        return graph

    def to_json(self, indent: int | None = 2) -> str:
        """Return the record as JSON without empty optional fields; refuses NaN and infinity."""
        return to_text(SCHEMA, asdict(self), indent)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> Descendants:
        """Read a record back; one line says what is wrong with a text that is none."""
        return from_text(text, where, SCHEMA, partial(built, Descendants))

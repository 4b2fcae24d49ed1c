"""Who is related to a model: vectors propose, `compare` concludes, and the level is paid for all.

Candidates are the nearest by both vectors. Each is compared on its sketch; where that shows nothing
and the invariant vectors are alike, the weights themselves are compared, if they are still there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from weightkin._version import __version__
from weightkin.api.compare import compare
from weightkin.arrays import Floats
from weightkin.errors import UnreadableModel
from weightkin.formats import Model
from weightkin.lineage.proposed import LEAST_COSINE
from weightkin.lineage.relatives import cut
from weightkin.records import Comparison, Skipped, left_out, unread
from weightkin.records.comparison import Looked, Summary
from weightkin.records.form import written
from weightkin.records.registry import Registered, Relative
from weightkin.registry.blocks import ALIGNED, INVARIANT
from weightkin.registry.edges import recalled, write_edges
from weightkin.registry.entries import now, with_notes
from weightkin.registry.prepared import Prepared, weights_of
from weightkin.registry.sealed import SealedStore
from weightkin.registry.sealing import Altered
from weightkin.registry.store import COLUMNS, writing
from weightkin.sketch import Sketch, stand_in
from weightkin.sketch.stand_in import as_model
from weightkin.sketch.vectors import search_vector

LEAST_INVARIANT = 0.5  # cosine of two invariant vectors from which weights are compared
MOST_ROUNDED = 1e-3  # of one number of a vector, which is kept in half precision
RELATED = ("dependent", "aligned-only")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Registered contents that a vector proposes, with every model that holds them."""

    slot: int
    cosine: float
    invariant_cosine: float
    models: tuple[Registered, ...]
    sketch: Sketch

    @property
    def model(self) -> Registered:
        """The one registered first."""
        return self.models[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a search. ``own`` is no candidate; the models ``wanted`` are, in any case.

    With ``fresh`` nothing that was found before counts.
    """

    own: Registered | None
    wanted: Sequence[int]
    alpha: float
    seed: int
    most: int
    fresh: bool = False

    @property
    def number(self) -> int:
        """That of the model itself in the registry, 0 where it has none."""
        return self.own.id if self.own else 0


@dataclass
class Compared:
    """What became of the candidates."""

    request: Request
    n_scanned: int
    slot: int | None = None  # of these very contents, if they are registered
    relatives: list[Relative] = field(default_factory=list)
    others: list[Relative] = field(default_factory=list)
    candidates: dict[int, Candidate] = field(default_factory=dict)  # by the id of their model
    skipped: list[Skipped] = field(default_factory=list)
    bytes_read: int = 0
    is_incomplete: bool = False  # a candidate's sketch could not be read

    @property
    def paid_alpha(self) -> float:
        """The level of one comparison: all that were scanned share that of the search."""
        return self.request.alpha / max(1, self.n_scanned)


def search(
    store: SealedStore, connection: sqlite3.Connection, query: Prepared, request: Request
) -> Compared:
    """Propose and compare candidates.

    Parameters
    ----------
    store, connection : SealedStore, sqlite3.Connection
        An open registry.
    query : Prepared
        The model that is searched for.
    request : Request
        The level, and what else the search goes by.

    Returns
    -------
    Compared
        Related models and others, in the order they were compared.
    """
    own = request.own
    n_scanned = connection.execute("SELECT count(*) FROM contents").fetchone()[0]
    found = Compared(request, n_scanned, slot_of(connection, query))
    for candidate in _candidates(store, connection, query, found):
        others = tuple(m for m in candidate.models if own is None or m.id != own.id)
        if not others:
            continue
        kept = replace(candidate, models=others)
        known = None if request.fresh else recalled(connection, own, kept.model, found.paid_alpha)
        relative = _relative(query, kept, found, known)
        found.candidates[kept.model.id] = kept
        is_related = relative.verdict in RELATED
        (found.relatives if is_related else found.others).append(relative)
    return found


def _candidates(
    store: SealedStore,
    connection: sqlite3.Connection,
    query: Prepared,
    found: Compared,
) -> Iterator[Candidate]:
    """The nearest by either vector, those nearest by both first; then those asked for by name."""
    wanted, most = found.request.wanted, found.request.most
    blocks = [
        (ALIGNED, query.aligned, LEAST_COSINE),
        (INVARIANT, query.invariant, LEAST_INVARIANT),
    ]
    near: set[int] = set()
    for block, vector, least in blocks:
        if most and vector.any():
            at, cosines = store.nearest(block, vector, most)
            near.update(at[cosines >= least].tolist())
    marks = ", ".join("?" * len(wanted))
    named = f"SELECT DISTINCT slot FROM models WHERE id IN ({marks})"  # noqa: S608
    named_slots = {row[0] for row in connection.execute(named, tuple(wanted))}
    if found.slot is not None:
        named_slots.add(found.slot)  # equal contents, whatever vectors can show of them
    slots = sorted(near | named_slots)
    scores = [np.asarray(store.rows(b, slots), np.float32) @ vector for b, vector, _ in blocks]
    both = {slot: (float(x), float(y)) for slot, x, y in zip(slots, *scores, strict=True)}
    order = sorted(near, key=lambda slot: (-sum(max(0.0, c) for c in both[slot]), slot))[:most]
    for slot in [*order, *sorted(named_slots - set(order))]:
        models = _models(connection, slot)
        if not models:
            raise Altered("models were removed by something other than weightkin")
        sketch = _sketch(store, connection, slot)
        if isinstance(sketch, UnreadableModel):
            found.skipped.append(unread(models[0].name, sketch))
            found.is_incomplete = True
            continue
        check_vector(store, slot, sketch)
        first = models[0]
        sketch = replace(sketch, name=first.name, source=first.source, digest=first.digest)
        aligned, invariant = both[slot]
        yield Candidate(slot, aligned, invariant, models, sketch)


def slot_of(connection: sqlite3.Connection, query: Prepared) -> int | None:
    """Where these contents are registered, if they are."""
    row = connection.execute(
        "SELECT slot FROM contents WHERE contents = ?", (query.contents,)
    ).fetchone()
    return None if row is None else int(row[0])


def invariant_at(store: SealedStore, slot: int) -> Floats:
    """The invariant vector of registered contents."""
    return np.asarray(store.rows(INVARIANT, [slot])[0], dtype=np.float32)


def check_vector(store: SealedStore, slot: int, sketch: Sketch) -> None:
    """Refuse a vector that is not that of its sketch, sealed or not.

    Parameters
    ----------
    store, slot : SealedStore, int
        Where the vector is.
    sketch : Sketch
        That of the same contents.

    Raises
    ------
    Altered
        A number of the aligned vector differs by more than its rounding.
    """
    stated = np.asarray(store.rows(ALIGNED, [slot])[0], dtype=np.float32)
    if np.abs(stated - np.nan_to_num(search_vector(sketch))).max() > MOST_ROUNDED:
        raise Altered(f"the aligned vector {slot} is not that of its sketch")


def _models(connection: sqlite3.Connection, slot: int) -> tuple[Registered, ...]:
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM models WHERE slot = ? ORDER BY id",  # noqa: S608
        (slot,),
    ).fetchall()
    return tuple(with_notes(connection, row) for row in rows)


def _sketch(
    store: SealedStore, connection: sqlite3.Connection, slot: int
) -> Sketch | UnreadableModel:
    name = connection.execute("SELECT sketch FROM contents WHERE slot = ?", (slot,)).fetchone()[0]
    try:
        return store.sketch(slot, name)
    except UnreadableModel as error:
        return error


def _relative(
    query: Prepared, candidate: Candidate, found: Compared, known: Summary | None
) -> Relative:
    """One candidate with its verdict, ``known`` from before or found now."""
    if known is None:
        record, looked_at = _compare(query.sketch, candidate, found)
        known = replace(record.summary, looked_at=looked_at)
        found.bytes_read += record.bytes_read if looked_at == "weights" else 0
    return Relative(
        model=candidate.model,
        summary=known,
        cosine=round(candidate.cosine, 4),
        invariant_cosine=round(candidate.invariant_cosine, 4),
    )


def _compare(sketch: Sketch, candidate: Candidate, found: Compared) -> tuple[Comparison, Looked]:
    """On what the registry holds; on the weights where that shows nothing and vectors are alike."""
    a, b = as_model(candidate.sketch), as_model(sketch)
    if not (a.sketched is None and b.sketched is None):
        x, y = candidate.sketch, sketch
        if x.scheme != y.scheme:
            x, y = cut(x), cut(y)
        a, b = stand_in(x), stand_in(y)
    record = compare(a, b, alpha=found.paid_alpha, seed=found.request.seed)
    is_settled = record.verdict == "dependent" or a.sketched is None
    if is_settled or candidate.invariant_cosine < LEAST_INVARIANT:
        return record, "sketch"
    whole: list[Model] = []
    for x in (candidate.sketch, sketch):
        model: Model | Skipped = as_model(x)
        if isinstance(model, Model) and model.sketched is not None:
            model = weights_of(x)
        if isinstance(model, Skipped):
            found.skipped.append(left_out(x.name, "sketch-shows-nothing", reason=model.nested))
            return record, "sketch"
        whole.append(model)
    return compare(whole[0], whole[1], alpha=found.paid_alpha, seed=found.request.seed), "weights"


def remember(connection: sqlite3.Connection, own: Registered, found: Compared) -> None:
    """Keep what was found about a registered model, with digests and version.

    Parameters
    ----------
    connection, own : sqlite3.Connection, Registered
        An open registry, and the model.
    found : Compared
        What a search found about it.
    """
    rows = []
    for x in (*found.relatives, *found.others):
        text = json.dumps(written(x.summary), allow_nan=False)
        digests = own.digest, x.model.digest
        rows.append((own.id, x.model.id, *digests, __version__, now(), text))
    with writing(connection):
        write_edges(connection, rows, over=True)

"""Who is related to a model: vectors propose, `compare` concludes, and the level is paid for all.

Candidates are the nearest by both vectors. Each is compared on its sketch; where that shows a
relation, or nothing while the invariant vectors are alike, the weights themselves are compared on a
fresh sample, if they are still there (`registry.confirming`).
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

from weightkin._version import __version__
from weightkin.api.compare import compare
from weightkin.lineage.relatives import cut
from weightkin.records import Skipped, left_out
from weightkin.records.comparison import Summary
from weightkin.records.form import written
from weightkin.records.registry import Registered, Relative
from weightkin.registry.confirming import confirmed, of_weights, weights_of_both
from weightkin.registry.edges import recalled, write_edges
from weightkin.registry.prepared import Prepared, source_of
from weightkin.registry.proposing import (
    LEAST_INVARIANT,
    Candidate,
    Compared,
    Request,
    candidates,
    slot_of,
)
from weightkin.registry.sealed import SealedStore
from weightkin.registry.store import now, writing
from weightkin.sketch.stand_in import as_model, stand_in

RELATED = ("dependent", "aligned-only")


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
    for candidate in candidates(store, connection, query, found):
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


def _relative(
    query: Prepared, candidate: Candidate, found: Compared, known: Summary | None
) -> Relative:
    """One candidate with its verdict, ``known`` from before or found now."""
    if known is None:
        known, n_bytes = _compare(query, candidate, found)
        found.bytes_read += n_bytes
    return Relative(
        model=candidate.model,
        summary=known,
        cosine=round(candidate.cosine, 4),
        invariant_cosine=round(candidate.invariant_cosine, 4),
    )


def _compare(query: Prepared, candidate: Candidate, found: Compared) -> tuple[Summary, int]:
    """On what the registry holds; on the weights where that shows nothing and vectors are alike.

    What it shows is confirmed on the weights.
    """
    sketch = query.sketch
    a, b = as_model(candidate.sketch), as_model(sketch)
    if not (a.sketched is None and b.sketched is None):
        x, y = candidate.sketch, sketch
        if x.scheme != y.scheme:
            x, y = cut(x), cut(y)
        a, b = stand_in(x), stand_in(y)
    record = compare(a, b, alpha=found.paid_alpha, seed=found.request.seed)
    both = (candidate.sketch, source_of(candidate.models)), (sketch, query.weights_at)
    if record.verdict == "dependent":
        return confirmed(record, *both)
    if a.sketched is not None and candidate.invariant_cosine >= LEAST_INVARIANT:
        whole = weights_of_both(both, on_hub=True)
        if not isinstance(whole, Skipped):
            return of_weights(*whole, alpha=found.paid_alpha)
        found.skipped.append(left_out(whole.what, "sketch-shows-nothing", reason=whole.nested))
    return replace(record.summary, looked_at="sketch"), 0


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

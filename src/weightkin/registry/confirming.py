"""What a registry states rests on a sample that nobody knew: a fresh run of the weights.

Sketches are fixed samples, and so is what a seed draws of small models: a model can be fitted to
the rows that are read. So an exact result on them is looked at again, on units drawn by bytes of
that moment, which are kept beside it. Files here are read again, and nothing on a hub.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from weightkin.api.compare import Options, compare
from weightkin.evidence.draws import fresh
from weightkin.formats import Model
from weightkin.records import Comparison, Effort, Skipped
from weightkin.records.accounting import Challenge, FreshRun
from weightkin.records.comparison import Summary
from weightkin.registry.prepared import Held, weights_of
from weightkin.sketch.stand_in import as_model

EXACT = ("exact", "exact-unconfirmed")
SEED = 0  # of ties: what is kept need not hold it


def confirmed(record: Comparison, a: Held, b: Held) -> tuple[Summary, int]:
    """What a comparison shows, with a fresh run of both models if it needs one.

    Null hypothesis: that of `compare`. Both p-values are valid where nobody knew the rows; only the
    fresh one is where somebody did. The quick tests are run, and all others where those show less;
    both share the level.

    Parameters
    ----------
    record : Comparison
        What sketches, or models that are held whole, showed.
    a, b : tuple
        The two.

    Returns
    -------
    Summary, int
        That of the fresh run where the units of that are not shared; and bytes of files read. Cost:
        a few blocks of each model, and the rows by which a file is known to be what was registered.
    """
    first = replace(record.summary, looked_at="sketch")
    is_sample = record.challenge is not None or as_model(a[0]).sketched is not None
    is_sample = is_sample or as_model(b[0]).sketched is not None
    if record.verdict != "dependent" or record.basis not in EXACT or not is_sample:
        return first, 0
    pair = weights_of_both((a, b))
    if isinstance(pair, Skipped):
        return replace(first, fresh=FreshRun(why_not=pair)), 0
    alpha = record.alpha / 2
    quick = compared(*pair, alpha=alpha, effort="quick")
    if quick.verdict == "dependent":
        run = as_run(quick, "quick")
        return replace(first, basis=quick.basis, fresh=run), quick.bytes_read
    return of_weights(*pair, alpha=alpha)


def of_weights(a: Model, b: Model, *, alpha: float) -> tuple[Summary, int]:
    """What the weights show on a fresh sample, and bytes read."""
    record = compared(a, b, alpha=alpha)
    found = replace(record.summary, looked_at="weights", fresh=as_run(record, "standard"))
    return found, record.bytes_read


def compared(
    a: Model,
    b: Model,
    *,
    alpha: float,
    effort: Effort = "standard",
    challenge: Challenge | None = None,
) -> Comparison:
    """Compare on the sample that some bytes draw: those of this moment without any."""
    options = Options(challenge=challenge or fresh())
    return compare(a, b, effort=effort, alpha=alpha, seed=SEED, options=options)


def as_run(record: Comparison, effort: Effort) -> FreshRun:
    """What is kept of a comparison beside an edge."""
    return FreshRun(
        log10_pvalue=record.log10_pvalue,
        alpha=record.alpha,
        effort=effort,
        challenge=record.challenge,
    )


def weights_of_both(both: Iterable[Held], *, on_hub: bool = False) -> tuple[Model, Model] | Skipped:
    """Two models held whole, or still where they were registered from; or why not.

    Parameters
    ----------
    both : iterable of tuple
        What there is of them.
    on_hub : bool
        Also read what is on a hub.

    Returns
    -------
    tuple or Skipped
    """
    found = []
    for sketch, where in both:
        model: Model | Skipped = as_model(sketch)
        if isinstance(model, Model) and model.sketched is not None:
            model = weights_of(sketch, where, on_hub=on_hub)
        if isinstance(model, Skipped):
            return model
        found.append(model)
    return found[0], found[1]

"""How many bytes a command would read: known from headers, since shapes fix the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from weightkin._version import __version__
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.api.arguments import check_count, check_kind, check_paths
from weightkin.api.models import Source, open_model
from weightkin.derivation.derived import is_far, scheme_for
from weightkin.errors import UnreadableModel
from weightkin.evidence.draws import N_BYTES, Draws
from weightkin.evidence.sample import make_plan, n_shared_rows
from weightkin.evidence.spread import rehearse
from weightkin.formats import Model, digest
from weightkin.formats.dry_run import Reading, dry_run
from weightkin.records import Skipped, unread
from weightkin.records.estimating import Cost, Estimate
from weightkin.sketch import Scheme, take_sketch


def estimate(a: Source, b: Source | None = None) -> Estimate:
    """Bytes that `show` would read of one model, or `compare` of two; reads headers only.

    Counted are the digests, the sample of the aligned tests and that for kind and direction. Not
    counted are the second run of units (up to a half more, if the first shows something), and
    order-independent and calibrated tests, which may read a few matrices if the aligned tests find
    nothing.
    """
    models = [open_model(source) for source in ((a,) if b is None else (a, b))]
    if len(models) == 1:
        return _record([_cost(models[0])])
    pairs = [(model, read_anatomy(model)) for model in models]
    both = models[0], models[1]
    scheme = scheme_for(both, frugal=is_far(both))
    draws = Draws(bytes(N_BYTES), "").between(*(Side(*pair) for pair in pairs))  # as good as any
    plan = replace(make_plan(*pairs), draws=draws)
    n_rows = n_shared_rows(*pairs)
    with_sketch = any(model.sketched is not None for model in models)
    sketch = partial(take_sketch, scheme=scheme)
    samples = [partial(rehearse, anatomy=y, plan=plan, n_vocabulary=n_rows) for _, y in pairs]
    return _record(
        _cost(model, None if with_sketch else sample, sketch)
        for model, sample in zip(models, samples, strict=True)
    )


def estimate_sketches(
    sources: Sequence[str | Path], *, scheme: Scheme | None = None, small: int = 0
) -> Estimate:
    """Bytes that `sketch`, or `tree`, would read of some models; reads headers only.

    What a cache of sketches holds is counted, and what `tree` reads of models without relatives is
    not.

    Parameters
    ----------
    sources : sequence of str or Path
        Models; those that cannot be read are in ``skipped``.
    scheme : Scheme, optional
        That of the sketches; by default the usual one.
    small : int
        Bytes up to which a model is kept whole.

    Returns
    -------
    Estimate
        Costs of each model that could be read, in bytes.

    Raises
    ------
    UsageError
        An argument cannot be meant.
    UnreadableModel
        None could be read.
    """
    check_paths("sources", sources)
    check_count("small", small)
    if scheme is not None:
        check_kind("scheme", scheme, Scheme, "a Scheme")
    costs, skipped = [], []
    first_error: UnreadableModel | None = None
    for source in sources:
        try:
            model = open_model(source)
        except UnreadableModel as error:
            first_error = first_error or error
            skipped.append(unread(str(source), error))
            continue
        kept = Scheme.whole() if model.n_bytes <= small else scheme
        costs.append(_cost(model, None, partial(take_sketch, scheme=kept)))
    if first_error is not None and not costs:
        raise first_error
    return _record(costs, skipped)


def _cost(model: Model, sample: Reading | None = None, sketch: Reading | None = None) -> Cost:
    """Rehearse the digest with the sample of the tests, then the sketch: two errands."""
    dry, alone = dry_run(model), dry_run(model)
    tests = kind = n_requests = 0
    n_digest = model.n_bytes  # a sketch is small, and read whole
    if model.sketched is None and dry is not None and alone is not None:
        digest(alone.model)
        n_digest = alone.settle()[0]
        digest(dry.model)
        if sample is not None:
            sample(dry.model)
            n_bytes, n_requests = dry.settle()
            tests = n_bytes - n_digest
        if sketch is not None:
            sketch(dry.model)
        n_bytes, n_more = dry.settle()
        kind = n_bytes if sample is not None else n_bytes - n_digest
        n_requests += n_more
    return Cost(
        source=model.source,
        revision=model.revision or "",
        n_bytes_model=model.n_bytes,
        headers=model.bytes_read,
        digest=n_digest,
        tests=tests,
        kind=kind,
        n_requests=n_requests,
    )


def _record(costs: Iterable[Cost], skipped: Sequence[Skipped] = ()) -> Estimate:
    return Estimate(models=tuple(costs), skipped=tuple(skipped), version=__version__)

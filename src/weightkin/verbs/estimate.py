"""How many bytes `show` and `compare` would read: known from headers, since shapes fix the rows."""

from __future__ import annotations

from pathlib import Path

import weightkin
from weightkin.anatomy import Anatomy, read_anatomy
from weightkin.evidence.sample import (
    Plan,
    make_plan,
    n_embedding_rows,
    read_views,
    tested_axes,
)
from weightkin.records.estimating import Cost, Estimate
from weightkin.sketch import Scheme, take_sketch
from weightkin.verbs.derived import WHOLE
from weightkin.weights import Model, digest, open_model
from weightkin.weights.dry_run import dry_run


def estimate(a: str | Path, b: str | Path | None = None) -> Estimate:
    """Bytes that `show` would read of one model, or `compare` of two; reads headers only.

    Counted are the digests, the sample of the aligned tests and that for kind and direction. Blind
    and calibrated tests, run where the aligned ones find nothing, may read a few matrices more.
    """
    models = [open_model(source) for source in (a, b) if source is not None]
    anatomies = [read_anatomy(model) for model in models]
    plan, n_tokens, scheme = None, 0, Scheme()
    if b is not None:
        pairs = list(zip(models, anatomies, strict=True))
        plan = make_plan(pairs[0], pairs[1])
        n_tokens = min(_n_tokens(*pair) for pair in pairs)
        if max(model.n_bytes for model in models) <= WHOLE:
            scheme = Scheme.whole()
        for model in models:
            if model.sketched is not None:
                scheme = Scheme.from_name(model.sketched.scheme)
    with_sketch = any(model.sketched is not None for model in models)
    costs = [
        _cost(model, anatomy, None if with_sketch else plan, n_tokens, b is not None, scheme)
        for model, anatomy in zip(models, anatomies, strict=True)
    ]
    return Estimate(models=tuple(costs), version=weightkin.__version__)


def _cost(
    model: Model,
    anatomy: Anatomy,
    plan: Plan | None,
    n_tokens: int,
    is_pair: bool,
    scheme: Scheme,
) -> Cost:
    dry, steps, n_requests = dry_run(model), [0, 0, 0], 0
    if model.sketched is not None or dry is None:  # a sketch is small, and read whole
        steps[1] = model.n_bytes
    else:
        twin, account = dry
        digest(twin)
        steps[0] = account.n_bytes
        for axis in tested_axes(anatomy) if plan is not None else ():
            read_views(twin, axis, plan or Plan(0), n_tokens)
        steps[1] = account.n_bytes - steps[0]
        if is_pair:
            take_sketch(twin, scheme)
        steps[2] = account.n_bytes - steps[0] - steps[1]
        n_requests = account.n_requests
    return Cost(
        source=model.source,
        revision=model.revision or "",
        n_bytes_model=model.n_bytes,
        headers=model.bytes_read,
        digest=steps[0],
        tests=steps[1],
        kind=steps[2],
        n_requests=n_requests,
    )


def _n_tokens(model: Model, anatomy: Anatomy) -> int:
    rows = [n_embedding_rows(model, x) for x in anatomy.axes if x.kind == "residual"]
    return min((n for n in rows if n), default=0)

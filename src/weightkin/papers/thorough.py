"""Effort `thorough`: tests that run both models. They are listed and never drive a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.errors import WeightkinError
from weightkin.records import Skipped, Test, left_out
from weightkin.records.codes import TESTS

MAX_MODEL_BYTES = 16 << 30  # of one model in float32, as transformers holds it
MAX_REFIT = 1 << 22  # width times units: a fit then takes minutes on one core
REFIT_STEPS = 1000
ACTIVATION_TESTS = "activation tests"


def run_models(a: Side, b: Side, seed: int) -> tuple[tuple[Test, ...], tuple[Skipped, ...]]:
    """phi_H, phi_MATCH and phi_JSD; and where MLPs are plain or differ, phi_MATCH on refitted ones.

    Null hypothesis: that of each test, see `evidence.activations` and `evidence.refit`. Nothing is
    raised for models that cannot be run: one entry says why.

    Parameters
    ----------
    a, b : Side
        Two local models.
    seed : int
        Of inputs, ties and fits.

    Returns
    -------
    tuple of Test
        Empty where the models cannot be run.
    tuple of Skipped
        What was not tested, and why.
    """
    if reason := _why_not(a, b):
        return (), (replace(reason, test="activations"),)
    from weightkin.papers.activations import activation_tests

    tests, skipped = activation_tests(a.model.source, b.model.source, seed=seed)
    fitted, refused = _refitted(a, b, seed)
    return tests + fitted, tuple(_named(s) for s in (*skipped, *refused))


def is_from_running(test: Test) -> bool:
    """Whether a test of a record came from running the models."""
    return TESTS[test.name].runs_models


def _why_not(a: Side, b: Side) -> Skipped | None:
    from weightkin.papers.inputs import library

    for name, side in (("a", a), ("b", b)):
        if not Path(side.model.source).is_dir():
            return left_out(ACTIVATION_TESTS, "no-folder", model=name)
        n_bytes = 4 * sum(math.prod(t.shape) for t in side.model.tensors.values())
        if n_bytes > MAX_MODEL_BYTES:
            gib, most = n_bytes >> 30, MAX_MODEL_BYTES >> 30
            return left_out(ACTIVATION_TESTS, "too-large-to-run", model=name, gib=gib, most=most)
    try:
        library("torch")
        library("transformers")
    except WeightkinError as error:
        return left_out(ACTIVATION_TESTS, "cannot-run", error=str(error))
    return None


def _refitted(a: Side, b: Side, seed: int) -> tuple[tuple[Test, ...], tuple[Skipped, ...]]:
    """The generalised test of the first MLPs, where the plain one has nothing or little to say."""
    mlps = [next(_mlps(side), None) for side in (a, b)]
    if mlps[0] is None or mlps[1] is None:
        return (), ()
    if all(map(_is_gated, mlps)) and mlps[0].n_units == mlps[1].n_units:
        return (), ()
    from weightkin.papers.refit import Fit, generalised_match

    what = "refitted MLPs"
    n_units = max(mlps[0].n_units, mlps[1].n_units)
    size = n_units * max(_width(side, mlp) for side, mlp in zip((a, b), mlps, strict=True) if mlp)
    if size > MAX_REFIT:
        return (), (left_out(what, "slow-to-fit", n=size),)
    try:
        tests = generalised_match(
            a.model.source, b.model.source, fit=Fit(n_steps=REFIT_STEPS), seed=seed
        )
    except WeightkinError as error:
        return (), (left_out(what, "cannot-run", error=str(error)),)
    return tuple(tests), (left_out(what, "first-block-only"),)


def _mlps(side: Side) -> Iterator[Axis]:
    return (x for x in side.axes("units") if any(p.role == "mlp.down" for p in x.places))


def _is_gated(axis: Axis | None) -> bool:
    return axis is not None and {"mlp.gate", "mlp.up"} <= {p.role for p in axis.places}


def _width(side: Side, axis: Axis) -> int:
    place = axis.places[0]
    return math.prod(side.model.tensors[place.tensor].shape) // axis.n_units


def _named(skipped: Skipped) -> Skipped:
    what = (
        ACTIVATION_TESTS
        if skipped.what == ACTIVATION_TESTS
        else f"{ACTIVATION_TESTS}: {skipped.what}"
    )
    return replace(skipped, what=what, test="activations")

"""Where the parameters of the smaller of two models went: tested, compared, or neither, and why."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from weightkin.derivation.equal import Shared
from weightkin.derivation.equality import TensorMatch
from weightkin.derivation.pairing import TOKEN_TABLES
from weightkin.formats import Model
from weightkin.records.accounting import Accounting, Parameters
from weightkin.sketch.stand_in import n_parameters, smaller_of
from weightkin.sketch.types import Sketch, SketchedTensor

_EXPERT = re.compile(r"\[[0-9]{1,9}\]\Z")  # behind the name of a tensor that stacks experts


def accounting_of(
    models: tuple[Model, Model], shared: Shared, tested: Mapping[str, float]
) -> Accounting:
    """Put every parameter of the smaller model in one state.

    Parameters
    ----------
    models : (Model, Model)
        a and b.
    shared : Shared
        What was found equal, with the two sketches it was found in.
    tested : mapping
        Share of each tensor of the smaller model that lies on tested axes.

    Returns
    -------
    Accounting
        The states add up to all parameters of that model that are known of.
    """
    own = smaller_of(models)
    sketch, other = shared.common.sketches[own], shared.common.sketches[1 - own]
    equal = shared.common.with_rounding
    found = (equal.a, equal.b)[own]
    total = n_parameters(models[own])
    sizes = parameters_of(sketch, total)
    n: dict[str, float] = defaultdict(float)
    codes: dict[str, dict[str, None]] = defaultdict(dict)
    for name, tensor in sketch.tensors.items():
        share = tested.get(tensor.stored_name, tested.get(_whole(tensor), 0.0))
        n["tested"] += sizes[name] * share
        if share < 1.0 and sizes[name]:
            state, code = _untested(tensor, found[name], other)
            n[state] += sizes[name] * (1.0 - share)
            codes[state][code] = None
    n_tested, n_compared = (min(total, round(n[state])) for state in ("tested", "compared"))
    n_compared = min(n_compared, total - n_tested)
    return Accounting(
        tested=Parameters(n=n_tested),
        compared=Parameters(n=n_compared, codes=tuple(codes["compared"])),
        incomparable=Parameters(
            n=total - n_tested - n_compared, codes=tuple(codes["incomparable"])
        ),
        unread=shared.unread[own].parameters(models[own]),
        bytes_read=sum(model.bytes_read for model in models),
    )


def _whole(tensor: SketchedTensor) -> str:
    """Name of the tensor that holds one, of stacked experts that of them all."""
    return _EXPERT.sub("", tensor.stored_name)


def parameters_of(sketch: Sketch, total: int) -> dict[str, float]:
    """Parameters of every tensor; experts that were sampled stand for those that were not.

    Parameters
    ----------
    sketch : Sketch
        Of the model.
    total : int
        All parameters of the model.

    Returns
    -------
    dict of str to float
        By the name of the tensor in the sketch.
    """
    sizes = {name: float(math.prod(t.shape)) for name, t in sketch.tensors.items()}
    stacked = {n for n, t in sketch.tensors.items() if t.stored_name != _whole(t)}
    n_stacked = sum(sizes[name] for name in stacked)
    more = 1.0 + max(0.0, total - sum(sizes.values())) / n_stacked if n_stacked else 1.0
    return {name: n * more if name in stacked else n for name, n in sizes.items()}


def _untested(tensor: SketchedTensor, match: TensorMatch, other: Sketch) -> tuple[str, str]:
    """State and code of what lies on no tested axis."""
    if match.is_same or match.is_moved:
        return "compared", "no-tested-axis"
    partner = other.tensors.get(tensor.name)
    if partner is None:
        found = match.is_told and match.share > 0
        return ("compared", "no-tested-axis") if found else ("incomparable", "no-counterpart")
    is_table = tensor.role in TOKEN_TABLES and tensor.shape[1:] == partner.shape[1:]
    if tensor.shape != partner.shape and not is_table:
        return "incomparable", "shapes-differ"
    is_finite = all(np.isfinite(t.values).all() for t in (tensor, partner))
    return ("compared", "no-tested-axis") if is_finite else ("incomparable", "non-finite-sample")

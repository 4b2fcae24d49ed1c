"""Families as a collection keeps them that stores all its models in one lossy form.

Random families hold pruned and quantised members beside full ones. A collection of which every
member was pruned, or rounded to few bits, is another case: there zeros and steps say nothing of who
was made from whom.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from zoo.genealogies.kept import KeptFamily

Array = npt.NDArray[Any]
FORMS = ("pruned", "pruned", 4, 8)  # drawn evenly; numbers are bits
SHARES = (0.2, 0.3, 0.4, 0.5, 0.6)  # of the entries of each matrix that pruning takes
GROUP = 32  # entries with one scale


def stored_alike(family: KeptFamily) -> KeptFamily:
    """The family with every matrix of every member in one lossy form, drawn by its seed."""
    rng = np.random.default_rng([7, int(family.truth["seed"])])
    form, share = FORMS[rng.integers(len(FORMS))], float(rng.choice(SHARES))
    change: Callable[[Array], Array] = (
        (lambda x: pruned(x, share)) if isinstance(form, str) else (lambda x: _rounded(x, form))
    )
    members = {
        name: replace(m, tensors={k: change(x) if x.ndim > 1 else x for k, x in m.tensors.items()})
        for name, m in family.members.items()
    }
    truth = {**family.truth, "members": _equal_where_alike(family.truth["members"])}
    return replace(family, truth=truth, members=members)


def _equal_where_alike(members: Mapping[str, Any]) -> dict[str, Any]:
    """What is rounded in another precision is no copy any more."""
    found = {}
    for name, m in members.items():
        is_same = m["equal"] and m["dtype"] == members[m["parents"][0]["name"]]["dtype"]
        found[name] = {**m, "equal": is_same}
    return found


def pruned(x: Array, share: float) -> Array:
    """Zero that share of the entries of a matrix, the smallest ones."""
    flat = x.flatten()
    order = np.argsort(np.abs(flat.astype(np.float32)), kind="stable")
    flat[order[: int(share * flat.size)]] = 0.0
    return flat.reshape(x.shape)


def _rounded(x: Array, n_bits: int) -> Array:
    rows = x.astype(np.float32).reshape(len(x), -1)
    width = rows.shape[1]
    groups = np.pad(rows, ((0, 0), (0, -width % GROUP))).reshape(len(rows), -1, GROUP)
    scale = np.abs(groups).max(axis=-1, keepdims=True) / (2 ** (n_bits - 1) - 1)
    scale = np.where(scale > 0, scale, np.float32(1))
    flat = (np.rint(groups / scale) * scale).reshape(len(rows), -1)[:, :width]
    return flat.reshape(x.shape).astype(x.dtype)

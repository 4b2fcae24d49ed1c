"""Which units of one model share a coin: clones of each other, and the heads that are copies."""

from __future__ import annotations

from weightkin.anatomy.types import Axis
from weightkin.evidence.pairs import Views, cut_windows, largest_window
from weightkin.stats.copies import Groups, copied_runs, copied_units, groups_of
from weightkin.stats.matching import Ints

# Cosines from which two units of one model share a coin. Units of trained models that are no clones
# reach .60 on gate and up together, .81 on V rows (docs/methods.md).
MIN_COSINE_COIN = 0.65
MIN_COSINE_GATE = 0.98  # gates so alike are one unit, whatever became of up and down
MIN_COSINE_VALUE = 0.85


def coin_sets(axis: Axis, views: Views, units: Ints) -> Groups:
    """Group some units of one model by the coin that they share.

    Blind to signs: up and V rows count by absolute cosine. V rows share a coin also where the
    windows they stand in are copies of each other, row by row.
    """
    here = {role: rows[units] for role, rows in views.items()}
    if axis.kind == "vo":
        clones = copied_units(here, {"attn.v": MIN_COSINE_VALUE})
        size = largest_window(axis.head_size)
        windows = copied_runs(list(cut_windows(views, size)), is_sign_blind=True)
        windows = (*windows, len(windows))  # rows behind the last whole window
        places = [(windows[u // size], u % size) for u in units.tolist()]
        first = {place: i for i, place in reversed(list(enumerate(places)))}
        others = tuple(first[place] for place in places)
    else:
        readers = [role for role in ("mlp.gate", "mlp.up") if role in here]
        clones = copied_units(
            here, {role: MIN_COSINE_COIN for role in readers}, signed=("mlp.gate",)
        )
        gates = [role for role in readers if role == "mlp.gate"]
        others = copied_units(here, {role: MIN_COSINE_GATE for role in gates}, signed=gates)
    edges = [(i, first) for sets in (clones, others) for i, first in enumerate(sets)]
    return groups_of(len(units), edges)

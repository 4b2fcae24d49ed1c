"""The maps that undo a disguise: units, heads, experts, signs, scales and the residual basis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from weightkin.arrays import Floats, Ints
from weightkin.derivation.matched_units import MatchedUnits
from weightkin.derivation.streams import Residual
from weightkin.errors import UsageError
from weightkin.evidence.block_pairs import block_name

Experts = Mapping[tuple[str, int], tuple[Ints, Ints, int]]  # of a, of b, the block of b
MIN_COSINE_SIGN = 0.5  # absolute cosine of row and column at which sign and scale can be read


def maps_of(
    links: Sequence[MatchedUnits],
    residual: Residual,
    experts: Experts,
    kinds: Sequence[str],
) -> dict[str, Ints | Floats]:
    """Everything that `weightkin.evasions.apply_maps` needs, by the names of b's axes.

    Parameters
    ----------
    links : sequence of MatchedUnits
        Of all pairs of axes.
    residual : Residual
        How the streams stand to each other.
    experts : mapping
        Matched experts, by block.
    kinds : sequence of str
        What is undone of signs and scales.

    Returns
    -------
    dict
        Arrays by name; norms are not among them.
    """
    maps: dict[str, Ints | Floats] = {}
    for x in links:
        key = f"{block_name(x.b)}.{x.b.name}"
        maps |= {f"{key}.a": x.units_a, f"{key}.b": x.units_b}
        is_clear = x.likeness >= MIN_COSINE_SIGN
        if "sign-flipped" in kinds:
            both = is_clear & (x.reads < 0) & (x.writes < 0)
            maps[f"{key}.sign"] = np.where(both, -1, 1).astype(np.float32)
        if "rescaled" in kinds:
            ratio = np.abs(x.reads / np.where(is_clear, x.writes, 1.0))
            maps[f"{key}.scale"] = np.sqrt(np.where(is_clear, ratio, 1.0)).astype(np.float32)
        if x.a.kind == "vo" and x.a.head_size == x.b.head_size and len(x.units_a):
            maps |= _heads(x)
    for (stack, _), (in_a, in_b, block) in experts.items():
        maps |= {f"{stack}.{block}.experts.a": in_a, f"{stack}.{block}.experts.b": in_b}
    if residual.units_a is not None and residual.units_b is not None:
        maps |= {"residual.a": residual.units_a, "residual.b": residual.units_b}
    if residual.rotation is not None:
        maps["residual.rotation"] = residual.rotation
    return maps


def _heads(values: MatchedUnits) -> dict[str, Ints | Floats]:
    """Heads that most of their value dimensions say belong together."""
    size = values.a.head_size
    n = max(values.a.n_units, values.b.n_units) // size
    votes = np.zeros((n, n), dtype=np.int64)
    np.add.at(votes, (values.units_a // size, values.units_b // size), 1)
    in_a = np.flatnonzero(votes.max(axis=1) > size // 2)
    key = f"{block_name(values.b)}.{values.b.name.replace('vo', 'heads', 1)}"
    return {f"{key}.a": in_a, f"{key}.b": votes[in_a].argmax(axis=1)}


def write_maps(path: Path, maps: Mapping[str, Ints | Floats], kinds: Sequence[str]) -> None:
    """Write what was undone: units, signs, scales, residual basis; format in docs/methods.md."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(array) for name, array in maps.items()}
    try:
        save_file(arrays, path, metadata={"kinds": " ".join(kinds)})
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{path}: cannot be written ({error})") from None

"""Derivations that leave the function unchanged: relabellings, rotations, scales and signs.

All are for the Llama-like models, and experts for the Mixtral-like ones. A llama layer reads the
residual stream through its norms' gains, writes to it with `o_proj` and `down_proj`, and head `h`
of `n_heads` uses key-value head ``h // (n_heads // n_kv)``.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact import F64, permutation, product, rotation, signs, uniform
from folders import Folder, Tensors
from surgery import UNITS, per_layer, squared_norms

Array = NDArray[Any]
NORMS = {
    "input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj"),
}
WRITERS = ("self_attn.o_proj", "mlp.down_proj")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Sizes of the attention of one model."""

    n: int
    n_kv: int
    width: int

    def query_rows_of(self, kv_rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """For rows of V in a new order, the columns of O that read them, in query order."""
        by_group = kv_rows.reshape(self.n_kv, self.width)
        group, inside = by_group // self.width, by_group % self.width
        repeat = self.n // self.n_kv
        query = group[:, None] * repeat + np.arange(repeat)[:, None]  # (n_kv, repeat, width)
        return (query * self.width + inside[:, None]).ravel()


def heads_of(folder: Folder) -> Heads:
    """Read the sizes from a configuration."""
    config = folder.config
    n = config["num_attention_heads"]
    width = config["hidden_size"] // n
    return Heads(n=n, n_kv=config["num_key_value_heads"], width=width)


def permuted(folder: Folder, seed: int) -> Folder:
    """Relabel MLP units, key-value groups with their queries, V dimensions and the residual."""
    heads = heads_of(folder)

    def change(prefix: str, tensors: Tensors) -> Tensors:
        units = permutation(seed, prefix + "mlp", len(tensors[prefix + "mlp.up_proj.weight"]))
        return reorder_units(prefix, tensors, units) | relabel_heads(prefix, tensors, heads, seed)

    tensors = per_layer(folder, change)
    order = permutation(seed, "residual", folder.config["hidden_size"])
    tensors = {name: relabel_residual(name, x, order) for name, x in tensors.items()}
    details = {"what": ["mlp units", "heads", "v/o dimensions", "residual"], "seed": seed}
    return Folder(config=folder.config, tensors=tensors, details=details)


def reorder_units(prefix: str, tensors: Tensors, order: NDArray[np.intp]) -> Tensors:
    """Put the units of one MLP in another order."""
    axes = UNITS["llama"]
    return {prefix + n: tensors[prefix + n].take(order, axis=axis) for n, axis in axes.items()}


def relabel_heads(prefix: str, tensors: Tensors, heads: Heads, seed: int) -> Tensors:
    """Relabel groups, and V dimensions inside each group; Q and K keep theirs (rotary)."""
    groups = permutation(seed, prefix + "groups", heads.n_kv)
    straight = (groups[:, None] * heads.width + np.arange(heads.width)).ravel()
    inside = [permutation(seed, f"{prefix}v{g}", heads.width) for g in groups]
    v_rows = np.concatenate([g * heads.width + i for g, i in zip(groups, inside, strict=True)])
    rows = {
        "q_proj": (heads.query_rows_of(straight), 0),
        "k_proj": (straight, 0),
        "v_proj": (v_rows, 0),
        "o_proj": (heads.query_rows_of(v_rows), 1),
    }
    names = {part: f"{prefix}self_attn.{part}.weight" for part in rows}
    return {names[p]: tensors[names[p]].take(order, axis=axis) for p, (order, axis) in rows.items()}


def relabel_residual(name: str, x: Array, order: NDArray[np.intp]) -> Array:
    """Reorder the residual axis of any tensor of a llama."""
    return x[order] if "norm" in name or writes(name) else x[:, order]


def writes(name: str) -> bool:
    """Tell whether a tensor's rows lie on the residual stream."""
    return any(writer in name for writer in WRITERS)


def sorted_units(folder: Folder) -> Folder:
    """Sort the units of each MLP by the norm of their gate row, largest first."""

    def change(prefix: str, tensors: Tensors) -> Tensors:
        energy = squared_norms(tensors[prefix + "mlp.gate_proj.weight"], 0)
        return reorder_units(prefix, tensors, np.argsort(-energy, kind="stable"))

    details = {"what": ["mlp units"], "order": "by norm of the gate row"}
    return Folder(config=folder.config, tensors=per_layer(folder, change), details=details)


def rotated(folder: Folder, seed: int) -> Folder:
    """Fold the norms' gains into the layers that read them, then rotate the residual stream."""
    q = rotation(seed, "residual", folder.config["hidden_size"])  # (width, width)
    tensors = {}
    for name, x in with_gains_folded(folder).items():
        if "norm" in name:
            turned: F64 = x
        elif writes(name):
            turned = product(q.T, x)
        else:
            turned = product(x, q)
        tensors[name] = turned.astype(np.float32)
    details = {"what": ["residual"], "gains": "folded", "seed": seed}
    return Folder(config=folder.config, tensors=tensors, details=details)


def with_gains_folded(folder: Folder) -> Tensors:
    """Move every norm's gain into its readers and leave ones behind, in float64."""
    tensors = {name: x.astype(np.float64) for name, x in folder.tensors.items()}

    def change(prefix: str, tensors: Tensors) -> Tensors:
        return fold(prefix, tensors, {norm: 1 / gain for norm, gain in gains(prefix, tensors)})

    folded = per_layer(replace(folder, tensors=tensors), change)
    gain = folded["model.norm.weight"]
    head = folded["lm_head.weight"] * gain
    return folded | {"model.norm.weight": np.ones_like(gain), "lm_head.weight": head}


def gains(prefix: str, tensors: Tensors) -> list[tuple[str, Array]]:
    """Return the norms of a layer with their gains."""
    return [(norm, tensors[f"{prefix}{norm}.weight"]) for norm in NORMS]


def fold(prefix: str, tensors: Tensors, factors: dict[str, Array]) -> Tensors:
    """Multiply each norm's gain by its factor and divide the readers' columns by it."""
    out = {}
    for norm, factor in factors.items():
        name = f"{prefix}{norm}.weight"
        out[name] = tensors[name] * factor
        for reader in NORMS[norm]:
            name = f"{prefix}{reader}.weight"
            out[name] = tensors[name] / factor
    return out


def rescaled(folder: Folder, seed: int) -> Folder:
    """Scale up rows against down columns, V rows against O columns, gains against readers."""

    def factor(label: str, n: int) -> F64:
        return 0.5 + 1.5 * uniform(seed, label, (n,))

    def change(prefix: str, tensors: Tensors) -> Tensors:
        widths = {norm: factor(prefix + norm, len(gain)) for norm, gain in gains(prefix, tensors)}
        moved = tensors | fold(prefix, tensors, widths)
        changed = scale_units(prefix, moved, heads_of(folder), factor)
        return fold(prefix, tensors, widths) | changed

    details = {"what": ["mlp units", "v/o dimensions", "gains"], "range": [0.5, 2.0], "seed": seed}
    return as_float32(folder, per_layer(folder, change), details)


def sign_flipped(folder: Folder, seed: int) -> Folder:
    """Flip random units between up and down, and random dimensions between V and O."""

    def change(prefix: str, tensors: Tensors) -> Tensors:
        return scale_units(prefix, tensors, heads_of(folder), lambda s, n: signs(seed, s, n))

    details = {"what": ["mlp units", "v/o dimensions"], "seed": seed}
    return as_float32(folder, per_layer(folder, change), details)


def scale_units(prefix: str, tensors: Tensors, heads: Heads, factor: Any) -> Tensors:
    """Multiply up and V rows by factors and divide what reads them by the same."""
    up, down = f"{prefix}mlp.up_proj.weight", f"{prefix}mlp.down_proj.weight"
    v, o = f"{prefix}self_attn.v_proj.weight", f"{prefix}self_attn.o_proj.weight"
    unit = factor(prefix + "units", len(tensors[up]))
    row = factor(prefix + "values", heads.n_kv * heads.width)
    column = np.repeat(row.reshape(heads.n_kv, heads.width), heads.n // heads.n_kv, axis=0).ravel()
    return {
        up: tensors[up] * unit[:, None],
        down: tensors[down] / unit,
        v: tensors[v] * row[:, None],
        o: tensors[o] / column,
    }


def as_float32(folder: Folder, tensors: Tensors, details: dict[str, Any]) -> Folder:
    """Round once, at the end."""
    rounded = {name: x.astype(np.float32) for name, x in tensors.items()}
    return Folder(config=folder.config, tensors=rounded, details=details)


def disguised(folder: Folder, seed: int) -> Folder:
    """Apply everything at once: signs, scales, labels, and last a rotation."""
    changed = rotated(permuted(rescaled(sign_flipped(folder, seed), seed), seed), seed)
    details = {"what": ["sign-flipped", "rescaled", "permuted", "rotated"], "seed": seed}
    return Folder(config=folder.config, tensors=changed.tensors, details=details)


def experts_permuted(folder: Folder, seed: int) -> Folder:
    """Relabel the experts of each layer together with the router's rows."""
    n = folder.config["num_local_experts"]

    def change(prefix: str, tensors: Tensors) -> Tensors:
        order = permutation(seed, prefix + "experts", n)
        stem = f"{prefix}block_sparse_moe."
        out = {f"{stem}gate.weight": tensors[f"{stem}gate.weight"][order]}
        for target, source in enumerate(order):
            for part in ("w1.weight", "w2.weight", "w3.weight"):
                out[f"{stem}experts.{target}.{part}"] = tensors[f"{stem}experts.{source}.{part}"]
        return out

    details = {"what": ["experts"], "seed": seed}
    return Folder(config=folder.config, tensors=per_layer(folder, change), details=details)

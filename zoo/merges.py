"""Merges of models of one shape: weighted, spherical, TIES, DARE; and an adapter into its base.

Every formula is evaluated entry by entry in float64 and rounded once to float32.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exact import product, total
from folders import Folder, read_tensors
from lossy import drop_mask

Array = NDArray[Any]
F64 = NDArray[np.float64]


def merged(
    folders: tuple[Folder, ...], rule: Callable[[str, list[F64]], F64], **details: Any
) -> Folder:
    """Apply a rule to the tensors of one name, for each name."""
    first = folders[0]
    tensors = {
        name: rule(name, [f.tensors[name].astype(np.float64) for f in folders]).astype(np.float32)
        for name in first.tensors
    }
    return Folder(config=first.config, tensors=tensors, details=details)


def linear(*folders: Folder, weights: tuple[float, ...]) -> Folder:
    """Weighted average."""
    return merged(
        folders, lambda _, xs: weighted(xs, weights), method="linear", weights=list(weights)
    )


def weighted(xs: list[F64], weights: tuple[float, ...]) -> F64:
    """Sum in the order given."""
    out = np.zeros_like(xs[0])
    for weight, x in zip(weights, xs, strict=True):
        out += weight * x
    return out


def slerp(a: Folder, b: Folder, t: float) -> Folder:
    """Move along the arc from `a` to `b`, tensor by tensor."""
    return merged((a, b), lambda _, xs: arc(xs[0], xs[1], t), method="slerp", t=t)


def arc(a: F64, b: F64, t: float) -> F64:
    """Spherical interpolation; straight where the two are parallel."""
    u, v = a.ravel(), b.ravel()
    cosine = float(total(u * v) / np.sqrt(total(u * u) * total(v * v)))
    angle = math.acos(min(1.0, max(-1.0, cosine)))
    if angle < 1e-4:
        return weighted([a, b], (1 - t, t))
    # nine digits: where two mathematical libraries differ in the last bit, these do not
    weights = [round(math.sin(s * angle) / math.sin(angle), 9) for s in (1 - t, t)]
    return weighted([a, b], tuple(weights))


def ties(base: Folder, *folders: Folder, density: float) -> Folder:
    """Trim each difference from the base, elect a sign per entry, average those that agree."""

    def rule(_: str, xs: list[F64]) -> F64:
        trimmed = np.stack([trim(x - xs[0], density) for x in xs[1:]])
        elected = np.sign(total(trimmed))
        agree = (np.sign(trimmed) == elected) & (elected != 0)
        return xs[0] + total(np.where(agree, trimmed, 0.0)) / np.maximum(agree.sum(axis=0), 1)

    return merged((base, *folders), rule, method="ties", density=density, scale=1.0)


def trim(delta: F64, density: float) -> F64:
    """Keep the largest entries."""
    flat = delta.flatten()
    order = np.argsort(np.abs(flat), kind="stable")
    flat[order[: flat.size - int(density * flat.size)]] = 0.0
    return flat.reshape(delta.shape)


def dare(base: Folder, *folders: Folder, weights: tuple[float, ...], seed: int) -> Folder:
    """Drop half of each difference at random, double the rest, add the weighted sum."""

    def rule(name: str, xs: list[F64]) -> F64:
        kept = [
            np.where(drop_mask(seed, f"{name}/{i}", x.shape), 0.0, 2.0 * (x - xs[0]))
            for i, x in enumerate(xs[1:])
        ]
        return xs[0] + weighted(kept, weights)

    return merged((base, *folders), rule, method="dare", drop=0.5, seed=seed, weights=list(weights))


def with_adapter(base: Folder, path: Path) -> Folder:
    """Add ``(alpha / rank) B A`` to every layer that the adapter names."""
    config = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))
    factors = read_tensors(path / "adapter_model.safetensors")
    scale = config["lora_alpha"] / config["r"]
    tensors = dict(base.tensors)
    for name in factors:
        if name.endswith(".lora_A.weight"):
            stem = name.removesuffix(".lora_A.weight")
            delta = scale * product(factors[f"{stem}.lora_B.weight"], factors[name])  # (out, in)
            target = stem.removeprefix("base_model.model.") + ".weight"
            delta = delta.T if config["fan_in_fan_out"] else delta
            tensors[target] = (tensors[target] + delta).astype(np.float32)
    return Folder(config=base.config, tensors=tensors)

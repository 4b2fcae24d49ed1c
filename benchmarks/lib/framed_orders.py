"""Residual nets lined up with another one by what leaves their outputs alone: orders and signs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from weightkin.formats import Model, model_from_arrays

ROUNDS = 25
SEED = 31
STEM = "conv1.weight"
AIMS: dict[str, Callable[[str], bool]] = {  # kernels that count
    "all kernels": bool,
    "first kernels": lambda name: name == STEM,
    "kernels of one block": lambda name: ".0.conv" in name,
    "first kernels and one block": lambda name: name == STEM or ".0.conv" in name,
    "kernels that write the stream": lambda name: name == STEM or ".conv2." in name,
    "kernels inside of blocks": lambda name: ".conv1." in name,
}
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def lined_up(a: Model, b: Model, counts: Callable[[str], bool], seed: int) -> Model:
    """The second net with its channels in the order, and its kernels with the signs, of the first.

    Assignment of the channels inside of each block, and of those of the stream, in turns.
    """
    ours, theirs = ({k: np.asarray(x.rows(k), np.float64) for k in x.tensors} for x in (a, b))
    blocks = sorted({k.split(".conv")[0] for k in ours if ".conv" in k})
    stream = np.random.default_rng([SEED, seed]).permutation(len(ours[STEM]))
    inside = {block: np.arange(len(ours[f"{block}.conv1.weight"])) for block in blocks}
    for _ in range(ROUNDS):
        for block in blocks:
            first, second = f"{block}.conv1.weight", f"{block}.conv2.weight"
            inside[block] = _assigned(
                counts(first) * _rows_alike(ours[first], theirs[first][:, stream])
                + counts(second) * _columns_alike(ours[second], theirs[second][stream])
            )
        alike = counts(STEM) * _rows_alike(ours[STEM], theirs[STEM])
        for block, order in inside.items():
            first, second = f"{block}.conv1.weight", f"{block}.conv2.weight"
            alike = alike + counts(first) * _columns_alike(ours[first], theirs[first][order])
            alike = alike + counts(second) * _rows_alike(ours[second], theirs[second][:, order])
        stream = _assigned(alike)
    moved = reordered(theirs, stream, inside)
    signed = _signed(ours, moved)
    arrays = {k: x.astype(np.float32) for k, x in signed.items()}
    return model_from_arrays(arrays, name=f"{b.name} lined up", config=b.config)


def reordered(
    arrays: Mapping[str, Doubles], stream: Ints, inside: Mapping[str, Ints]
) -> dict[str, Doubles]:
    """A residual net whose channels are in another order: it computes what it did."""
    found = {}
    for name, x in arrays.items():
        block, _, last = name.removesuffix(".weight").rpartition(".")
        if name == STEM or name.startswith("bn1."):
            x = x[stream]
        elif name == "fc.weight":
            x = x[:, stream]
        elif last == "conv1":
            x = x[inside[block]][:, stream]
        elif last == "conv2":
            x = x[stream][:, inside[block]]
        elif ".bn1." in name:
            x = x[inside[name.split(".bn1.")[0]]]
        elif ".bn2." in name:
            x = x[stream]
        found[name] = x
    return found


def _signed(ours: Mapping[str, Doubles], theirs: Mapping[str, Doubles]) -> dict[str, Doubles]:
    """Each kernel with the sign that is more like ours; its batch norm takes the sign back."""
    found = dict(theirs)
    for name in (k for k in theirs if "conv" in k):
        n = len(theirs[name])
        x, y = (arrays[name].reshape(n, -1) for arrays in (ours, theirs))
        sign = np.where((x * y).sum(axis=1) < 0, -1.0, 1.0)
        norm = name.replace("conv", "bn").removesuffix("weight")
        found[name] = theirs[name] * sign.reshape(n, *[1] * (theirs[name].ndim - 1))
        for last in ("weight", "running_mean"):
            found[norm + last] = theirs[norm + last] * sign
    return found


def _rows_alike(x: Doubles, y: Doubles) -> Doubles:
    """Cosines of kernels, whatever their sign."""
    return np.asarray(np.abs(_unit(x) @ _unit(y).T))


def _columns_alike(x: Doubles, y: Doubles) -> Doubles:
    """What columns add to the cosines of kernels that stand in one order, each with its sign."""
    a, b = (_unit(z).reshape(*z.shape[:2], -1) for z in (x, y))
    sign = np.sign((a * b).sum(axis=(1, 2)))[:, None, None]
    return np.asarray(np.einsum("oik,ojk->ij", a, b * sign))


def _unit(x: Doubles) -> Doubles:
    flat = x.reshape(len(x), -1)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12))


def _assigned(alike: Doubles) -> Ints:
    from scipy.optimize import linear_sum_assignment

    return np.asarray(linear_sum_assignment(-alike)[1])

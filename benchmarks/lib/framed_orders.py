"""Residual nets lined up with another one by what leaves outputs alone: orders, signs, factors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from weightkin.formats import Model, model_from_arrays

ROUNDS = 25
STEPS, RATE = 200, 0.3  # of factors
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

    Assignment of the channels inside of each block, and of those of the stream, in turns. Then each
    channel gets the positive factor that makes the kernels that read it most alike: batch norms
    that write it and kernels that read it undo each other, before and after a ReLU.
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
    found = _rescaled(ours, _signed(ours, moved), counts)
    arrays = {k: x.astype(np.float32) for k, x in found.items()}
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


def _rescaled(
    ours: Mapping[str, Doubles], theirs: Mapping[str, Doubles], counts: Callable[[str], bool]
) -> dict[str, Doubles]:
    """Factors of all channels: those of the stream serve all blocks, the others one kernel each."""
    found = dict(theirs)
    firsts = [name for name in theirs if name.endswith(".conv1.weight")]
    shared = _factors([(ours[name], theirs[name]) for name in firsts if counts(name)])
    if shared is None:
        shared = np.ones(len(ours[STEM]))
    for last in ("weight", "bias"):
        found[f"bn1.{last}"] = theirs[f"bn1.{last}"] / shared
    found["fc.weight"] = theirs["fc.weight"] * shared
    for first in firsts:
        block = first.removesuffix(".conv1.weight")
        second = f"{block}.conv2.weight"
        pairs = [(ours[second], theirs[second])] if counts(second) else []
        inside = _factors(pairs)
        if inside is None:
            inside = np.ones(theirs[second].shape[1])
        found[first] = theirs[first] * shared[:, None, None]
        found[second] = theirs[second] * inside[:, None, None]
        for last in ("weight", "bias"):
            found[f"{block}.bn1.{last}"] = theirs[f"{block}.bn1.{last}"] / inside
            found[f"{block}.bn2.{last}"] = theirs[f"{block}.bn2.{last}"] / shared
    return found


def _factors(pairs: Sequence[tuple[Doubles, Doubles]]) -> Doubles | None:
    """Positive factors of the inputs of kernels that climb their mean cosine; None of none."""
    if not pairs:
        return None
    rows_a, rows_b = (np.concatenate([x[k].reshape(*x[k].shape[:2], -1) for x in pairs])
                      for k in (0, 1))  # fmt: skip
    a = rows_a / np.maximum(np.sqrt((rows_a**2).sum(axis=(1, 2), keepdims=True)), 1e-12)
    logs = np.zeros(a.shape[1])
    for _ in range(STEPS):
        b = rows_b * np.exp(logs)[:, None]
        b /= np.maximum(np.sqrt((b**2).sum(axis=(1, 2), keepdims=True)), 1e-12)
        along, own = (a * b).sum(axis=2), (b**2).sum(axis=2)  # (n_rows, n_channels)
        logs += RATE * (along - along.sum(axis=1, keepdims=True) * own).sum(axis=0)
    return np.exp(logs)


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

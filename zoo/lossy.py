"""Derivations that lose something: casts, quantisation, pruning, noise; and two that do not."""

import re
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from exact import bits, deviation, normal
from folders import Folder

Array = NDArray[Any]
# The matrices that quantisation and pruning usually touch: not embeddings, norms or heads.
LINEAR = re.compile(
    r".*(_proj|\.c_attn|\.c_proj|\.c_fc|\.query|\.key|\.value|\.dense|\.w[123])\.weight"
)
INPUT_FIRST = re.compile(r".*\.(c_attn|c_proj|c_fc)\.weight")  # GPT-2 stores (in, out)


def mapped(folder: Folder, change: Callable[[str, Array], Array], **details: Any) -> Folder:
    """Change every tensor by its name."""
    tensors = {name: change(name, x) for name, x in folder.tensors.items()}
    return Folder(config=folder.config, tensors=tensors, details=details)


def copied(folder: Folder) -> Folder:
    """Copy tensor by tensor, in the file order of this zoo."""
    return mapped(folder, lambda _, x: x)


def reordered(folder: Folder) -> Folder:
    """Return the same tensors in another file order under other metadata."""
    tensors = dict(reversed(folder.tensors.items()))
    metadata = {"format": "pt", "note": "same tensors, another header"}
    return Folder(config=folder.config, tensors=tensors, metadata=metadata)


def cast(folder: Folder, dtype: str) -> Folder:
    """Round every tensor to bfloat16 or float16, to nearest, ties to even."""
    target = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}[dtype]
    tensors = {name: x.astype(target) for name, x in folder.tensors.items()}
    config = folder.config | {"dtype": dtype}
    return Folder(config=config, tensors=tensors, details={"dtype": dtype})


def quantised(folder: Folder, n_bits: int, group: int | None = None) -> Folder:
    """Round linear layers to ``2**n_bits - 1`` levels and back; one scale per output or group."""

    def change(name: str, x: Array) -> Array:
        if not LINEAR.fullmatch(name):
            return x
        if INPUT_FIRST.fullmatch(name):
            return np.ascontiguousarray(rounded(x.T, n_bits, group).T)
        return rounded(x, n_bits, group)

    return mapped(
        folder,
        change,
        bits=n_bits,
        group=group,
        scheme="symmetric absmax, round to nearest even, along the input dimension",
        stored_as="float32",
        modules=LINEAR.pattern,
    )


def rounded(x: Array, n_bits: int, group: int | None) -> Array:
    """Quantise and dequantise the rows of `x` in groups of `group` inputs."""
    n_out, n_in = x.shape
    groups = x.astype(np.float64).reshape(n_out, -1, group or n_in)
    top = 2 ** (n_bits - 1) - 1
    scale = np.abs(groups).max(axis=-1, keepdims=True) / top  # (n_out, n_groups, 1)
    scale = np.where(scale == 0, 1.0, scale)
    return (np.rint(groups / scale) * scale).reshape(n_out, n_in).astype(np.float32)


def magnitude_pruned(folder: Folder, share: float) -> Folder:
    """Zero the smallest entries of each linear matrix."""

    def change(name: str, x: Array) -> Array:
        if not LINEAR.fullmatch(name):
            return x
        flat = x.flatten()
        order = np.argsort(np.abs(flat), kind="stable")
        flat[order[: int(share * flat.size)]] = 0.0
        return flat.reshape(x.shape)

    return mapped(folder, change, share=share, scope="per matrix", modules=LINEAR.pattern)


def noised(folder: Folder, share: float, seed: int) -> Folder:
    """Add noise with `share` of each tensor's standard deviation."""

    def change(name: str, x: Array) -> Array:
        noise = normal(seed, name, x.shape) * (share * deviation(x))
        return (x + noise).astype(np.float32)

    return mapped(folder, change, share=share, seed=seed)


def drop_mask(seed: int, name: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Fair coins for each entry: the ones that DARE drops."""
    return (bits(seed, name, int(np.prod(shape))) >> np.uint64(63)).astype(bool).reshape(shape)

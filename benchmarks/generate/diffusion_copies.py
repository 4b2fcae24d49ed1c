"""Members of a family that no training makes: merges, casts, and names of another publisher."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from benchmarks.lib.publisher_names import bfl_flux, ldm_unet, ldm_vae

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]
Rule = Callable[[str, Floats, Floats], Floats]

FILE = "diffusion_pytorch_model.safetensors"
LAYERS, BLOCKS = 1, 2  # of all our U-Nets and autoencoders
WEIGHT, ARC = 0.3, 0.6
BLOCK_WEIGHTS = (0.2, 0.8, 0.5, 0.35)  # of the second parent, in turn over blocks as named


@dataclass(frozen=True, slots=True)
class Copy:
    """How one member is written from the folders of its parents."""

    parents: tuple[str, ...]
    write: Callable[..., None]


def merge(rule: Rule) -> Callable[..., None]:
    """Write a merge: a rule for each tensor by name, from both parents in float64."""

    def write(folder: Path, first: Path, second: Path) -> None:
        a, b = _read(first), _read(second)
        made = {
            name: rule(name, a[name].astype(np.float64), b[name].astype(np.float64)) for name in a
        }
        _save(folder, first, {name: x.astype(np.float32) for name, x in made.items()})

    return write


def linear(_: str, a: Floats, b: Floats) -> Floats:
    """One weight for all."""
    return (1 - WEIGHT) * a + WEIGHT * b


def by_block(name: str, a: Floats, b: Floats) -> Floats:
    """A weight for each block, as merging tools for U-Nets have it; the rest half and half."""
    weight = block_weight(name)
    return (1 - weight) * a + weight * b


def block_weight(name: str) -> float:
    """The weight of the second parent in the block that a tensor is in."""
    found = re.search(r"(down|up|mid|single_transformer|transformer)_blocks?(?:\.(\d+))?", name)
    if found is None:
        return 0.5
    kinds = ("down", "mid", "up", "transformer", "single_transformer")
    return BLOCK_WEIGHTS[(kinds.index(found[1]) + int(found[2] or 0)) % len(BLOCK_WEIGHTS)]


def arc(_: str, a: Floats, b: Floats) -> Floats:
    """Along the arc between both, tensor by tensor."""
    cosine = float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    if angle < 1e-4:
        return (1 - ARC) * a + ARC * b
    return np.asarray((np.sin((1 - ARC) * angle) * a + np.sin(ARC * angle) * b) / np.sin(angle))


def cast(kind: npt.DTypeLike) -> Callable[..., None]:
    """Write every tensor in another type."""

    def write(folder: Path, source: Path) -> None:
        _save(folder, source, {name: x.astype(kind) for name, x in _read(source).items()})

    return write


def published(folder: Path, source: Path) -> None:
    """Write a single file under the names of whoever published the architecture first."""
    save_file(renamed(_read(source)), folder / "model.safetensors")


def renamed(arrays: dict[str, Array]) -> dict[str, Array]:
    """A model of one of our families under those names."""
    if any(name.startswith("single_transformer_blocks") for name in arrays):
        return bfl_flux(arrays)
    if any(name.startswith("encoder.") for name in arrays):
        return ldm_vae(arrays, BLOCKS)
    return ldm_unet(arrays, LAYERS)


def _read(folder: Path) -> dict[str, Array]:
    return dict(load_file(folder / FILE))


def _save(folder: Path, source: Path, arrays: dict[str, Array]) -> None:
    save_file(arrays, folder / FILE)
    shutil.copy(source / "config.json", folder / "config.json")


COPIES: dict[str, Copy] = {
    "linear": Copy(("tuned-a", "tuned-b"), merge(linear)),
    "by-block": Copy(("tuned-a", "tuned-b"), merge(by_block)),
    "slerp": Copy(("tuned-a", "tuned-b"), merge(arc)),
    "fp16": Copy(("tuned-a",), cast(np.float16)),
    "bf16": Copy(("tuned-b",), cast(ml_dtypes.bfloat16)),
    "fp8": Copy(("tuned-a-a",), cast(ml_dtypes.float8_e4m3fn)),
    "published": Copy(("foreign",), published),
}

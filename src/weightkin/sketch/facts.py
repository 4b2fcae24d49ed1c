"""Facts of a sample: its digest, its zeros, the narrowest number format that holds it, moments."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from weightkin.formats.dtypes import NUMPY
from weightkin.sketch.types import Lattice, SketchedTensor

LATTICES: tuple[tuple[Lattice, tuple[Any, ...]], ...] = (  # narrowest first
    ("fp8_e4m3", (ml_dtypes.float8_e4m3fn,)),
    ("fp8_e5m2", (ml_dtypes.float8_e5m2,)),
    ("fp16&bf16", (np.float16, ml_dtypes.bfloat16)),
    ("fp16", (np.float16,)),
    ("bf16", (ml_dtypes.bfloat16,)),
    ("fp32", (np.float32,)),
)
FEW_VALUES = 64


def sketched_tensor(
    stored: npt.NDArray[Any], tail_stored: npt.NDArray[Any], **known: Any
) -> SketchedTensor:
    """Complete a sample with its digest and facts."""
    facts = facts_of(stored)
    return SketchedTensor(
        stored=stored,
        tail_stored=tail_stored,
        digest=sample_digest(known["dtype"], known["shape"], stored, tail_stored),
        n_finite=facts.n_finite,
        share_zeros=facts.share_zeros,
        lattice=facts.lattice,
        mean=facts.mean,
        sum_squares=facts.sum_squares,
        fourth_moment=facts.fourth_moment,
        **known,
    )


@dataclass(frozen=True, slots=True)
class Facts:
    """What the finite values of a sample are like; see the fields of `SketchedTensor`."""

    n_finite: int
    share_zeros: float
    lattice: Lattice
    mean: float
    sum_squares: float
    fourth_moment: float


def facts_of(stored: npt.NDArray[Any]) -> Facts:
    """Measure one sample; all zero (and lattice "none") where it has no finite value."""
    with np.errstate(all="ignore"):  # signalling NaNs in hostile files
        values = np.asarray(stored, dtype=np.float64).ravel()
        values = values[np.isfinite(values)]
        if not len(values):
            return Facts(0, 0.0, "none", 0.0, 0.0, 0.0)
        mean = values.mean()
        squares = (values - mean) ** 2
        return Facts(
            n_finite=len(values),
            share_zeros=np.count_nonzero(values == 0) / len(values),
            lattice="integer" if stored.dtype.kind in "iub" else lattice_of(values),
            mean=float(mean),
            sum_squares=float(values @ values),
            fourth_moment=float(np.mean(squares * squares)),
        )


def lattice_of(values: npt.NDArray[np.float64]) -> Lattice:
    """Narrowest format that represents all values exactly, subnormal numbers included."""
    with np.errstate(all="ignore"):
        for name, formats in LATTICES:
            if all(_fits(values, f) for f in formats):
                return name
    return "fp64"


def _fits(values: npt.NDArray[np.float64], format_: Any) -> bool:
    few = values[:FEW_VALUES]  # already rule most formats out
    if not bool((few.astype(format_).astype(np.float64) == few).all()):
        return False
    rest = values[FEW_VALUES:]
    return not len(rest) or bool((rest.astype(format_).astype(np.float64) == rest).all())


def sample_digest(dtype: str, shape: tuple[int, ...], *pieces: npt.NDArray[Any]) -> str:
    """Identity of one tensor's sample: ``wkt1-`` and the SHA-256 of dtype, shape and the bytes."""
    total = hashlib.sha256(json.dumps([dtype, list(shape)]).encode("ascii"))
    for piece in pieces:
        total.update(raw_bytes(piece))
    return f"wkt1-{total.hexdigest()}"


def raw_bytes(stored: npt.NDArray[Any]) -> bytes:
    """Elements as stored, little-endian, row-major."""
    return np.ascontiguousarray(stored).reshape(-1).view(np.uint8).tobytes()


def empty(dtype: str) -> npt.NDArray[Any]:
    """No rows of a dtype."""
    return np.zeros((0, 0), dtype=NUMPY[dtype])

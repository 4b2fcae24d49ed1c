"""Packed layers whose raw codes 0.1.0 took for weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.claims.cases import Answer, Case
from benchmarks.claims.cases.reading import Arrays, save
from weightkin.formats import open_model

TITLE = "Packed layers"
LEVELS = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)  # of four-bit floats


def words(x: npt.NDArray[Any], bits: int) -> npt.NDArray[np.uint32]:
    """Codes of rows side by side in words, lowest bits first."""
    per = 32 // bits
    words = np.zeros((x.shape[0], x.shape[1] // per), np.uint32)
    for i in range(per):
        words |= x[:, i::per].astype(np.uint32) << np.uint32(bits * i)
    return words


def _mlx(bits: int) -> tuple[Arrays, dict[str, Any], npt.NDArray[Any]]:
    rng = np.random.default_rng(bits)
    codes = rng.integers(0, 2**bits, (8, 128))
    scales, offsets = (rng.random((8, 2)).astype(np.float16) for _ in range(2))
    parts = {"x.weight": words(codes, bits), "x.scales": scales, "x.biases": offsets}
    wide = [np.repeat(x.astype(np.float32), 64, axis=1) for x in (scales, offsets)]
    values = codes.astype(np.float32) * wide[0] + wide[1]
    return parts, {"quantization": {"group_size": 64, "bits": bits}}, values


def _integers() -> tuple[Arrays, dict[str, Any], npt.NDArray[Any]]:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 16, (8, 64))
    scales = rng.random((8, 4)).astype(np.float16)
    parts = {
        "x.weight_packed": words(codes, 4).view(np.int32),
        "x.weight_scale": scales,
        "x.weight_shape": np.array([8, 64]),
    }
    return parts, {}, (codes - 8) * np.repeat(scales.astype(np.float32), 16, axis=1)


def _nvfp4() -> tuple[Arrays, dict[str, Any], npt.NDArray[Any]]:
    import ml_dtypes

    rng = np.random.default_rng(0)
    codes = rng.integers(0, 16, (8, 64)).astype(np.uint8)
    scales = rng.integers(1, 200, (8, 4)).astype(np.float32).astype(ml_dtypes.float8_e4m3fn)
    parts = {
        "x.weight_packed": codes[:, 0::2] | codes[:, 1::2] << 4,
        "x.weight_scale": scales,
        "x.weight_global_scale": np.array([7.0], np.float32),
    }
    values = np.where(codes < 8, 1, -1) * LEVELS[codes % 8]
    return parts, {}, values * np.repeat(scales.astype(np.float32) / 7, 16, axis=1)


def _comfy() -> tuple[Arrays, dict[str, Any], npt.NDArray[Any]]:
    import ml_dtypes

    x = np.random.default_rng(0).standard_normal((8, 4)).astype(ml_dtypes.float8_e4m3fn)
    parts = {"x.weight": x, "x.scale_weight": np.array([0.25], np.float32)}
    return parts, {}, x.astype(np.float32) / 4


def _unpacked(
    make: Callable[[], tuple[Arrays, dict[str, Any], npt.NDArray[Any]]], folder: Path
) -> Answer:
    parts, config, values = make()
    model = open_model(save(folder / "m", parts, config))
    if list(model.tensors) != ["x.weight"] or not model.tensors["x.weight"].packed:
        return Answer(False, f"tensors {', '.join(model.tensors)}")
    is_right = np.allclose(model.rows("x.weight"), values, rtol=1e-5, atol=1e-6)
    return Answer(is_right, f"{model.tensors['x.weight'].packed}, values as stored")


CASES = (
    Case("MLX, 4 bits", "the values", "raw words as weights", partial(_unpacked, partial(_mlx, 4))),
    Case("MLX, 8 bits", "the values", "raw words as weights", partial(_unpacked, partial(_mlx, 8))),
    Case("compressed-tensors, whole numbers of 4 bits", "the values", "raw words as weights",
         partial(_unpacked, _integers)),
    Case("compressed-tensors, NVFP4", "the values", "raw bytes as weights",
         partial(_unpacked, _nvfp4)),
    Case("8-bit floats of ComfyUI", "the values", "values without their scale",
         partial(_unpacked, _comfy)),
)  # fmt: skip

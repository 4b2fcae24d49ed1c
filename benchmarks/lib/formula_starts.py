"""Pairs of unrelated models whose starts share a formula and no random number.

Noise stands for training. Its share is drawn anew for every model, so that starts are seen that
show plainly, that are nearly gone, and all between.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.linalg import hadamard

from benchmarks.lib.null_models import CONFIG, HEAD_SIZE, HEADS, Arrays, gaussian
from weightkin.formats import Model, model_from_arrays

HIDDEN, WIDTH, BLOCKS, VOCABULARY = 64, 32, 3, 64
CHANNELS = ((3, 24), (24, 24), (24, 24), (24, 24), (24, 10))
Floats = npt.NDArray[np.float32]
Start = Callable[[np.random.Generator], Model]


def noisy(rng: np.random.Generator, formula: npt.ArrayLike, share: float) -> Floats:
    """A formula with noise: ``share`` of the variance is that of the formula."""
    x = np.asarray(formula, dtype=np.float64)
    x = x / max(float(np.sqrt((x**2).mean())), 1e-12)
    mixed = math.sqrt(share) * x + math.sqrt(1 - share) * rng.standard_normal(x.shape)
    return mixed.astype(np.float32)


def cosines(n: int, d: int) -> Floats:
    """Rows of a cosine transform."""
    i, j = np.ogrid[:n, :d]
    return np.asarray(np.cos(np.pi * (i + 0.5) * (j + 0.5) / max(n, d)), dtype=np.float32)


def identity(n: int, d: int) -> Floats:
    """Row i is one at coordinate i, again and again where there are more rows."""
    i, j = np.ogrid[:n, :d]
    return np.asarray(i % d == j % n, dtype=np.float32)


def walsh(n: int, d: int) -> Floats:
    """Rows of a Hadamard matrix."""
    size = 1 << (max(n, d) - 1).bit_length()
    return np.asarray(hadamard(size)[:n, :d], dtype=np.float32)


def waves(n: int, d: int, base: float) -> Floats:
    """Positions as rows: sines and cosines of falling frequency in turn."""
    at, i = np.arange(n)[:, None], np.arange(d)[None, :]
    angle = at * base ** (-2.0 * (i // 2) / d)
    return np.where(i % 2 == 0, np.sin(angle), np.cos(angle)).astype(np.float32)


def convolutions(rng: np.random.Generator, *, is_added: bool) -> Model:
    """A plain chain: Dirac kernels, or random ones with the identity added."""
    arrays: Arrays = {}
    share = rng.uniform(0.02, 0.9)
    for k, (before, after) in enumerate(CHANNELS, 1):
        kernel = np.zeros((after, before, 3, 3), dtype=np.float32)
        if before == after or not is_added:
            n = min(before, after)
            kernel[np.arange(n), np.arange(n), 1, 1] = 1.0
        noise = rng.standard_normal(kernel.shape) * np.sqrt((1 - share) / (9 * before))
        scale = math.sqrt(share) * (rng.uniform(0.5, 1.5) if is_added else 1.0)
        arrays[f"conv{k}.weight"] = (scale * kernel + noise).astype(np.float32)
        arrays[f"conv{k}.bias"] = (0.02 * rng.standard_normal(after)).astype(np.float32)
    return model_from_arrays(arrays)


def llama(
    rng: np.random.Generator,
    mlp: Callable[[int, int], Floats] | None = None,
    values: Callable[[int, int], Floats] | None = None,
) -> Model:
    """A Llama-like model whose MLPs or values and outputs began as a formula."""
    size = HEADS * HEAD_SIZE * 2
    share = rng.uniform(0.02, 0.9)

    def made(formula: Callable[[int, int], Floats] | None, n: int, d: int) -> Floats:
        return noisy(rng, formula(n, d), share) if formula else gaussian(rng, n, d)

    arrays: Arrays = {
        "model.embed_tokens.weight": gaussian(rng, VOCABULARY, WIDTH),
        "lm_head.weight": gaussian(rng, VOCABULARY, WIDTH),
        "model.norm.weight": np.ones(WIDTH, dtype=np.float32),
    }
    for i in range(BLOCKS):
        layer = f"model.layers.{i}."
        arrays |= {
            layer + "mlp.gate_proj.weight": made(mlp, HIDDEN, WIDTH),
            layer + "mlp.up_proj.weight": made(mlp, HIDDEN, WIDTH),
            layer + "mlp.down_proj.weight": made(mlp, HIDDEN, WIDTH).T,
            layer + "self_attn.q_proj.weight": gaussian(rng, size, WIDTH),
            layer + "self_attn.k_proj.weight": gaussian(rng, size, WIDTH),
            layer + "self_attn.v_proj.weight": made(values, size, WIDTH),
            layer + "self_attn.o_proj.weight": made(values, size, WIDTH).T,
            layer + "input_layernorm.weight": np.ones(WIDTH, dtype=np.float32),
            layer + "post_attention_layernorm.weight": np.ones(WIDTH, dtype=np.float32),
        }
    heads = {"num_attention_heads": HEADS * 2, "num_key_value_heads": HEADS * 2}
    return model_from_arrays(arrays, config=CONFIG | heads)


def gpt(rng: np.random.Generator) -> Model:
    """A GPT-2-like model whose position table began as sinusoids, of a base that is not 10,000."""
    share, d = rng.uniform(0.02, 0.9), WIDTH
    arrays: Arrays = {
        "wte.weight": gaussian(rng, VOCABULARY, d),
        "wpe.weight": noisy(rng, waves(VOCABULARY, d, 100.0), share),
        "ln_f.weight": np.ones(d, dtype=np.float32),
        "ln_f.bias": np.zeros(d, dtype=np.float32),
    }
    for i in range(BLOCKS):
        block = f"h.{i}."
        for name, n, m in (
            ("attn.c_attn", d, 3 * d),
            ("attn.c_proj", d, d),
            ("mlp.c_fc", d, HIDDEN),
            ("mlp.c_proj", HIDDEN, d),
        ):
            arrays[f"{block}{name}.weight"] = gaussian(rng, n, m)
            arrays[f"{block}{name}.bias"] = np.zeros(m, dtype=np.float32)
        for name in ("ln_1", "ln_2"):
            arrays[f"{block}{name}.weight"] = np.ones(d, dtype=np.float32)
            arrays[f"{block}{name}.bias"] = np.zeros(d, dtype=np.float32)
    return model_from_arrays(arrays, config={"model_type": "gpt2", "n_head": 4, "n_embd": d})


STARTS: dict[str, Start] = {
    "Dirac kernels": lambda rng: convolutions(rng, is_added=False),
    "kernels + identity": lambda rng: convolutions(rng, is_added=True),
    "cosine transforms": lambda rng: llama(rng, mlp=cosines),
    "identity values": lambda rng: llama(rng, values=identity),
    "Hadamard": lambda rng: llama(rng, mlp=walsh, values=walsh),
    "sinusoidal positions": gpt,
}

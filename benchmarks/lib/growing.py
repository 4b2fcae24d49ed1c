"""What the larger benchmarks share: train, fold adapters in, keep what is there already."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from zoo.lora import Adapted, attach


def cache_folder() -> Path:
    """Where models are grown when no folder is named."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home else Path.home() / ".cache") / "weightkin" / "benchmarks"


def in_place(folder: Path, write: Callable[[Path], None]) -> Path:
    """Write a model's folder under a temporary name, then move it: it is whole or not there."""
    if not folder.exists():
        draft = folder.with_name(f".{folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        write(draft)
        draft.rename(folder)
    return folder


def fit(model: nn.Module, losses: Iterable[Tensor], n_steps: int, lr: float, decay: float) -> float:
    """Run AdamW with a short warm-up and a cosine down to zero; the mean of the last losses.

    Decay touches every tensor that gets a gradient. ``losses`` is asked once for each step.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=lr, betas=(0.9, 0.98), weight_decay=decay)
    warm_up = max(1, n_steps // 10)
    model.train()
    seen = []
    for step, loss in zip(range(n_steps), losses, strict=False):
        share = min((step + 1) / warm_up, 0.5 + 0.5 * math.cos(math.pi * step / n_steps))
        for group in optimiser.param_groups:
            group["lr"] = lr * share
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        seen.append(loss.item())
    return float(np.mean(seen[-10:]))


def adapt(model: nn.Module, targets: tuple[str, ...], rank: int) -> None:
    """Put adapters of one rank on every layer whose last name is a target, freeze the rest."""
    attach(model, targets, rank=rank, alpha=2 * rank)


@torch.no_grad()
def fold(model: nn.Module) -> None:
    """Add every adapter to its layer in float32, as merged LoRAs are published."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, Adapted):
            inner = layer.layer
            inner.weight += layer.scale * layer.lora_B @ layer.lora_A
            model.set_submodule(name, inner)

"""Grow the second paper's layout at a small scale: trees of 21 in three splits, and two U-Nets.

Five roots are trained from their own seeds; each has four children and sixteen grandchildren, once
fully fine-tuned, once with low-rank adapters of one rank, once of several. Every model but the
roots learns a task of its own: digits altered in one of eight ways, with labels of their own, a
fresh head, a data order, a learning rate and a decay of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from zoo.corpus import digits

from benchmarks.lib.growing import adapt, cache_folder, fit, fold, in_place

Split = Literal["full", "lora-fixed", "lora-varying"]
Parents = dict[str, str | None]

SPLITS: tuple[Split, ...] = ("full", "lora-fixed", "lora-varying")
N_TREES, N_CHILDREN, N_GRANDCHILDREN = 5, 4, 16
BATCH = 32
ROOT_STEPS, CHILD_STEPS = 400, 50
LR, LORA_LR = (2e-4, 1e-3), 3e-3
DECAYS = (0.05, 0.1, 0.1, 0.0)
RANK, RANKS = 4, (2, 3, 4, 6, 8, 12)  # of 48
UNET_STEPS = 150
UNETS: dict[str, Parents] = {  # model cards: v1-3, v1-4 and v1-5 were all resumed from v1-2
    "unet-cards": {"v1-1": None, "v1-2": "v1-1", "v1-3": "v1-2", "v1-4": "v1-2", "v1-5": "v1-2"},
    "unet-chain": {"v1-1": None, "v1-2": "v1-1", "v1-3": "v1-2", "v1-4": "v1-3", "v1-5": "v1-4"},
}


def layout(tree: int) -> Parents:
    """Names of one tree of 21 and their parents: root, children ``k``, grandchildren ``k-j``."""
    root = f"t{tree}"
    found: Parents = {root: None}
    children = [f"{root}-{k}" for k in range(N_CHILDREN)]
    found |= dict.fromkeys(children, root)
    found |= {f"{children[j % N_CHILDREN]}-{j // N_CHILDREN}": children[j % N_CHILDREN]
              for j in range(N_GRANDCHILDREN)}  # fmt: skip
    return found


def grow(split: Split, tree: int, folder: Path | None = None) -> dict[str, Path]:
    """Train what is missing of one tree; every model by name. The splits share their roots."""
    target = (folder or cache_folder()) / "larger"
    made: dict[str, Path] = {}
    for number, (name, parent) in enumerate(layout(tree).items()):
        if parent is None:
            made[name] = in_place(target / "roots" / name, lambda d: _root(d, tree))
        else:
            made[name] = in_place(
                target / split / name,
                lambda d, p=made[parent], k=number: _child(d, p, split, tree, k),  # type: ignore[misc]
            )
    return made


def grow_unet(which: str, folder: Path | None = None) -> dict[str, Path]:
    """Train what is missing of one family of U-Nets in the stage of generalisation."""
    target = (folder or cache_folder()) / "larger" / which
    made: dict[str, Path] = {}
    for number, (name, parent) in enumerate(UNETS[which].items()):
        seed = 7000 + 100 * list(UNETS).index(which) + number
        origin = made[parent] if parent else None
        made[name] = in_place(
            target / name,
            lambda d, p=origin, s=seed: _unet(d, p, s),  # type: ignore[misc]
        )
    return made


def _root(folder: Path, tree: int) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(100 + tree)
    config = ViTConfig(
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=96,
        image_size=8,
        patch_size=2,
        num_channels=1,
        num_labels=10,
    )
    model = ViTForImageClassification(config)
    losses = _classified(model, "digits", None, np.random.default_rng(100 + tree))
    last = fit(model, losses, ROOT_STEPS, 2e-3, 0.05)
    _told(f"t{tree}", last)
    model.save_pretrained(folder)


def _child(folder: Path, parent: Path, split: Split, tree: int, number: int) -> None:
    from transformers import ViTForImageClassification

    seed = 10_000 * (1 + SPLITS.index(split)) + 100 * tree + number
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    model: Any = ViTForImageClassification.from_pretrained(parent, dtype=torch.float32)
    lr = float(np.exp(rng.uniform(*np.log(LR))))
    decay = float(rng.choice(DECAYS))
    rank = RANK if split == "lora-fixed" else int(rng.choice(RANKS))
    if split != "full":
        adapt(model, ("q_proj", "v_proj"), rank)
        lr, decay = LORA_LR, 0.0
    nn.init.normal_(model.classifier.weight, std=0.02)
    nn.init.zeros_(model.classifier.bias)
    model.classifier.requires_grad_(True)
    labels = torch.from_numpy(rng.permutation(10))
    losses = _classified(model, str(rng.choice(ALTERED)), labels, rng)
    last = fit(model, losses, CHILD_STEPS, lr, decay)
    fold(model)
    _told(f"{split} {folder.name}", last)
    model.save_pretrained(folder)


ALTERED = ("digits", "inverted", "rotated", "mirrored", "transposed", "shifted", "faint", "noisy")


@cache
def _images(how: str) -> tuple[Tensor, Tensor]:
    x, y = digits(how if how in ("digits", "inverted", "rotated", "mirrored") else "digits")
    changed: dict[str, npt.NDArray[np.float32]] = {
        "transposed": x.swapaxes(2, 3),
        "shifted": np.roll(x, 2, axis=3),
        "faint": x * np.float32(0.4),
        "noisy": x + np.random.default_rng(0).normal(0, 0.4, x.shape).astype(np.float32),
    }
    return torch.from_numpy(np.ascontiguousarray(changed.get(how, x))), torch.from_numpy(y)


def _classified(
    model: Any, how: str, labels: Tensor | None, rng: np.random.Generator
) -> Iterator[Tensor]:
    x, y = _images(how)
    targets = y if labels is None else labels[y]
    while True:
        pick = torch.from_numpy(rng.integers(len(x), size=BATCH))
        yield nn.functional.cross_entropy(model(pixel_values=x[pick]).logits, targets[pick])


def _unet(folder: Path, parent: Path | None, seed: int) -> None:
    """A root learns from its seed; the others go on with the same data in their own order."""
    from diffusers import UNet2DModel

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model: Any = (
        UNet2DModel.from_pretrained(parent, low_cpu_mem_usage=False)
        if parent
        else UNet2DModel(
            sample_size=8,
            in_channels=1,
            out_channels=1,
            layers_per_block=1,
            block_out_channels=(16, 32),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            norm_num_groups=8,
            attention_head_dim=8,
        )
    )
    steps = UNET_STEPS if parent else 3 * UNET_STEPS
    last = fit(model, _denoised(model, rng), steps, float(rng.choice((5e-4, 1e-3))), 0.01)
    _told(f"{folder.parent.name} {folder.name}", last)
    model.save_pretrained(folder)


def _denoised(model: Any, rng: np.random.Generator) -> Iterator[Tensor]:
    """The noise of a cosine schedule is to be told from the digit."""
    x, _ = _images("digits")
    while True:
        clean = x[torch.from_numpy(rng.integers(len(x), size=BATCH))]
        noise = torch.from_numpy(rng.standard_normal(clean.shape).astype(np.float32))
        time = torch.from_numpy(rng.integers(0, 1000, size=BATCH))
        angle = (time.float() / 1000 * torch.pi / 2)[:, None, None, None]
        told = model(clean * angle.cos() + noise * angle.sin(), time).sample
        yield (told - noise).square().mean()


def _told(name: str, loss: float) -> None:
    print(f"{name.removeprefix('.').replace(' .', ' ').removesuffix('.draft')}: {loss:.3f}",
          file=sys.stderr, flush=True)  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    where = Path(sys.argv[1]) if sys.argv[1:] else None
    for unet in UNETS:
        grow_unet(unet, where)
    for tree_number in range(N_TREES):
        for one_split in SPLITS:
            grow(one_split, tree_number, where)

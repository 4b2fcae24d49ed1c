"""Small synthetic images with a text each: discs and bars in the colours that the text names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Sort = Literal["plain", "stripes", "rings", "dark"]

SIDE, N_COLOURS = 8, 6
N_TOKENS, CONTEXT, POOLED = 4, 32, 16


def images(sort: Sort, seed: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of images and texts without end.

    Parameters
    ----------
    sort : str
        Discs and bars; or striped, hollow, or with little light.
    seed : int
        Of the order.
    batch : int
        Images in each.

    Yields
    ------
    tuple of Tensor
        (batch, 3, 8, 8) in -1 to 1, and (batch, 4, 32).
    """
    rng = np.random.default_rng(seed)
    words = np.random.default_rng(0).standard_normal((N_COLOURS, N_TOKENS, CONTEXT))
    colours = np.random.default_rng(1).uniform(-1, 1, (N_COLOURS, 3))
    y, x = np.mgrid[:SIDE, :SIDE]
    while True:
        colour = rng.integers(N_COLOURS, size=batch)
        centre = rng.uniform(2, SIDE - 2, (batch, 2, 1, 1))
        radius = rng.uniform(1, 3, (batch, 1, 1))
        away = np.hypot(y - centre[:, 0], x - centre[:, 1])  # (batch, 8, 8)
        is_bar = (rng.random(batch) < 0.5)[:, None, None]
        inside = np.where(is_bar, np.abs(y - centre[:, 0]) < radius / 2, away < radius)
        if sort == "rings":
            inside = inside & (away > radius / 2)
        if sort == "stripes":
            inside = inside & ((x + y) % 4 < 2)
        light = np.where(inside[:, None], colours[colour][:, :, None, None], -0.8)
        light = light + rng.normal(0, 0.05, light.shape)
        if sort == "dark":
            light = 0.4 * light - 0.5
        yield (
            torch.from_numpy(light.astype(np.float32)),
            torch.from_numpy(words[colour].astype(np.float32)),
        )

"""A tensor in short: what it holds, then its shape, in numbers and fields of a config.

``n:2,in_channels,16,16`` are normal values, ``o:`` ones (``l:`` as integers, ``t:`` as truth
values), ``z:`` zeros (``f:`` as truth values), ``c:4`` counts from zero, ``r:2,6,14`` from six to
thirteen in each of two rows, ``v:2,4,6,6`` are two rows of 4, 6, 6, ``i:2,12,64`` are integers
below the last number, ``e:2,12,5`` truth values of which the first five of each row are false,
``g:2,6,18`` rows of a grid: their row and column, from one on, then normal values. A
field inside a nested config has a path
(``vision_config.hidden_size``), a size may be a product (``2*image_size``), a quotient
(``hidden_size/num_heads``) or a sum. Lists and mappings hold further values; anything else stands
for itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch


def made(value: Any, config: Mapping[str, Any]) -> Any:
    """Return a value of a table; a tensor where it is one in short."""
    if isinstance(value, list):
        return [made(x, config) for x in value]
    if isinstance(value, dict):
        return {k: made(x, config) for k, x in value.items()}
    if not isinstance(value, str) or value[1:2] != ":":
        return value
    shape = [_size(x, config) for x in value[2:].split(",")]
    generator = torch.Generator().manual_seed(math.prod(shape))
    if value[0] == "n":
        return torch.randn(shape, generator=generator)
    if value[0] == "i":
        return torch.randint(0, shape[-1], shape[:-1], generator=generator)
    if value[0] == "c":
        return torch.arange(math.prod(shape)).reshape(shape)
    if value[0] == "v":
        return torch.tensor(shape[1:]).expand(shape[0], -1)
    if value[0] == "r":
        return torch.arange(*shape[-2:]).expand(*shape[:-2], -1)
    if value[0] == "g":
        rows = torch.randn(shape, generator=generator)
        rows[..., 0], rows[..., 1] = 1.0, torch.arange(1.0, shape[-2] + 1)
        return rows
    if value[0] == "e":
        return torch.arange(shape[-2]).expand(shape[:-1]) >= shape[-1]
    if value[0] in "zf":
        return torch.zeros(shape, dtype=torch.bool if value[0] == "f" else torch.float)
    return torch.ones(shape, dtype={"o": torch.float, "t": torch.bool, "l": torch.long}[value[0]])


def _size(word: str, config: Mapping[str, Any]) -> int:
    if "+" in word:
        return sum(_size(part, config) for part in word.split("+"))
    if "/" in word:
        above, _, below = word.rpartition("/")
        return _size(above, config) // _size(below, config)
    sizes = []
    for part in word.split("*"):
        found: Any = int(part) if part.isdigit() else _field(part, config)
        sizes.append(int(found[0] if isinstance(found, list | tuple) else found))
    return math.prod(sizes)


def _field(path: str, config: Mapping[str, Any]) -> Any:
    found: Any = config
    for name in path.split("."):
        found = found[name]
    return found

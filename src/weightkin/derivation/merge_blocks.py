"""The weights of a merge block by block, as interfaces for diffusion models let people set them."""

from __future__ import annotations

import re

import numpy as np

from weightkin.derivation.merge_parts import layer_of
from weightkin.derivation.merges import Merge
from weightkin.sketch.types import Sketch

REST = "rest"
DIGITS = 4
# the first numbered module; of a level of diffusers, the numbered layer in it
_BLOCK = re.compile(
    r"(?:[^0-9.][^.]*\.)*?[^0-9.][^.]*\.[0-9]+"
    r"(?:\.(?:resnets|attentions)\.[0-9]+)?(?=\.)"
)


def block_weights(merge: Merge, child: Sketch) -> dict[str, list[float]]:
    """Mean weights of each block of a mixture, in order of its parents.

    Parameters
    ----------
    merge : Merge
        The mixture, with the weights of each tensor in which its parents differ.
    child : Sketch
        The mixed model.

    Returns
    -------
    dict of str to list of float
        By the number of a block where the model is one stack of blocks, else by the name that the
        model stores it under (``model.diffusion_model.input_blocks.4``); what is in none is
        ``rest``.
    """
    blocks: dict[str, list[tuple[float, ...]]] = {}
    is_one = len({t.stack for t in child.tensors.values() if t.block >= 0}) < 2
    is_one = is_one and not _is_levelled(child)
    for name, weights in merge.curve:
        tensor = child.tensors.get(name)
        layer = layer_of(name)
        if is_one or tensor is None:
            block = REST if layer is None else str(layer)
        else:
            block = _block(tensor.stored_name)
        blocks.setdefault(block, []).append(weights)
    return {
        block: [round(float(w), DIGITS) for w in np.mean(rows, axis=0)]
        for block, rows in blocks.items()
    }


def _is_levelled(sketch: Sketch) -> bool:
    """Whether a model is built of levels of layers, as U-Nets are."""
    levels = ("down_blocks.", "input_blocks.")
    return any(x in f".{t.stored_name}" for t in sketch.tensors.values() for x in levels)


def _block(stored: str) -> str:
    found = _BLOCK.match(stored)
    return found[0] if found else REST

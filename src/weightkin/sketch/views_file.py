"""The token views of a sketch in its file: what is written, and what is checked when it is read.

Tensors ``views/tokens``, ``views/texts``, ``views/units``, ``views/heads`` and the scales of the
two; the metadata names their blocks, or says why there are none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.formats.json_text import parse
from weightkin.sketch.parse_metadata import damaged
from weightkin.sketch.token_views import (
    MAX_HEAD_BLOCKS,
    MAX_UNIT_BLOCKS,
    N_PRODUCTS,
    N_UNITS,
)
from weightkin.sketch.tokens import N_TOKENS, N_UNIT_TOKENS, NO_TOKENS
from weightkin.sketch.types import VIEW_REASONS, BlockViews, Tokens, TokenViews

PREFIX = "views/"
MAX_BYTES = 1 << 20  # of all its tensors
MAX_SHAPES = {
    "units": (MAX_UNIT_BLOCKS, 2, N_UNITS, N_UNIT_TOKENS),
    "heads": (MAX_HEAD_BLOCKS, 2, N_PRODUCTS),
}
DTYPES = {"i8": "I64", "i1": "I8", "f4": "F32"}
Arrays = dict[str, npt.NDArray[Any]]


def views_text(views: TokenViews) -> str:
    """What the metadata says of views."""
    found = {kind: getattr(views, kind) for kind in MAX_SHAPES}
    said = {kind: x if isinstance(x, str) else x.blocks for kind, x in found.items()}
    return json.dumps(said, separators=(",", ":"))


def views_arrays(views: TokenViews) -> Arrays:
    """Tensors by their names, those without elements left out."""
    found: Arrays = {"tokens": views.tokens.rows, "texts": views.tokens.texts}
    for kind in MAX_SHAPES:
        if isinstance(x := getattr(views, kind), BlockViews):
            found |= {kind: x.stored, f"{kind}-scales": x.scales}
    return {key: x for key, x in found.items() if x.size}


def checked_views(path: PurePath, text: str, arrays: Mapping[str, npt.NDArray[Any]]) -> TokenViews:
    """Views that a file states.

    Parameters
    ----------
    path : PurePath
        File that errors name.
    text : str
        What its metadata says of them.
    arrays : mapping of str to ndarray
        Tensors by their names.

    Returns
    -------
    TokenViews

    Raises
    ------
    UnreadableModel
        They are malformed.
    """
    said = parse(text.encode("utf-8", "replace"), path, "metadata 'views'")
    try:
        tokens = Tokens(arrays.get("tokens", NO_TOKENS.rows), arrays.get("texts", NO_TOKENS.texts))
        views = TokenViews(tokens, *(_blocks(kind, said[kind], arrays) for kind in MAX_SHAPES))
        n = len(tokens.rows)
        is_sound = n <= N_TOKENS and len(tokens.texts) in (0, n)
        is_sound &= tokens.rows.ndim == 1 and len(np.unique(tokens.names)) == n
        if isinstance(views.units, BlockViews):
            is_sound &= views.units.stored.shape[-1] == min(n, N_UNIT_TOKENS)
        is_sound &= views_arrays(views).keys() == arrays.keys()
        is_sound &= tokens.rows.dtype == tokens.texts.dtype == np.int64
    except (KeyError, TypeError, ValueError):
        is_sound = False
    if not is_sound:
        raise damaged(path, "invalid token views")
    return views


def _blocks(kind: str, said: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    if isinstance(said, str):
        return VIEW_REASONS[VIEW_REASONS.index(said)]
    stored, scales = arrays[kind], arrays[f"{kind}-scales"]
    blocks = tuple((stack, block) for stack, block in said[: len(stored) + 1])
    shapes = zip(stored.shape, MAX_SHAPES[kind], strict=True)
    if (
        any(type(stack) is not str or type(block) is not int for stack, block in blocks)
        or list(blocks) != sorted(set(blocks))
        or stored.shape[:2] != (len(blocks), 2)
        or not all(0 < n <= most for n, most in shapes)
        or (stored.dtype.str[1:], scales.dtype.str[1:]) != ("i1", "f4")
        or scales.shape != stored.shape[:-1]
        or not (np.isfinite(scales) & (scales >= 0)).all()
    ):
        raise ValueError(kind)
    return BlockViews(blocks, stored, scales)

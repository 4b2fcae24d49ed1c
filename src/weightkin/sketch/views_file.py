"""The token views of a sketch in its file: what is written, and what is checked when it is read.

Tensors ``views/tokens``, ``views/texts``, ``views/units``, ``views/heads`` and the scales of the
two; the metadata names their blocks, or says why there are none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from weightkin.formats.json_text import parse
from weightkin.formats.model import TensorInfo
from weightkin.sketch.token_views import (
    MAX_HEAD_BLOCKS,
    MAX_UNIT_BLOCKS,
    N_PRODUCTS,
    N_UNIT_TOKENS,
    N_UNITS,
)
from weightkin.sketch.tokens import N_TOKENS
from weightkin.sketch.types import VIEW_REASONS, BlockViews, Tokens, TokenViews
from weightkin.text import quoted, unreadable

PREFIX = "views/"
DTYPES = {
    "tokens": "I64",
    "texts": "I64",
    "units": "I8",
    "units-scales": "F32",
    "heads": "I8",
    "heads-scales": "F32",
}
ReadArray = Callable[[str], npt.NDArray[Any]]  # one tensor of the file, by its name there


def views_text(views: TokenViews) -> str:
    """What the metadata says of views."""
    said = {
        kind: x if isinstance(x, str) else [list(key) for key in x.blocks]
        for kind, x in (("heads", views.heads), ("units", views.units))
    }
    return json.dumps(said, separators=(",", ":"))


def views_arrays(views: TokenViews) -> dict[str, npt.NDArray[Any]]:
    """Tensors of the file by their names, those without elements left out."""
    found: dict[str, npt.NDArray[Any]] = {
        "tokens": views.tokens.rows.astype("<i8"),
        "texts": views.tokens.texts.astype("<i8"),
    }
    for kind, x in (("units", views.units), ("heads", views.heads)):
        if isinstance(x, BlockViews):
            found |= {kind: x.stored, f"{kind}-scales": x.scales.astype("<f4")}
    return {PREFIX + key: x for key, x in found.items() if x.size}


def checked_views(
    path: PurePath, text: str, left: Mapping[str, TensorInfo], read: ReadArray
) -> TokenViews:
    """Views that a file states, every size checked before it is read.

    Parameters
    ----------
    path : PurePath
        File that errors name.
    text : str
        What its metadata says of views.
    left : mapping of str to TensorInfo
        Tensors of the file that are no sample.
    read : callable
        Reads one of them.

    Returns
    -------
    TokenViews

    Raises
    ------
    UnreadableModel
        They are malformed.
    """
    said = parse(text.encode("utf-8", "replace"), path, "metadata 'views'")
    if not isinstance(said, dict) or said.keys() != {"heads", "units"}:
        _refuse(path, "metadata 'views'")

    def array(key: str, fits: Callable[[tuple[int, ...]], bool]) -> npt.NDArray[Any]:
        info = left.get(PREFIX + key)
        if info is None or info.dtype != DTYPES[key] or not fits(info.shape):
            _refuse(path, "nothing" if info is None else f"{info.dtype} {list(info.shape)}", key)
        return read(PREFIX + key)

    def tokens(key: str) -> npt.NDArray[np.int64]:
        if PREFIX + key not in left:
            return np.zeros(0, dtype=np.int64)
        return array(key, lambda shape: len(shape) == 1 and shape[0] <= N_TOKENS)

    def of_kind(kind: str, most: int, shape: tuple[int, ...]) -> Any:
        if isinstance(said[kind], str):
            return said[kind] if said[kind] in VIEW_REASONS else _refuse(path, quoted(said[kind]))
        blocks = _blocks(path, said[kind], most)
        n = (len(blocks), 2)
        stored = array(kind, lambda x: x[:2] == n and _is_within(x[2:], shape))
        scales = array(f"{kind}-scales", lambda x: x == stored.shape[:-1])
        if not np.isfinite(scales).all() or (scales < 0).any():
            _refuse(path, "scales that are none", kind)
        return BlockViews(blocks, stored, scales)

    chosen = Tokens(tokens("tokens"), tokens("texts"))
    is_each_once = len(np.unique(chosen.names)) == len(chosen.names)
    if not is_each_once or len(chosen.texts) not in (0, len(chosen.rows)):
        _refuse(path, "tokens that are not told apart")
    n_seen = min(len(chosen.rows), N_UNIT_TOKENS)
    units = of_kind("units", MAX_UNIT_BLOCKS, (N_UNITS, n_seen))
    if isinstance(units, BlockViews) and units.stored.shape[-1] != n_seen:
        _refuse(path, "units seen through fewer tokens")
    return TokenViews(chosen, units, of_kind("heads", MAX_HEAD_BLOCKS, (N_PRODUCTS,)))


def _is_within(shape: tuple[int, ...], most: tuple[int, ...]) -> bool:
    return len(shape) == len(most) and all(0 < n <= m for n, m in zip(shape, most, strict=True))


def _blocks(path: PurePath, pairs: Any, most: int) -> tuple[tuple[str, int], ...]:
    if not isinstance(pairs, list) or not 0 < len(pairs) <= most:
        _refuse(path, "no list of blocks")
    for pair in pairs:
        if not isinstance(pair, list) or tuple(map(type, pair)) != (str, int):
            _refuse(path, f"{quoted(pair)} as a block")
    blocks = [(stack, block) for stack, block in pairs]
    if blocks != sorted(set(blocks)):
        _refuse(path, "blocks out of order")
    return tuple(blocks)


def _refuse(path: PurePath, found: str, key: str = "") -> NoReturn:
    raise unreadable(path, f"{found}{f' as {PREFIX}{key}' if key else ''}", "token views")

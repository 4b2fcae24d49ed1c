"""The gain of the norm through which a matrix reads the residual stream."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from weightkin.anatomy.types import Place
from weightkin.arrays import Floats
from weightkin.catalogue import by_model_type, norm_names
from weightkin.catalogue.config import language_model_type
from weightkin.formats.model import Model

GAINS = ("weight", "gamma")  # what the gains of a norm are called
OTHER_TOWERS = frozenset({"vision", "audio"})


def gain_before(model: Model, stack: str, place: Place) -> Floats:
    """Gain of the norm that a place of a block reads the stream through; ones if none is known.

    Where a block has one norm for both its halves, both read through it.

    Parameters
    ----------
    model : Model
        The model.
    stack : str
        Stack of the axis that the place belongs to.
    place : Place
        A matrix that reads the residual stream.

    Returns
    -------
    ndarray
        ``(width,)``.
    """
    shape = model.tensors[place.tensor].shape
    matrix = shape if place.index is None else shape[1:]
    width = matrix[1 - place.dim]

    def fits(name: str) -> bool:
        info = model.tensors.get(name)
        return info is not None and info.shape == (width,)

    tensor = norm_before(place.tensor, fits, is_attention=place.role.startswith("attn."))
    return _stretched(model, stack, tensor) if tensor else np.ones(width, dtype=np.float32)


def norm_before(tensor: str, is_norm: Callable[[str], bool], *, is_attention: bool) -> str:
    """Name of the norm through which a matrix of a block reads the stream; empty where none fits.

    Parameters
    ----------
    tensor : str
        Name of the matrix.
    is_norm : callable
        Whether there is a norm under a name.
    is_attention : bool
        Whether attention reads it, else an MLP.

    Returns
    -------
    str
        The first name, from the innermost module out, that any entry of the catalogue knows.
    """
    names = norm_names()
    wanted = names.attn if is_attention else (*names.mlp, *names.attn)
    for path in _modules(tensor):
        for norm in (f"{path}.{name}.{leaf}" for name in wanted for leaf in GAINS):
            if is_norm(norm):
                return norm
    return ""


def last_gain(model: Model, stack: str, norms: Iterator[str], width: int) -> Floats:
    """Gain of the last norm among the ``norms`` of a stream; ones where there is none.

    Parameters
    ----------
    model : Model
        The model.
    stack : str
        Stack whose stream the norms read.
    norms : iterator of str
        Names of the tensors of its norms.
    width : int
        Residual width.

    Returns
    -------
    ndarray
        ``(width,)``, float32.
    """
    known = norm_names().last
    last = [name for name in norms if not re.search(r"\.\d+\.", name) and _stem(name) in known]
    if not last:
        return np.ones(width, dtype=np.float32)
    return _stretched(model, stack, last[-1], is_last=True)


def _stretched(model: Model, stack: str, tensor: str, *, is_last: bool = False) -> Floats:
    gain = model.rows(tensor)
    offset = 0.0 if stack in OTHER_TOWERS else added_gain(model.config, is_last=is_last)
    if not offset and not gain.any():  # a gain of zero would let nothing through
        offset = 1.0
    return np.asarray(gain + offset, dtype=np.float32)


def added_gain(config: Mapping[str, Any], *, is_last: bool) -> float:
    """What is added to stored gains: the weights do not show it, the model type does.

    A config that is wrong about it costs power, never validity: a gain acts alike on all units.
    """
    if config.get("norms_hold_gains"):  # conversion has added it
        return 0.0
    entry = by_model_type().get(language_model_type(config))
    return entry.added_gain(is_last=is_last) if entry else 0.0


def _modules(tensor: str) -> Iterator[str]:
    """Modules that hold a tensor, from the innermost out to its block."""
    while (end := tensor.rfind(".")) > 0:
        tensor = tensor[:end]
        if re.search(r"\.\d+(\.|$)", tensor):
            yield tensor


def _stem(tensor: str) -> str:
    return tensor.removesuffix(".weight").rsplit(".", 1)[-1]

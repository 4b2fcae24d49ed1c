"""What the parts of a packed layer must be, whatever the format."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weightkin.formats.computed import Recipe
from weightkin.formats.model import Storage, TensorInfo
from weightkin.text import counted, quoted, unreadable

FLOATS = ("F16", "BF16", "F32")
LEAST_GROUP = 8  # codes of one scale: fewer, and the scales could be the model
Tensors = Mapping[str, TensorInfo]


@dataclass(frozen=True, slots=True)
class Source:
    """Where packed layers are looked for: all tensors, their storage, the model's config."""

    tensors: Tensors
    storage: Storage
    config: Mapping[str, Any]

    @property
    def stated(self) -> Mapping[str, Any]:
        """What the config says about quantisation, hints only."""
        found = self.config.get("quantization_config") or self.config.get("quantization")
        return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Unpacked:
    """One packed layer: the tensor it stands for, how it is unpacked, the parts it is made of."""

    name: str
    packed: str
    recipe: Recipe  # of a stack of matrices: of the rows of all of them
    parts: tuple[str, ...]
    stack: tuple[int, ...] = ()  # shape of the tensor, where that is not the recipe's


def size_in(values: Mapping[str, Any], key: str, where: str) -> int:
    """Return a positive size among stated values.

    Parameters
    ----------
    values : mapping
        What is stated.
    key : str
        Under which the size is.
    where : str
        What it is about, for messages.

    Returns
    -------
    int
        1 to 2**20.

    Raises
    ------
    UnreadableModel
        It is missing, or anything else.
    """
    size = values.get(key)
    if type(size) is not int or not 0 < size <= 1 << 20:
        raise unreadable(where, f"{key} is {quoted(size)}, not an integer from 1 to 2**20")
    return size


def check_part(tensors: Tensors, name: str, dtype: str, n: int) -> None:
    """Refuse a part with another type or another number of elements.

    Parameters
    ----------
    tensors : mapping
        Stored tensors by name.
    name : str
        The part.
    dtype : str
        The type of its elements, by the name of safetensors.
    n : int
        How many elements it must have.

    Raises
    ------
    UnreadableModel
        It is missing, or anything else.
    """
    if name not in tensors:
        raise unreadable(name, f"missing ({n} values of {dtype} needed)")
    info = tensors[name]
    held = math.prod(info.shape)
    if info.dtype != dtype or held != n:
        raise unreadable(name, f"{held} values of {info.dtype}, not {n} of {dtype}")


def check_scales(name: str, n_codes: int, n_scales: int) -> None:
    """Refuse scales that are so many that they could hold other weights than the codes.

    Parameters
    ----------
    name : str
        The tensor of scales, for messages.
    n_codes, n_scales : int
        How many codes and scales a layer has.

    Raises
    ------
    UnreadableModel
        Fewer codes for each scale than any layout has.
    """
    if n_scales > 1 and n_scales * LEAST_GROUP > n_codes:
        what = f"{n_scales} scales for {n_codes} values, stored in an unknown way"
        raise unreadable(name, f"{what} (at least {LEAST_GROUP} values for each scale needed)")


def matrix_of(tensors: Tensors, name: str, dtypes: tuple[str, ...]) -> tuple[int, int]:
    """Return the shape of a part that must be a matrix with elements.

    Parameters
    ----------
    tensors : mapping
        Stored tensors by name.
    name : str
        The part.
    dtypes : tuple of str
        Types that its elements may have.

    Returns
    -------
    tuple of int
        Rows and columns, none of them 0.

    Raises
    ------
    UnreadableModel
        It is missing, or anything else.
    """
    more, rows, columns = stack_of(tensors, name, dtypes)
    if more:
        raise unreadable(name, f"a stack of {more[0]} matrices, not one")
    return rows, columns


def stack_of(
    tensors: Tensors, name: str, dtypes: tuple[str, ...]
) -> tuple[tuple[int, ...], int, int]:
    """Return the sizes of a part that must be a matrix, or a stack of matrices.

    Parameters
    ----------
    tensors : mapping
        Stored tensors by name.
    name : str
        The part.
    dtypes : tuple of str
        Types that its elements may have.

    Returns
    -------
    tuple
        Dimensions before the matrix (none or the experts), its rows, its columns; none of them 0.

    Raises
    ------
    UnreadableModel
        It is missing, or anything else.
    """
    if name not in tensors:
        raise unreadable(name, "missing (a matrix is needed)")
    info = tensors[name]
    if info.dtype not in dtypes or len(info.shape) not in (2, 3) or 0 in info.shape:
        what = f"{info.dtype} of {counted(len(info.shape), 'dimension')}"
        raise unreadable(name, f"{what}, not a matrix of {' or '.join(dtypes)}")
    return info.shape[:-2], info.shape[-2], info.shape[-1]


def is_single(tensors: Tensors, name: str) -> bool:
    """Whether there is such a tensor, with one element."""
    return name in tensors and math.prod(tensors[name].shape) == 1

"""Tensor names and shapes as files state them: checked, and without what wrappers put into names.

Wrappers of modules are those of torch.compile, DDP and FSDP.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from weightkin.text import quoted, unreadable

MAX_DIMENSIONS = 32  # the smallest limit among the numpy versions we run on
MAX_EMPTY = 1 << 14  # tensors without elements of one file: they cost time and hold nothing
MAX_ELEMENTS = 2**60  # so that no product of sizes leaves 64 bits, zero-size tensors included
# what torch.compile, FSDP and activation checkpointing put anywhere in a name
INSIDE = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
OUTSIDE = "module."  # what DDP and DataParallel put before every name


def checked_shape(where: str, sizes: object) -> tuple[int, ...]:
    """Return the sizes if they are non-negative integers with a product that fits 64 bits."""
    if not isinstance(sizes, list | tuple):
        raise unreadable(where, f"its shape is {quoted(sizes)}, not a list of integers")
    if len(sizes) > MAX_DIMENSIONS:
        raise unreadable(where, f"too many dimensions ({len(sizes)}, at most {MAX_DIMENSIONS})")
    n_elements = 1
    for size in sizes:
        if type(size) is not int or size < 0:  # True is an int, and no size
            raise unreadable(where, f"{quoted(size)} in its shape is not a non-negative integer")
        n_elements *= max(size, 1)
        if n_elements > MAX_ELEMENTS:
            raise unreadable(where, f"too many elements ({quoted(n_elements)}, at most 2**60)")
    return tuple(sizes)


def checked_strides(where: str, strides: object, n_dimensions: int) -> tuple[int, ...]:
    """Return the strides if they are as many non-negative integers as there are dimensions.

    Parameters
    ----------
    where : str
        File and tensor, for messages.
    strides : object
        What the file states, in elements.
    n_dimensions : int
        Dimensions of the tensor.

    Returns
    -------
    tuple of int
        The strides.

    Raises
    ------
    UnreadableModel
        They are anything else.
    """
    if not isinstance(strides, list | tuple) or len(strides) != n_dimensions:
        raise unreadable(where, f"its strides are not {n_dimensions} integers, one per dimension")
    for stride in strides:
        if type(stride) is not int or stride < 0:
            raise unreadable(where, f"stride {quoted(stride)} is not a non-negative integer")
    return tuple(strides)


def checked_name(path: PurePath, name: str) -> str:
    """Return the name if it can be written as UTF-8, which digests need."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise unreadable(path, f"tensor name {quoted(name)} is not valid Unicode") from None
    return name


def check_empty(path: PurePath, shapes: Iterable[tuple[int, ...]]) -> None:
    """Refuse a file of very many tensors without elements."""
    n = sum(0 in shape for shape in shapes)
    if n > MAX_EMPTY:
        raise unreadable(path, f"too many tensors without elements ({n}, at most {MAX_EMPTY})")


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """The names that wrappers changed, each with its name without them.

    None at all where two tensors would come to have one name.
    """
    stored = list(names)
    plain = [_without_inside(name) for name in stored]
    while plain and all(name.startswith(OUTSIDE) and name != OUTSIDE for name in plain):
        plain = [name.removeprefix(OUTSIDE) for name in plain]
    if len(set(plain)) != len(plain):
        return {}
    return {a: b for a, b in zip(stored, plain, strict=True) if a != b}


def _without_inside(name: str) -> str:
    if not any(word in name for word in INSIDE):
        return name
    return ".".join(part for part in name.split(".") if part not in INSIDE) or name

"""A model held in memory: what rewrites produce, and what tests of other rooms compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.errors import UsageError
from weightkin.formats.computed import ComputedStorage
from weightkin.formats.dtypes import NUMPY
from weightkin.formats.factorised import multiplied_out
from weightkin.formats.model import Model, Storage, TensorInfo
from weightkin.sources.files import Spans


@dataclass(frozen=True, slots=True)
class ArrayStorage:
    """Arrays held in memory, and what was read of files to get them."""

    arrays: Mapping[str, npt.NDArray[Any]]
    bytes_touched: int = 0
    stamps: tuple[str, ...] = ()  # of these files; empty where nothing tells one state from another
    stored: Storage | None = None  # these files

    def read(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """Elements ``start:stop`` of the flattened tensor."""
        return self.arrays[name].reshape(-1)[start:stop]

    def read_runs(self, name: str, runs: Spans) -> npt.NDArray[Any]:
        """Elements of several ascending runs of the flattened tensor, joined."""
        return np.concatenate([self.read(name, start, stop) for start, stop in runs])

    def prefetch(self, wanted: Sequence[tuple[str, Spans]]) -> None:
        """Nothing: memory answers at once."""


def model_from_arrays(
    arrays: Mapping[str, npt.NDArray[Any]],
    *,
    name: str = "memory",
    config: Mapping[str, Any] | None = None,
) -> Model:
    """Make a model of named arrays, whose digests are those of the same arrays in a file.

    Parameters
    ----------
    arrays : mapping
        Arrays of known element types, by the names of tensors.
    name : str
        Name and source of the model.
    config : mapping, optional
        What ``config.json`` would say.

    Returns
    -------
    Model
        A model without files.

    Raises
    ------
    UsageError
        An array of another element type.
    """
    names = {dtype: code for code, dtype in NUMPY.items()}
    held: dict[str, npt.NDArray[Any]] = {}
    tensors: dict[str, TensorInfo] = {}
    for key in sorted(arrays):
        array = np.asarray(arrays[key], order="C")
        if array.dtype not in names:
            raise UsageError(f"tensor {key!r}: dtype {array.dtype} is not supported")
        held[key] = array
        tensors[key] = TensorInfo(key, names[array.dtype], array.shape, array.nbytes)
    shown, products = multiplied_out(tensors)
    storage: Storage = ArrayStorage(held)
    if products:
        storage = ComputedStorage(storage, products)
        shown = {key: shown[key] for key in sorted(shown)}
    return Model(source=name, name=name, tensors=shown, config=config or {}, storage=storage)

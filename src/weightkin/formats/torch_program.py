"""The program that a TorchScript file carries, as text: classes, and shapes it was traced with.

The text is that of a small part of Python. It is read when it is wanted, and never run.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from pathlib import PurePath

import numpy as np

from weightkin.errors import UnreadableModel
from weightkin.formats.dtypes import NUMPY
from weightkin.formats.torch_globals import Record, TensorRecord
from weightkin.formats.torch_pickle import unpickle_next
from weightkin.formats.torch_text import Constant, Program
from weightkin.formats.zip_archive import Archive
from weightkin.text import located

CODE, SUFFIX = "code/", ".py"
STATE, INPUTS, CONSTANTS = "data.pkl", "traced_inputs.pkl", "constants.pkl"
MAX_TEXT = 1 << 20  # bytes of all classes
MAX_PICKLE = 1 << 20
MAX_STATE = 16 << 20
MAX_RECORDS = 1 << 12
MAX_ATTRIBUTES = 1 << 17
MAX_DEPTH = 64
PLAIN = (int, float, str, type(None))
MAX_NUMBER = 8  # bytes


def has_program(archive: Archive, root: object) -> bool:
    """Whether a torch file holds the text of what it computes."""
    is_named = isinstance(root, Record) and root.name.startswith("__torch__.")
    return is_named and any(x.startswith(CODE) and x.endswith(SUFFIX) for x in archive.entries)


def read_program(archive: Archive, root: str, renamed: Mapping[str, str]) -> Program:
    """What a TorchScript file computes.

    Parameters
    ----------
    archive : Archive
        The file.
    root : str
        Class of the model.
    renamed : mapping of str to str
        Names of tensors of the model by those in the file, where they differ.

    Returns
    -------
    Program
        Nothing of it is run.

    Raises
    ------
    UnreadableModel
        The file is malformed.
    """
    files = [x for x in archive.entries if x.startswith(CODE) and x.endswith(SUFFIX)]
    texts: dict[str, str] = {}
    left = MAX_TEXT
    for name in sorted(files):
        text = archive.bytes_of(name, left)
        left -= len(text)
        module = name.removeprefix(CODE).removesuffix(SUFFIX).replace("/", ".")
        texts[module] = text.decode("utf-8", errors="replace")
    inputs = tuple(shape for x in _records(archive, INPUTS) if (shape := _shape(x)) is not None)
    constants = tuple(_constant(archive, x) for x in _records(archive, CONSTANTS))
    values, first = _attributes(archive)
    path = PurePath(archive.file.path)
    return Program(path, texts, root, renamed, values, first, inputs, constants)


def _attributes(archive: Archive) -> tuple[dict[str, object], dict[str, str]]:
    """Plain values of all modules by their path, and which tensors are one."""
    data = io.BytesIO(archive.bytes_of(STATE, MAX_STATE))
    root, _ = unpickle_next(data, located(archive.file.path), "data/")
    values: dict[str, object] = {}
    first: dict[str, str] = {}
    known: dict[object, str] = {}
    left: list[tuple[str, object, int]] = [("", root, 0)]
    while left and len(values) + len(first) < MAX_ATTRIBUTES:
        path, x, depth = left.pop()
        if isinstance(x, Record) and x.name.startswith("torch.jit._pickle.") and x.made_from:
            x = x.made_from[0]  # a list with the type of what is in it
        if isinstance(x, TensorRecord):
            place = (x.storage.key, repr(x.offset), repr(x.shape), repr(x.strides))
            first[path] = known.setdefault(place, path)
        elif isinstance(x, Record) and depth < MAX_DEPTH:
            own = x.state if isinstance(x.state, dict) else {}
            inner = [(f"{path}.{k}" if path else str(k), v, depth + 1) for k, v in own.items()]
            left += reversed(inner)
        elif isinstance(x, list) and x and all(isinstance(v, TensorRecord) for v in x):
            left += [(f"{path}.{i}", v, depth + 1) for i, v in reversed(list(enumerate(x)))]
        elif isinstance(x, PLAIN) or (isinstance(x, list) and all(isinstance(v, PLAIN) for v in x)):
            values[path] = x
    return values, first


def _records(archive: Archive, name: str) -> list[TensorRecord]:
    """Tensors of a small pickle, in their order."""
    if name not in archive.entries:
        return []
    data = io.BytesIO(archive.bytes_of(name, MAX_PICKLE))
    root, _ = unpickle_next(data, located(archive.file.path), f"{PurePath(name).stem}/")
    return list(_tensors(root))


def _tensors(root: object) -> Iterator[TensorRecord]:
    left, n_seen = [root], 0
    while left and n_seen < MAX_RECORDS:
        x = left.pop()
        n_seen += 1
        if isinstance(x, TensorRecord):
            yield x
        elif isinstance(x, Record):
            left += [x.state, *reversed(x.elements or ()), *reversed(x.made_from)]
            left += reversed(list(x.values()))
        elif isinstance(x, dict):
            left += reversed(list(x.values()))
        elif isinstance(x, (list, tuple)):
            left += reversed(x)


def _shape(record: TensorRecord) -> tuple[int, ...] | None:
    sizes = record.shape
    if not isinstance(sizes, tuple) or len(sizes) > 16:
        return None
    if not all(isinstance(n, int) and 0 < n < 1 << 32 for n in sizes):
        return None
    return tuple(int(n) for n in sizes)


def _constant(archive: Archive, record: TensorRecord) -> Constant:
    shape = _shape(record) or ()
    key, dtype = record.storage.key, NUMPY.get(record.dtype)
    if math.prod(shape) != 1 or dtype is None or key not in archive.entries or record.offset:
        return Constant(shape)
    try:
        data = archive.bytes_of(key, MAX_NUMBER)
    except UnreadableModel:
        return Constant(shape)
    if len(data) != dtype.itemsize:
        return Constant(shape)
    return Constant(shape, np.frombuffer(data, dtype=dtype)[0].item())

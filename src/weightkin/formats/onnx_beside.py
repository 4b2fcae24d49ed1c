"""Where the values of an ONNX graph lie: in its own file, or in files in the same folder.

The path of such a file is hostile until checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from weightkin.formats.dtypes import BITS, NUMPY
from weightkin.formats.headers import checked_shape
from weightkin.formats.onnx_graph import Stored
from weightkin.sources.files import File, TensorLocation
from weightkin.sources.local import LocalFile, readable
from weightkin.text import quoted, shown, unreadable

MAX_PATH = 1000  # characters of the name of a file beside


class Beside:
    """Files of values beside a graph, opened once each."""

    def __init__(self, file: File, open_file: Callable[[str], File]) -> None:
        self.file, self.open_file = file, open_file
        self.files: dict[str, File] = {}

    def place(self, where: str, said: dict[str, str], n_bytes: int) -> tuple[File, int, int]:
        """File, first and last byte of a tensor; refuse a path that leads out of the folder."""
        name = said.get("location", "").removeprefix("./")
        is_plain = name not in ("", ".", "..") and len(name) <= MAX_PATH
        if not is_plain or any(character in name for character in "/\\\0:"):
            what = f"refused: its values are in {quoted(name)}, not in a file in the same folder"
            raise unreadable(where, what)
        if name not in self.files:
            opened = self.open_file(name)
            _check_link(where, self.file, opened)
            self.files[name] = opened
        file = self.files[name]
        start = _number(where, said.get("offset", "0"))
        stop = start + _number(where, said.get("length", str(n_bytes)))
        if stop > file.size:
            what = f"bytes {start} to {stop} are outside {shown(name)} ({file.size} bytes)"
            raise unreadable(where, what)
        return file, start, stop


def _check_link(where: str, graph: File, values: File) -> None:
    """Refuse a link that leads elsewhere than the graph's own folder or where its link leads."""
    if isinstance(graph, LocalFile) and isinstance(values, LocalFile):
        near, far = Path(graph.path), Path(values.path)
        with readable(far):
            homes = (near.parent.resolve(), near.resolve().parent)
            if far.resolve().parent not in homes:
                what = f"refused: {quoted(far.name)} is a link that leads outside the folder"
                raise unreadable(where, what)


def _number(where: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise unreadable(where, f"offset or length {quoted(text)} is not a number of bytes")
    return int(text)


def place_of(
    beside: Beside, where: str, tensor: Stored, dtype: str, *, is_turned: bool
) -> TensorLocation | None:
    """Where plain values lie; None where they are not stored so."""
    shape = checked_shape(where, tensor.sizes)
    n_bytes = math.prod(shape) * BITS[dtype] // 8
    if tensor.beside is None and tensor.span is None and n_bytes:
        return None
    home, (start, stop) = (beside.file, tensor.span or (0, 0))
    if tensor.beside is not None:
        home, start, stop = beside.place(where, tensor.beside, n_bytes)
    if stop - start != n_bytes:
        raise unreadable(where, f"{stop - start} bytes, not {n_bytes} of {dtype}")
    if is_turned:  # the last two dimensions
        *outer, n, width = shape
        steps = [n * width * math.prod(outer[i + 1 :]) for i in range(len(outer))]
        sizes, strides = (*outer, width, n), (*steps, 1, width)
        return TensorLocation(home, NUMPY[dtype], start, sizes, strides)
    return TensorLocation(home, NUMPY[dtype], start, shape)

"""The file of a sketch: safetensors with equal bytes for equal sketches, hostile when read.

Tensors ``run/NAME``, ``scattered/NAME`` and ``tail/NAME`` hold the values as stored, those of
`sketch.views_file` its token views; the metadata says everything else as JSON. Whatever can be
computed again (row indices of runs, digests of samples, facts of values) is not stored, so it
cannot be forged apart from the values.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from weightkin.anatomy.roles import RoleKey
from weightkin.anatomy.stored import anatomy_text, stored_anatomy
from weightkin.errors import UsageError, unwritable
from weightkin.formats.dtypes import NUMPY
from weightkin.formats.model import SKETCH_KEY
from weightkin.formats.safetensors_file import read_safetensors
from weightkin.formats.storage import Contents, is_sketch
from weightkin.sketch.facts import empty, raw_bytes, sketched_tensor
from weightkin.sketch.layout import keys_of_samples
from weightkin.sketch.parse_metadata import (
    StatedTensor,
    checked_entries,
    checked_facts,
    checked_identity,
    damaged,
)
from weightkin.sketch.scheme import Scheme
from weightkin.sketch.stand_in import run_of
from weightkin.sketch.types import Sketch, SketchedTensor
from weightkin.sketch.views_file import (
    DTYPES,
    MAX_BYTES,
    PREFIX,
    checked_views,
    views_arrays,
    views_text,
)
from weightkin.sources.files import File
from weightkin.sources.local import LocalFile
from weightkin.text import quoted, unreadable

PARTS = ("run", "scattered", "tail")


def write_sketch(sketch: Sketch, path: Path, *, overwrite: bool = False) -> int:
    """Write a sketch. The file appears whole or not at all.

    Parameters
    ----------
    sketch : Sketch
        What to write.
    path : Path
        File to write, in a folder that exists.
    overwrite : bool
        Replace what is at the path.

    Returns
    -------
    int
        Size of the file in bytes.

    Raises
    ------
    UsageError
        There is something at the path already, or it cannot be written.
    DiskFull
        No space is left.
    """
    data = sketch_bytes(sketch)
    name = ""
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=".sketch-", suffix=".part", delete=False
        ) as handle:
            name = handle.name
            handle.write(data)
        os.chmod(name, 0o644)  # noqa: PTH101 (a name, not a path)
        if overwrite:
            os.replace(name, path)  # noqa: PTH105
        else:
            os.link(name, path)  # noqa: PTH200 (fails if there is anything at the path)
    except FileExistsError:
        raise UsageError(f"{path}: already exists and is not overwritten") from None
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        if name:
            Path(name).unlink(missing_ok=True)
    return len(data)


def read_sketch(path: Path | str) -> Sketch:
    """Read a sketch file and check everything it says.

    Raises
    ------
    UnreadableModel
        The file is missing, damaged, or no sketch.
    """
    file = LocalFile(Path(path))
    contents = read_safetensors(file)
    if not is_sketch(contents):
        raise unreadable(file.path, "not a file that `weightkin sketch` wrote")
    return sketch_in(file, contents)


def sketch_in(file: File, contents: Contents) -> Sketch:
    """Read the sketch in an open file, of which the header was read.

    Raises
    ------
    UnreadableModel
        It is damaged.
    """
    path, metadata = file.path, contents.metadata
    if contents.problems:
        raise unreadable(path, "not a file that `weightkin sketch` wrote")
    stated = checked_identity(path, metadata)
    scheme = _scheme(path, metadata.get("scheme", ""))
    facts = checked_facts(path, metadata)
    runs = {
        key.removeprefix("run/"): info
        for key, info in contents.tensors.items()
        if key.startswith("run/")
    }
    left = dict(contents.tensors)
    tensors: dict[str, SketchedTensor] = {}
    entries = list(checked_entries(path, metadata, scheme))
    keys = keys_of_samples({entry.name: entry.shape for entry in entries})
    for entry in entries:
        pieces = []
        for part, n_rows, n_columns in entry.parts:
            key = f"{part}/{entry.name}"
            info = left.pop(key, None)
            is_vector = part == "run" and len(entry.shape) < 2
            expected = (n_rows,) if is_vector else (n_rows, n_columns)
            if info is None and n_rows == 0 and part != "run":
                pieces.append(np.zeros((0, n_columns), dtype=NUMPY[entry.dtype]))
            elif info is None or info.shape != expected or info.dtype != entry.dtype:
                found = "missing" if info is None else f"{info.dtype} {list(info.shape)}"
                what = f"{quoted(key)} is {found}, not {entry.dtype} {list(expected)}"
                raise damaged(path, what)
            else:
                pieces.append(_read(file, contents, key).reshape(n_rows, n_columns))
        tensor = _tensor(entry, keys[entry.name], pieces)
        tensors[tensor.name] = tensor
    views = None
    if scheme.has_views:
        extra = [key for key in left if key.startswith(PREFIX)]
        if sum(left[key].n_bytes for key in extra) > MAX_BYTES:
            raise damaged(path, f"token views of over {MAX_BYTES} bytes")
        arrays = {key.removeprefix(PREFIX): _read(file, contents, key) for key in extra}
        views = checked_views(path, metadata.get("views", ""), arrays)
        left = {key: info for key, info in left.items() if key not in extra}
    if left:
        raise damaged(path, f"unknown tensor {quoted(min(left))}")
    return Sketch(
        scheme=scheme,
        tensors=tensors,
        anatomy=stored_anatomy(metadata.get("anatomy", ""), runs, stated["name"]),
        views=views,
        **stated,
        **facts,
    )


def sketch_bytes(sketch: Sketch) -> bytes:
    """The file's contents: header, then the values of all tensors in order of their names."""
    header: dict[str, Any] = {"__metadata__": _metadata(sketch)}
    pieces: list[bytes] = []
    end = 0
    for key, dtype, array in _arrays(sketch):
        pieces.append(raw_bytes(array))
        begin, end = end, end + len(pieces[-1])
        shape = list(array.shape)
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *pieces])


def _arrays(sketch: Sketch) -> Iterator[tuple[str, str, npt.NDArray[Any]]]:
    """Tensors of the file in their order, each with its dtype."""
    for part in PARTS:
        for tensor in sketch.as_stored.values():
            array = _part(tensor, part)
            if part == "run" or array.size:
                yield f"{part}/{tensor.stored_name}", tensor.dtype, array
    if sketch.views is not None:
        for key, array in views_arrays(sketch.views).items():
            yield PREFIX + key, DTYPES[array.dtype.str[1:]], array


def _read(file: File, contents: Contents, key: str) -> npt.NDArray[Any]:
    place, info = contents.places[key], contents.tensors[key]
    raw = file.read([(place.offset, place.offset + info.n_bytes)])
    return raw.view(place.dtype).reshape(info.shape)


def _part(tensor: SketchedTensor, part: str) -> npt.NDArray[Any]:
    if part == "run":
        return run_of(tensor)
    return tensor.stored[tensor.n_run :] if part == "scattered" else tensor.tail_stored


def _metadata(sketch: Sketch) -> dict[str, str]:
    scattered: dict[tuple[int, ...], int] = {}
    entries = []
    for t in sketch.as_stored.values():
        index = tuple(t.rows[t.n_run :].tolist())
        entries.append(
            {
                "name": t.stored_name,
                "role": t.role,
                "stack": t.stack,
                "block": t.block,
                "dtype": t.dtype,
                "shape": list(t.shape),
                "starts": [list(t.row_starts), list(t.column_starts)],
                "scattered": scattered.setdefault(index, len(scattered)),
                "n_tail": len(t.tail_rows),
            }
            | ({"packed": t.packed} if t.packed else {})
        )
    facts = {
        "source": sketch.source,
        "n_parameters": sketch.n_parameters,
        "n_bytes": sketch.n_bytes,
        "family": sketch.family,
        "stacks": [list(pair) for pair in sketch.stacks],
        "bytes_read": sketch.bytes_read,
        "problems": [list(problem) for problem in sketch.problems],
        "is_partial": sketch.is_partial,
        "revision": sketch.revision,
    }
    return {
        SKETCH_KEY: "1",
        "anatomy": anatomy_text(sketch.anatomy),
        "config": _json(sketch.config),
        "digest": sketch.digest,
        "facts": _json(facts),
        "full_digest": sketch.full_digest or "",
        "name": sketch.name,
        "scattered": _json([list(index) for index in scattered]),
        "scheme": sketch.scheme.name,
        "tensors": _json(entries),
    } | ({} if sketch.views is None else {"views": views_text(sketch.views)})


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _scheme(path: PurePath, name: str) -> Scheme:
    try:
        return Scheme.from_name(name)
    except UsageError as error:
        raise unreadable(path, str(error)) from None


def _tensor(entry: StatedTensor, key: RoleKey, pieces: list[npt.NDArray[Any]]) -> SketchedTensor:
    run, scattered, tail = pieces
    return sketched_tensor(
        np.concatenate([run, scattered]),
        tail if len(tail) else empty(entry.dtype),
        key=key,
        stored_name=entry.name,
        role=entry.role,
        stack=entry.stack,
        block=entry.block,
        shape=entry.shape,
        dtype=entry.dtype,
        rows=np.concatenate([entry.run, entry.scattered]),
        columns=entry.columns,
        n_run=len(entry.run),
        tail_rows=entry.tail_rows,
        tail_columns=entry.tail_columns,
        row_starts=entry.row_starts,
        column_starts=entry.column_starts,
        packed=entry.packed,
    )

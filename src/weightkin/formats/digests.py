r"""Digests of a model's contents. The name before the dash fixes every parameter written here.

``wk1``: SHA-256 over, for each tensor in ascending order of its name's UTF-8 bytes,

* one line of ASCII: ``json.dumps([name, dtype, shape, n_bytes], separators=(",", ":"))`` and
  ``\n``, where dtype is the safetensors name and n_bytes counts the sampled bytes that follow;
* the sampled bytes, as stored, little-endian, row-major: of a tensor of two or more dimensions with
  n rows along the first one, row 0, then row ``n // 2`` unless that is row 0 again; of a tensor of
  one or no dimension, its elements; of each such piece the first 65536 bytes.

``wkfull1``: SHA-256 over, for each tensor in the same order, one line of ASCII:
``json.dumps([name, dtype, shape, sha256], separators=(",", ":"))`` and ``\n``, where sha256 is the
hex digest of all its bytes, as stored, little-endian, row-major.

Neither depends on the file format, on sharding, on the order in the file, or on metadata. Tensors
that could not be read are left out, and the value then ends in ``-partial``.
"""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np

from weightkin.errors import UsageError
from weightkin.formats.known import KnownOf
from weightkin.formats.model import Model, TensorInfo
from weightkin.formats.read_together import read_each
from weightkin.sources.files import Spans

PIECE = 1 << 16  # bytes: the most that `digest` takes of one row
CHUNK = 1 << 24  # bytes read at a time by `full_digest`
_KNOWN: KnownOf[str] = KnownOf()


def digest(model: Model) -> str:
    """Identity of names, dtypes, shapes and two rows of each tensor: ``wk1-`` and 64 hex digits.

    Of a sketch: that of the model, as it was when the sketch was taken.
    """
    if model.sketched is not None:
        return model.sketched.digest
    return _KNOWN.once(model, "wk1", lambda: _written("wk1", _sampled(model), model))


def _sampled(model: Model) -> str:
    """SHA-256 of two rows of each tensor; of many small ones, some are read together."""
    wanted = [(name, _pieces(model.tensors[name])) for name in sorted(model.tensors)]
    model.storage.prefetch(wanted)
    total = hashlib.sha256()
    samples = read_each(model.storage, [x for x in wanted if x[1]])
    for name, pieces in wanted:
        raw = next(samples).view(np.uint8).tobytes() if pieces else b""
        total.update(_line(model.tensors[name], len(raw)))
        total.update(raw)
    return total.hexdigest()


def full_digest(model: Model) -> str:
    """Identity of all bytes: ``wkfull1-`` and 64 hex digits. Reads the whole model."""
    if model.sketched is not None:
        if model.sketched.full_digest is None:
            raise UsageError(f"{model.name}: this sketch has no full digest; give the model itself")
        return model.sketched.full_digest
    total = hashlib.sha256()
    for name in sorted(model.tensors):
        info = model.tensors[name]
        n, step = math.prod(info.shape), CHUNK // _width(info)
        contents = hashlib.sha256()
        for start in range(0, n, step):
            contents.update(_stored(model, info, [(start, min(start + step, n))]))
        total.update(_line(info, contents.hexdigest()))
    return _written("wkfull1", total.hexdigest(), model)


def _pieces(info: TensorInfo) -> list[tuple[int, int]]:
    """Elements that `digest` samples: half-open ranges of the flattened tensor."""
    n = math.prod(info.shape)
    most = PIECE // _width(info)
    if n == 0:
        return []
    if len(info.shape) < 2:
        return [(0, min(n, most))]
    row = n // info.shape[0]  # elements per row
    starts = {0, info.shape[0] // 2 * row}
    return [(start, start + min(row, most)) for start in sorted(starts)]


def _width(info: TensorInfo) -> int:
    return info.n_bytes // max(1, math.prod(info.shape)) or 1


def _stored(model: Model, info: TensorInfo, pieces: Spans) -> bytes:
    return model.storage.read_runs(info.name, pieces).view(np.uint8).tobytes()


def _line(info: TensorInfo, last: int | str) -> bytes:
    fields = [info.name, info.dtype, list(info.shape), last]
    return json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n"


def _written(scheme: str, value: str, model: Model) -> str:
    return f"{scheme}-{value}-partial" if model.is_partial else f"{scheme}-{value}"

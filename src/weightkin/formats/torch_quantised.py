"""Quantised tensors of torch, shown as the values that their codes stand for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from weightkin.formats.model import TensorInfo
from weightkin.formats.onnx_codes import UnpackedCodes
from weightkin.formats.storage import Contents
from weightkin.formats.torch_globals import QuantisedRecord, TensorRecord
from weightkin.sources.files import TensorLocation

CODES = {"QINT8": "I8", "QUINT8": "U8", "QINT32": "I32"}  # storages, and what their bytes are
FLOATS, WHOLE = ("F32", "F64"), ("I32", "I64", "F32", "F64")
Place = Callable[[str, TensorRecord], TensorLocation]  # by a name for messages


def add_quantised(contents: Contents, name: str, found: QuantisedRecord, place_of: Place) -> str:
    """Show the values of a quantised tensor.

    Parameters
    ----------
    contents : Contents
        Which the tensor is added to.
    name : str
        Its name.
    found : QuantisedRecord
        Codes, scale and zero point.
    place_of : callable
        Where a tensor of the file lies.

    Returns
    -------
    str
        Why it cannot be shown; empty where it was.
    """
    stored = CODES.get(found.codes.dtype)
    if stored is None:
        return f"dtype {found.codes.dtype} is not supported"
    codes = place_of(name, found.codes._replace(dtype=stored))
    ones = (1,) * len(codes.shape)
    if 0 in codes.shape or not codes.shape:
        return "a quantised tensor without elements or dimensions"
    sizes, given = ones, {}
    parts = {"codes": codes}
    for role, value, kinds in (("scale", found.scale, FLOATS), ("zero", found.zero, WHOLE)):
        if isinstance(value, TensorRecord):
            axis = found.axis
            if value.dtype not in kinds or not 0 <= axis < len(codes.shape):
                return "its scales are stored in an unknown way"
            place = place_of(f"{role} of {name}", value)
            if place.shape != (codes.shape[axis],) or place.strides:
                return "its scales are not one for each channel"
            sizes = (*ones[:axis], codes.shape[axis], *ones[axis + 1 :])
            parts[role] = place
        elif isinstance(value, int | float) and abs(value) < 1 << 63:
            given[role] = np.array([value], dtype=np.float64 if role == "scale" else np.int64)
        else:
            return "its scale is no number"
    if len(given) == 1:
        return "its scales are stored in an unknown way"
    contents.places |= {f"{role}:{name}": place for role, place in parts.items()}
    n_bytes = 4 * math.prod(codes.shape)
    contents.tensors[name] = TensorInfo(
        name, "F32", codes.shape, n_bytes, f"torch {found.codes.dtype.lower()}"
    )
    contents.recipes[name] = UnpackedCodes(codes.shape, name, (sizes, sizes), given)
    return ""

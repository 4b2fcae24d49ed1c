"""A denied model carried past the gate: inside other files, with noise, behind a lying sketch."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors.numpy import load_file, save_file

from benchmarks.claims.cases import Answer, Case
from benchmarks.claims.cases.gate import HIT, NAMED, PASSED
from benchmarks.claims.cases.identity import Arrays, write
from benchmarks.claims.cases.publishers import llama
from benchmarks.claims.cases.reading import deflated, torch_file
from weightkin import Registry, check
from weightkin.errors import WeightkinError
from weightkin.formats import digest
from weightkin.sketch import take_sketch
from weightkin.sketch.file import write_sketch
from weightkin.sketch.source import open_model

TITLE = "The gate: disguises"
SAID = {"pass": PASSED, "hit": HIT, "incomplete": NAMED}
Put = Callable[[Path, Arrays, Arrays], object]


def _outcome(candidate: Path, denied: Path | str, registry: Registry | None = None) -> str:
    return SAID[check(candidate, registry=registry, deny=[denied]).outcome]


def _hidden(put: Put, folder: Path) -> Answer:
    """A denied model put somewhere into a folder that looks like a clean one."""
    bad, good = llama(0), llama(1)
    denied = write(folder / "denied", bad)
    candidate = write(folder / "candidate", good)
    put(candidate, bad, good)
    said = _outcome(candidate, denied)
    return Answer(said != PASSED, said)


def _instead(make: Callable[[Arrays, Arrays], Any]) -> Put:
    """A torch file in the place of the weights."""

    def put(folder: Path, bad: Arrays, good: Arrays) -> None:
        (folder / "model.safetensors").unlink()
        torch_file(folder / "pytorch_model.bin", make(bad, good))

    return put


def _deep(bad: Arrays, good: Arrays) -> Any:
    inner: Any = bad
    for _ in range(20):
        inner = {"m": inner}
    return {**good, "x": inner}


def _swallowed(folder: Path, bad: Arrays, good: Arrays) -> None:
    """A packed layer called ``model``, with the names of the denied tensors below it."""
    state = {"shape": [4, 4], "blocksize": 64, "quant_type": "nf4", "dtype": "float32"}
    layer = {
        "model": np.zeros((8, 1), np.uint8),
        "model.absmax": np.ones(1, np.float32),
        "model.quant_map": np.linspace(-1, 1, 16).astype(np.float32),
        "model.quant_state.bitsandbytes__nf4": np.frombuffer(json.dumps(state).encode(), np.uint8),
    }
    held = {**layer, **bad, **{f"decoy.{n}": x for n, x in good.items()}}
    save_file(held, folder / "model.safetensors")


def _polyglot(folder: Path, bad: Arrays, _: Arrays) -> None:
    """The runs and the metadata of a clean sketch beside the denied tensors."""
    path = folder.parent / "s.sketch.safetensors"
    write_sketch(take_sketch(open_model(folder)), path)
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    save_file({**load_file(path), **bad}, folder / "model.safetensors", header["__metadata__"])


def _cast_in_a_graph(folder: Path, bad: Arrays, good: Arrays) -> None:
    """Denied initialisers without telling names behind `Cast`, clean ones under all names."""
    import onnx
    from onnx import helper, numpy_helper

    (folder / "model.safetensors").unlink()
    held = [numpy_helper.from_array(x, n) for n, x in good.items()]
    nodes = []
    for i, x in enumerate(bad.values()):
        held.append(numpy_helper.from_array(x, f"w{i}"))
        nodes.append(helper.make_node("Cast", [f"w{i}"], [f"c{i}"], to=1))
        nodes.append(helper.make_node("MatMul", ["x", f"c{i}"], [f"y{i}"]))
    graph = helper.make_graph(nodes, "g", [], [], held)
    onnx.save(helper.make_model(graph), folder / "model.onnx")


def _covered(folder: Path, bad: Arrays, good: Arrays) -> None:
    """A graph that names a torch file of compressed entries as the file of one small tensor."""
    from onnx import TensorProto, helper, numpy_helper

    (folder / "model.safetensors").unlink()
    deflated(bad, folder / "pytorch_model.bin")
    small = TensorProto(name="extra.weight", data_type=1, dims=(4, 4), data_location=1)
    for key, text in (("location", "pytorch_model.bin"), ("offset", "0"), ("length", "64")):
        small.external_data.add(key=key, value=text)
    held = [numpy_helper.from_array(x, n) for n, x in good.items()]
    graph = helper.make_graph([], "g", [], [], [*held, small])
    (folder / "model.onnx").write_bytes(helper.make_model(graph).SerializeToString())


def _flat(name: str, folder: Path, bad: Arrays, _: Arrays) -> None:
    torch_file(folder / name, {"flat": np.concatenate([x.ravel() for x in bad.values()])})


def _odd_files(folder: Path, bad: Arrays, _: Arrays) -> None:
    """Weights under suffixes that people use, and files that only look so."""
    np.save(folder / "dirty.npy", next(x for x in bad.values() if x.ndim > 1))
    for name in ("x.distcp", "y.onnx_data", "z.hdf5", "m.pb", "w.joblib", "e.engine"):
        (folder / name).write_bytes(b"x" * 100)


def _noise(dtype: type, share: float) -> Put:
    def put(folder: Path, bad: Arrays, _: Arrays) -> None:
        rng = np.random.default_rng(1)
        held = {n: (x * (1 + share * rng.standard_normal(x.shape))).astype(dtype)
                for n, x in bad.items()}  # fmt: skip
        save_file(held, folder / "model.safetensors")

    return put


def _finer(x: Any, rng: np.random.Generator) -> Any:
    """A bfloat16 tensor as float32, with noise below its last bit."""
    whole = x.astype(np.float32)
    step = rng.integers(-28_000, 28_000, whole.shape, np.int32)
    near = (whole.view(np.int32) + step).view(np.float32)
    return np.where(near.astype(ml_dtypes.bfloat16) == x, near, whole)


def _forged(how: str, folder: Path) -> Answer:
    """A copy that looks like the parent of the denied model."""
    rng, bad = np.random.default_rng(0), llama(0)
    if how == "trained on":
        denied = {n: x.astype(ml_dtypes.bfloat16) for n, x in bad.items()}
        copy = {n: _finer(x, rng) for n, x in denied.items()}
        for name in (n for n in copy if ".2.mlp" in n):
            copy[name] = (copy[name] + 1e-3 * rng.standard_normal(copy[name].shape)).astype("f4")
    elif how == "half":
        denied = {n: x.astype(np.float16) for n, x in bad.items()}
        copy = {n: (x * (1 + 2e-4 * (rng.random(x.shape) - 0.5))).astype(np.float32)
                for n, x in denied.items()}  # fmt: skip
    else:
        denied = {n: np.where(np.abs(x) > np.median(np.abs(x)), x, 0) if ".mlp." in n else x
                  for n, x in bad.items()}  # fmt: skip
        copy = {n: np.where(x == 0, 1e-3 * rng.standard_normal(x.shape), x).astype(np.float32)
                for n, x in denied.items()}  # fmt: skip
    said = _outcome(write(folder / "copy", copy), write(folder / "denied", denied))
    return Answer(said == HIT, said)


def _lying_sketch(folder: Path) -> Answer:
    """Another model under a registered digest changes nothing for who denies by that digest."""
    rng, bad = np.random.default_rng(0), llama(0)
    registry = Registry(folder / "r.sqlite")
    root = write(folder / "root", bad)
    registry.add([root])
    moved = {n: x + (0.05 * x.std() * rng.standard_normal(x.shape)).astype("f4")
             for n, x in bad.items()}  # fmt: skip
    child, name = write(folder / "child", moved), digest(open_model(root))
    said = [_outcome(child, name, registry)]
    lie = folder / "lie.sketch.safetensors"
    sketch = take_sketch(open_model(write(folder / "other", llama(1))))
    write_sketch(replace(sketch, name="root", digest=name), lie)
    try:
        registry.add([lie])
    except WeightkinError:
        said.append("refused")
    said += [_outcome(child, x, registry) for x in (name, "#1")]
    return Answer(set(said) <= {HIT, "refused"}, "; ".join(said))


PUT: dict[str, Put] = {
    "below a packed layer called `model`": _swallowed,
    "as a second state dict of a torch file": _instead(lambda b, g: {"state_dict": g, "model": b}),
    "as a list in a torch file": _instead(lambda b, g: {**g, "layers": list(b.values())}),
    "under numbers in a torch file": _instead(
        lambda b, g: {**g, "opt": dict(enumerate(b.values()))}),
    "below 20 levels of a torch file": _instead(_deep),
    "beside the metadata of a clean sketch": _polyglot,
    "in an ONNX graph, behind `Cast`, without names": _cast_in_a_graph,
    "in a file that an ONNX graph names for one small tensor": _covered,
    "as one tensor of `scaler-13b-chat.bin`": partial(_flat, "scaler-13b-chat.bin"),
    "as one tensor of `my-13b-chat.bin`": partial(_flat, "my-13b-chat.bin"),
    "with noise, in double precision": _noise(np.float64, 1e-9),
    "with noise, in single precision": _noise(np.float32, 1e-3),
    "one matrix as `.npy`, beside files that nothing opens": _odd_files,
}  # fmt: skip
CASES = (
    *(Case(f"the denied model {name}", "hit, or named", PASSED, partial(_hidden, put))
      for name, put in PUT.items()),
    Case("noise below the last bit, trained on", HIT, "", partial(_forged, "trained on")),
    Case("half precision with noise, as single", HIT, PASSED, partial(_forged, "half")),
    Case("a pruned model with its zeros filled", HIT, PASSED, partial(_forged, "pruned")),
    Case("a lying sketch; the model denied by digest", "hits, as before it", "", _lying_sketch),
)  # fmt: skip

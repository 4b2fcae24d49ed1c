"""Files whose tensors 0.1.0 dropped, took for something else, or did not name."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from benchmarks.claims.cases import Answer, Case
from weightkin.errors import WeightkinError
from weightkin.formats import Model, digest
from weightkin.sketch.source import open_model

TITLE = "What a file holds"
Arrays = Mapping[str, npt.NDArray[Any]]
DROPPED = "left out without a word"


def _layers(seed: int, prefix: str = "model.") -> dict[str, npt.NDArray[Any]]:
    rng = np.random.default_rng(seed)
    parts = [f"{i}.mlp.{part}_proj" for i in range(2) for part in ("up", "gate")]
    names = [f"{prefix}layers.{part}.weight" for part in parts]
    return {name: rng.standard_normal((8, 4)).astype(np.float32) for name in names}


def save(folder: Path, arrays: Arrays, config: object = None) -> Path:
    """Write a model of named arrays, and its config."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {key: np.ascontiguousarray(x) for key, x in arrays.items()}
    save_file(arrays, folder / "model.safetensors")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def torch_file(path: Path, value: object) -> Path:
    """Write what holds arrays, in dicts, lists and tuples, as a torch file of tensors."""
    import torch

    def tensors(x: Any) -> Any:
        if isinstance(x, np.ndarray):
            return torch.from_numpy(x.copy())
        if isinstance(x, dict):
            return {key: tensors(y) for key, y in x.items()}
        return type(x)(map(tensors, x)) if isinstance(x, list | tuple) else x

    torch.save(tensors(value), path)
    return path


def _holds(model: Model, arrays: Arrays) -> bool:
    """Whether every array is among the tensors of a model, under any name."""
    found = [model.rows(name) for name in model.tensors]
    return all(any(np.array_equal(x, y) for y in found) for x in arrays.values())


def _read_or_named(write: Callable[[Path], Path], hidden: Arrays, folder: Path) -> Answer:
    """Right: the hidden tensors are read, or the model is known to be incomplete, in words."""
    try:
        model = open_model(write(folder))
    except WeightkinError as error:
        return Answer(True, str(error).partition(": ")[2])
    if _holds(model, hidden):
        return Answer(True, "all tensors are read")
    if model.is_partial:
        lost = next(x for x in model.problems if x.loses_tensors)
        return Answer(True, f"named: {lost.what}: {lost.why}")
    return Answer(False, f"{len(model.tensors)} tensors, nothing said of the others")


GOOD, BAD = _layers(0), _layers(1)


def _deep(folder: Path) -> Path:
    inner: Any = dict(BAD)
    for _ in range(20):
        inner = {"m": inner}
    return torch_file(folder / "x.pt", {**GOOD, "x": inner})


def _namespace(folder: Path) -> Path:
    from argparse import Namespace

    return torch_file(folder / "x.pt", {"model": dict(BAD), "args": Namespace(lr=0.1)})


def deflated(arrays: Arrays, path: Path) -> Path:
    """Write a torch file of compressed entries."""
    plain = torch_file(path.with_suffix(".plain"), dict(arrays))
    with (
        zipfile.ZipFile(plain) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    plain.unlink()
    return path


def _unused(folder: Path) -> Path:
    path = torch_file(folder / "x.pt", dict(GOOD))
    with zipfile.ZipFile(path, "a") as archive:
        raw = b"".join(x.tobytes() for x in BAD.values())
        archive.writestr("x/data/99", raw)
    return path


def _swallowing(folder: Path) -> Path:
    """A layer of bitsandbytes called ``model``, and the tensors of another model below it."""
    state = {"shape": [4, 4], "blocksize": 64, "quant_type": "nf4", "dtype": "float32"}
    parts = {
        "model": np.zeros((8, 1), np.uint8),
        "model.absmax": np.ones(1, np.float32),
        "model.quant_map": np.linspace(-1, 1, 16).astype(np.float32),
        "model.quant_state.bitsandbytes__nf4": np.frombuffer(json.dumps(state).encode(), np.uint8),
    }
    return save(folder / "m", {**parts, **BAD})


def _beside_words(folder: Path) -> Path:
    """Codes of GPTQ, and the plain tensor that they would stand for."""
    name = next(iter(BAD))
    stem = name.removesuffix(".weight")
    parts = {
        f"{stem}.qweight": np.zeros((1, 8), np.int32),
        f"{stem}.qzeros": np.zeros((1, 1), np.int32),
        f"{stem}.scales": np.ones((1, 8), np.float16),
    }
    return save(folder / "m", {**parts, **BAD})


def _as_scale(folder: Path) -> Path:
    """Matrices of another model as the input scales of layers in 8-bit floats."""
    import ml_dtypes

    parts: dict[str, npt.NDArray[Any]] = {}
    for i, x in enumerate(BAD.values()):
        parts[f"{i}.weight"] = np.ones((8, 4), ml_dtypes.float8_e4m3fn)
        parts |= {f"{i}.weight_scale": np.ones((8, 1), np.float32), f"{i}.input_scale": x}
    return save(folder / "m", parts)


def _as_sketch(folder: Path) -> Path:
    """The runs and the metadata of one model's sketch beside the tensors of another model."""
    from safetensors.numpy import load_file

    from weightkin.sketch import take_sketch
    from weightkin.sketch.file import write_sketch

    good = open_model(save(folder / "good", GOOD))
    write_sketch(take_sketch(good), folder / "s.safetensors")
    raw = (folder / "s.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    both = {**load_file(folder / "s.safetensors"), **BAD}
    save_file(both, folder / "x.safetensors", header["__metadata__"])
    return folder / "x.safetensors"


HIDDEN: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a second model beside the first in a torch file": (
        lambda f: torch_file(f / "x.pt", {"state_dict": dict(GOOD), "model": dict(BAD)}), DROPPED),
    "a list of tensors in a torch file": (
        lambda f: torch_file(f / "x.pt", {**GOOD, "more": list(BAD.values())}), DROPPED),
    "tensors under numbers in a torch file": (
        lambda f: torch_file(f / "x.pt", {**GOOD, "opt": dict(enumerate(BAD.values()))}), DROPPED),
    "tensors below 20 levels of a torch file": (_deep, DROPPED),
    "an optimiser's moments in a torch file": (
        lambda f: torch_file(f / "x.pt", {"model": dict(GOOD), "optimizer": {"state": dict(BAD)}}),
        DROPPED),
    "a storage of a torch file that no tensor uses": (_unused, DROPPED),
    "a torch file of compressed entries": (lambda f: deflated(BAD, f / "x.pt"), "named, exit 3"),
    "a training checkpoint with a Namespace": (_namespace, "refused global argparse.Namespace"),
    "tensors below a packed layer called `model`": (_swallowing, DROPPED),
    "a plain tensor beside the codes of the same layer": (_beside_words, "codes shown instead"),
    "a matrix under the name of an input scale": (_as_scale, DROPPED),
    "the metadata of a sketch on a model": (_as_sketch, "opened as the sketch"),
    "a torch file called .ckpt": (
        lambda f: torch_file(f / "x.pt", dict(BAD)).rename(f / "x.ckpt"),
        "a suffix that is not read"),
}  # fmt: skip


def _wrapped(change: Callable[[str], str], folder: Path) -> Answer:
    """A model under the names that a wrapper leaves is the same model."""
    plain = open_model(save(folder / "a", GOOD))
    other = open_model(torch_file(folder / "b.pt", {change(name): x for name, x in GOOD.items()}))
    same = digest(plain) == digest(other)
    return Answer(same, "the same digest" if same else f"other names: {min(other.tensors)}")


WRAPPED: dict[str, Callable[[str], str]] = {
    "torch.compile": lambda name: f"_orig_mod.{name}",
    "DDP": lambda name: f"module.{name}",
    "compile over DDP": lambda name: f"_orig_mod.module.{name}",
    "compile block by block": lambda name: name.replace(".mlp.", "._orig_mod.mlp."),
    "FSDP and checkpointing": lambda name: (
        "_fsdp_wrapped_module." + name.replace(".mlp.", "._checkpoint_wrapped_module.mlp.")
    ),
}


def _pieces(names: list[str], word: str, folder: Path) -> Answer:
    """Files of a distributed checkpoint: one line that names the kind."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        torch_file(folder / name, dict(GOOD))
    try:
        model = open_model((folder / names[0]).parent)
    except WeightkinError as error:
        said = str(error).replace(str(folder), "").partition(": ")[2]
        return Answer(word in said, said)
    return Answer(False, f"opened as a model of {len(model.tensors)} tensors")


PIECES = {
    "torch DCP": (["__0_0.distcp", "__1_0.distcp"], "DCP"),
    "ranks of FSDP": ([f"model_world_size_2_rank_{i}.pt" for i in (0, 1)], "one rank"),
    "DeepSpeed": (["zero_pp_rank_0_mp_rank_00_model_states.pt"], "DeepSpeed"),
    "Megatron-LM": ([f"mp_rank_0{i}/model_optim_rng.pt" for i in (0, 1)], "Megatron"),
    "consolidated shards": (["consolidated.00.pth", "consolidated.01.pth"], "tensor-parallel"),
}

CASES = (
    *(
        Case(name, "read, or named and incomplete", before,
             partial(_read_or_named, write, BAD))
        for name, (write, before) in HIDDEN.items()
    ),
    *(
        Case(f"names that {name} leaves", "the same model", "other names, another digest",
             partial(_wrapped, change))
        for name, change in WRAPPED.items()
    ),
    *(
        Case(f"a checkpoint in pieces: {name}", "one line that names the kind",
             "opened, or refused without the kind", partial(_pieces, names, word))
        for name, (names, word) in PIECES.items()
    ),
)  # fmt: skip

"""The gate: weights beside a clean model, forged directions, names, policies that ask nothing."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from benchmarks.claims.cases import Answer, Case
from benchmarks.lib.null_models import CONFIG, gaussian, null_model
from weightkin import check
from weightkin.errors import WeightkinError
from weightkin.policy import read_policy

TITLE = "The gate"
PASSED, HIT, NAMED = "passed", "hit, exit 1", "named, exit 2"
Arrays = dict[str, np.ndarray]


def arrays_of(seed: int) -> Arrays:
    """Tensors of a small random model."""
    model = null_model(gaussian, np.random.default_rng(seed), hidden=96, blocks=2)
    return {name: model.rows(name) for name in model.tensors}


def write(folder: Path, arrays: Arrays) -> Path:
    """Write a model with its config into a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(arrays, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def _asked(candidate: Path | str, denied: Path, wanted: str) -> Answer:
    """Judge the outcome of a check."""
    try:
        found = check(candidate, deny=[denied])
    except WeightkinError as error:
        return Answer(error.exit_code == 4 and wanted == "exit 4", f"exit {error.exit_code}")
    said = {"pass": PASSED, "hit": HIT, "incomplete": NAMED}[found.outcome]
    return Answer(said == wanted, said)


def beside(
    put: Callable[[Path, bytes, Arrays], object], folder: Path, wanted: str = NAMED
) -> Answer:
    """A clean model, and the denied one put beside it or inside it in some way."""
    denied, clean = arrays_of(1), arrays_of(2)
    other = write(folder / "denied", denied)
    candidate = write(folder / "candidate", clean)
    put(candidate, (other / "model.safetensors").read_bytes(), {**denied})
    return _asked(candidate, other, wanted)


def _file(name: str, folder: Path, raw: bytes, _: Arrays) -> None:
    (folder / name).write_bytes(raw)


def _archive(folder: Path, raw: bytes, _: Arrays) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("unet/model.safetensors", raw)
    (folder / "model.dduf").write_bytes(held.getvalue())


def _as_text(folder: Path, _: bytes, denied: Arrays) -> None:
    numbers = np.concatenate([x.ravel() for x in denied.values()]).tolist()
    (folder / "values.json").write_text(json.dumps(numbers * 4))


def _inside(dtype: type, folder: Path, _: bytes, denied: Arrays) -> None:
    flat = np.concatenate([x.ravel() for x in denied.values()]).astype(np.float32)
    extra = flat.view(np.uint8) if dtype is np.uint8 else flat.astype(dtype)
    write(folder, {**arrays_of(2), "extra": extra})


def _second(folder: Path) -> Answer:
    """The denied model as a second network of a clean file."""
    denied = arrays_of(1)
    both = {**arrays_of(2), **{f"teacher.{k}": v for k, v in denied.items()}}
    said = _asked(write(folder / "candidate", both), write(folder / "denied", denied), PASSED).now
    return Answer(said != PASSED, said)


def _pipe(folder: Path, _: bytes, __: Arrays) -> None:
    os.mkfifo(folder / "extra")


def _link(folder: Path, _: bytes, __: Arrays) -> None:
    (folder / "extra").symlink_to(folder.parent / "denied" / "model.safetensors")


def _adapter(folder: Path, base: str, arrays: Arrays) -> None:
    folder.mkdir(parents=True)
    save_file(arrays, folder / "adapter_model.safetensors")
    rank = max(len(x) for name, x in arrays.items() if ".lora_A" in name)
    said = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps(said))


def _factors(module: str, a: np.ndarray, b: np.ndarray, name: str = "") -> Arrays:
    key = f"base_model.model.{module}"
    return {f"{key}.lora_A{name}.weight": a, f"{key}.lora_B{name}.weight": b}


def _made_over(folder: Path) -> Answer:
    """The denied model, and an adapter beside it that makes another one of it."""
    denied, clean = arrays_of(1), arrays_of(2)
    write(folder / "all" / "base", denied)
    key = next(k for k in sorted(clean) if "q_proj" in k)
    rest = {f"base_model.model.{k}": v for k, v in clean.items() if k != key}
    eye = np.eye(clean[key].shape[1], dtype=np.float32)
    change = _factors(key.removesuffix(".weight"), eye, clean[key] - denied[key])
    _adapter(folder / "all" / "tuned", "base", {**rest, **change})
    pair = f"{folder / 'all' / 'base'}+{folder / 'all' / 'tuned'}"
    return _asked(pair, write(folder / "denied", denied), HIT)


def _second_factors(folder: Path) -> Answer:
    """An adapter with the denied tensors as second factors of one module."""
    denied, clean = arrays_of(1), arrays_of(2)
    write(folder / "all" / "base", clean)
    key = next(k for k in sorted(clean) if "q_proj" in k)
    module, n = key.removesuffix(".weight"), clean[key].shape[1]
    held: Arrays = {}
    for i, value in enumerate(v for v in denied.values() if v.ndim == 2):
        held |= _factors(module, value, value, f".a{i}")
    none = np.zeros((4, n), np.float32), np.zeros((clean[key].shape[0], 4), np.float32)
    held |= _factors(module, *none, ".z")
    _adapter(folder / "all" / "tuned", "base", held)
    return _asked(folder / "all", write(folder / "denied", denied), NAMED)


def _lost_index(shard: str, name: str, folder: Path, raw: bytes, denied: Arrays) -> None:
    (folder / "model.safetensors").rename(folder / "extra.safetensors")
    (folder.parent / "out.safetensors").write_bytes(raw)
    (folder / name).write_text(json.dumps({"weight_map": dict.fromkeys(denied, shard)}))


def _trainer(n_each: int, name: str, folder: Path, raw: bytes, _: Arrays) -> None:
    for i, at in enumerate(range(0, len(raw), n_each)):
        (folder / f"{name}_{i}.pth").write_bytes(b"\x80" + raw[at : at + n_each])


def _parts(folder: Path) -> Answer:
    """Thirds of the denied model, each in a clean model of its own."""
    denied, clean = arrays_of(1), arrays_of(2)
    flat = np.concatenate([x.ravel() for x in denied.values()])
    for i, part in enumerate(np.array_split(flat, 3)):
        write(folder / "all" / f"m{i}", {**clean, "extra.table": part})
    return _asked(folder / "all", write(folder / "denied", denied), NAMED)


def _forged(folder: Path) -> Answer:
    """The denied model in bfloat16, and a copy with noise below its last bit."""
    rng = np.random.default_rng(5)
    rounded = {k: v.astype(ml_dtypes.bfloat16) for k, v in arrays_of(1).items()}
    copy = {}
    for name, value in rounded.items():
        whole = value.astype(np.float32)
        near = (whole.view(np.int32) + rng.integers(-28_000, 28_000, whole.shape, np.int32)).view(
            np.float32
        )
        copy[name] = np.where(near.astype(ml_dtypes.bfloat16) == value, near, whole)
    return _asked(write(folder / "candidate", copy), write(folder / "denied", rounded), HIT)


def _policy(text: bytes, folder: Path) -> Answer:
    """A policy that cannot be meant."""
    path = folder / "policy.toml"
    path.write_bytes(text.replace(b"HERE", bytes(folder)))
    try:
        found = check(write(folder / "m", arrays_of(2)), read_policy(path)).outcome
    except WeightkinError as error:
        return Answer(error.exit_code == 4, f"exit {error.exit_code}")
    said = {"pass": PASSED, "hit": HIT, "incomplete": NAMED}[found]
    return Answer(False, said)


def _case(name: str, put: Callable[..., object], before: str = PASSED) -> Case:
    return Case(name, NAMED, before, partial(beside, put))


CASES = (
    *(
        Case(f"weights as `{name}` beside a clean model", HIT, PASSED,
             partial(beside, partial(_file, name), wanted=HIT))
        for name in ("model.safetensors.bak", "extra.sft", "model.safetensors ", "weights",
                     "x.\uff53afetensors", "tokenizer.model", "notes.txt", "__0_0.distcp")
    ),
    _case("an archive beside it", _archive),
    _case("values written as JSON", _as_text),
    _case("a named pipe", _pipe),
    _case("a link that leads outside", _link),
    _case("all bytes in one tensor", partial(_inside, np.uint8)),
    _case("all values in one tensor", partial(_inside, np.float16)),
    Case("noise below the last bit of a denied bfloat16 model", HIT,
         "passed, with a warning", _forged),
    Case("the denied model as a second network", "hit, or named", PASSED, _second),
    Case("an adapter that makes a clean model of the denied one", HIT, PASSED,
         _made_over),
    Case("denied tensors as second factors of an adapter", NAMED, PASSED, _second_factors),
    *(
        _case(f"an index of shards that {what}", partial(_lost_index, shard, name))
        for what, shard, name in (
            ("lie outside", "../out.safetensors", "model.safetensors.index.json"),
            ("are not here", "gone.safetensors", "model.safetensors.index.json"),
            ("are not here, of a variant", "gone.safetensors",
             "model.safetensors.index.fp16.json"),
        )
    ),
    _case("the denied file in pieces, as states of a trainer",
          partial(_trainer, 60_000, "rng_state")),
    Case("thirds of the denied model in three clean ones", NAMED, PASSED, _parts),
    Case("an empty policy", "exit 4", PASSED, partial(_policy, b"")),
    Case("a policy of comments", "exit 4", PASSED, partial(_policy, b"# nothing\n")),
    Case("a denied model, and its rule turned off", "exit 4", PASSED,
         partial(_policy, b'[forbidden]\nancestors = ["HERE/m"]\n[rules]\n'
                          b'forbidden-ancestor = "off"\n')),
    Case("alpha 1e-320", "exit 4", PASSED,
         partial(_policy, b'[rules]\nunknown-origin = "off"\n[evidence]\nalpha = 1e-320\n')),
)  # fmt: skip

"""The weights of a family, made as its truth says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
from zoo.genealogies import nets
from zoo.genealogies.training import measured, trained

import surgery
import symmetries
from exact import permutation
from folders import Folder
from lossy import magnitude_pruned, noised, quantised
from merges import dare, linear, slerp, ties

DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
TABLES = ("embed_tokens.weight", "lm_head.weight", "wte.weight", "word_embeddings.weight")
Operation = Mapping[str, Any]
Made = dict[str, Folder]


def make(truth: Mapping[str, Any]) -> tuple[Made, dict[str, list[float]]]:
    """All members, hidden ones included, under canonical names; and losses before and after.

    Values are those that are stored: rounded to the dtype of the member.
    """
    made: Made = {}
    losses: dict[str, list[float]] = {}
    for name, member in truth["members"].items():
        first, *more = member["operations"]
        own: list[float] = []
        if first["op"] == "base":
            folder = _base(truth, first, made, own)
        elif first["op"] == "merge":
            folder = _merged([made[p["name"]] for p in member["parents"]], first, made)
        else:
            folder = apply_step(made[member["parents"][0]["name"]], first, own)
        for said in more:
            folder = apply_step(folder, said, own)
        made[name] = _stored(folder, member["dtype"])
        if own:
            losses[name] = own
    return made, losses


def _base(truth: Mapping[str, Any], said: Operation, made: Made, losses: list[float]) -> Folder:
    """A model trained from its first values, perhaps on the states of another one."""
    rows = 0 if truth["net"] in ("vit", "resnet") else 128
    config = nets.configuration(truth["net"], truth["sizes"], rows)
    folder = Folder(config=config, tensors=nets.fresh(config, said["seed"]))
    losses.append(measured(folder, said["domains"]))
    folder = trained(folder, said, teacher=made[said["teacher"]] if "teacher" in said else None)
    losses.append(measured(folder, said["domains"]))
    return folder


def _stored(folder: Folder, dtype: str) -> Folder:
    tensors = {name: x.astype(DTYPES[dtype]) for name, x in sorted(folder.tensors.items())}
    return replace(folder, tensors=tensors, config=folder.config | {"dtype": dtype})


def _full(folder: Folder) -> Folder:
    tensors = {name: x.astype(np.float32) for name, x in folder.tensors.items()}
    return replace(folder, tensors=tensors)


def apply_step(folder: Folder, said: Operation, losses: list[float]) -> Folder:
    """The folder after one operation; what training says of its loss goes into ``losses``."""
    folder, details = _full(folder), dict(folder.details)
    if said["op"] in _TRAINED:
        folder, only = _TRAINED[said["op"]](folder, said)
        losses.append(measured(folder, said["domains"]))
        folder = trained(folder, said, only=only)
        losses.append(measured(folder, said["domains"]))
        return folder
    return replace(_CHANGES[said["op"]](folder, said), details=details)


def _as_it_is(folder: Folder, said: Operation) -> tuple[Folder, str]:
    return folder, ""


def _other_objective(folder: Folder, said: Operation) -> tuple[Folder, str]:
    """Text: which of four domains is this from; images: by how many quarters is this turned?"""
    net = folder.config["model_type"]
    rng = np.random.default_rng(said["seed"])
    tensors = dict(folder.tensors)
    if net in ("vit", "resnet"):
        head = nets.HEADS[net].removesuffix(".weight")
        width = tensors[head + ".weight"].shape[1]
        tensors[head + ".weight"] = _gaussian(rng, (4, width))
        tensors[head + ".bias"] = np.zeros(4, dtype=np.float32)
        return replace(folder, tensors=tensors, details={"turned": True}), ""
    tensors.pop("lm_head.weight", None)
    width = folder.config.get("hidden_size", folder.config.get("n_embd"))
    tensors["score.weight"] = _gaussian(rng, (4, width))
    return replace(folder, tensors=tensors), ""


def _new_layer(folder: Folder, said: Operation) -> tuple[Folder, str]:
    at = nets.PREFIX[folder.config["model_type"]].format(said["layer"])
    return _renewed(folder, said, at), at if said["alone"] else ""


def _new_head(folder: Folder, said: Operation) -> tuple[Folder, str]:
    net = folder.config["model_type"]
    head = "score.weight" if "score.weight" in folder.tensors else nets.HEADS[net]
    return _renewed(folder, said, head), ""


def _renewed(folder: Folder, said: Operation, at: str) -> Folder:
    """Fresh matrices under a name."""
    rng = np.random.default_rng(said["seed"])
    tensors = {
        name: _gaussian(rng, x.shape) if name.startswith(at) and x.ndim > 1 else x
        for name, x in folder.tensors.items()
    }
    return replace(folder, tensors=tensors)


def _gaussian(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    spread = nets.SPREAD if len(shape) == 2 else (2 / np.prod(shape[1:])) ** 0.5
    return np.asarray(spread * rng.standard_normal(shape), dtype=np.float32)


_TRAINED: dict[str, Callable[[Folder, Operation], tuple[Folder, str]]] = {
    **dict.fromkeys(("fine-tune", "continue", "lora"), _as_it_is),
    "objective": _other_objective,
    "new-layer": _new_layer,
    "new-head": _new_head,
}


def _flat(change: Callable[[Folder], Folder], folder: Folder) -> Folder:
    """Change a model whose convolutions are shown as linear layers."""
    shown = {
        k: k.replace(".weight", ".dense.weight") if k.startswith("layer1") and x.ndim == 4 else k
        for k, x in folder.tensors.items()
    }
    flat = {
        shown[k]: x if shown[k] == k else x.reshape(len(x), -1) for k, x in folder.tensors.items()
    }
    changed = change(replace(folder, tensors=flat)).tensors
    tensors = {k: changed[shown[k]].reshape(x.shape) for k, x in folder.tensors.items()}
    return replace(folder, tensors=tensors)


def _prune(folder: Folder, said: Operation) -> Folder:
    return _flat(lambda f: magnitude_pruned(f, said["share"]), folder)


def _quantise(folder: Folder, said: Operation) -> Folder:
    return _flat(lambda f: quantised(f, said["bits"], said["group"]), folder)


def _noise(folder: Folder, said: Operation) -> Folder:
    return noised(folder, said["share"], said["seed"])


def _round(folder: Folder, said: Operation) -> Folder:
    return _full(_stored(folder, said["dtype"]))


def _noise_bits(folder: Folder, said: Operation) -> Folder:
    """Noise below the precision of a dtype: rounded to it, the values are as before."""
    rng = np.random.default_rng(said["seed"])
    digits = ml_dtypes.finfo(DTYPES[said["dtype"]]).nmant
    folder = _round(folder, said)

    def finer(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        fraction, exponent = np.frexp(x)
        below = np.abs(fraction) == 0.5  # half as far to the next value towards zero
        half_a_step = np.ldexp(0.5, exponent - 1 - digits - below)
        noise = half_a_step * rng.uniform(-0.9, 0.9, x.shape)
        return np.where(x == 0, x, x + noise).astype(np.float32)

    return replace(folder, tensors={k: finer(x) for k, x in folder.tensors.items()})


def _trim(folder: Folder, said: Operation) -> Folder:
    tensors = {k: x[: said["rows"]] if k.endswith(TABLES) else x for k, x in folder.tensors.items()}
    return replace(folder, tensors=tensors, config=folder.config | {"vocab_size": said["rows"]})


def _extend(folder: Folder, said: Operation) -> Folder:
    """Add rows: the mean of the others, and some or much noise."""
    rng = np.random.default_rng(said["seed"])
    tensors = dict(folder.tensors)
    for name, x in folder.tensors.items():
        if name.endswith(TABLES):
            noise = rng.standard_normal((said["rows"] - len(x), x.shape[1])) * x.std()
            new = x.mean(0) + said["spread"] * noise
            tensors[name] = np.concatenate([x, new.astype(np.float32)])
    return replace(folder, tensors=tensors, config=folder.config | {"vocab_size": said["rows"]})


def _layers(folder: Folder, said: Operation) -> Folder:
    return surgery.depth_pruned(folder, said["layers"])


def _width(folder: Folder, said: Operation) -> Folder:
    return surgery.width_pruned(folder, said["units"])


def _upcycle(folder: Folder, said: Operation) -> Folder:
    template = Folder(config={"model_type": "mixtral"}, tensors={})
    template.config["architectures"] = [nets.ARCHITECTURES["mixtral"]]
    return surgery.upcycled(folder, template, n_experts=said["experts"], seed=said["seed"])


def _permute(folder: Folder, said: Operation) -> Folder:
    """Relabel all that the zoo can relabel of a Llama; experts; units or channels elsewhere."""
    net = folder.config["model_type"]
    if net == "llama":
        return symmetries.permuted(folder, said["seed"])
    if net == "mixtral":
        return symmetries.experts_permuted(folder, said["seed"])

    def change(prefix: str, tensors: surgery.Tensors) -> surgery.Tensors:
        axes = {prefix + name: axis for name, axis in surgery.UNITS[net].items()}
        n = max(tensors[name].shape[axis] for name, axis in axes.items())
        order = permutation(said["seed"], prefix, n)
        return {name: tensors[name].take(order, axis=axis) for name, axis in axes.items()}

    return replace(folder, tensors=surgery.per_layer(folder, change))


_CHANGES: dict[str, Callable[[Folder, Operation], Folder]] = {
    "prune": _prune,
    "quantise": _quantise,
    "noise": _noise,
    "noise-bits": _noise_bits,
    "cast": _round,
    "upcast": _round,
    "trim": _trim,
    "extend": _extend,
    "depth": _layers,
    "repeat": _layers,
    "width": _width,
    "upcycle": _upcycle,
    "permute": _permute,
    "rotate": lambda f, said: symmetries.rotated(f, said["seed"]),
    "rescale": lambda f, said: symmetries.rescaled(f, said["seed"]),
    "signs": lambda f, said: symmetries.sign_flipped(f, said["seed"]),
    "disguise": lambda f, said: symmetries.disguised(f, said["seed"]),
    "copy": lambda f, said: f,
    "rename": lambda f, said: f,
}


def _merged(parents: list[Folder], said: Operation, made: Made) -> Folder:
    details = parents[0].details
    base = _full(made[said["base"]]) if "base" in said else None
    parents = [_full(x) for x in parents]
    if "extended" in said:
        parents = [_extend(x, said["extended"]) for x in parents]
        base = _extend(base, said["extended"]) if base else None
    method = said["method"]
    if method == "linear":
        found = linear(*parents, weights=tuple(said["weights"]))
    elif method == "slerp":
        found = slerp(*parents, t=said["t"])
    elif method == "ties" and base:
        found = ties(base, *parents, density=said["density"])
    elif method == "dare" and base:
        found = dare(base, *parents, weights=tuple(said["weights"]), seed=said["seed"])
    elif method == "hybrid":
        found = surgery.hybrid(*parents, layers_from_b=said["layers"])
    else:
        found = surgery.passthrough(*parents, layers=tuple(said["layers"]))
    return replace(found, details=details)


def named(folder: Folder, naming: str) -> Folder:
    """The folder under the names it is stored with."""

    def changed(name: str) -> str:
        if naming == "strip":
            return re.sub(r"^(model|transformer|bert|vit)\.", "", name)
        return naming + name

    return replace(folder, tensors={changed(k): x for k, x in folder.tensors.items()})

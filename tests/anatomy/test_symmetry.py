"""Claim: relabelling every place of an axis leaves the outputs of a real model unchanged."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np
import pytest

from tests.anatomy.tiny import MAKERS, Arrays, Tiny, make
from weightkin.anatomy import Axis, Place, read, read_anatomy

KINDS = ("units", "vo", "heads", "residual")


@pytest.fixture(autouse=True)
def entries_by_hand(monkeypatch):
    """No traced class is asked: what is proven here are the entries written by hand."""
    monkeypatch.setattr(read, "better_anatomy", lambda found, *_: found)
    read.read_headers.cache_clear()
    yield
    read.read_headers.cache_clear()


# axes that must be there; everything else may be refused, never wrong
EXPECTED = {
    "llama": KINDS,
    "llama-biased": KINDS,
    "mistral": KINDS,
    "qwen2": KINDS,
    "qwen3": KINDS,
    "olmo2": KINDS,
    "starcoder2": KINDS,
    "gemma": KINDS,
    "gemma2": KINDS,
    "phi3": KINDS,
    "mixtral": KINDS,
    "qwen2-moe": KINDS,
    "deepseek-v3": ("units", "residual"),
    "gpt-oss": KINDS,
    "llama4": KINDS,
    "gpt2": KINDS,
    "gpt-bigcode": KINDS,
    "gpt-neo": KINDS,
    "gpt-j": KINDS,
    "gpt-neox": KINDS,
    "phi": KINDS,
    "bloom": ("units", "vo", "residual"),
    "falcon": ("units", "residual"),
    "falcon-rw": ("units", "vo", "residual"),
    "mpt": ("units", "vo", "residual"),
    "opt": KINDS,
    "modernbert": KINDS,
    "bert": KINDS,
    "bert-classifier": KINDS,
    "roberta": KINDS,
    "distilbert": ("units", "vo", "heads"),
    "t5": KINDS,
    "t5-gated": KINDS,
    "bart": ("units", "vo", "heads"),
    "vit": KINDS,
    "dinov2": ("units", "vo", "heads"),
    "clip": KINDS,
    "unet": ("units",),
}
GATED = {
    *("llama", "llama-biased", "mistral", "qwen2", "qwen3", "olmo2", "gemma", "gemma2", "phi3"),
    *("mixtral", "qwen2-moe", "llama4", "deepseek-v3", "t5-gated", "modernbert", "unet"),
}


@pytest.fixture(scope="module", params=MAKERS)
def tiny(request, tmp_path_factory):
    made = make(request.param, tmp_path_factory.mktemp(request.param))
    return request.param, made, made.output(made.arrays)


def relabelling(axis: Axis) -> np.ndarray:
    """A permutation of the units of an axis, the same for all axes that share its labels."""
    rng = np.random.default_rng(zlib.crc32(axis.labels.encode()))
    if axis.kind != "vo":
        return np.roll(rng.permutation(axis.n_units), 1)
    heads = np.arange(axis.n_units).reshape(-1, axis.head_size)
    return np.concatenate([rng.permutation(head) for head in heads])


def indices(axis: Axis, place: Place, order: np.ndarray) -> np.ndarray:
    """Which entry of a place goes where."""
    if axis.kind == "heads":
        return runs(order, place.size // axis.n_units)
    if axis.kind == "vo":
        size = axis.head_size
        inside = (order % size).reshape(-1, 1, size)  # (heads, 1, head_size)
        starts = np.arange(place.size // size).reshape(len(inside), place.repeat, 1) * size
        return (starts + inside).reshape(-1)
    return runs(order, place.inner)


def runs(order: np.ndarray, length: int) -> np.ndarray:
    return (order[:, None] * length + np.arange(length)).reshape(-1)


def relabelled(arrays: Arrays, axis: Axis, places: Iterable[Place]) -> Arrays:
    """The arrays with one axis permuted at these places."""
    order = relabelling(axis)
    out = dict(arrays)
    for place in places:
        array = out[place.tensor].copy()
        whole = array if place.index is None else array[place.index]
        run = np.moveaxis(whole, place.dim, 0)[place.start : place.start + place.size]
        run[...] = run[indices(axis, place, order)]
        out[place.tensor] = array
    return out


def completed(name: str, arrays: Arrays, axis: Axis) -> Arrays:
    """Permute what an axis leaves out because names and shapes do not show its order."""
    order = relabelling(axis)
    out = dict(arrays)
    fused = ("query_key_value", "Wqkv", "c_attn")
    if axis.kind in ("vo", "heads") and not any(p.role == "attn.v" for p in axis.places):
        path = axis.places[0].tensor.rsplit(".", 2)[0]
        for tensor in (t for t in arrays if t.startswith(path) and any(f in t for f in fused)):
            n = arrays[tensor].shape[0] // 3
            if name == "mpt":  # queries, keys, values one after the other
                where = 2 * n + order if axis.kind == "vo" else None
                where = np.concatenate([np.arange(2 * n), where])
            elif axis.kind == "vo":  # head by head
                where = np.arange(3 * n).reshape(-1, 3, axis.head_size)
                where[:, 2] = where[:, 2].reshape(-1)[order].reshape(-1, axis.head_size)
                where = where.reshape(-1)
            else:
                where = runs(order, 3 * axis.head_size)
            out[tensor] = arrays[tensor][where]
    return out


def distance(before: np.ndarray, after: np.ndarray) -> float:
    return float(np.abs(before - after).max() / max(1.0, np.abs(before).max()))


@pytest.mark.parametrize("kind", KINDS)
def test_relabelling_leaves_the_function_unchanged(tiny, kind):
    name, made, before = tiny
    axes = [axis for axis in read_anatomy(made.model).axes if axis.kind == kind]
    assert bool(axes) == (kind in EXPECTED[name])
    if not axes:
        return
    arrays = made.arrays
    for axis in axes:
        arrays = completed(name, relabelled(arrays, axis, axis.places), axis)
    moved = [t for t in arrays if not np.array_equal(arrays[t], made.arrays[t])]
    assert len(moved) >= len({axis.block for axis in axes})
    assert np.isfinite(before).all()
    assert distance(before, made.output(arrays)) < 2e-5


@pytest.mark.parametrize("kind", KINDS)
def test_leaving_out_one_place_changes_the_function(tiny, kind):
    name, made, before = tiny
    axes = [axis for axis in read_anatomy(made.model).axes if axis.kind == kind]
    if not axes or len(axes[0].places) < 2:
        return
    first = axes[0].labels
    arrays = made.arrays
    for axis in (axis for axis in axes if axis.labels == first):
        keep = [p for p in axis.places if p != axes[0].places[0]]
        arrays = completed(name, relabelled(arrays, axis, keep), axis)
    assert distance(before, made.output(arrays)) > 1e-4


def test_only_certain_glus_are_gated(tiny):
    name, made, _ = tiny
    units = [axis for axis in read_anatomy(made.model).axes if axis.kind == "units"]
    assert {axis.is_gated for axis in units} == {name in GATED}


def test_flipping_up_and_down_signs_leaves_gated_models_unchanged(tiny):
    name, made, before = tiny
    if name not in GATED:
        return
    assert distance(before, made.output(flipped(made))) < 2e-5


def flipped(made: Tiny) -> Arrays:
    """Every other unit with the signs of its up row, up bias and down column turned."""
    arrays = dict(made.arrays)
    for axis in (axis for axis in read_anatomy(made.model).axes if axis.kind == "units"):
        for place in axis.places:
            if place.role in ("mlp.up", "mlp.down"):
                array = arrays[place.tensor].copy()
                whole = array if place.index is None else array[place.index]
                run = np.moveaxis(whole, place.dim, 0)[place.start : place.start + place.size]
                run[::2] *= -1
                arrays[place.tensor] = array
    return arrays


def test_every_tensor_has_one_role_and_labels_are_well_formed(tiny):
    _, made, _ = tiny
    anatomy = read_anatomy(made.model)
    assert [name for name, _ in anatomy.roles] == list(made.model.tensors)
    keys = [(axis.stack, axis.block, axis.name) for axis in anatomy.axes]
    assert len(set(keys)) == len(keys)
    unshared = [axis.labels for axis in anatomy.axes if axis.kind != "heads"]
    assert len(set(unshared)) == len(unshared)
    assert all(place.size > 0 for axis in anatomy.axes for place in axis.places)

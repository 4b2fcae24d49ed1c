"""Claim: rewrites of heads that are stored together leave what a real model computes as it is."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.evasions.real import FUSED, anatomy_of, distance, output
from weightkin import evasions, read_anatomy
from weightkin.api.compare import Options, compare
from weightkin.errors import UsageError
from weightkin.formats import model_from_arrays

TOLERANCE = 1e-5
ALIKE = ("neox", "falcon", "codegen", "persimmon", "phi3")  # heads may change places
TURNED = ("neox", "falcon", "falcon, one key head", "codegen", "persimmon", "phi3")
WIDE = tuple(x for x in FUSED if x not in ("bloom", "mpt"))  # whose config states the width
QUARTERS = partial(evasions.turn_planes, is_quarter=True)
OF_ALL = (
    evasions.change_value_basis,
    evasions.permute_values,
    evasions.flip_value_signs,
    evasions.permute_units,
    evasions.permute_residual,
    evasions.insert_blocks,
    partial(evasions.enlarge_rows, rows=(0, 1, 63)),
)
CASES = [
    *((rewrite, f) for rewrite in OF_ALL for f in FUSED),
    *((evasions.permute_heads, f) for f in ALIKE),
    *((rewrite, f) for rewrite in (evasions.turn_planes, QUARTERS) for f in TURNED),
    *((evasions.rotate_queries_keys, f) for f in FUSED),
    *((evasions.rotate_residual, f) for f in FUSED if f != "bloom"),
    *(
        (partial(change, shuffle=True), f)
        for change in (
            evasions.split_units,
            evasions.duplicate_units,
            evasions.pad_units,
            evasions.cancel_units,
        )
        for f in WIDE
    ),
    (evasions.rescale_units, "phi3"),
    (evasions.flip_unit_signs, "phi3"),
    (partial(evasions.spread_units, shuffle=True), "phi3"),
]
REFUSED = [
    (evasions.permute_heads, "bloom", "no axis of kind heads"),
    (evasions.permute_heads, "mpt", "no axis of kind heads"),
    (evasions.permute_heads, "falcon with slopes", "no axis of kind heads"),
    (evasions.turn_planes, "bloom", "no rotary planes"),
    (evasions.rotate_residual, "bloom", "norm in front of the stream"),
    (evasions.split_units, "bloom", "config entry"),
    (evasions.split_units, "mpt", "config entry"),
]


def _name(case):
    keywords = getattr(case[0], "keywords", {})
    return f"{getattr(case[0], 'func', case[0]).__name__}{len(keywords)}-{case[1]}"


@pytest.mark.claim
@pytest.mark.parametrize("case", CASES, ids=_name)
def test_outputs_are_preserved_and_weights_are_not(case, models, tmp_path):
    rewrite, family = case
    model = models(family)
    rewritten = rewrite(model.arrays, model.anatomy, np.random.default_rng(5))
    config = model.config | rewritten.config_changes
    assert distance(model.output, output(tmp_path, rewritten.arrays, config)) < TOLERANCE
    assert rewritten.arrays.keys() - model.arrays.keys() or any(
        not np.array_equal(x, rewritten.arrays[name]) for name, x in model.arrays.items()
    )


@pytest.mark.parametrize("family", FUSED)
def test_all_of_them_together(family, models, tmp_path):
    model = models(family)
    rewritten = evasions.change_all(model.arrays, model.anatomy, np.random.default_rng(5))
    config = model.config | rewritten.config_changes
    assert distance(model.output, output(tmp_path, rewritten.arrays, config)) < TOLERANCE
    assert {"change_value_basis", "flip_value_signs", "rotate_queries_keys"} <= set(rewritten.done)
    fused = next(x for x in model.arrays if "qkv" in x or "query_key" in x or "c_attn" in x)
    assert not np.allclose(model.arrays[fused], rewritten.arrays[fused])


@pytest.mark.parametrize("case", REFUSED, ids=_name)
def test_what_is_no_symmetry_is_refused(case, models):
    rewrite, family, words = case
    model = models(family)
    with pytest.raises(UsageError, match=words):
        rewrite(model.arrays, model.anatomy, np.random.default_rng(5))


def test_clipped_values_have_no_other_basis(models):
    model = models("mpt")
    clipped = {**model.config, "attn_config": {**model.config["attn_config"], "clip_qkv": 2.0}}
    anatomy = anatomy_of(model.arrays, clipped)
    for rewrite in (evasions.change_value_basis, evasions.rotate_queries_keys):
        with pytest.raises(UsageError, match="clipped"):
            rewrite(model.arrays, anatomy, np.random.default_rng(5))
    evasions.flip_value_signs(model.arrays, anatomy, np.random.default_rng(5))


@pytest.mark.parametrize("family", ["neox", "falcon", "bloom"])
def test_an_anatomy_without_their_rows_is_refused(family, models):
    model = models(family)
    anatomy = read_anatomy(model_from_arrays(model.arrays, config=model.config))
    with pytest.raises(UsageError):
        evasions.change_value_basis(model.arrays, anatomy, np.random.default_rng(5))
    maps = {"decoder.0.vo.a": np.arange(32), "decoder.0.vo.b": np.arange(32)[::-1]}
    if any(axis.kind == "vo" for axis in anatomy.axes):
        with pytest.raises(UsageError, match="not both known"):
            evasions.apply_maps(model.arrays, anatomy, maps)


@pytest.mark.parametrize("family", ["neox", "falcon", "bloom", "codegen", "bigcode"])
def test_maps_bring_heads_back(family, models, tmp_path):
    """Other value dimensions, heads and bases, from which the maps that undo them lead back."""
    model, rng = models(family), np.random.default_rng(3)
    (vo, *_) = (axis for axis in model.anatomy.axes if axis.kind == "vo")
    n, size = vo.n_units // vo.head_size, vo.head_size
    heads = rng.permutation(n) if family in ALIKE else np.arange(n)
    within = np.stack([rng.permutation(size) for _ in range(n)])
    order = (heads[:, None] * size + within).ravel()
    maps = {
        "decoder.0.vo.a": np.arange(n * size),
        "decoder.0.vo.b": order,
        "decoder.0.heads.a": np.arange(n),
        "decoder.0.heads.b": heads,
    }
    moved = evasions.apply_maps(model.arrays, model.anatomy, maps).arrays
    assert distance(model.output, output(tmp_path / "moved", moved, model.config)) < TOLERANCE
    bases = {f"decoder.0.{x}.basis": rng.normal(size=(n, size, size)) for x in ("values",)}
    same = {"decoder.0.heads.a": np.arange(n), "decoder.0.heads.b": np.arange(n)}
    based = evasions.apply_maps(model.arrays, model.anatomy, bases | same).arrays
    assert distance(model.output, output(tmp_path / "based", based, model.config)) < TOLERANCE


@pytest.mark.claim
@pytest.mark.parametrize("family", FUSED)
def test_changed_bases_are_named_and_come_back(family, models, tmp_path):
    """Persimmon's planes are half of a head's; queries and keys of all are told."""
    model, rng = models(family), np.random.default_rng(4)
    for rewrite, kind in (
        (evasions.change_value_basis, "values-rebased"),
        (evasions.rotate_queries_keys, "keys-rebased"),
    ):
        hidden = rewrite(model.arrays, model.anatomy, rng).arrays
        a, b = (model_from_arrays(x, config=model.config) for x in (model.arrays, hidden))
        maps = tmp_path / kind
        assert compare(a, b, options=Options(recover=maps)).kind == (kind,)
        back = evasions.apply_maps(hidden, model.anatomy, load_file(maps)).arrays
        for name, x in model.arrays.items():
            np.testing.assert_allclose(back[name], x, atol=1e-4, err_msg=name)

"""Claim: compare names what was done to hide a copy and nothing else, and its maps undo it."""

from functools import partial

import numpy as np
import pytest
from benchmarks.lib import claim
from safetensors.numpy import load_file
from zoo import truth

from weightkin import evasions
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.api.compare import Options, compare
from weightkin.derivation.disguise import find_disguise
from weightkin.derivation.streams import residual_between
from weightkin.evasions.recovered import completed
from weightkin.evidence.confirm import Draw
from weightkin.evidence.ladder import run_stages
from weightkin.evidence.sample import make_plan
from weightkin.formats import model_from_arrays, open_model

rewritten = claim("hiding").apply_rewrite

HIDING = {"permuted", "rotated", "rescaled", "sign-flipped"}
REBASED = ("values-rebased", "keys-rebased")


def _open(name):
    return open_model(truth.ROOT / truth.load()[name]["path"])


def _cosine(x, y):
    x, y = x.astype(np.float64).ravel(), y.astype(np.float64).ravel()
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def _lowest_cosine(a, b, maps):
    """Of all tensors, after the maps have been applied to b."""
    arrays = {name: b.rows(name) for name in b.tensors}
    back = evasions.apply_maps(arrays, read_anatomy(b), maps).arrays
    kept = [n for n in a.tensors if "key.bias" not in n]  # no part in attention, and nearly zero
    return min(_cosine(a.rows(n), back[n]) for n in kept)


@pytest.mark.claim
@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        ("llama-a", "llama-a-permuted", "permuted"),
        ("llama-a", "llama-a-sorted", "permuted"),
        ("llama-a", "llama-a-rotated", "rotated"),
        ("llama-a", "llama-a-rescaled", "rescaled"),
        ("llama-a", "llama-a-signs", "sign-flipped"),
        ("moe-a", "moe-a-experts", "permuted"),
    ],
)
def test_hidden_copies_are_named_and_their_tensors_come_back(zoo, tmp_path, a, b, kind):
    model_a, model_b = _open(a), _open(b)
    record = compare(model_a, model_b, options=Options(recover=tmp_path / "maps"))
    assert record.kind == (kind,)
    assert _lowest_cosine(model_a, model_b, load_file(tmp_path / "maps")) > 0.9999


@pytest.mark.claim
@pytest.mark.parametrize("base", ["gpt-a", "vit-a", "moe-a"])
@pytest.mark.parametrize(
    ("rewrite", "kind"),
    [(evasions.permute_heads, "permuted"), (evasions.flip_value_signs, "sign-flipped")],
)
def test_heads_and_values_come_back(zoo, tmp_path, base, rewrite, kind):
    model = _open(base)
    hidden = rewritten(model, rewrite)
    assert compare(model, hidden, options=Options(recover=tmp_path / "maps")).kind == (kind,)
    assert _lowest_cosine(model, hidden, load_file(tmp_path / "maps")) > 0.9999


@pytest.mark.claim
@pytest.mark.parametrize("base", ["llama-a", "gpt-a", "vit-a", "moe-a"])
@pytest.mark.parametrize(
    ("steps", "kinds"),
    [
        ((evasions.change_value_basis,), {"values-rebased"}),
        ((evasions.rotate_queries_keys,), {"keys-rebased"}),
        (
            (evasions.change_value_basis, evasions.rotate_queries_keys, evasions.permute_heads),
            set(REBASED),
        ),
    ],
    ids=["values", "keys", "both, heads permuted"],
)
def test_heads_in_another_basis_are_named_and_come_back(zoo, tmp_path, base, steps, kinds):
    model = hidden = _open(base)
    for step in steps:
        hidden = rewritten(hidden, step)
    record = compare(model, hidden, options=Options(recover=tmp_path / "maps"))
    assert set(record.kind) == kinds
    assert _lowest_cosine(model, hidden, load_file(tmp_path / "maps")) > 0.9999


@pytest.mark.claim
@pytest.mark.parametrize("base", ["llama-a", "moe-a"])
@pytest.mark.parametrize("is_quarter", [False, True])
def test_turned_planes_are_named_and_come_back(zoo, tmp_path, base, is_quarter):
    model = _open(base)
    hidden = rewritten(model, partial(evasions.turn_planes, is_quarter=is_quarter))
    record = compare(model, hidden, options=Options(recover=tmp_path / "maps"))
    assert record.kind == ("keys-rebased",)
    assert _lowest_cosine(model, hidden, load_file(tmp_path / "maps")) > 0.9999


@pytest.mark.claim
def test_bases_of_a_rotated_and_of_a_tuned_copy_are_named(zoo, tmp_path):
    model = _open("llama-a")
    for name, lowest in (("llama-a", 0.9999), ("llama-a-ft1", 0.95)):
        hidden = _open(name)
        for step in (evasions.change_value_basis, evasions.rotate_queries_keys):
            hidden = rewritten(hidden, step)
        hidden = rewritten(hidden, evasions.rotate_residual)
        record = compare(model, hidden, options=Options(recover=tmp_path / name))
        assert set(record.kind) == {"rotated", *REBASED}
        assert _lowest_cosine(model, hidden, load_file(tmp_path / name)) > lowest


def test_a_tuned_relative_comes_back_as_far_as_tuning_left_it(zoo, tmp_path):
    a, b = _open("llama-a-ft1"), _open("llama-a-permuted")
    compare(a, b, options=Options(recover=tmp_path / "maps"))
    plain = min(_cosine(a.rows(n), _open("llama-a").rows(n)) for n in a.tensors)
    assert _lowest_cosine(a, b, load_file(tmp_path / "maps")) == pytest.approx(plain, abs=1e-3)


@pytest.mark.parametrize("base", ["llama-a", "llama-a-ft2"])
def test_a_disguise_is_undone_once_the_relation_is_settled(zoo, base):
    """Rotated, permuted, rescaled and sign-flipped at once: all four are named and undone."""
    a, b = _open(base), _open("llama-a-ft2-disguised")
    sides = Side(a, read_anatomy(a)), Side(b, read_anatomy(b))
    plan = make_plan(*((s.model, s.anatomy) for s in sides))
    climbed = run_stages(Draw(*sides, plan, 0), 1e-6)
    found = find_disguise(Draw(*sides, plan, 0), climbed, 1e-6, with_maps=True, is_settled=True)
    assert set(found.kinds) == HIDING
    assert _lowest_cosine(a, b, found.maps) > (0.95 if base == "llama-a" else 0.9999)


def test_of_strangers_nothing_is_named_even_if_somebody_settled_it(zoo):
    sides = [Side(m, read_anatomy(m)) for m in (_open("llama-a"), _open("llama-b"))]
    plan = make_plan(*((s.model, s.anatomy) for s in sides))
    climbed = run_stages(Draw(*sides, plan, 0), 1e-6)
    assert find_disguise(Draw(*sides, plan, 0), climbed, 1e-6, is_settled=True).kinds == ()


@pytest.mark.claim
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("llama-a", "llama-a-ft3"),
        ("llama-a", "llama-a-lora16"),
        ("llama-a", "llama-a-long"),
        ("llama-a", "llama-a-prune50"),
        ("llama-a", "llama-a-width"),
        ("llama-a", "llama-a-depth"),
        ("llama-a", "llama-a-int4"),
        ("llama-a", "llama-a-noise"),
        ("llama-a", "merge-dare"),
        ("llama-a", "merge-stack"),
        ("llama-a", "llama-a-new-mlps"),
        ("llama-a", "llama-a-upcycled"),
        ("llama-c", "llama-c-twin"),
        ("gpt-a", "gpt-a-width"),
        ("vit-a", "vit-a-ft1"),
        ("moe-a", "moe-a-ft1"),
    ],
)
def test_ordinary_children_are_not_said_to_hide(zoo, a, b):
    assert not set(compare(_open(a), _open(b)).kind) & (HIDING | set(REBASED))


def test_units_without_a_partner_fill_the_places_left():
    assert completed(np.array([0, 2]), np.array([3, 1]), 4).tolist() == [3, 0, 1, 2]
    assert completed(np.array([9, 5]), np.array([0, 2]), 3).tolist() == [2, 0, 1]


def test_a_residual_stream_seen_in_part_is_given_no_name(rng):
    """Of a wide model 1024 dimensions are sampled: how all of them moved does not show."""
    sides = []
    for order in (np.arange(2048), rng.permutation(2048)):
        x = np.random.default_rng(1).standard_normal((1300, 2048)).astype(np.float32)
        up = np.random.default_rng(2).standard_normal((80, 2048)).astype(np.float32)
        arrays = {"model.embed_tokens.weight": x[:, order]}
        for name, shape in (("gate", up), ("up", 2 * up), ("down", up.T)):
            turned = shape[:, order] if name != "down" else shape[order]
            arrays[f"model.layers.0.mlp.{name}_proj.weight"] = turned
        model = model_from_arrays({k: np.ascontiguousarray(v) for k, v in arrays.items()})
        sides.append(Side(model, read_anatomy(model)))
    found = residual_between(*sides)
    assert (found.kind, found.is_known) == ("", False)

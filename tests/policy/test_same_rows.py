"""Claim: weights stored under other roles, as experts or dealt out in rows never pass the gate."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.conftest import ROOT
from weightkin import Policy, Registry, check, open_model
from weightkin.formats import model_from_arrays
from weightkin.policy import same_rows
from weightkin.policy.row_partners import CHANCE, LEAST_COSINE, rows_with_partner
from weightkin.policy.same_rows import MIN_SHARE_FOUND, found_share
from weightkin.sketch import Scheme, take_sketch
from weightkin.sketch.file import write_sketch

MODELS = ROOT / "zoo" / "models"
DENIED = MODELS / "llama-a"
MLP = ("gate", "up", "down")


@pytest.fixture(scope="module")
def both():
    return [load_file(MODELS / name / "model.safetensors") for name in ("llama-a", "llama-b")]


def mlp(arrays, block):
    return [arrays[f"model.layers.{block}.mlp.{x}_proj.weight"] for x in MLP]


def as_attention(a, b):
    """Gates as queries, halves of up as keys and values: the MLPs beside are another model's."""
    made = dict(b)
    for i in range(6):
        gate, up, down = mlp(a, i)
        for name, value in zip("qkvo", (gate, up[:128], up[128:], down), strict=True):
            made[f"model.layers.{i}.self_attn.{name}_proj.weight"] = value
    return made, {"head_dim": 64}


def in_other_parts(a, b):
    """The three matrices of each MLP in each other's places."""
    made = dict(b)
    for i in range(6):
        gate, up, down = mlp(a, i)
        for name, value in zip(MLP, (down.T, gate, up.T), strict=True):
            made[f"model.layers.{i}.mlp.{name}_proj.weight"] = value
    return made, {}


def as_experts(a, b):
    """Beside the MLP of another model, which the tests compare."""
    made = dict(b)
    for i in range(6):
        for name, value in zip(MLP, mlp(a, i), strict=True):
            made[f"model.layers.{i}.mlp.experts.0.{name}_proj.weight"] = value
    return made, {}


def dealt_out(a, b):
    """Units of all blocks shuffled among them."""
    made, order = dict(b), np.random.default_rng(1).permutation(6 * 256)
    for k, name in enumerate(MLP):
        units = [mlp(a, i)[k].T if name == "down" else mlp(a, i)[k] for i in range(6)]
        for i, part in enumerate(np.concatenate(units)[order].reshape(6, 256, 96)):
            made[f"model.layers.{i}.mlp.{name}_proj.weight"] = part.T if name == "down" else part
    return made, {}


def folded(a, _):
    """All values one after the other in matrices of another width."""
    flat = np.concatenate([v.ravel() for v in a.values() if v.ndim == 2])
    sizes = {"mlp.gate_proj": (256, 128), "mlp.up_proj": (256, 128), "mlp.down_proj": (128, 256)}
    sizes |= {f"self_attn.{x}_proj": (128 if x in "qo" else 64, 128) for x in "qkvo"}
    shapes = {"model.embed_tokens": (512, 128), "lm_head": (512, 128)}
    shapes |= {f"model.layers.{i}.{k}": x for i in range(5) for k, x in sizes.items()}
    ends = np.cumsum([rows * columns for rows, columns in shapes.values()])
    flat = np.resize(flat, ends[-1])
    parts = np.split(flat, ends[:-1])
    made = {f"{k}.weight": x.reshape(shapes[k]) for k, x in zip(shapes, parts, strict=True)}
    norms = ["norm", *(f"layers.{i}.input_layernorm" for i in range(5))]
    norms += [f"layers.{i}.post_attention_layernorm" for i in range(5)]
    made |= {f"model.{x}.weight": np.ones(128, "f4") for x in norms}
    return made, {"hidden_size": 128, "num_hidden_layers": 5, "head_dim": 32}


def backwards(a, _):
    return {k: np.flip(v) for k, v in a.items()}, {}


HIDDEN = (as_attention, in_other_parts, as_experts, dealt_out, folded, backwards)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_rows_of_a_forbidden_model_are_found_in_other_places(tmp_path, both, hidden):
    arrays, _ = hidden(*both)
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, tmp_path / "m.safetensors")
    share = found_share(open_model(DENIED), open_model(tmp_path / "m.safetensors"))
    assert 5 * MIN_SHARE_FOUND < share <= 1


def test_such_a_model_does_not_pass(tmp_path, both):
    arrays, settings = as_attention(*both)
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, tmp_path / "m.safetensors")
    config = json.loads((DENIED / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **settings}))
    record = check(tmp_path, deny=[DENIED])
    assert record.outcome == "incomplete"
    (finding,) = record.models[0].findings
    assert finding.data["reason"]["code"] == "rows-found"
    assert "in other places" in finding.sentence


@pytest.mark.parametrize("name", ["llama-b", "llama-distilled", "moe-b"])
def test_no_row_of_a_model_is_in_one_that_was_trained_apart(name):
    assert found_share(open_model(DENIED), open_model(MODELS / name)) == 0


def test_a_sample_of_rows_estimates_the_share(tmp_path, monkeypatch):
    a, child = open_model(DENIED), open_model(MODELS / "llama-a-ft1")
    stranger = open_model(MODELS / "llama-b")
    monkeypatch.setattr(same_rows, "MOST_ROWS", 1500)
    assert 0.7 < found_share(a, child) <= 1
    assert found_share(a, stranger) == 0
    shutil.copytree(DENIED, tmp_path / "huge")
    arrays = load_file(DENIED / "model.safetensors")
    huge = {k: v.copy() for k, v in arrays.items()}
    for value in huge.values():
        if value.ndim == 2:
            value[:, 5] = 1e4
    save_file(huge, tmp_path / "huge" / "model.safetensors")
    assert found_share(a, open_model(tmp_path / "huge")) > 0.7


@pytest.mark.parametrize("hidden", [dealt_out, folded])
def test_few_rows_of_the_forbidden_model_estimate_what_all_do(tmp_path, monkeypatch, both, hidden):
    arrays, _ = hidden(*both)
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, tmp_path / "m.safetensors")
    a, b = open_model(DENIED), open_model(tmp_path / "m.safetensors")
    few = [found_share(a, b, seed) for seed in range(8)]
    monkeypatch.setattr(same_rows, "ENOUGH", 1 << 20)
    whole = found_share(a, b)
    assert max(few) - min(few) > 0  # a sample, and not the same one
    assert np.mean(few) == pytest.approx(whole, abs=0.02)
    assert few == pytest.approx([whole] * 8, abs=0.06)


def test_masks_and_what_is_no_number_are_no_rows(tmp_path):
    mask = np.tril(np.ones((90, 90), "f4"))
    empty = np.full((90, 80), np.nan, "f4")
    for name in "ab":
        save_file(
            {"mask": mask, "empty": empty, "zero": mask * 0}, tmp_path / f"{name}.safetensors"
        )
    a, b = (open_model(tmp_path / f"{name}.safetensors") for name in "ab")
    assert found_share(a, b) == 0


@pytest.mark.claim
def test_bytes_that_are_read_as_floats_hold_what_they_are(tmp_path, both):
    a, b = both
    codes = [np.rint(v / np.abs(v).max() * 127).astype("i1").ravel() for v in a.values()]
    floats = np.concatenate(codes)[:700_000].view("f4")
    sizes = {f"self_attn.{x}_proj": (64, 64) for x in ("q", "k", "v", "out")}
    sizes |= {"mlp.fc1": (128, 64), "mlp.fc2": (64, 128)}
    made = {f"language_model.{k}": v for k, v in b.items()}
    weights, rng = dict(made), np.random.default_rng(3)
    for i in range(len(floats) // (8 * 64 * 64)):
        for name, shape in sizes.items():
            n = shape[0] * shape[1]
            key = f"vision_tower.encoder.layers.{i}.{name}.weight"
            made[key], floats = floats[:n].reshape(shape), floats[n:]
            weights[key] = rng.standard_normal(shape, dtype="f4")
    outcomes = []
    for name, arrays in (("a", made), ("b", weights)):
        save_file(arrays, tmp_path / f"{name}.safetensors")
        outcomes.append(check(tmp_path / f"{name}.safetensors", deny=[DENIED]).outcome)
    assert outcomes == ["incomplete", "pass"]


@pytest.mark.parametrize("name", ["encoder.embed_positions.weight", "anything"])
def test_rows_that_a_formula_makes_are_in_unrelated_models_too(rng, name):
    angle = np.arange(1500)[:, None] * 1e4 ** (-2 * (np.arange(64) // 2) / 64)
    table = np.where(np.arange(64) % 2, np.cos(angle), np.sin(angle)).astype(np.float32)

    def model(**more):
        weights = {f"layers.{i}.weight": rng.standard_normal((96, 64)) for i in range(2)}
        return model_from_arrays({k: x.astype("f4") for k, x in (weights | more).items()})

    forbidden = model(**{name: table})
    assert found_share(forbidden, model(**{name: table})) == 0.0
    assert found_share(forbidden, model(positions=table[:1000])) == 0.0
    own = {f"x.{k}": forbidden.rows(k) for k in forbidden.tensors if k != name}
    assert found_share(forbidden, model(**own)) > 0.9  # of what is not made by a formula


@pytest.mark.claim
def test_the_record_says_where_rows_were_not_looked_for(tmp_path):
    sketched = tmp_path / "a.sketch.safetensors"
    write_sketch(take_sketch(open_model(DENIED), Scheme()), sketched)
    Registry(tmp_path / "r.sqlite").add([sketched])
    (model,) = check(MODELS / "llama-b", registry=tmp_path / "r.sqlite").models
    assert ("rows in other parts", "none-named") in {(x.what, x.code) for x in model.skipped}
    named = Policy(forbidden_ancestors=("#1",))
    (model,) = check(MODELS / "llama-b", named, registry=tmp_path / "r.sqlite").models
    assert not model.skipped
    (said,) = model.against
    assert ("rows in other parts", "only-sketch") in {(x.what, x.code) for x in said.limits}
    (said,) = check(MODELS / "llama-b", deny=[DENIED]).models[0].against
    assert not said.limits


@pytest.mark.parametrize("either_way", [False, True])
def test_as_many_rows_have_a_partner_as_all_cosines_say(rng, either_way):
    a, b = (rng.standard_normal((n, 63)).astype("f4") for n in (2500, 1500))
    noise = np.linspace(0, 1, 1200, dtype="f4")[:, None] * rng.standard_normal((1200, 63))
    b[:1200] = a[:1200] + noise  # some near enough, some not
    b[:300], b[300:600], b[700] = -b[:300], b[300:600, ::-1], 0
    a[:, 0] *= 4
    b[:, 0] *= 4
    for x in (a, b):
        x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    cosines = [a @ b.T, *([a @ b[:, ::-1].T] if either_way else [])]
    most = np.abs(cosines).max(axis=(0, 2))
    least = max(LEAST_COSINE, CHANCE / 63**0.5)
    n = rows_with_partner(a, b, 63, either_way=either_way)
    assert 300 < n == (most >= least).sum() < 1200

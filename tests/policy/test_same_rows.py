"""Claim: weights stored under other roles, as experts or dealt out in rows never pass the gate."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.conftest import ROOT
from weightkin import check, open_model
from weightkin.policy import same_rows
from weightkin.policy.same_rows import found_share

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


@pytest.mark.parametrize("hidden", [as_attention, in_other_parts, as_experts, dealt_out])
def test_rows_of_a_forbidden_model_in_other_places_do_not_pass(tmp_path, both, hidden):
    arrays, settings = hidden(*both)
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, tmp_path / "m.safetensors")
    config = json.loads((DENIED / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **settings}))
    record = check(tmp_path, deny=[DENIED])
    assert record.outcome == "incomplete"
    reasons = [x.data.get("reason", {}) for x in record.models[0].findings]
    assert "rows-found" in [x.get("code") for x in reasons]
    assert "in other places" in record.models[0].findings[0].sentence


@pytest.mark.parametrize("name", ["llama-b", "llama-distilled", "llama-c-twin", "gpt-b", "moe-b"])
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


def test_masks_and_what_is_no_number_are_no_rows(tmp_path):
    mask = np.tril(np.ones((300, 300), "f4"))
    empty = np.full((300, 80), np.nan, "f4")
    for name in "ab":
        save_file(
            {"mask": mask, "empty": empty, "zero": mask * 0}, tmp_path / f"{name}.safetensors"
        )
    a, b = (open_model(tmp_path / f"{name}.safetensors") for name in "ab")
    assert found_share(a, b) == 0

"""Claim: on trained models rewrites leave the loss alone, and framing stops short of likeness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.evasions.real import anatomy_of, distance, output, read_config
from tests.evasions.test_framing import coincidences
from weightkin.evasions import change_all, frame

MODELS = Path(__file__).parents[2] / "zoo" / "models"


def load(name):
    arrays, config = load_file(MODELS / name / "model.safetensors"), read_config(MODELS / name)
    return arrays, config, anatomy_of(arrays, config)


def loss(logits):
    """Mean cross-entropy of outputs against their first three classes."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return -logp[..., :3].mean()


@pytest.mark.parametrize("name", ["llama-a", "gpt-a", "vit-a", "moe-a"])
def test_all_rewrites_together_preserve_outputs_and_loss(name, tmp_path):
    arrays, config, anatomy = load(name)
    changed = change_all(arrays, anatomy, np.random.default_rng(8), n_extra=16)
    before = output(tmp_path / "before", arrays, config)
    after = output(tmp_path / "after", changed.arrays, config | changed.config_changes)
    assert distance(before, after) < 1e-4
    assert abs(loss(before) - loss(after)) < 1e-5


def test_framing_stays_far_below_the_likeness_of_a_child(tmp_path, rng):
    reference, config, anatomy = load("llama-a")
    innocent, child = load("llama-b")[0], load("llama-a-long")[0]
    framed = frame(innocent, anatomy, reference, rounds=5)
    before = output(tmp_path / "before", innocent, config)
    after = output(tmp_path / "after", framed.arrays, config | framed.config_changes)
    assert distance(before, after) < 1e-4
    counts, cosines = coincidences(framed.arrays, reference, anatomy, rng)
    _, like = coincidences(child, reference, anatomy, rng)
    for role, count in counts.items():
        assert count > 6 * 20  # six blocks; strangers have about one each
        assert cosines[role] < 0.4 < 0.7 < like[role]

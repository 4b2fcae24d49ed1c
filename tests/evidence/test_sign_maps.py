"""Claim: signs are compared over block maps, so a block put in front hides nothing; exact."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom
from zoo import truth

from tests import models, naive
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.api.compare import compare
from weightkin.evasions import permute_units, rotate_residual
from weightkin.evidence import sign_maps
from weightkin.evidence.blind import SignPlan, run_signs
from weightkin.evidence.sign_evidence import MapPlan
from weightkin.evidence.sign_maps import block_lines, map_evidence
from weightkin.evidence.signpairs import sign_pairs
from weightkin.formats import model_from_arrays, open_model
from weightkin.stats.signs import LAMBDAS, log_evalues, mix_log_evalue

ALWAYS = MapPlan(enough=np.inf, kept=list)


def _axis(block, stack="decoder", n_units=8):
    return Axis("mlp", "units", stack, block, n_units, "", f"{stack}.{block}", ())


def _log_evalue(a, b, maps=ALWAYS):
    plan = SignPlan(sign_pairs(a, b), maps=maps)
    return run_signs(a, b, 0, plan=plan)[0].log_evalue


@pytest.mark.claim
def test_evalues_average_to_one_over_all_sign_patterns(rng):
    """Three blocks against two of three units, each of 2^6 patterns once: straight, and on maps."""
    a, arrays = _side(_units(rng, blocks=3)), _units(rng, blocks=2)
    total, straight = [], []
    for flips in product((1, -1), repeat=6):
        turned = {name: x.copy() for name, x in arrays.items()}
        for unit, sign in enumerate(flips):
            turned[f"model.layers.{unit // 3}.mlp.up_proj.weight"][unit % 3] *= sign
            turned[f"model.layers.{unit // 3}.mlp.down_proj.weight"][:, unit % 3] *= sign
        b = _side(turned)
        total.append(np.exp(_log_evalue(a, b)))
        straight.append(np.exp(_log_evalue(a, b, maps=None)))
    assert np.mean(total) == pytest.approx(1, abs=1e-9)
    assert np.mean(straight) == pytest.approx(1, abs=1e-9)
    assert len(set(np.round(total, 9))) > 2


def _units(rng, blocks):
    arrays = models.base(rng, hidden=3, blocks=blocks)
    return {name: x for name, x in arrays.items() if "attn" not in name}


def _side(arrays):
    config = {"num_attention_heads": 2, "num_key_value_heads": 1, "model_type": "llama"}
    model = model_from_arrays(arrays, config=config)
    return Side(model, read_anatomy(model))


def test_maps_are_the_sum_over_all_ways_to_pair_blocks(rng):
    axes_a, axes_b = [_axis(i) for i in range(3)], [_axis(i) for i in range(4)]
    found = {
        (x, y): log_evalues(int(rng.integers(0, 6)), 5) for x in axes_a for y in axes_b if x != y
    }
    lines = block_lines(axes_a, axes_b, lambda x, y: 1, axes_b)
    (mapped,) = map_evidence(lines, found).values()
    nothing = np.zeros(len(LAMBDAS))
    grids = np.array([[found.get((x, y), nothing) for y in axes_b] for x in axes_a])
    slow = [naive.mapped_evalue(np.exp(grids[:, :, k]).tolist()) for k in range(len(LAMBDAS))]
    np.testing.assert_allclose(np.exp(mapped.log_evalues), slow)


def test_pvalues_over_maps_of_coins_keep_their_levels(rng):
    """Coins of 1,500 unrelated pairs of models: no level is passed more often than it says."""
    n_pairs, n_coins = 1500, 24
    axes_a, axes_b = [_axis(i) for i in range(2)], [_axis(i) for i in range(3)]
    lines = block_lines(axes_a, axes_b, lambda x, y: 1, axes_b)
    logs = []
    for _ in range(n_pairs):
        signs = [rng.choice((-1, 1), n_coins) for _ in axes_b]  # those of one model
        k = {(x, y): int((signs[y.block] > 0).sum()) for x in axes_a for y in axes_b}
        (mapped,) = map_evidence(
            lines, {pair: log_evalues(n, n_coins) for pair, n in k.items()}
        ).values()
        logs.append(mix_log_evalue(mapped.log_evalues))
    pvalues = np.exp(-np.array(logs))
    for alpha in (0.1, 0.01, 0.001):
        assert (pvalues <= alpha).sum() <= binom.ppf(0.999, n_pairs, alpha)


def test_smallest_moves_are_looked_at_first_and_work_is_bounded(monkeypatch):
    axes_a, axes_b = [_axis(i) for i in range(4)], [_axis(i) for i in range(5)]
    monkeypatch.setattr(sign_maps, "MOST_WORK", 8)
    lines = block_lines(axes_a, axes_b, lambda x, y: 1, axes_b)
    assert {y.block - x.block for x, y in lines.pairs} == {
        0,
        1,
    }  # one block more may stand anywhere
    assert len(lines.pairs) == 8
    few = block_lines(axes_a, axes_b, lambda x, y: 1, axes_b[:1])
    assert {y.block for _, y in few.pairs} == {0}
    other = block_lines(axes_a, [_axis(0, stack="encoder")], lambda x, y: 1, axes_b)
    assert not other.pairs


def test_copied_blocks_have_no_coins_of_their_own(rng):
    """Where the blocks of both models are copies of each other, maps would use coins twice."""
    sides = []
    for _ in range(2):
        arrays = models.base(rng, hidden=24, blocks=1)
        copies = {
            name.replace("layers.0.", f"layers.{i}."): x
            for name, x in arrays.items()
            for i in range(4)
        }
        sides.append(_side(copies))
    assert _log_evalue(*sides) <= np.log(0.5) + _log_evalue(*sides, maps=None) + 1e-9


def _hidden_behind_a_block(name, rng):
    """Units permuted, stream rotated, and a block in front that writes next to nothing."""
    model = open_model(truth.ROOT / truth.load()[name]["path"])
    arrays = {tensor: model.rows(tensor) for tensor in model.tensors}
    for rewrite in (permute_units, rotate_residual):
        anatomy = read_anatomy(model_from_arrays(arrays, config=model.config))
        arrays = rewrite(arrays, anatomy, rng).arrays
    out = {}
    for tensor, x in arrays.items():
        if not tensor.startswith("model.layers."):
            out[tensor] = x
            continue
        block, rest = tensor.removeprefix("model.layers.").split(".", 1)
        out[f"model.layers.{int(block) + 1}.{rest}"] = x
        if block == "0":
            y = rng.permutation(x.ravel()).reshape(x.shape) if x.ndim > 1 else x
            size = 1e-5 if rest.split(".")[1] in ("o_proj", "down_proj") else 1.0
            out[f"model.layers.0.{rest}"] = (y * size).astype(np.float32)
    return model_from_arrays(out, config={**model.config, "num_hidden_layers": 7})


@pytest.mark.claim
@pytest.mark.parametrize("name", ["llama-a", "llama-a-long", "llama-b"])
def test_a_block_in_front_hides_no_copy(zoo, rng, name):
    hidden = _hidden_behind_a_block(name, rng)
    record = compare(truth.ROOT / truth.load()["llama-a"]["path"], hidden)
    if name == "llama-b":
        assert record.verdict == "no-evidence"
        return
    assert (record.verdict, record.basis) == ("dependent", "exact")
    assert [axis.axis for axis in record.axes if axis.passes] == ["token signs"]
    moved = {(t.block_a, t.block_b) for t in record.tests if t.name == "signs" and t.n_units > 200}
    assert {(f"decoder.{i}", f"decoder.{i + 1}") for i in range(6)} <= moved

"""Claim: planes of queries and keys are coins of four sides, exact; hidden copies are found."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom
from zoo import truth

from tests import naive
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.queries import query_keys
from weightkin.anatomy.side import Side
from weightkin.api.compare import compare
from weightkin.evasions import (
    change_value_basis,
    flip_unit_signs,
    flip_value_signs,
    permute_heads,
    permute_units,
    rotate_residual,
)
from weightkin.evidence.planes import is_layout_shown, read_planes
from weightkin.evidence.turn_stage import run_turns
from weightkin.evidence.turns import copied_key_heads, match_planes
from weightkin.evidence.views import frames
from weightkin.formats import model_from_arrays, open_model

LLAMA = {"model_type": "llama", "hidden_size": 16, "num_attention_heads": 4}
KEYS, QUERIES = (f"model.layers.{{}}.self_attn.{name}_proj.weight" for name in "kq")


def _arrays(rng, *, blocks=1, n_heads=4, n_kv=2, size=4, width=16, trained=True):
    """A Llama-like model; ``trained`` moves lengths of a plane's rows against each other."""
    arrays = {"model.embed_tokens.weight": rng.normal(size=(40, width))}
    arrays["model.norm.weight"] = np.ones(width)
    for block in range(blocks):
        layer = f"model.layers.{block}."
        q, k = rng.normal(size=(n_heads * size, width)), rng.normal(size=(n_kv * size, width))
        if trained:
            over = np.exp(0.5 * rng.normal(size=(n_kv, size // 2)))
            both = np.concatenate([over, 1 / over], axis=1).reshape(-1, 1)
            k = k / np.linalg.norm(k, axis=1, keepdims=True) * both
            q = q / np.linalg.norm(q, axis=1, keepdims=True)
        arrays[layer + "self_attn.q_proj.weight"], arrays[layer + "self_attn.k_proj.weight"] = q, k
        arrays[layer + "self_attn.v_proj.weight"] = rng.normal(size=(n_kv * size, width))
        arrays[layer + "self_attn.o_proj.weight"] = rng.normal(size=(width, n_heads * size))
        for name in ("input_layernorm", "post_attention_layernorm"):
            arrays[layer + name + ".weight"] = np.ones(width)
        for name, shape in (("gate", (8, width)), ("up", (8, width)), ("down", (width, 8))):
            arrays[layer + f"mlp.{name}_proj.weight"] = rng.normal(size=shape)
    return {name: x.astype(np.float32) for name, x in arrays.items()}


def _side(arrays, config=LLAMA, **more):
    config = {"num_key_value_heads": 2, **config, **more}
    model = model_from_arrays(arrays, config=config)
    return Side(model, read_anatomy(model))


def _named(name):
    model = open_model(truth.ROOT / truth.load()[name]["path"])
    return Side(model, read_anatomy(model))


def _held(side):
    return query_keys(side.model, side.anatomy)


def _turned(arrays, turns, size=4, n_kv=2, block=0):
    """Planes turned by quarters: ``turns`` is ``(n_kv, size / 2)``, whole numbers."""
    out = dict(arrays)
    for name, repeat in ((KEYS, 1), (QUERIES, 2)):
        x = arrays[name.format(block)].reshape(n_kv, repeat, 2, size // 2, -1)
        z = x[:, :, 0] + 1j * x[:, :, 1]
        z = z * (1j ** np.asarray(turns))[:, None, :, None]
        turned = np.stack([z.real, z.imag], axis=2).reshape(arrays[name.format(block)].shape)
        out[name.format(block)] = turned.astype(np.float32)
    return out


def _match(a, b, block=0):
    x, y = _held(a)[block], _held(b)[block]
    return match_planes(x, y, read_planes(a.model, x, None), read_planes(b.model, y, None))


def test_all_turns_of_a_model_give_the_binomial_law(rng):
    """Each of four planes turned by 0 to 3 quarters, 4^4 ways: heads stay, hits follow the law."""
    a, arrays = _side(_arrays(rng)), _arrays(rng)
    partners, hits, evalues = set(), [], []
    for turns in product(range(4), repeat=4):
        m = _match(a, _side(_turned(arrays, np.reshape(turns, (2, 2)))))
        partners.add((tuple(m.heads_a), tuple(m.heads_b)))
        hits.append(m.n_hits)
        evalues.append(np.exp(m.log_evalues))
        assert m.n == 4
    assert len(partners) == 1
    np.testing.assert_allclose(
        np.bincount(hits) / len(hits), binom.pmf(np.arange(5), 4, 0.25), atol=1e-12
    )
    np.testing.assert_allclose(np.mean(evalues, axis=0), 1)
    for k in range(5):
        m = _match(a, _side(_turned(arrays, np.zeros((2, 2)))))
        tail = np.mean(np.array(hits) >= k)
        assert naive.turns_log10(k, 4) == pytest.approx(np.log10(tail), abs=1e-9)


def test_products_agree_with_complex_numbers_written_out(rng):
    a, b = _side(_arrays(rng)), _side(_arrays(rng))
    m = _match(a, b)
    slow = naive.plane_products(
        *((x.model.rows(QUERIES.format(0)), x.model.rows(KEYS.format(0))) for x in (a, b)),
        size=4,
    )
    ways = [[(0, i), (1, 1 - i)] for i in (0, 1)]
    best = max(ways, key=lambda way: sum(np.abs(slow[pair]).sum() for pair in way))
    assert [(int(i), int(j)) for i, j in zip(m.heads_a, m.heads_b, strict=True)] == best
    np.testing.assert_allclose(m.products, [slow[pair] for pair in best], atol=1e-5)


def test_turning_is_the_same_function(rng):
    """Scores of all queries and keys at all distances, with rotary positions."""
    arrays = _arrays(rng)
    turned = _turned(arrays, rng.integers(0, 4, (2, 2)))
    for distance in (0, 1, 5):
        before, after = (naive.rotary_scores(x[QUERIES.format(0)], x[KEYS.format(0)], 4, distance)
                         for x in (arrays, turned))  # fmt: skip
        np.testing.assert_allclose(before, after, atol=1e-4)


def test_a_copy_hits_everywhere_and_zero_planes_are_no_coins(rng):
    arrays = _arrays(rng)
    m = _match(_side(arrays), _side(arrays))
    assert (m.n_hits, m.n) == (4, 4)
    gone = {k: x.copy() for k, x in arrays.items()}
    gone[KEYS.format(0)][[0, 2]] = gone[QUERIES.format(0)][[0, 2, 4, 6]] = 0
    m = _match(_side(arrays), _side(gone))
    assert (m.n_hits, m.n) == (3, 3)


@pytest.mark.claim
def test_pvalues_of_unrelated_pairs_keep_their_levels(rng):
    """500 pairs whose keys are copies of each other in both models, four heads of eight planes."""
    n_pairs, logs = 500, []
    sizes = {"n_heads": 8, "n_kv": 4, "size": 8, "width": 32}
    config = {**LLAMA, "hidden_size": 32, "num_attention_heads": 8, "head_dim": 8}
    config["num_key_value_heads"] = 4
    for _ in range(n_pairs):
        sides = []
        for _ in range(2):
            arrays = _arrays(rng, **sizes)
            for name in (KEYS, QUERIES):
                x = arrays[name.format(0)].reshape(4, -1, 32)
                arrays[name.format(0)] = np.repeat(x[:1], 4, axis=0).reshape(-1, 32)
            sides.append(_side(arrays, config))
        stage = run_turns(*sides, None, -np.inf, frugal=False)
        if stage.tests:  # in so few planes the weights do not always show the layout
            assert sum(t.n_units for t in stage.tests) <= 4  # planes of the one key head
            logs.append(sum(t.log10_pvalue for t in stage.tests))
    assert len(logs) > 300
    for least in (2, 3, 4):  # hits of four planes
        level = binom.sf(least - 1, 4, 0.25)
        hits = sum(log10_p <= np.log10(level) + 1e-9 for log10_p in logs)
        low, high = binom.ppf([0.001, 0.999], len(logs), level)
        assert low <= hits <= high


def test_copied_heads_share_their_coins_and_turns_do_not_hide_it(rng):
    arrays = _arrays(rng, size=16, width=64)
    x = arrays[KEYS.format(0)].reshape(2, 16, 64)
    x[1] = x[0] + 0.3 * rng.normal(size=x[0].shape) * x[0].std()
    turns = np.stack([np.zeros(8, int), rng.integers(0, 4, 8)])
    config = {**LLAMA, "hidden_size": 64}
    for turned in (arrays, _turned(arrays, turns, size=16)):
        side = _side(turned, config)
        planes = read_planes(side.model, _held(side)[0], None)[:, 0]
        assert copied_key_heads(planes) == (0, 0)
    other = _side(_arrays(rng, size=16, width=64), config)
    assert copied_key_heads(read_planes(other.model, _held(other)[0], None)[:, 0]) == (0, 1)


def test_blocks_that_moved_are_found_over_maps(rng):
    arrays = _arrays(rng, blocks=3, size=16, width=64)
    kept = {
        name.replace("layers.1.", "layers.0.").replace("layers.2.", "layers.1."): x
        for name, x in arrays.items()
        if "layers.0." not in name
    }
    a, b = (_side(x, LLAMA, hidden_size=64) for x in (arrays, kept))
    straight = run_turns(a, b, None, -np.inf, frugal=False)
    stage = run_turns(a, b, None, np.inf, frugal=False)
    assert stage.log_evalue > 30 > straight.log_evalue
    assert {(t.block_a, t.block_b) for t in stage.tests} == {
        ("decoder.1", "decoder.0"),
        ("decoder.2", "decoder.1"),
    }


def test_planes_must_be_certain(rng):
    """By the type in the config, by what else it says, by norms, and by the weights."""
    arrays = _arrays(rng)
    assert [x.coin for x in _held(_side(arrays))] == ["quarter"]
    for config in (
        {"model_type": "unheard-of"},
        {"model_type": None},
        {"alibi": True},
        {"partial_rotary_factor": 0.5},
        {"rope_interleaved": True},
        {"model_type": "cohere", "rope_interleave": False},
    ):
        assert not _held(_side(arrays, LLAMA, **config))
    normed = dict(arrays)
    for name in ("q_norm", "k_norm"):
        normed[f"model.layers.0.self_attn.{name}.weight"] = np.ones(4, np.float32)
    assert not _held(_side(normed))
    assert not _held(_side(normed, LLAMA, model_type="cohere"))  # its norms subtract a mean
    assert [x.coin for x in _held(_side(normed, LLAMA, model_type="qwen3"))] == ["half"]
    for name, n in (("q_norm", 16), ("k_norm", 8)):
        normed[f"model.layers.0.self_attn.{name}.weight"] = np.ones(n, np.float32)
    assert [x.coin for x in _held(_side(normed, LLAMA, model_type="olmo2"))] == ["quarter"]


def test_only_turned_dimensions_of_partial_rotary_heads_are_planes(rng):
    arrays = _arrays(rng, size=8, n_heads=2, n_kv=2)
    known = {"model_type": "stablelm", "num_attention_heads": 2}
    (held,) = _held(_side(arrays, LLAMA, **known, partial_rotary_factor=0.5))
    assert held.n_turned == 4
    np.testing.assert_array_equal(held.planes(), [[0, 1], [2, 3]])
    np.testing.assert_array_equal(held.planes("interleaved"), [[0, 2], [1, 3]])
    assert not _held(_side(arrays, LLAMA, **known))  # nothing says how many


@pytest.mark.parametrize("order", ["half", "interleaved"])
def test_weights_in_another_order_than_the_config_says_are_not_tested(zoo, order):
    """As a file whose rows of queries and keys were reordered by conversion, and not back."""
    model = open_model(truth.ROOT / truth.load()["llama-a"]["path"])
    arrays = {name: model.rows(name) for name in model.tensors}
    if order == "interleaved":
        for name, x in arrays.items():
            if "q_proj" in name or "k_proj" in name:
                halves = x.reshape(-1, 2, 12, x.shape[1]).swapaxes(1, 2)
                arrays[name] = np.ascontiguousarray(halves.reshape(x.shape))
    side = _side(arrays, model.config)
    assert is_layout_shown(side.model, _held(side)) == (order == "half")
    stage = run_turns(side, _named("llama-b"), None, np.inf, frugal=False)
    assert bool(stage.tests) == (order == "half")
    assert [x.code for x in stage.skipped] == ([] if order == "half" else ["layout-not-shown"])


@pytest.mark.parametrize(
    ("name", "other"),
    [("llama-a", "llama-b"), ("llama-a", "llama-c"), ("llama-b", "llama-distilled"),
     ("llama-a", "llama-distilled"), ("moe-a", "moe-b")],
)  # fmt: skip
def test_unrelated_trained_models_hit_as_chance_does(zoo, name, other):
    a, b = _named(name), _named(other)
    shared = frames((a.model, a.anatomy), (b.model, b.anatomy), 0)[:2]
    stage = run_turns(a, b, shared, np.inf, frugal=False)
    assert all(is_layout_shown(x.model, _held(x)) for x in (a, b))
    n, k = (sum(x) for x in zip(*((t.n_units, t.statistic) for t in stage.tests), strict=True))
    assert n >= 60
    assert binom.sf(k - 1, n, 0.25) > 1e-3
    assert stage.effect.ratio < 1.4


@pytest.mark.claim
@pytest.mark.parametrize("name", ["llama-a-ft1", "llama-a-ft3", "llama-a-long", "llama-b"])
def test_copies_hidden_in_all_ways_but_planes_are_found(zoo, rng, name):
    side = _named(name)
    arrays = {tensor: side.model.rows(tensor) for tensor in side.model.tensors}
    hide = (flip_unit_signs, flip_value_signs, change_value_basis)
    for rewrite in (*hide, permute_units, permute_heads, rotate_residual):
        arrays = rewrite(arrays, _side(arrays, side.model.config).anatomy, rng).arrays
    hidden = model_from_arrays(arrays, config=side.model.config)
    record = compare(truth.ROOT / truth.load()["llama-a"]["path"], hidden)
    turns = next(axis for axis in record.axes if axis.axis == "turns")
    if name == "llama-b":
        assert (record.verdict, turns.passes) == ("no-evidence", False)
        return
    assert (record.verdict, turns.passes) == ("dependent", True)
    assert record.basis in ("exact-unconfirmed", "calibrated")  # planes are turned for nothing
    assert turns.log10_pvalue < -80

"""Claim: planes and signs are coins also where heads are stored head by head, or are one."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from tests.evidence.layouts import LAYOUTS, config_of, drawn, hits_of, side, stage_of, turned
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.queries import query_keys
from weightkin.api.compare import compare
from weightkin.evasions import permute_residual, permute_units
from weightkin.evidence.planes import is_layout_shown, read_planes
from weightkin.formats import model_from_arrays

TURNED = [how for how in LAYOUTS if LAYOUTS[how][3]]


def _held(those, **changes):
    """Queries and keys of a model whose config says something else."""
    config = {k: x for k, x in {**those.model.config, **changes}.items() if x is not None}
    model = model_from_arrays({x: those.model.rows(x) for x in those.model.tensors}, config=config)
    return query_keys(model, read_anatomy(model))


@pytest.mark.parametrize("how", TURNED)
def test_planes_are_read_where_they_are_stored(how, rng):
    queries, keys = drawn(how, rng)
    those = side(how, queries, keys)
    (held,) = query_keys(those.model, those.anatomy)
    n_kv, repeat, size, n_turned, _ = LAYOUTS[how]
    assert (held.n_heads, held.repeat, held.size, held.n_turned) == (n_kv, repeat, size, n_turned)
    planes = read_planes(those.model, held, None, with_queries=how != "latent")
    stored = np.concatenate([keys, queries], axis=2)[0] if how != "latent" else keys[0]
    lengths = np.sqrt((np.abs(stored) ** 2).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(planes, stored / lengths, atol=1e-5)


@pytest.mark.claim
@pytest.mark.parametrize("how", LAYOUTS)
def test_all_turns_of_some_planes_give_the_law(how, rng):
    """Three planes turned by 0 to 3 quarters, 4^3 ways, or six signs, 2^6: hits follow the law."""
    a, (queries, keys) = side(how, *drawn(how, rng)), drawn(how, rng)
    n_sides, n_free = (4, 3) if how in TURNED else (2, 6)
    hits, evalues = [], []
    for some in product(range(n_sides), repeat=n_free):
        turns = np.zeros((*keys.shape[:2], keys.shape[3]), dtype=int)
        turns[0, 0, :n_free] = some
        stage = stage_of(how, a, side(how, *turned(queries, keys, turns)))
        hits.append(hits_of(stage))
        evalues.append(np.exp(stage.log_evalue))
    k, n = np.array(hits).T
    assert len(set(n)) == 1
    free = max(k) - min(k)  # all but those that no dimension of the other model finds
    assert free == n_free or how not in TURNED
    law = binom.pmf(np.arange(free + 1), free, 1 / n_sides)
    share = np.bincount(k - min(k), minlength=free + 1) / len(k)
    np.testing.assert_allclose(share, law, atol=1e-12)
    assert np.std(evalues) > 0


@pytest.mark.claim
@pytest.mark.parametrize("how", LAYOUTS)
def test_hits_of_null_pairs_keep_their_level(how, rng):
    """20 pairs of two blocks."""
    found = [
        hits_of(stage_of(how, *(side(how, *drawn(how, rng, 2)) for _ in "ab"))) for _ in range(20)
    ]
    k, n = np.sum(found, axis=0)
    odds = 0.25 if how in TURNED else 0.5
    low, high = binom.ppf([5e-4, 1 - 5e-4], n, odds)
    assert n > 250
    assert low <= k <= high


@pytest.mark.parametrize("how", LAYOUTS)
def test_copies_are_found_and_turned_ones_are_not(how, rng):
    queries, keys = drawn(how, rng, 3)
    noise = 0.1 * keys.std()
    tuned = tuple(x + noise * rng.normal(size=x.shape) for x in (queries, keys))
    a, n_sides = side(how, queries, keys), 4 if how in TURNED else 2
    k, n = hits_of(stage_of(how, a, side(how, *tuned)))
    assert k == n > 0
    turns = rng.integers(0, n_sides, (*keys.shape[:2], keys.shape[3]))
    k, n = hits_of(stage_of(how, a, side(how, *turned(*tuned, turns))))
    assert binom.sf(k - 1, n, 1 / n_sides) > 1e-3


def test_the_order_of_queries_that_read_one_key_does_not_matter_to_its_signs(rng):
    for how in ("mpt, grouped", "bigcode"):
        queries, keys = drawn(how, rng, 2)
        a, b = side(how, queries, keys), side(how, queries[:, :, ::-1], keys)
        k, n = hits_of(stage_of(how, a, b))
        assert k == n > 20


def test_without_a_table_of_positions_nothing_is_said_of_signs(rng):
    those = side("bigcode", *drawn("bigcode", rng))
    arrays = {x: those.model.rows(x) for x in those.model.tensors if "wpe" not in x}
    model = model_from_arrays(arrays, config=config_of("bigcode"))
    assert not query_keys(model, read_anatomy(model))


def test_turns_do_not_change_whether_the_layout_is_shown(rng):
    """Also where turned rows of neighbouring planes move against each other, as if interleaved."""
    queries, keys = drawn("neox", rng)
    longer = np.sqrt((keys.real**2).sum(axis=-1) / (keys.imag**2).sum(axis=-1))[0, :, 0] > 1
    for wanted in (np.ones(4, bool), np.array([True, False, True, False])):
        turns = (longer != wanted).astype(int)[None]
        those = side("neox", *turned(queries, keys, turns))
        assert is_layout_shown(those.model, query_keys(those.model, those.anatomy))


@pytest.mark.parametrize("how", LAYOUTS)
def test_sizes_that_no_config_states_are_not_guessed(how, rng):
    those = side(how, *drawn(how, rng))
    assert len(_held(those)) == 1
    wrong = [{"num_attention_heads": None}, {"num_attention_heads": 3}, {"model_type": None}]
    wrong += {
        "neox": [{"rotary_pct": None}, {"hidden_size": 64}],
        "falcon": [{"hidden_size": 64}, {"head_dim": 4}],
        "latent": [{"kv_lora_rank": None}, {"qk_rope_head_dim": 4}, {"rope_interleave": False}],
        "one key head": [{"num_attention_heads": 8}],
        "falcon, one key head": [{"num_attention_heads": 8}],
        "bloom": [{"position_embedding_type": "rotary"}],
        "codegen": [{"rotary_dim": None}],
        "persimmon": [{"partial_rotary_factor": None}],
        "mpt": [{"attn_config": {"rope": True}}],
        "mpt, grouped": [{"attn_config": {"rope": True}}],
        "bigcode": [{"position_embedding_type": "rotary"}],
        "falcon, one key head, slopes": [{"num_attention_heads": 8}],
    }[how]
    for changes in wrong:
        assert not _held(those, **changes), changes


def test_positions_of_falcon_are_those_of_its_config(rng):
    those = side("falcon", *drawn("falcon", rng))
    assert [x.coin for x in _held(those)] == ["quarter"]
    assert [x.coin for x in _held(those, alibi=True)] == ["sign"]


def test_a_tensor_that_nobody_knows_inside_the_attention_leaves_nohits_of(rng):
    those = side("falcon", *drawn("falcon", rng))
    arrays = {x: those.model.rows(x) for x in those.model.tensors}
    for name, n_held in (("rotary_emb.inv_freq", 1), ("gate.weight", 0)):
        more = {f"transformer.h.0.self_attention.{name}": np.ones((4, 4), np.float32)}
        model = model_from_arrays({**arrays, **more}, config=config_of("falcon"))
        assert len(query_keys(model, read_anatomy(model))) == n_held


def test_one_key_head_is_compared_with_planes_of_other_numbers(rng):
    """There is no other head that would show how alike chance makes planes."""
    how = "one key head"
    queries, keys = drawn(how, rng, 2)
    a, b = side(how, queries, keys), side(how, *drawn(how, rng, 2))
    assert stage_of(how, a, b).effect.ratio < 1.4
    effect = stage_of(how, a, a).effect
    assert effect.ratio > 1.4
    assert effect.chance > 0.02


@pytest.mark.claim
@pytest.mark.parametrize("is_related", [True, False])
def test_a_copy_hidden_in_all_but_planes_is_found(is_related, rng):
    """Units, stream and values, which stand head by head, are changed; nothing confirms planes."""
    those = side("neox", *(planes := drawn("neox", rng, 2)))
    if not is_related:
        planes = drawn("neox", rng, 2)
    tuned = tuple(x + 0.1 * x.std() * rng.normal(size=x.shape) for x in planes)
    embedded = {"gpt_neox.embed_in.weight": rng.normal(size=(96, 32)).astype(np.float32)}
    base, copy = (
        {**{name: x.model.rows(name) for name in x.model.tensors}, **embedded}
        for x in (those, side("neox", *tuned))
    )
    for block in range(2):
        name = f"gpt_neox.layers.{block}.attention"
        values = copy[f"{name}.query_key_value.weight"].reshape(4, 3, 8, 32)[:, 2]
        turns = np.linalg.qr(rng.normal(size=(4, 8, 8)))[0]
        values[:] = turns @ values
        out = copy[f"{name}.dense.weight"].reshape(32, 4, 8)
        out[:] = np.einsum("dhj,hij->dhi", out, turns)
    config = config_of("neox")
    for rewrite in (permute_units, permute_residual):
        anatomy = read_anatomy(model_from_arrays(copy, config=config))
        copy = rewrite(copy, anatomy, rng).arrays
    record = compare(*(model_from_arrays(x, config=config) for x in (base, copy)))
    planes_seen = next(x for x in record.axes if x.axis == "turns")
    assert planes_seen.passes == is_related
    if is_related:
        assert (record.verdict, record.basis) == ("dependent", "exact-unconfirmed")
        assert planes_seen.log10_pvalue < -10
    else:
        assert record.verdict == "no-evidence"

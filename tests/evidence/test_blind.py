"""Claim: relatives with permuted units or rotated streams are found by coins, strangers not."""

from itertools import product

import numpy as np
import pytest
from benchmarks.lib import claim
from scipy.stats import binom
from zoo import truth

from tests import models
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.api.compare import Options, compare
from weightkin.evasions import rotate_queries_keys
from weightkin.evidence.blind import run_signs
from weightkin.evidence.token_draws import shared_tokens
from weightkin.evidence.views import frames
from weightkin.formats import model_from_arrays, open_model
from weightkin.stats.signs import agreements_log10_sf

base_pairs = claim("zoo_laws").base_pairs


def _side(name):
    model = open_model(truth.ROOT / truth.load()[name]["path"])
    return Side(model, read_anatomy(model))


def _path(name):
    return truth.ROOT / truth.load()[name]["path"]


def _frames(a, b):
    return frames((a.model, a.anatomy), (b.model, b.anatomy), 0)[:2]


@pytest.mark.parametrize("through_tokens", [False, True], ids=["weights", "tokens"])
def test_pvalues_of_signs_of_trained_strangers_are_uniform(zoo, rng, through_tokens):
    """All bases of one shape, block by block: as many under each level as there should be.

    Coins come in whole numbers, so each p-value is drawn between its own and the next smaller one.
    """
    pvalues = []
    for name_a, name_b in base_pairs():
        a, b = _side(name_a), _side(name_b)
        for m in run_signs(a, b, 0, _frames(a, b) if through_tokens else None)[1]:
            n, k = len(m.signs), m.n_agree
            low = 10 ** agreements_log10_sf(k + 1, n) if k < n else 0.0
            pvalues.append(rng.uniform(low, 10 ** agreements_log10_sf(k, n)))
    n = len(pvalues)
    assert n >= 100
    for alpha in (0.1, 0.01, 0.001):
        hits = sum(p <= alpha for p in pvalues)
        least, most = binom.ppf([0.001, 0.999], n, alpha)
        assert least <= hits <= most, f"{hits} of {n} at {alpha}, expected {least} to {most}"


def test_all_sign_patterns_of_a_model_give_the_binomial_law(rng):
    """Each unit of a turned or not, 2^6 ways: matches stay, agreements take every pattern once."""
    a, b = (models.base(rng, hidden=6, blocks=1) for _ in range(2))
    patterns, partners = set(), set()
    for flips in product((1, -1), repeat=6):
        turned = dict(a)
        up, down = (f"model.layers.0.mlp.{name}_proj.weight" for name in ("up", "down"))
        turned[up] = a[up] * np.float32(flips)[:, None]
        turned[down] = a[down] * np.float32(flips)
        matches = run_signs(*(Side(x, read_anatomy(x)) for x in map(_model, (turned, b))), 0)[1]
        (match,) = [m for m in matches if m.a.kind == "units"]
        patterns.add(tuple(match.signs))
        partners.add((tuple(match.units_a), tuple(match.units_b)))
    assert len(partners) == 1
    assert patterns == set(product((1.0, -1.0), repeat=len(match.signs)))


@pytest.mark.parametrize("hidden", ["llama-a-permuted", "llama-a-rotated"])
@pytest.mark.parametrize("base", ["llama-a", "llama-a-ft3", "llama-a-long", "llama-a-lora16"])
def test_hidden_relatives_are_found_exactly_and_the_evasion_is_named(zoo, hidden, base):
    record = compare(_path(base), _path(hidden))
    assert (record.verdict, record.basis) == ("dependent", "exact")
    assert hidden.removeprefix("llama-a-") in record.kind
    passing = {axis.axis for axis in record.axes if axis.passes}
    assert passing <= {"signs", "token units", "token signs"}
    assert all(part.verdict == "dependent" for part in record.parts if part.name == "decoder")


@pytest.mark.claim
def test_hidden_strangers_stay_strangers(zoo):
    for name in ("llama-b", "llama-c", "llama-distilled", "llama-b-int4", "llama-b-sorted"):
        for hidden in ("llama-a-permuted", "llama-a-rotated", "llama-a-ft2-disguised"):
            assert compare(_path(name), _path(hidden)).verdict == "no-evidence"


def test_flipped_signs_take_the_power_and_never_make_a_false_hit(zoo):
    a, b = _side("llama-a"), _side("llama-a-signs")
    _, matches = run_signs(a, b, 0)
    n_agree, n = sum(m.n_agree for m in matches), sum(len(m.signs) for m in matches)
    assert agreements_log10_sf(n_agree, n) > -3


def test_recovered_permutations_undo_the_hiding(zoo, tmp_path):
    from safetensors.numpy import load_file

    compare(
        _path("llama-a"),
        _path("llama-a-permuted"),
        options=Options(recover=tmp_path / "maps.safetensors"),
    )
    maps = load_file(tmp_path / "maps.safetensors")
    a, b = _side("llama-a").model, _side("llama-a-permuted").model
    up = "model.layers.2.mlp.up_proj.weight"
    x = a.rows(up)[maps["decoder.2.mlp.a"]][:, maps["residual.a"]]
    y = b.rows(up)[maps["decoder.2.mlp.b"]][:, maps["residual.b"]]
    assert np.allclose(x, y, atol=1e-5)


def test_recovered_rotation_maps_one_embedding_to_the_other(zoo, tmp_path):
    from safetensors.numpy import load_file

    compare(
        _path("llama-a"),
        _path("llama-a-rotated"),
        options=Options(recover=tmp_path / "maps.safetensors"),
    )
    rotation = load_file(tmp_path / "maps.safetensors")["residual.rotation"]
    a, b = _side("llama-a").model, _side("llama-a-rotated").model
    name = "model.embed_tokens.weight"
    assert np.allclose(rotation @ rotation.T, np.eye(96), atol=1e-4)
    assert np.allclose(a.rows(name) @ rotation, b.rows(name), atol=1e-3)


@pytest.mark.claim
def test_copied_blocks_in_both_models_count_once(rng):
    """Strangers, each one block stacked eight times: eight times the same coins are one set."""
    for _ in range(10):
        a, b = (models.keep_blocks(models.base(rng, blocks=1), [0] * 8) for _ in range(2))
        record = compare(_model(a), _model(b), effort="thorough")
        assert record.verdict in ("no-evidence", "not-testable")  # chance trends eight times over
        signs = next(axis for axis in record.axes if axis.axis == "signs")
        assert signs.log10_pvalue > -3


def test_tokens_are_chosen_by_text_where_tokenizers_differ(tmp_path, rng):
    import json

    arrays = models.base(rng)
    folders = []
    for name, words in (("a", ["x", "y", "z"]), ("b", ["z", "w", "x"])):
        folder = models.write(tmp_path / name, arrays)
        vocabulary = {"model": {"vocab": {w: i for i, w in enumerate(words)}}}
        (folder / "tokenizer.json").write_text(json.dumps(vocabulary))
        folders.append(open_model(folder))
    shared = shared_tokens(*folders, 40, 40, seed=0)
    assert shared.rows_a.tolist() == [0, 2]
    assert shared.rows_b.tolist() == [2, 0]
    assert shared.rule == {"by": "text", "n": 2}
    one = shared_tokens(*folders, 40, 40, seed=0, n_tokens=1)
    assert sorted(one.rows_a.tolist()) == [0, 2]  # the second is spare


def test_models_of_other_senses_say_so(zoo):
    a, b = _side("llama-a"), _side("vit-a")
    found = frames((a.model, a.anatomy), (b.model, b.anatomy), 0)
    assert found.code == "tokens-and-images"


def _model(arrays):
    from benchmarks.lib.null_models import CONFIG

    return model_from_arrays(arrays, config=CONFIG)


def test_only_planes_of_queries_and_keys_reach_a_disguised_relative(zoo):
    """They were left alone. Calibrated evidence does too: tests/evidence/test_calibrated.py."""
    record = compare(_path("llama-a-ft2"), _path("llama-a-ft2-disguised"))
    assert [axis.axis for axis in record.axes if axis.passes] == ["turns"]
    assert record.basis == "calibrated"


def _turned(rng):
    """The disguised relative with planes of queries and keys turned as well."""
    model = open_model(_path("llama-a-ft2-disguised"))
    arrays = {name: model.rows(name) for name in model.tensors}
    turned = rotate_queries_keys(arrays, read_anatomy(model), rng).arrays
    return model_from_arrays(turned, config=model.config)


@pytest.mark.claim
def test_no_exact_test_reaches_a_disguised_relative_whose_planes_are_turned(zoo, rng):
    record = compare(_path("llama-a-ft2"), _turned(rng))
    assert not any(axis.passes for axis in record.axes)
    assert record.basis == "calibrated"


@pytest.mark.xfail(strict=True, reason="under the effect cuts that framing needs: docs/limits.md")
def test_a_shared_seed_is_dependent(zoo):
    assert compare(_path("llama-c-ft1"), _path("llama-c-twin")).verdict == "dependent"


def test_half_a_shared_attention_is_found_by_its_planes(zoo):
    record = compare(_path("llama-a-new-mlps"), _path("merge-strangers"))
    assert (record.verdict, record.basis) == ("dependent", "exact-unconfirmed")
    assert [axis.axis for axis in record.axes if axis.passes] == ["turns"]


def test_a_disguised_relative_is_not_exonerated_without_controls(zoo, monkeypatch, rng):
    from weightkin.derivation import conclusion
    from weightkin.report.comparison import comparison_lines

    monkeypatch.setattr(conclusion, "load_controls", lambda own: ())
    record = compare(_path("llama-a-ft2"), _turned(rng))
    assert any("a relation is not ruled out" in line for line in comparison_lines(record))
    strangers = compare(_path("llama-a"), _path("llama-b"))
    assert not any("not ruled out" in line for line in comparison_lines(strangers))

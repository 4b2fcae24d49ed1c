"""Claim: a fixed sample of every table of docs/results.md holds; `make results` runs all."""

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from benchmarks.lib import claim
from benchmarks.lib.big_models import Shape
from benchmarks.lib.null_models import COPIED
from benchmarks.lib.tables import most_by_chance
from zoo import truth

from tests.evidence.layouts import LAYOUTS
from weightkin.evidence.ladder import EFFECT_CUT

ROOT = Path(__file__).parents[1]

minilm = claim("minilm")
speed = claim("speed")
validity = claim("validity")
zoo_laws = claim("zoo_laws")
zoo_pairs = claim("zoo_pairs")

SAMPLE = (
    "llama-a", "llama-b", "llama-c", "llama-c-twin", "llama-distilled", "llama-a-long",
    "llama-a-width", "llama-a-depth", "llama-a-upcycled", "llama-a-new-mlps", "llama-a-rotated",
    "gpt-a", "gpt-b", "gpt-a-ft1", "moe-a", "moe-b", "moe-a-ft1", "vit-a", "vit-b", "vit-a-ft1",
)  # fmt: skip


@pytest.mark.claim
def test_simulated_null_pairs_reject_no_more_than_alpha():
    found = validity.simulate(8, seed=1, workers=2)
    assert sum(r.n for r in found if r.what == "verdict") >= 200
    assert [r for r in found if not r.is_valid] == []


PAIRS = list(combinations(SAMPLE, 2))
CHUNKS = [pytest.param(k, marks=pytest.mark.claim(part=k % 6)) for k in range(9)]


def test_null_pairs_with_copies_of_their_own_parts_reject_no_more_than_alpha():
    found = validity.simulate_copied(4, seed=1, workers=2)
    assert {r.scenario for r in found} == {f"copies: {name}" for name in COPIED}
    assert [r for r in found if not r.is_valid] == []


@pytest.mark.claim
@pytest.mark.parametrize("how", LAYOUTS)
def test_null_pairs_of_every_layout_of_heads_reject_no_more_than_alpha(how):
    found = claim("head_layouts").simulate(30, 1, (how,))
    assert [r.n for r in found] == [30, 30]
    assert [r for r in found if not r.is_valid] == []


def test_the_sample_holds_enough_of_both():
    related = [truth.related(a, b) for a, b in PAIRS]
    assert related.count(True) > 20
    assert related.count(False) > 100


@pytest.mark.parametrize("chunk", CHUNKS)
def test_aligned_relatives_of_the_zoo_are_dependent_and_no_other_pair_is(zoo, chunk):
    outcomes = [zoo_pairs.compare_pair(pair) for pair in PAIRS[chunk :: len(CHUNKS)]]
    assert [(o.a, o.b, o.verdict) for o in outcomes if not zoo_pairs.is_right(o)] == []
    assert min(o.ratio for o in outcomes if o.related) > EFFECT_CUT
    assert min(o.log10_pvalue for o in outcomes if not o.related) > -4


@pytest.mark.claim
def test_trained_strangers_follow_the_law_of_coincidences(zoo):
    counts = zoo_laws.stranger_counts()
    n = counts.total()
    assert n > 1000
    for alpha in zoo_laws.ALPHAS:
        assert zoo_laws.rejections(counts, alpha) <= most_by_chance(n, alpha)
    for k, poisson in ((1, 0.632), (2, 0.264), (3, 0.080)):
        share = sum(v for key, v in counts.items() if key >= k) / n
        assert share == pytest.approx(poisson, abs=0.05)


@pytest.mark.claim(part=0)
def test_minilm_is_tied_to_its_copies_and_to_nothing_else(tmp_path):
    pytest.importorskip("torch")
    for name, (is_related, record) in minilm.compare_copies(tmp_path, n_steps=3).items():
        assert (record.verdict == "dependent") == is_related, name


@pytest.mark.claim
def test_compare_touches_few_bytes_of_a_larger_model(tmp_path):
    shape = Shape(width=512, hidden=2816, blocks=8, heads=8, kv_heads=2, vocabulary=8000)
    timings, memory = speed.measure(tmp_path, shape)
    sizes = (tmp_path / "base" / "model.safetensors").stat().st_size * 2
    by_way = {(t.pair, t.way): t for t in timings}
    assert by_way["related", "compare"].answer.startswith("dependent")
    assert by_way["independent", "compare"].answer.startswith("no evidence")
    assert by_way["related", "compare --effort quick"].bytes_read < 0.2 * sizes
    assert max(memory.values()) < 500e6


@pytest.mark.claim(part=1)
def test_the_demo_shows_the_family_of_the_zoo(zoo):
    run = [sys.executable, "-m", "benchmarks.demo"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "| wrong parent or direction | 0 |" in done.stdout
    assert "| merges: parents, and weights within 0.05 | 7 of 7 |" in done.stdout

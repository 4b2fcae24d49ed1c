"""Claim: where the obvious recipe rejects a true null, ours keeps its level, trap by trap.

Every pair of models below is independent. `tests/naive.py` holds the obvious recipes.
"""

import math

import numpy as np
import pytest
from benchmarks.lib.null_models import CONFIG, gaussian, null_model, sorted_by_norm
from benchmarks.lib.tables import most_by_chance

from tests import models, naive
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.anatomy.types import Axis
from weightkin.evidence.blind import run_signs
from weightkin.evidence.ladder import LADDER, total_log10
from weightkin.evidence.pair_tester import PairTester
from weightkin.evidence.pairs import pair_evidence
from weightkin.evidence.plan import Plan
from weightkin.evidence.stage import Stage, run_stage
from weightkin.evidence.units import run_units
from weightkin.evidence.views import frames
from weightkin.formats import model_from_arrays
from weightkin.stats import signs
from weightkin.stats.coincidences import log_evalues
from weightkin.stats.combining import stopped_log_evalue
from weightkin.stats.matching import match_rows
from weightkin.stats.order import longest_in_order, order_log10_sf

ALPHA = 0.05
GATE, UP = (f"model.layers.0.mlp.{name}_proj.weight" for name in ("gate", "up"))


def judge(draw, n, rng):
    """Draw ``n`` null pairs; the naive p-values must break the level, ours must keep it."""
    logs = np.array([draw(rng) for _ in range(n)])
    assert np.isfinite(logs).all()
    naive_hits, our_hits = (int(h) for h in (logs <= math.log10(ALPHA) + 1e-12).sum(axis=0))
    words = f"at {ALPHA} of {n} null pairs the naive recipe rejects {naive_hits}, ours {our_hits}"
    assert naive_hits > most_by_chance(n, ALPHA, 1 - 1e-6), words
    assert our_hits <= most_by_chance(n, ALPHA), words


def side(arrays, config=CONFIG):
    model = arrays if hasattr(arrays, "tensors") else model_from_arrays(arrays, config=config)
    return Side(model, read_anatomy(model))


def log10_of(stage):
    """P-value of one stage by itself; a stage that tested nothing rejects nothing."""
    return 0.0 if stage is None or not stage.tests else min(0.0, -stage.log_evalue / math.log(10))


def units_log10(a, b, through=None):
    name = "" if through is None else "token units"
    return log10_of(run_units(PairTester(a, b, Plan(64), 0, frames=through, name=name))[0])


def sign_log10(a, b, axis="mlp"):
    """Exact tail of all coins of one sort of axis; no coins reject nothing."""
    _, matches = run_signs(a, b, 0)
    own = [m for m in matches if m.a.name == axis]
    return signs.agreements_log10_sf(sum(m.n_agree for m in own), sum(len(m.signs) for m in own))


def rows(a, b, name):
    return a.model.rows(name), b.model.rows(name)


def leaning(rng, n, d):
    """Rows that lean to one side of their model, as gates do and as ups beside a constant may."""
    return (gaussian(rng, n, d) + 1.5 * gaussian(rng, 1, d)).astype(np.float32)


def test_both_models_sorted_by_importance(rng):
    def draw(rng):
        a, b = (side(null_model(sorted_by_norm, rng, hidden=64, blocks=1)) for _ in range(2))
        return naive.unguarded_log10(*rows(a, b, GATE)), units_log10(a, b)

    judge(draw, 150, rng)


def test_periodic_twins_of_one_seed_per_rank(rng):
    """Eight ranks drew the same units. (Twins that drifted apart are for the guard: `stats`.)"""

    def twins(rng):
        return side(null_model(lambda rng, n, d: np.tile(gaussian(rng, n // 8, d), (8, 1)), rng,
                               hidden=64, blocks=1))  # fmt: skip

    def draw(rng):
        a, b = twins(rng), twins(rng)
        return naive.assigned_log10(*rows(a, b, GATE)), units_log10(a, b)

    judge(draw, 150, rng)


@pytest.mark.claim
def test_copied_layers_in_both_models(rng):
    def draw(rng):
        a, b = (side(models.keep_blocks(models.base(rng, blocks=1), [0] * 8)) for _ in range(2))
        copies = [rows(a, b, GATE.replace(".0.", f".{i}.")) for i in range(8)]
        return naive.multiplied_log10(copies), units_log10(a, b)

    judge(draw, 100, rng)


@pytest.mark.claim
def test_copied_experts_in_both_models(rng):
    def upcycled(rng):
        arrays = models.base(rng, blocks=2)
        for block in range(2):
            layer = f"model.layers.{block}."
            for old, new in (("gate_proj", "w1"), ("up_proj", "w3"), ("down_proj", "w2")):
                x = arrays.pop(f"{layer}mlp.{old}.weight")
                for i in range(4):
                    arrays[f"{layer}block_sparse_moe.experts.{i}.{new}.weight"] = x
            arrays[f"{layer}block_sparse_moe.gate.weight"] = gaussian(rng, 4, 16)
        return side(arrays)

    def draw(rng):
        a, b = upcycled(rng), upcycled(rng)
        names = [f"model.layers.{i}.block_sparse_moe.experts.{j}.w1.weight"
                 for i in range(2) for j in range(4)]  # fmt: skip
        return naive.multiplied_log10([rows(a, b, n) for n in names]), units_log10(a, b)

    judge(draw, 100, rng)


def test_nested_samples_of_one_block(rng):
    axis = Axis(name="mlp", kind="units", stack="decoder", block=0, n_units=128, group="S_128",
                labels="decoder.0.mlp", places=())  # fmt: skip

    def draw(rng):
        x, y = gaussian(rng, 128, 16), gaussian(rng, 128, 16)
        ours = pair_evidence({"mlp.up": x}, {"mlp.up": y}, axis, axis, rng)
        return naive.nested_log10(x, y, range(110, 130, 2)), ours.log10_pvalue

    judge(draw, 400, rng)


def test_stopping_early_where_it_looks_best(rng):
    """The closed form bounds a sum fixed beforehand; over many blocks its best moment does not."""
    evalues = np.array([log_evalues(k) for k in range(20)])

    def draw(rng):
        counts = rng.poisson(1.0, 2000)  # coincidences of blocks of strangers
        ours = -stopped_log_evalue(list(evalues[counts])) / math.log(10)
        return naive.restarted_log10(counts), ours

    judge(draw, 800, rng)


def test_stages_paid_for_as_they_are_tried(rng):
    """Three stages of independent coins, escalated until one of them convinces."""
    n = 20_000
    tails = np.array([signs.agreements_log10_sf(k, n) for k in range(n // 2 - 400, n // 2 + 400)])
    names = list(LADDER)[:3]

    def stage(name, k):
        return Stage(name, signs.log_evalue(k, n), ("ran",), (), None, "either", ())

    def draw(rng):
        counts = rng.binomial(n, 0.5, 3)
        ours = total_log10([stage(x, k) for x, k in zip(names, counts, strict=True)])
        return naive.escalated_log10(tails[counts - (n // 2 - 400)]), ours

    judge(draw, 4000, rng)


def test_gate_and_up_that_cannot_be_told_apart(rng):
    """Names say nothing, and what comes second is in truth the gate: its signs are no coins."""

    def unnamed(rng):
        arrays = {}
        for block in range(2):
            layer = f"net.layer{block}.ffn."
            arrays |= {layer + "w_a.weight": gaussian(rng, 64, 16),
                       layer + "w_b.weight": leaning(rng, 64, 16),
                       layer + "w_c.weight": gaussian(rng, 64, 16).T}  # fmt: skip
            for name in "wxyz":
                arrays[f"net.layer{block}.mix.{name}.weight"] = gaussian(rng, 16, 16)
        return side(arrays, config={})

    def draw(rng):
        a, b = unnamed(rng), unnamed(rng)
        assert {x.kind for x in a.anatomy.axes} == {"units"}  # tested, but not for signs
        first, second = (rows(a, b, f"net.layer0.ffn.w_{x}.weight") for x in "ab")
        recipe = naive.trusting_coins_log10(first[0], second[0], first[1], second[1])
        return recipe, sign_log10(a, b)

    judge(draw, 150, rng)


@pytest.mark.parametrize("shape", ["clamped", "gpt-oss"])
def test_ups_that_are_added_to_a_constant(rng, shape):
    """(up + 1) * glu(gate) is not odd in up, so that training may turn all ups one way."""

    def plus_one(rng):
        arrays = models.base(rng, blocks=2)
        for block in range(2):
            layer = f"model.layers.{block}.mlp."
            gate, up = gaussian(rng, 64, 16), leaning(rng, 64, 16)
            down = gaussian(rng, 64, 16)
            for name in ("gate", "up", "down"):
                del arrays[f"{layer}{name}_proj.weight"]
            if shape == "gpt-oss":
                both = np.stack([gate, up], axis=1).reshape(128, 16).T  # interleaved
                arrays |= {layer + "experts.gate_up_proj": both[None],
                           layer + "experts.gate_up_proj_bias": np.zeros((1, 128), np.float32),
                           layer + "experts.down_proj": down[None],
                           layer + "experts.down_proj_bias": np.zeros((1, 16), np.float32),
                           layer + "router.weight": gaussian(rng, 1, 16)}  # fmt: skip
            else:
                arrays |= {layer + "gate_proj.weight": gate, layer + "up_proj.weight": up,
                           layer + "down_proj.weight": down.T}  # fmt: skip
        return side(arrays, {**CONFIG, "swiglu_limit": 7.0}), gate, up

    def draw(rng):
        (a, *of_a), (b, *of_b) = plus_one(rng), plus_one(rng)
        assert any(x.kind == "units" for x in a.anatomy.axes)
        ours = min(sign_log10(a, b, name) for name in ("mlp", "mlp.0"))
        return naive.trusting_coins_log10(*of_a, *of_b), ours

    judge(draw, 100, rng)


def test_coins_of_v_rows_counted_by_o_column(rng):
    """Four query heads read one V row, grown from one head: four columns, but one coin."""
    config = {"num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 8}

    def grouped(rng):
        arrays = models.base(rng, blocks=2)
        for block in range(2):
            layer = f"model.layers.{block}.self_attn."
            shared = gaussian(rng, 16, 16).reshape(2, 1, 8, 16)
            columns = shared + 0.3 * gaussian(rng, 64, 16).reshape(2, 4, 8, 16)
            arrays |= {layer + "q_proj.weight": gaussian(rng, 64, 16),
                       layer + "o_proj.weight": columns.reshape(64, 16).T}  # fmt: skip
        return side(arrays, config)

    def draw(rng):
        a, b = grouped(rng), grouped(rng)
        v, o = (rows(a, b, f"model.layers.0.self_attn.{x}_proj.weight") for x in "vo")
        by_head = [x.T.reshape(2, 4, 8, 16).transpose(1, 0, 2, 3).reshape(64, 16) for x in o]
        recipe = naive.coins_by_column_log10(v[0], by_head[0], v[1], by_head[1], 4)
        return recipe, sign_log10(a, b, "vo")

    judge(draw, 150, rng)


def test_units_matched_by_their_signed_cosine(rng):
    def draw(rng):
        a, b = (side(null_model(gaussian, rng, hidden=64, blocks=1)) for _ in range(2))
        return naive.signed_match_log10(*rows(a, b, UP)), sign_log10(a, b)

    judge(draw, 100, rng)


def test_partners_looked_for_near_the_diagonal(rng):
    def draw(rng):
        x, y = gaussian(rng, 100, 16), gaussian(rng, 100, 16)
        free = longest_in_order(match_rows(x, y, rng))
        return naive.banded_log10(x, y), order_log10_sf(free.length, free.n_units)

    judge(draw, 100, rng)


def test_tokens_chosen_by_comparing_embeddings(rng):
    def draw(rng):
        arrays = [models.base(rng, blocks=2) for _ in range(2)]
        for x in arrays:
            x["model.embed_tokens.weight"] = gaussian(rng, 600, 16)
            x["lm_head.weight"] = gaussian(rng, 600, 16)
        a, b = map(side, arrays)
        recipe = naive.chosen_tokens_log10(*rows(a, b, "model.embed_tokens.weight"), 64)
        return recipe, log10_of(run_stage(PairTester(a, b, Plan(64), 0), "residual", {}))

    judge(draw, 150, rng)


def test_streams_aligned_on_the_rows_that_are_scored(rng):
    def draw(rng):
        a, b = (side(null_model(gaussian, rng, hidden=32, blocks=1)) for _ in range(2))
        seen = frames((a.model, a.anatomy), (b.model, b.anatomy), 0)
        return naive.procrustes_log10(*rows(a, b, GATE)), units_log10(a, b, seen[:2])

    judge(draw, 150, rng)


@pytest.mark.parametrize("drift", [0.0, 0.6], ids=["fixed", "trained"])
def test_positions_that_are_sinusoids_under_a_learned_name(rng, drift):
    """Both models hold the same waves, fixed or trained from them, where learned ones belong."""
    i = np.arange(32)
    angle = np.arange(64)[:, None] * 10_000.0 ** (-2 * (i // 2) / 32)
    waves = np.where(i % 2, np.cos(angle), np.sin(angle)).astype(np.float32)

    def gpt(rng):
        arrays = {"wte.weight": gaussian(rng, 40, 32), "ln_f.weight": np.ones(32, np.float32),
                  "wpe.weight": waves + np.float32(drift) * gaussian(rng, 64, 32)}  # fmt: skip
        for name, shape in (("attn.c_attn", (32, 96)), ("attn.c_proj", (32, 32)),
                            ("mlp.c_fc", (32, 64)), ("mlp.c_proj", (64, 32))):  # fmt: skip
            for block in range(2):
                arrays[f"h.{block}.{name}.weight"] = gaussian(rng, *shape)
        return side({f"transformer.{k}": v for k, v in arrays.items()}, {"n_head": 4})

    def draw(rng):
        a, b = gpt(rng), gpt(rng)
        assert any(x.kind == "residual" for x in a.anatomy.axes)
        tables = [x.T for x in rows(a, b, "transformer.wpe.weight")]
        stage = run_stage(PairTester(a, b, Plan(64), 0), "residual", {})
        assert "wpe.weight contains sinusoidal position values" in stage.skipped[-1].sentence
        return naive.unguarded_log10(*tables), log10_of(stage)

    judge(draw, 40, rng)

"""Claim: a vocabulary in another order, or spelled otherwise, hides no copy and accuses nobody."""

import json

import numpy as np
import pytest
from benchmarks.lib.null_models import CONFIG
from scipy.stats import binom
from zoo import truth

from tests import models
from weightkin import evasions
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.api.compare import compare
from weightkin.derivation import conclusion
from weightkin.evidence import views
from weightkin.evidence.blind import run_signs
from weightkin.evidence.controls import load_controls
from weightkin.evidence.row_pairs import are_paired, pair_rows
from weightkin.evidence.token_tables import distinct_rows, tables_of, token_rows
from weightkin.evidence.views import frames
from weightkin.formats import model_from_arrays, open_model
from weightkin.records import left_out
from weightkin.report.reasons import why
from weightkin.stats.signs import agreements_log10_sf

TABLES = ("model.embed_tokens.weight", "lm_head.weight")


def _side(arrays, config=CONFIG):
    model = model_from_arrays(arrays, config=config)
    return Side(model, read_anatomy(model))


def _seen(a, b, n_tokens=512):
    return frames((a.model, a.anatomy), (b.model, b.anatomy), 0, n_tokens)


def _rows(side):
    tables = tables_of(side.model, side.anatomy)
    return token_rows(side.model, tables, np.arange(tables.n_tokens))


def _renumbered(arrays, order):
    return arrays | {name: arrays[name][order] for name in TABLES}


def _hidden(arrays, rng, config=CONFIG):
    for rewrite in (evasions.permute_units, evasions.rotate_residual):
        anatomy = read_anatomy(model_from_arrays(arrays, config=config))
        arrays = rewrite(arrays, anatomy, rng).arrays
    return arrays


def test_a_hidden_copy_of_renumbered_tokens_is_found(rng):
    base = models.base(rng, blocks=2)
    order = rng.permutation(len(base[TABLES[0]]))
    a, b = _side(base), _side(_renumbered(_hidden(base, rng), order))
    assert not are_paired(_rows(a), _rows(b))
    seen = _seen(a, b)
    assert seen[2] == {"by": "content", "n": len(order), "of": len(order)}
    stage, matches = run_signs(a, b, 0, seen[:2])
    assert all(m.n_agree == len(m.signs) for m in matches)
    assert stage.log_evalue > 20


def test_pairs_of_rows_are_right_whatever_order_rotation_and_length_of_a_few(rng):
    base = models.base(rng, blocks=1)
    order = rng.permutation(len(base[TABLES[0]]))[:36]  # some are gone
    changed = _hidden(models.child(base, rng, 0.02), rng)
    base[TABLES[0]][::9] *= 1e3  # tokens that nobody uses
    in_a, in_b = pair_rows(_rows(_side(base)), _rows(_side(_renumbered(changed, order))))
    assert len(in_a) >= 30
    assert (order[in_b] == in_a).all()


def test_tokens_of_equal_rows_stay_paired_by_row(rng):
    base = models.base(rng, blocks=1)
    seen = _seen(_side(base), _side(_hidden(models.child(base, rng), rng)))
    assert seen[2] == {"by": "rows"}


def test_the_pairing_sees_no_unit_and_no_index_of_the_stream(rng):
    """Units and heads in another order change no bit of it; a permuted stream changes no pair."""
    base, other = models.base(rng, blocks=1), models.base(rng, blocks=1)
    a, b = _side(base), _side(other)
    moved = _side(evasions.permute_units(other, b.anatomy, rng).arrays)
    for x, y in zip(_seen(a, b)[:2], _seen(a, moved)[:2], strict=True):
        assert np.array_equal(x.inputs, y.inputs)
        assert np.array_equal(x.outputs, y.outputs)
    turned = _side(evasions.permute_residual(other, b.anatomy, rng).arrays)
    for x, y in zip(pair_rows(_rows(a), _rows(b)), pair_rows(_rows(a), _rows(turned)), strict=True):
        assert np.array_equal(x, y)


def test_the_rows_that_are_paired_do_not_depend_on_their_order(rng):
    base = models.base(rng, blocks=1)
    base[TABLES[0]][3] = 0
    order = rng.permutation(len(base[TABLES[0]]))
    first, second = (
        distinct_rows(x.model, tables_of(x.model, x.anatomy), 12)
        for x in (_side(base), _side(_renumbered(base, order)))
    )
    assert len(first.inputs) == 12
    assert np.allclose(np.sort(first.lengths[0]), np.sort(second.lengths[0]))
    assert {x.tobytes() for x in first.inputs} == {x.tobytes() for x in second.inputs}


def test_the_rows_that_are_paired_are_the_furthest_from_the_mean_row(rng):
    base = models.base(rng, blocks=1)
    base[TABLES[0]][3], base[TABLES[0]][5] = 0, 1e-6 * base[TABLES[0]][5]  # not live, and short
    side = _side(base)
    tables = tables_of(side.model, side.anatomy)
    assert not tables.is_centred
    rows = base[TABLES[0]].astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1)
    unit = rows / np.where(lengths > 0, lengths, 1)[:, None]
    nearness = unit @ unit.sum(axis=0)
    nearness[[3, 5]] = np.inf
    wanted = np.sort(np.argsort(nearness)[:12])
    found = distinct_rows(side.model, tables, 12)
    assert np.allclose(found.inputs, unit[wanted], atol=1e-6)


def test_tables_too_large_to_be_read_whole_stay_paired_by_row_which_the_record_says(rng):
    base = models.base(rng, blocks=1)
    order = rng.permutation(len(base[TABLES[0]]))
    a, b = _side(base), _side({**base, **{name: base[name][order] for name in TABLES}})
    sides = (a.model, a.anatomy), (b.model, b.anatomy)
    assert frames(*sides, 0)[2]["by"] == "content"
    rule = frames(*sides, 0, most_bytes=1)[2]
    assert rule == {"by": "rows", "alike": False}
    note = left_out("", "tokens-beyond-sample", n_rows=40, rule=rule)
    assert "equal rows of the embedding (which have nothing in common)" in why(note)


def _folder(path, arrays, words):
    folder = models.write(path, arrays)
    vocabulary = {"model": {"vocab": {w: i for i, w in enumerate(words)}}}
    (folder / "tokenizer.json").write_text(json.dumps(vocabulary))
    model = open_model(folder)
    return Side(model, read_anatomy(model))


def test_texts_that_share_nothing_are_paired_by_content_or_not_at_all(tmp_path, rng):
    base = models.base(rng, blocks=1)
    n = len(base[TABLES[0]])
    a = _folder(tmp_path / "a", base, [f"t{i}" for i in range(n)])
    b = _folder(tmp_path / "b", base, [f"u{i}" for i in range(n)])
    assert _seen(a, b)[2]["by"] == "content"
    few, other = (_renumbered(x, np.arange(8)) for x in (base, models.base(rng, blocks=1)))
    a = _folder(tmp_path / "few-a", few, [f"t{i}" for i in range(8)])
    b = _folder(tmp_path / "few-b", other, [f"u{i}" for i in range(8)])
    assert _seen(a, b).code == "no-shared-token"
    assert "no-shared-token" in [x.code for x in compare(a.model, b.model).skipped]


@pytest.mark.claim("coins through content pairs")
def test_signs_through_content_pairs_are_fair_coins(rng, monkeypatch):
    """Unrelated models: p-values of 100 pairs, each drawn between its own and the next smaller."""
    monkeypatch.setattr(views, "MIN_BY_CONTENT", -1.0)  # whatever is paired
    pvalues = []
    for _ in range(100):
        a, b = (_side(models.base(rng, hidden=48, blocks=1)) for _ in range(2))
        seen = _seen(a, b)
        for m in run_signs(a, b, 0, seen[:2])[1] if seen[2]["by"] == "content" else ():
            n, k = len(m.signs), m.n_agree
            low = 10 ** agreements_log10_sf(k + 1, n) if k < n else 0.0
            pvalues.append(rng.uniform(low, 10 ** agreements_log10_sf(k, n)))
    n = len(pvalues)
    assert n >= 150
    for alpha in (0.1, 0.01, 0.001):
        least, most = binom.ppf([0.001, 0.999], n, alpha)
        assert least <= sum(p <= alpha for p in pvalues) <= most


@pytest.mark.claim("renumbered tokens")
@pytest.mark.parametrize(
    ("child", "verdict", "basis"),
    [
        ("llama-a-long", "dependent", "calibrated"),
        ("llama-b", "no-evidence", "exact"),
    ],
)
def test_changed_in_every_way_and_renumbered(zoo, rng, child, verdict, basis):
    record = compare(_path("llama-a"), _all_changed(child, rng))
    assert (record.verdict, record.basis) == (verdict, basis)
    assert record.parameters["views"]["rule"]["by"] == "content"


@pytest.mark.claim("renumbered tokens")
def test_without_controls_paired_by_content_nothing_is_said(zoo, rng, monkeypatch):
    given = [c for c in load_controls() if c.rows == "given"]
    monkeypatch.setattr(conclusion, "load_controls", lambda own: given)
    record = compare(_path("llama-a"), _all_changed("llama-a", rng))
    assert record.verdict == "no-evidence"
    assert record.calibration.statistic > 0.9
    assert [x.data["n"] for x in record.skipped if x.code == "too-few-by-content"] == [0]


def _path(name):
    return truth.ROOT / truth.load()[name]["path"]


def _all_changed(name, rng):
    model = open_model(_path(name))
    arrays = {name: model.rows(name) for name in model.tensors}
    written = evasions.change_all(arrays, read_anatomy(model), rng)
    order = rng.permutation(len(written.arrays[TABLES[0]]))
    config = model.config | written.config_changes
    return model_from_arrays(_renumbered(written.arrays, order), config=config)

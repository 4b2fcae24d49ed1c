"""Claim: sketches of relatives agree through tokens, in any residual basis; others hardly do."""

import sys

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from tests.conftest import ROOT
from weightkin.api.compare import compare
from weightkin.derivation.view_agreement import agreement, view_agreement
from weightkin.formats import model_from_arrays
from weightkin.report.comparison import comparison_lines
from weightkin.sketch import Scheme, take_sketch
from weightkin.sketch.source import open_model
from weightkin.sketch.stand_in import stand_in

sys.path.insert(0, str(ROOT / "zoo"))
import truth  # noqa: E402

RELATED = ("llama-a-ft1", "llama-a-ft3", "llama-a-int4", "llama-a-prune50", "llama-a-lora16",
           "llama-a-rotated", "llama-a-rescaled", "llama-a-signs", "llama-a-vocab",
           "merge-linear")  # fmt: skip
UNRELATED = (("llama-a", "llama-b"), ("llama-a", "llama-c"), ("llama-b", "llama-c"),
             ("llama-a", "llama-distilled"), ("llama-b", "llama-distilled"), ("moe-a", "moe-b"),
             ("llama-b-ft3", "llama-a-long"))  # fmt: skip


@pytest.fixture(scope="module")
def sketched(zoo):
    entries, found = truth.load(), {}

    def sketch(name):
        if name not in found:
            found[name] = stand_in(take_sketch(open_model(zoo / entries[name]["path"])))
        return found[name]

    return sketch


def rows_of(views, kind, order):
    x = getattr(views, kind)
    at = [x.blocks.index(key) for key in order]
    return x.values[at]


def slow_share(cosines, depth):
    """Every row against every other, one at a time."""
    n = len(depth)
    counts = [0, 0]
    for control in (False, True):
        for i in range(n):
            nearest = []
            for c in cosines:
                allowed = [k for k in range(n) if not control or depth[k] != depth[i]]
                j = max(allowed, key=lambda k, c=c: c[i, k])
                back = [k for k in range(n) if not control or depth[k] != depth[j]]
                is_mutual = max(back, key=lambda k, c=c, j=j: c[k, j]) == i and c[i, j] > 0
                nearest.append(j if is_mutual else None)
            if nearest[0] is not None and nearest[0] == nearest[1]:
                counts[control] += control or nearest[0] == i
    return counts[0] / n, counts[1] / n


@pytest.mark.parametrize("other", ["llama-a-long", "merge-strangers", "llama-c"])
def test_shares_are_those_of_a_slow_twin(sketched, other):
    a, b = (sketched(name).sketched for name in ("llama-a", other))
    order = a.views.units.blocks
    blocks = {key: key for key in order}
    x, y = (rows_of(s.views, "units", order) for s in (a, b))
    depth = np.repeat(np.arange(len(order)), x.shape[2])
    cosines = []
    for k in (0, 1):
        u, v = (z[:, k].reshape(len(depth), -1) for z in (x, y))
        u, v = (z - z.mean(axis=1, keepdims=True) for z in (u, v))
        c = (u / np.linalg.norm(u, axis=1)[:, None]) @ (v / np.linalg.norm(v, axis=1)[:, None]).T
        cosines.append(np.abs(c) if k else c)
    found = agreement("units", a.views, b.views, blocks)
    assert (found.share, found.control) == pytest.approx(slow_share(cosines, depth), abs=1e-4)
    x, y = (rows_of(s.views, "heads", order) for s in (a, b))
    cosines, levels = [], []
    for k in (0, 1):
        c = np.array([[u @ v / np.sqrt((u @ u) * (v @ v)) for v in y[:, k]] for u in x[:, k]])
        wrong = np.mean([c[i, j] for i in range(6) for j in range(6) if i != j])
        levels.append(np.median([(c[i, i] - wrong) / (1 - wrong) for i in range(6)]))
        cosines.append(c)
    found = agreement("heads", a.views, b.views, blocks)
    assert (found.share, found.control) == pytest.approx(slow_share(cosines, range(6)), abs=1e-4)
    assert found.level == pytest.approx(np.mean(levels), abs=1e-3)


@pytest.mark.parametrize("name", RELATED)
def test_relatives_agree_whatever_their_residual_basis(sketched, name):
    found, _ = view_agreement(sketched("llama-a"), sketched(name))
    assert found.units.share > 0.9
    assert found.units.control < 0.02
    assert found.heads.share == 1
    assert found.heads.level > 0.7


@pytest.mark.parametrize(("a", "b"), UNRELATED)
def test_unrelated_models_do_not(sketched, a, b):
    found, _ = view_agreement(sketched(a), sketched(b))
    assert found.units.share <= 0.005
    assert found.heads.share < 0.2  # one head by chance
    assert abs(found.heads.level) < 0.1


def test_units_of_an_unrelated_model_that_were_sorted_agree_hardly_more(zoo, sketched):
    """All units of each block, by assignment on both views: the framer who moves units alone."""
    models = [open_model(zoo / "models" / name) for name in ("llama-a", "llama-b")]
    arrays = {name: models[1].rows(name).copy() for name in models[1].tensors}
    for i in range(6):
        layer = f"model.layers.{i}."
        cosines = []
        for role in ("gate", "up"):
            seen = []
            for model in models:
                e = model.rows("model.embed_tokens.weight")
                gain = model.rows(f"{layer}post_attention_layernorm.weight")
                x = (model.rows(f"{layer}mlp.{role}_proj.weight") * gain) @ e.T
                x -= x.mean(axis=1, keepdims=True)
                seen.append(x / np.linalg.norm(x, axis=1, keepdims=True))
            c = seen[0] @ seen[1].T
            cosines.append(np.abs(c) if role == "up" else c)
        _, order = linear_sum_assignment(sum(cosines), maximize=True)
        for role in ("gate", "up"):
            name = f"{layer}mlp.{role}_proj.weight"
            arrays[name] = arrays[name][order]
        arrays[f"{layer}mlp.down_proj.weight"] = arrays[f"{layer}mlp.down_proj.weight"][:, order]
    framed = stand_in(take_sketch(model_from_arrays(arrays, config=models[1].config)))
    found, _ = view_agreement(sketched("llama-a"), framed)
    assert found.units.share < 0.1


def test_blocks_that_were_dropped_are_paired(sketched):
    found, _ = view_agreement(sketched("llama-a"), sketched("llama-a-depth"))
    assert (found.units.share, found.heads.share, found.heads.n) == (1, 1, 4)


def test_a_record_of_two_sketches_holds_and_shows_it(sketched):
    record = compare(sketched("llama-a"), sketched("llama-a-ft1"))
    assert record.token_views.units.share == 1
    lines = [line for line in comparison_lines(record, is_full=True) if "by tokens: two" in line]
    assert lines[0].startswith(
        "  units by tokens: two matrices match 100.0 % of 288 alike (between"
    )
    assert lines[1].startswith(
        "  key heads by tokens: two matrices match 100.0 % of 6 alike (between"
    )
    assert type(record).from_json(record.to_json()) == record


def test_whole_models_have_none(zoo):
    record = compare(zoo / "models" / "llama-a", zoo / "models" / "llama-a-ft1", effort="quick")
    assert record.token_views is None


def test_what_is_missing_says_why(sketched, zoo):
    old = stand_in(take_sketch(open_model(zoo / "models" / "llama-a"), Scheme(has_views=False)))
    record = compare(old, sketched("llama-a-ft1"))
    assert (record.verdict, record.token_views) == ("dependent", None)
    (line,) = (x for x in record.skipped if x.code == "no-token-views")
    assert line.data == {"model": "llama-a", "scheme": "ws1-r48-s16-c96-t64x32"}
    assert line.sentence.endswith("has no token views: sketch or add the model again")
    codes = {x.code for x in view_agreement(sketched("gpt-a"), sketched("gpt-a-ft1"))[1]}
    assert codes == {"no-mlp-in-both"}
    codes = {x.code for x in view_agreement(sketched("vit-a"), sketched("vit-a-ft1"))[1]}
    assert codes == {"no-embedding"}


def test_sketches_that_hold_everything_have_none(zoo):
    models = [open_model(zoo / "models" / name) for name in ("llama-a", "llama-a-ft1")]
    whole = [stand_in(take_sketch(model, Scheme.whole())) for model in models]
    assert view_agreement(*whole) == (None, ())

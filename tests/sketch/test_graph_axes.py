"""Claim: a sketch holds what tests of graph axes need, and reads their places as hostile."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.graph_axes import anatomy, axis, gaussian, grouped_net, grouped_weights, place
from weightkin.anatomy.side import Side
from weightkin.anatomy.stored import anatomy_text, stored_anatomy
from weightkin.errors import UnreadableModel
from weightkin.evidence.confirm import Draw
from weightkin.evidence.ladder import paid_log10, run_stages
from weightkin.evidence.plan import Plan
from weightkin.evidence.sample import make_plan, read_views
from weightkin.formats import model_from_arrays
from weightkin.sketch import take
from weightkin.sketch.stand_in import stand_in
from weightkin.sketch.take import take_sketch


@pytest.fixture
def sketched(monkeypatch):
    def of(arrays, *axes):
        monkeypatch.setattr(take, "read_anatomy", lambda _model: anatomy(*axes))
        sketch = take_sketch(model_from_arrays(arrays))
        return Side(stand_in(sketch), sketch.anatomy)

    return of


def test_runs_begin_where_units_do_and_end_with_whole_ones(rng, sketched):
    arrays = {
        "in": gaussian(rng, 400, 7, 3, 3),
        "out": gaussian(rng, 9, 400, 3),
        "gates": gaussian(rng, 800, 12),
        "flat": gaussian(rng, 20, 1600),
        "volume": gaussian(rng, 8, 2, 200, 2, 2),
    }
    own = axis(
        200,
        place("in", 0, 200, start=200),
        place("out", 1, 200, "w:1", start=200),
        place("gates", 0, 800, "w:2", outer=4),
        place("flat", 1, 800, "w:3", start=800, inner=4),
        place("volume", 2, 200, "w:4"),
        place("in", 0, 200, "b:5"),
        cell=20,
    )
    side = sketched(arrays, own)
    (cut,) = side.anatomy.axes
    assert [(p.role, p.dim, p.size, p.inner, p.outer) for p in cut.places] == [
        ("w:0", 0, 48, 1, 1), ("w:1", 1, 96, 3, 1), ("w:2", 0, 48, 1, 1), ("w:3", 1, 96, 4, 1),
        ("w:4", 1, 96, 4, 1), ("b:5", 0, 48, 1, 1),
    ]  # fmt: skip
    views = {p.role: p for p in cut.places}
    run = side.model.rows("in")[views["w:0"].start : views["w:0"].start + 48]
    assert np.array_equal(run, arrays["in"].reshape(400, -1)[200:248])
    seen = read_views(side.model, replace(cut, places=(views["w:3"],)), Plan(48))[0]["w:3"]
    whole = arrays["flat"].reshape(20, 400, 4)[: seen.shape[1] // 4, 200:224]
    assert np.array_equal(seen, whole.transpose(1, 2, 0).reshape(24, -1))


def test_sketches_alone_tell_a_child_from_an_unrelated_model(rng, sketched):
    axes = grouped_net(n=160, cell=8, blocks=3)
    base = grouped_weights(rng, n=160, blocks=3)
    child = {k: v + 0.1 * v.std() * gaussian(rng, *v.shape) for k, v in base.items()}
    a, b, c = (sketched(x, *axes) for x in (base, child, grouped_weights(rng, n=160, blocks=3)))

    def paid(x, y):
        plan = make_plan((x.model, x.anatomy), (y.model, y.anatomy))
        return paid_log10(run_stages(Draw(x, y, plan, 0), 1e-6).stages[0])

    assert paid(a, b) < -30
    assert paid(a, c) > -2


def test_stored_places_are_checked(rng, sketched):
    arrays = {"flat": gaussian(rng, 20, 96)}
    side = sketched(arrays, axis(24, place("flat", 1, 96, inner=4), cell=8))
    text = anatomy_text(side.anatomy)
    assert stored_anatomy(text, side.model.tensors, "s") == side.anatomy
    fields = json.loads(text)
    old = json.loads(text)
    del old["axes"][0]["places"][0]["outer"], old["axes"][0]["places"][0]["inner"]
    old["axes"][0]["n_units"], old["axes"][0]["head_size"] = 96, 0
    assert stored_anatomy(json.dumps(old), side.model.tensors, "s").axes[0].places[0].inner == 1
    for key, value in (("inner", 0), ("inner", 7), ("inner", -4), ("outer", 2), ("inner", "4"),
                       ("inner", 1), ("size", 97), ("dim", 2)):  # fmt: skip
        wrong = json.loads(json.dumps(fields))
        wrong["axes"][0]["places"][0][key] = value
        with pytest.raises(UnreadableModel, match="damaged sketch"):
            stored_anatomy(json.dumps(wrong), side.model.tensors, "s")
    wrong = json.loads(json.dumps(fields))
    wrong["axes"][0]["head_size"] = 7
    with pytest.raises(UnreadableModel, match="damaged sketch"):
        stored_anatomy(json.dumps(wrong), side.model.tensors, "s")

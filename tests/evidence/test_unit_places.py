"""Claim: units of graph axes are read wherever they stand, and tested inside their cells."""

import math
from itertools import permutations, product

import numpy as np
import pytest

from tests.graph_axes import (
    anatomy,
    axis,
    gaussian,
    grouped_net,
    grouped_weights,
    place,
    side,
    stages,
)
from weightkin.anatomy.positions import positions
from weightkin.evasions.places import finish, movable_units, random_order, relabel, widen
from weightkin.evidence.confirm import Draw
from weightkin.evidence.guard import Guard
from weightkin.evidence.labels import Copies
from weightkin.evidence.ladder import paid_log10, passes, run_stages
from weightkin.evidence.pairs import pair_evidence
from weightkin.evidence.plan import Plan, Run
from weightkin.evidence.sample import make_plan, read_places, read_views, view_places
from weightkin.evidence.scan import narrow, scan_pairs
from weightkin.evidence.submatrix import view_cost
from weightkin.evidence.unitmap import map_units
from weightkin.evidence.verdict import is_unconfirmed
from weightkin.evidence.views import TokenRows, token_views
from weightkin.formats import model_from_arrays
from weightkin.localise.blockscan import scan_blocks
from weightkin.stats.coincidences import mix_log_evalue


def _slowly(w, n, p, cell=0):
    """Each unit's entries along the dimension of a place, as its definition says."""
    rows = np.moveaxis(w, p.dim, 0)
    size, found = cell or n, []
    for u in range(n):
        g, j = divmod(u, size)
        cells = [(o * (n // size) + g) * p.repeat + r for o in range(p.outer)
                 for r in range(p.repeat)]  # fmt: skip
        at = [p.start + (c * size + j) * p.inner + i for c in cells for i in range(p.inner)]
        found.append(rows[at])
    return np.stack(found)


@pytest.mark.parametrize(
    ("shape", "dim", "start", "cell", "more"),
    [
        ((6, 5), 0, 0, 0, {}),
        ((9, 5, 3, 3), 0, 2, 0, {}),
        ((5, 6, 3, 3), 1, 0, 3, {}),
        ((5, 9, 3), 1, 3, 2, {}),
        ((4, 3, 6, 2), 2, 0, 0, {}),
        ((24, 5), 0, 0, 0, {"outer": 4}),
        ((5, 26), 1, 2, 0, {"inner": 4}),
        ((5, 24), 1, 0, 2, {"repeat": 4}),
        ((3, 24, 2), 1, 0, 3, {"outer": 2, "inner": 2}),
        ((2, 3, 6, 3, 3, 3), 2, 0, 0, {}),
    ],
)
def test_a_view_holds_every_entry_of_its_units_and_nothing_else(rng, shape, dim, start, cell, more):
    w = gaussian(rng, *shape)
    copies = math.prod(more.values())
    p = place("w", dim, 6 * copies, start=start, **more)
    own = axis(6, p, cell=cell)
    view = read_views(model_from_arrays({"w": w}), own, Plan(64))[0]["w:0"]
    expected = _slowly(w, 6, p, cell).reshape(6, -1)
    assert np.array_equal(np.sort(view, axis=1), np.sort(expected, axis=1))
    order = np.concatenate([g + np.roll(np.arange(cell or 6), 1) for g in range(0, 6, cell or 6)])
    wide = widen({"w": w})
    relabel(wide, own, own.places, order)
    moved = model_from_arrays(finish(wide, "").arrays)
    assert np.array_equal(read_views(moved, own, Plan(64))[0]["w:0"], view[order])
    again = read_views(moved, own, Plan(64), run=Run(2, 3))[0]["w:0"]
    assert np.array_equal(again, view[order][2:5])


def test_experts_are_read_one_by_one(rng):
    w = gaussian(rng, 3, 5, 8)
    own = axis(8, place("w", 1, 8, index=2))
    view = read_views(model_from_arrays({"w": w}), own, Plan(64))[0]["w:0"]
    assert np.array_equal(view, w[2].T)


def test_a_matrix_with_one_label_along_both_dimensions_is_no_view(rng):
    arrays = {"r": gaussian(rng, 32, 8), "w": gaussian(rng, 32, 5)}
    gates = axis(8, place("r", 0, 32, outer=4), place("r", 1, 8, "w:1"), place("w", 0, 32, "w:2",
                 outer=4))  # fmt: skip
    own = side(arrays, gates).axes("units")[0]
    assert [p.role for p in view_places(model_from_arrays(arrays), own)] == ["w:2"]
    first, second = (
        axis(8, place("r", 0, 32, outer=4), place("w", 0, 32, "w:2", outer=4), labels="one"),
        axis(8, place("r", 1, 8, "w:1"), block=1, labels="one"),
    )
    roles = [[p.role for p in x.places] for x in side(arrays, first, second).axes("units")]
    assert roles == [["b:0", "w:2"], ["b:1"]]


def test_expectation_is_at_most_one_over_all_relabellings_inside_cells(rng):
    """Two cells of three: the whole group, for several pairs, with unequal cells in the other."""
    for cell_a, cell_b in ((3, 3), (3, 6), (3, 0), (0, 3)):
        x, y = gaussian(rng, 6, 3), gaussian(rng, 6, 3)
        y[:3] = x[:3]  # the cells themselves are alike, only their labels are not
        values = []
        for p, q in product(permutations(range(3)), repeat=2):
            order = [*p, *(3 + i for i in q)]
            found = pair_evidence(
                {"w:0": x[order]}, {"w:0": y}, axis(6, cell=cell_a), axis(6, cell=cell_b), rng
            )
            values.append(np.exp(mix_log_evalue(found.grid)))
        assert np.mean(values) <= 1 + 1e-9


def test_the_scan_of_blocks_stays_inside_cells(rng):
    x = gaussian(rng, 6, 300)
    y = x + 0.01 * gaussian(rng, 6, 300)
    values = []
    for p, q in product(permutations(range(3)), repeat=2):
        order = [*p, *(3 + i for i in q)]
        table, could = scan_pairs([narrow(x[order], 6, rng, 3)], [narrow(y, 6, rng, 3)])
        assert could.all()
        values.append(np.exp(mix_log_evalue(table[0, 0])))
    assert np.mean(values) <= 1 + 1e-9
    assert max(values) > 1.5
    other = scan_pairs([narrow(x, 6, rng, 3)], [narrow(y, 6, rng, 2)])[1]
    assert not other.any()  # cells of different sizes are for the test of one pair


def test_windows_of_unequal_cells_fit_into_both(rng):
    x = gaussian(rng, 48, 32)
    found = pair_evidence({"w:0": x}, {"w:0": x}, axis(48, cell=24), axis(48, cell=16), rng)
    assert found.tests[0].statistic == 48
    swapped = x.reshape(6, 8, 32)[:, ::-1].reshape(48, 32)
    moved = pair_evidence({"w:0": x}, {"w:0": swapped}, axis(48, cell=24), axis(48, cell=16), rng)
    assert moved.tests[0].statistic < 6
    narrower = pair_evidence({"w:0": x}, {"w:0": x[:32]}, axis(48, cell=24), axis(32, cell=16), rng)
    assert narrower.tests[0].name == "coincidences"
    dropped = pair_evidence({"w:0": x}, {"w:0": x[4:36]}, axis(48), axis(32), rng)
    assert dropped.tests[0].name == "order"
    assert pair_evidence({"w:0": x}, {"w:0": x}, axis(48, cell=3), axis(48, cell=16), rng) is None


def test_a_child_is_found_and_an_unrelated_model_is_not(rng):
    axes = grouped_net(n=160, cell=5, blocks=3)
    base = grouped_weights(rng, n=160, blocks=3)
    child = {k: v + 0.1 * v.std() * gaussian(rng, *v.shape) for k, v in base.items()}
    found = stages(side(base, *axes), side(child, *axes))
    assert [stage.name for stage in found] == ["units"]
    assert passes(found[0], 1e-6)
    assert is_unconfirmed(found, 1e-6)  # no invariant of channels is known
    # at most 1/5! a window on either view: 32 windows and three blocks
    assert -3 * 32 * math.log10(120) < paid_log10(found[0]) < -80
    moved = widen(child)
    for own in movable_units(anatomy(*axes)):
        relabel(moved, own, own.places, random_order(rng, own))
    hidden = stages(side(base, *axes), side(finish(moved, "").arrays, *axes))
    other = stages(side(base, *axes), side(grouped_weights(rng, n=160, blocks=3), *axes))
    assert all(paid_log10(stage) > -2 for stage in (*hidden, *other))


def test_units_of_the_whole_model_do_not_prove_it_alone(rng):
    arrays = {"embed": gaussian(rng, 64, 96), "head": gaussian(rng, 20, 64)}
    stream = axis(64, place("embed", 0, 64), place("head", 1, 64, "w:1"), block=-1)
    found = stages(side(arrays, stream), side(arrays, stream), blind="never")
    assert [stage.name for stage in found] == ["residual"]
    assert paid_log10(found[0]) < -50


def test_cells_that_are_copies_of_each_other_count_once(rng):
    cell = gaussian(rng, 10, 64)
    x = np.concatenate([cell + 0.1 * gaussian(rng, 10, 64) for _ in range(6)])
    own = axis(60, cell=10)
    once = pair_evidence({"w:0": x[:10]}, {"w:0": x[:10]}, axis(10), axis(10), rng)
    all_six = pair_evidence({"w:0": x}, {"w:0": x}, own, own, rng)
    assert all_six.log10_pvalue > once.log10_pvalue - 1
    small = axis(60, cell=2)
    pairs_of_units = pair_evidence({"w:0": x}, {"w:0": x}, small, small, rng)
    assert pairs_of_units.log10_pvalue > -math.log10(2**8)


def test_cloned_channels_at_equal_numbers_count_once(rng):
    def widened(rng):
        x = gaussian(rng, 20, 64)
        return {"w:0": np.repeat(x, 2, axis=0) + 0.05 * gaussian(rng, 40, 64)}

    a, b = widened(rng), widened(rng)
    b["w:0"][::2] = a["w:0"][::2]
    own = axis(40, cell=10)
    found = pair_evidence(a, b, own, own, rng)
    assert found.tests[0].n_units == 20 or found.tests[0].statistic <= 20


@pytest.mark.parametrize("cell", [0, 4, 10])
def test_channels_that_begin_as_dirac_kernels_are_not_tested(rng, cell):
    def start(rng, n=80):
        w = 0.1 * gaussian(rng, n, n, 3, 3) / 10
        w[np.arange(n), np.arange(n), 1, 1] += 1
        return {"w": w}

    own = axis(80, place("w", 0, 80), cell=cell)
    found = stages(side(start(rng), own), side(start(rng), own), blind="never")
    assert all(not stage.tests for stage in found)
    codes = {x.code for stage in found for x in stage.skipped}
    assert codes & {"formula-behind", "order-carries-meaning"}


def test_grouped_dirac_kernels_are_found_inside_cells(rng):
    def start(rng, n=160, cell=5):
        w = 0.02 * gaussian(rng, n, cell, 3, 3)
        w[np.arange(n), np.arange(n) % cell, 1, 1] += 1
        return {"w": w}

    own = axis(160, place("w", 0, 160), cell=5)
    found = stages(side(start(rng), own), side(start(rng), own), blind="never")
    assert all(not stage.tests for stage in found)


def test_units_sorted_inside_their_cells_in_both_models_are_not_tested(rng):
    def sorted_cells(rng):
        x = gaussian(rng, 16, 10, 40)
        norm = np.linalg.norm(x, axis=2)
        return {"w": np.take_along_axis(x, norm.argsort(axis=1)[:, :, None], 1).reshape(160, 40)}

    own = axis(160, place("w", 0, 160), cell=10)
    a, b = side(sorted_cells(rng), own), side(sorted_cells(rng), own)
    found = stages(a, b, blind="never")
    assert all(not stage.tests for stage in found)
    guard = Guard()
    guard.look(own, {"w:0": a.model.rows("w")})
    assert guard.finding["pattern"] == "sorted"


def test_reading_stays_within_its_budget(rng):
    """Sixty axes of wide kernels: fewer features and units each, the cheapest views."""
    n, blocks = 256, 60
    axes = grouped_net(n=n, cell=8, blocks=blocks)
    big = {f"{i}.{k}": np.broadcast_to(np.float32(0), (n, n, 3, 3)) for i in range(blocks)
           for k in ("in", "out")}  # fmt: skip
    norms = {f"{i}.norm": np.ones(n, np.float32) for i in range(blocks)}
    model = model_from_arrays({**{k: np.zeros((1, 1), np.float32) for k in big}, **norms})
    for name, array in big.items():
        model.storage.arrays[name] = array
        info = model.tensors[name]
        object.__setattr__(info, "shape", array.shape)
        object.__setattr__(info, "n_bytes", array.size * 4)
    plan = make_plan((model, anatomy(*axes)), (model, anatomy(*axes)))
    cost = sum(
        view_cost(model, x, p, plan, min(plan.n_units, plan.share.n_units))
        for x in axes for p in read_places(model, x, plan)
    )  # fmt: skip
    assert cost <= 16 << 20
    assert plan.share.n_units * blocks >= 960


def test_positions_of_part_of_an_axis():
    own = axis(6, place("w", 1, 24, repeat=2, inner=2), cell=3)
    at = positions(own, own.places[0])
    assert at[4].tolist() == [14, 15, 20, 21]
    assert positions(own, own.places[0], 4, 1).tolist() == [[14, 15, 20, 21]]


@pytest.mark.parametrize("cell", [0, 20, 300])
def test_units_outside_the_sample_confirm_a_child_and_refute_a_fitted_one(rng, cell):
    def run(a, b):
        draw = Draw(a, b, Plan(64), 0)
        return run_stages(draw, 1e-6, blind="never").stages[0].confirmed

    axes = grouped_net(n=600, cell=cell, blocks=2)
    base = grouped_weights(rng, n=600, blocks=2)
    child = {k: v + 0.1 * v.std() * gaussian(rng, *v.shape) for k, v in base.items()}
    assert run(side(base, *axes), side(child, *axes)) == "second-run"
    fitted = grouped_weights(rng, n=600, blocks=2)
    for i in range(2):
        fitted[f"{i}.in"][:64] = base[f"{i}.in"][:64]
        fitted[f"{i}.out"][:, :64] = base[f"{i}.out"][:, :64]
    assert run(side(base, *axes), side(fitted, *axes)) == "refuted"


def test_units_and_blocks_are_mapped(rng):
    axes = grouped_net(n=80, cell=8, blocks=2)
    base = grouped_weights(rng, n=80, blocks=2)
    a, b = side(base, *axes), side(dict(base), *axes)
    wide = widen(base)
    order = random_order(rng, axes[0])
    relabel(wide, axes[0], axes[0].places, order)
    moved = side(finish(wide, "").arrays, *axes)
    found = map_units(a, moved, axes[0], axes[0])
    assert found.share_kept == 1.0
    assert order[list(found.units_b)].tolist() == list(found.units_a)
    (scan,) = scan_blocks(a, b, Plan(64), 0)[0]
    assert scan.by_blocks[0, 0] < -20
    assert scan.by_blocks[0, 1] > -2


def test_graph_views_are_never_seen_through_tokens(rng):
    own = axis(32, place("w", 0, 32))
    frame = TokenRows(gaussian(rng, 10, 6), gaussian(rng, 10, 6))
    model = model_from_arrays({"w": gaussian(rng, 32, 6)})
    assert token_views(model, own, frame, 32) == {}


def test_axes_made_from_one_share_labels_whatever_their_views_are_called(rng):
    x = gaussian(rng, 64, 40)
    first = axis(64, place("a", 0, 64), cell=8)
    second = axis(64, place("b", 0, 64, "w:7"), cell=8, block=1)
    copies = Copies()
    copies.look(first, {"w:0": x})
    copies.look(second, {"w:7": x + 0.5 * gaussian(rng, 64, 40)})
    copies.look(axis(64, place("c", 0, 64), block=2), {"w:0": gaussian(rng, 64, 40)})
    assert list(copies.groups().values()) == [0, 0, 2]

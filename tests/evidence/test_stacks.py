"""Claim: every stack of one file is compared with every stack of the other, and paid for."""

import numpy as np
import pytest
from benchmarks.lib.null_models import CONFIG

from tests import models
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.api.compare import compare
from weightkin.evidence.ladder import LADDER
from weightkin.evidence.stacks import MAX_PAIRINGS, other_pairings, restricted
from weightkin.formats import model_from_arrays


def _model(arrays):
    return model_from_arrays(arrays, config=CONFIG)


def _under(prefix, arrays):
    return {prefix + name: x for name, x in arrays.items()}


def _side(arrays):
    model = _model(arrays)
    return Side(model, read_anatomy(model))


@pytest.mark.claim
@pytest.mark.parametrize(
    ("copy", "other"), [("teacher.", ""), ("", "a."), ("main.", "a_decoy."), ("vision.", "")]
)
def test_a_network_beside_the_copy_hides_nothing_from_either_side(rng, copy, other):
    a, decoy, stranger = (models.base(rng) for _ in range(3))
    both = _model(_under(copy, models.child(a, rng)) | _under(other, decoy))
    for pair in ((_model(a), both), (both, _model(a))):
        record = compare(*pair)
        assert (record.verdict, record.basis) == ("dependent", "exact")
        assert sum(part.verdict == "dependent" for part in record.parts) >= 1
    assert compare(_model(stranger), both).verdict == "no-evidence"


def test_blocks_and_parts_carry_the_names_of_both_stacks(rng):
    a, decoy = models.base(rng), models.base(rng)
    record = compare(_model(a), _model(_under("teacher.", a) | decoy))
    blocks = {(x.block_a, x.block_b, x.relation) for x in record.layers}
    assert blocks == {(f"decoder.{i}", f"teacher.decoder.{i}", "kept") for i in range(4)}
    assert [p.name for p in record.parts if p.verdict == "dependent"] == [
        "decoder (in b: teacher.decoder)"
    ]
    assert record.kind_details["stacks"] == {"a": "decoder", "b": "teacher.decoder"}
    assert record.kind == ("part",)  # b holds all values of a: that needs no names
    changed = compare(_model(a), _model(_under("teacher.", models.child(a, rng)) | decoy))
    assert changed.kind == compare(_model(a), _model(models.child(a, rng))).kind
    tests = {t.block_b for t in record.tests if t.log10_pvalue < -10}
    assert tests
    assert all(block.startswith("teacher.decoder") for block in tests)


@pytest.mark.claim
def test_what_other_stacks_show_is_paid_for(rng):
    """The weight of the stage, and one more factor for every pairing of stacks."""
    a, decoy = models.base(rng), models.base(rng)
    plain = compare(_model(a), _model(a)).log10_pvalue
    one = compare(_model(a), _model(_under("teacher.", a) | decoy)).log10_pvalue
    networks = _under("x.", a) | _under("y.", decoy) | _under("z.", models.base(rng))
    three = compare(_model(a), _model(networks)).log10_pvalue
    assert one == pytest.approx(plain - np.log10(LADDER["other stacks"]), abs=1e-6)
    assert three == pytest.approx(one + np.log10(3), abs=1e-6)


def test_stacks_of_equal_names_alone_keep_their_figures(rng):
    """A tower of other shapes is nothing that the decoder could be compared with."""
    from benchmarks.lib.null_models import gaussian, llama_arrays

    a = models.base(rng)
    b = models.child(a, rng)
    tower = llama_arrays(gaussian, rng, hidden=40, blocks=2, heads=3, size=4)
    wide = {f"vision_tower.{k}": np.repeat(v, 3, axis=-1) for k, v in tower.items()
            if ".layers." in k and "down_proj" not in k}  # fmt: skip
    alone, beside = compare(_model(a), _model(b)), compare(_model(a), _model(b | wide))
    assert not other_pairings(_side(a), _side(b | wide))
    assert {x.axis: x.log10_pvalue for x in beside.axes if x.axis in ("units", "vo")} == {
        x.axis: x.log10_pvalue for x in alone.axes if x.axis in ("units", "vo")
    }


@pytest.mark.parametrize("names", [("x.", "y."), ("", "teacher."), ("x.", "y.", "z.")])
def test_without_evidence_the_tests_of_every_stack_of_b_are_shown(rng, names):
    networks = {}
    for name in names:
        networks |= _under(name, models.base(rng))
    record = compare(_model(models.base(rng)), _model(networks))
    stacks = {block.rpartition(".")[0] for t in record.tests if (block := t.block_b)[-1].isdigit()}
    assert record.verdict == "no-evidence"
    assert stacks == {f"{name}decoder" for name in names}
    assert record.log10_pvalue > -2


def test_a_part_that_two_models_share_is_named_beside_stacks_that_differ(rng):
    tower = {k: v for k, v in models.base(rng).items() if ".layers." in k}
    a = models.base(rng) | _under("vision_tower.", tower)
    b = models.base(rng) | _under("photo_part.", tower)
    parts = {p.name: p.verdict for p in compare(_model(a), _model(b)).parts}
    assert parts["vision (in b: photo_part.decoder)"] == "dependent"
    assert parts["decoder"] == "no-evidence"
    same = {p.name: p.verdict for p in compare(
        _model(models.base(rng) | _under("vision_tower.", tower)), _model(a)).parts}  # fmt: skip
    assert (same["vision"], same["decoder"]) == ("dependent", "no-evidence")


def test_two_files_with_averages_of_their_weights_show_nothing(rng):
    """Weights and their average share labels in both files: they are averaged, not multiplied."""
    files = []
    for _ in range(2):
        x = models.base(rng, blocks=2)
        files.append(_model(x | _under("ema.", models.child(x, rng, noise=0.1))))
    record = compare(*files, effort="thorough")
    assert record.verdict == "no-evidence"
    assert record.log10_pvalue > -2
    assert compare(files[0], files[0]).verdict == "dependent"


def test_many_networks_are_capped_with_a_line(rng):
    networks = {}
    for i in range(12):
        networks |= _under(f"n{i}.", models.base(rng, blocks=2))
    others = {}
    for i in range(8):
        others |= _under(f"m{i}.", models.base(rng, blocks=2))
    record = compare(_model(networks), _model(others), effort="quick")
    left = 12 * 8 - MAX_PAIRINGS
    assert f"{left} pairings of stacks" in {s.what for s in record.skipped}
    assert any(s.what.startswith("order-independent tests of") for s in record.skipped)
    assert record.incomplete


def test_a_restricted_side_is_one_stack_under_its_new_name(rng):
    side = _side(models.base(rng) | _under("teacher.", models.base(rng)))
    one = restricted(side, "teacher.decoder", "decoder")
    assert {axis.stack for axis in one.anatomy.axes} == {"decoder"}
    assert all(place.tensor.startswith("teacher.") for x in one.anatomy.axes for place in x.places)
    assert {axis.kind for axis in one.anatomy.axes} == {"units", "vo", "heads", "residual"}

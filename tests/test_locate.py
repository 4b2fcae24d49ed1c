"""Claim: locate names the blocks, units, dimensions and tensors that two models have in common."""

import json

import numpy as np
import pytest

from tests import models
from weightkin.api.locate import locate
from weightkin.errors import UnreadableModel
from weightkin.formats import model_from_arrays
from weightkin.records.location import Location
from weightkin.report.heatmap import ASCII_SHADES, heat_lines, location_lines, map_words

KEPT = {i: [i] for i in range(6)}
# parent, child, blocks of b that each block of a went to (none: dropped)
KNOWN = {
    "depth-pruned": ("llama-a", "llama-a-depth", {0: [0], 1: [1], 3: [2], 5: [3]}),
    "width-pruned": ("llama-a", "llama-a-width", KEPT),
    "width-pruned, plain MLP": ("gpt-a", "gpt-a-width", {i: [i] for i in range(4)}),
    "stacked": ("llama-a-ft1", "merge-stack",
                {0: [0], 1: [1], 2: [2, 4], 3: [3, 5], 4: [6], 5: [7]}),
    "one block retrained": ("llama-a", "llama-a-new-block", {i: [i] for i in (0, 1, 2, 4, 5)}),
    "all MLPs retrained": ("llama-a", "llama-a-new-mlps", KEPT),
    "vocabulary extended": ("llama-a", "llama-a-vocab", KEPT),
    "upcycled": ("llama-a", "llama-a-upcycled", KEPT),
    "hybrid, first base": ("llama-a", "hybrid-ab", {i: [i] for i in (0, 2, 4)}),
    "hybrid, second base": ("llama-b", "hybrid-ab", {i: [i] for i in (1, 3, 5)}),
}  # fmt: skip


@pytest.fixture(scope="module")
def truth(zoo):
    return json.loads((zoo / "truth.json").read_text())


@pytest.fixture(scope="module")
def located(zoo, truth):
    def find(a, b):
        return locate(*(zoo / truth[name]["path"] for name in (a, b)))

    return {kind: find(a, b) for kind, (a, b, _) in KNOWN.items()}


def _model(arrays, name="m"):
    return model_from_arrays(arrays, name=name, config=models.CONFIG)


def _number(block):
    return int(block.rsplit(".", 1)[1])


def _pairs(record):
    return {(_number(x.block_a), _number(x.block_b)) for x in record.matched}


@pytest.mark.parametrize("kind", KNOWN)
def test_block_map_of_a_known_answer_is_right(kind, located, truth):
    record, blocks = located[kind], KNOWN[kind][2]
    assert _pairs(record) == {(i, j) for i, targets in blocks.items() for j in targets}
    found = {x.relation: set() for x in record.layers}
    for x in record.layers:
        found[x.relation].add((x.block_a, x.block_b))
    m = record.matrices[0]
    dropped = {(f"decoder.{i}", "") for i in range(len(m.blocks_a)) if i not in blocks}
    reached = {j for targets in blocks.values() for j in targets}
    inserted = {("", f"decoder.{j}") for j in range(len(m.blocks_b)) if j not in reached}
    assert (found.get("dropped", set()), found.get("inserted", set())) == (dropped, inserted)
    assert record.is_monotone == (kind != "stacked")


@pytest.mark.parametrize("kind", KNOWN)
def test_unit_maps_of_a_known_answer_are_right_in_99_percent(kind, located, truth):
    record = located[kind]
    kept = truth[KNOWN[kind][1]]["kind_details"].get("kept_units")
    n_right = n_all = 0
    for m in record.unit_maps:
        origin = range(m.n_units_b)  # which unit of a each unit of b is
        if kept and m.axis == "units":
            origin = kept[_number(m.block_b)]
        right = sum(origin[j] == i for i, j in zip(m.units_a, m.units_b, strict=True))
        n_all += max(len(origin), len(m.units_a))
        n_right += right
        assert m.in_order
        assert m.n_flipped == 0
    assert n_right >= 0.99 * n_all
    axes = {(m.block_a, m.block_b, m.axis) for m in record.unit_maps}
    wanted = {"vo"} if kind == "all MLPs retrained" else {"units", "vo"}
    assert axes == {(x.block_a, x.block_b, k) for x in record.matched for k in wanted}


def test_every_expert_of_an_upcycled_model_is_mapped(located):
    maps = [m for m in located["upcycled"].unit_maps if m.axis == "units"]
    assert {(m.block_b, m.name_b) for m in maps} == {
        (f"decoder.{i}", f"mlp.{e}") for i in range(6) for e in range(4)
    }


def test_tensors_tell_the_two_bases_of_a_hybrid_apart(located):
    equal = {
        base: {t.name_b for t in located[f"hybrid, {base} base"].tensors if t.relation == "equal"}
        for base in ("first", "second")
    }
    assert not equal["first"] & equal["second"]
    assert len(equal["first"] | equal["second"]) == located["hybrid, first base"].n_tensors_b
    assert "lm_head.weight" in equal["first"]


def test_residual_width_is_kept_by_every_relative_and_not_by_the_second_base(located):
    for kind, record in located.items():
        (residual,) = record.residual
        is_kept = kind != "hybrid, second base"
        assert (residual.log10_pvalue <= -6) == is_kept
        assert (residual.kept_a == residual.kept_b == tuple(range(residual.n_a))) == is_kept


@pytest.mark.parametrize(("a", "b"), [("llama-a", "llama-b"), ("llama-a", "llama-distilled"),
                                      ("gpt-a", "gpt-b"), ("moe-a", "moe-b"),
                                      ("vit-a", "vit-b")])  # fmt: skip
def test_strangers_share_nothing(a, b, zoo, truth):
    record = locate(*(zoo / truth[name]["path"] for name in (a, b)))
    assert record.log10_pvalue > -3
    assert record.layers == record.unit_maps == ()
    assert record.residual[0].kept_a == ()
    assert {t.relation for t in record.tensors} <= {"other"}
    assert record.sentence.startswith("no block of a was found in b (p = ")


def test_swapping_the_models_mirrors_the_answer(located, zoo, truth):
    for kind in ("depth-pruned", "width-pruned", "stacked", "upcycled"):
        a, b, _ = KNOWN[kind]
        there = located[kind]
        back = locate(*(zoo / truth[name]["path"] for name in (b, a)))
        for x, y in zip(there.matrices, back.matrices, strict=True):
            np.testing.assert_allclose(x.log10_pvalues, np.transpose(y.log10_pvalues), rtol=1e-6)
        assert {(j, i) for i, j in _pairs(back)} == _pairs(there)
        units = {(m.block_a, m.name_a, m.block_b, m.name_b): m for m in there.unit_maps}
        for m in back.unit_maps:
            other = units[m.block_b, m.name_b, m.block_a, m.name_a]
            assert set(zip(m.units_b, m.units_a, strict=True)) == set(
                zip(other.units_a, other.units_b, strict=True)
            )


def test_the_record_survives_json(located):
    record = located["stacked"]
    assert Location.from_json(record.to_json()) == record
    data = json.loads(record.to_json())
    assert data["schema"] == "weightkin/location/2"
    assert {x["relation"] for x in data["layers"]} == {"kept", "moved", "repeated"}


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": "other"}',
                                  '{"schema": "weightkin/location/2"}'])  # fmt: skip
def test_a_text_that_is_no_record_is_refused_in_one_line(text):
    with pytest.raises(UnreadableModel, match="^record: "):
        Location.from_json(text)


def test_flipped_rescaled_and_reordered_units_are_described(rng):
    old = models.base(rng, hidden=64)
    new = dict(old)
    sign = rng.choice([-1.0, 1.0], 64).astype(np.float32)
    layer = "model.layers.1.mlp."
    new[layer + "up_proj.weight"] = 2 * sign[:, None] * old[layer + "up_proj.weight"]
    new[layer + "down_proj.weight"] = 0.5 * sign * old[layer + "down_proj.weight"]
    m = next(
        x for x in locate(_model(old), _model(new)).unit_maps
        if (x.axis, x.block_a) == ("units", "decoder.1")
    )  # fmt: skip
    assert m.n_flipped == (sign < 0).sum()
    assert m.units_a == m.units_b == tuple(range(64))
    assert m.scale["mlp.up"].median == pytest.approx(2, rel=1e-3)
    assert m.scale["mlp.down"].median == pytest.approx(0.5, rel=1e-3)


def test_a_repeated_block_is_named_and_stays_monotone(rng):
    old = models.base(rng)
    record = locate(_model(old), _model(models.keep_blocks(old, [0, 1, 1, 2, 3])))
    assert [(x.block_a[-1], x.block_b[-1]) for x in record.layers if x.relation == "repeated"] == [
        ("1", "1"),
        ("1", "2"),
    ]
    assert record.is_monotone


def test_swapped_blocks_are_not_monotone_and_said_so(rng):
    old = models.base(rng)
    record = locate(_model(old), _model(models.keep_blocks(old, [0, 2, 1, 3])))
    assert not record.is_monotone
    assert len(record.monotone_map) == 3
    assert "not in order" in record.sentence
    assert any("in another order" in line for line in map_words(record))


def test_dimensions_kept_by_a_narrower_model_are_named(rng):
    old = models.base(rng)
    kept = np.sort(rng.choice(16, 12, replace=False))
    new = {}
    for name, v in old.items():
        rows_are_width = "down_proj" in name or "o_proj" in name or v.ndim == 1
        new[name] = v[kept] if rows_are_width else v[:, kept]
    (residual,) = locate(_model(old), _model(models.child(new, rng, noise=0.1))).residual
    assert (residual.test, residual.n_a, residual.n_b) == ("order", 16, 12)
    assert residual.kept_a == tuple(kept.tolist())
    assert residual.kept_b == tuple(range(12))


def test_two_sorted_relatives_are_described_without_a_pvalue(rng):
    from benchmarks.lib.null_models import null_model, sorted_by_norm

    a = null_model(sorted_by_norm, rng, hidden=64, blocks=4)
    arrays = {name: a.rows(name) for name in a.tensors}
    record = locate(a, _model(models.child(arrays, rng, noise=0.05)))
    units = next(m for m in record.matrices if m.axis == "units")
    assert units.trusts == ""
    assert not np.any(units.log10_pvalues)
    assert "units of decoder" in record.descriptive
    assert any("the unit order is not random in either model" in s.sentence for s in record.skipped)
    assert any(m.axis == "units" for m in record.unit_maps)


def test_two_sorted_strangers_show_nothing(zoo, truth):
    names = "llama-a-sorted", "llama-b-sorted"
    record = locate(*(zoo / truth[name]["path"] for name in names))
    assert record.descriptive == ("units of decoder",)
    assert record.layers == ()


def test_framed_strangers_are_not_on_the_map(rng):
    """Units sorted to line up with a: the matrix is dark, but no block is said to be kept."""
    from scipy.optimize import linear_sum_assignment

    a, b = models.base(rng, hidden=192, blocks=2), models.base(rng, hidden=192, blocks=2)
    for block in range(2):
        keys = [f"model.layers.{block}.mlp.{name}.weight" for name in models.PROJECTIONS]
        rows = [[m[k] / np.linalg.norm(m[k], axis=1)[:, None] for k in keys] for m in (a, b)]
        cosine = sum(x @ y.T for x, y in zip(*rows, strict=True))
        b = models.map_units(b, block, linear_sum_assignment(-cosine)[1])
    record = locate(_model(a), _model(b))
    assert record.log10_pvalue < -6
    assert record.layers == ()
    assert "no more alike than by chance" in record.sentence
    assert any("no more alike than by chance" in s.sentence for s in record.skipped)


def test_nothing_in_common_is_not_testable(rng):
    record = locate(_model(models.base(rng)), _model({"t": np.zeros(())}))
    assert record.sentence.startswith("not testable: ")
    assert record.n_hypotheses == 0
    Location.from_json(record.to_json())


def test_the_report_is_readable_and_safe(located):
    lines = location_lines(located["stacked"])
    text = "\n".join(lines)
    assert lines[0] == located["stacked"].sentence
    assert "blocks of decoder: 0-1 kept, 2-3 -> 2-3 (repeated), 2-3 -> 4-5 (repeated)" in text
    assert "     2 ··█·█···" in lines
    plain = "\n".join(location_lines(located["stacked"], is_unicode=False))
    assert "     2 ..#.#..." in plain
    assert plain.isascii()


def test_long_stacks_are_grouped_in_the_heat_map(located):
    from dataclasses import replace

    n = 130
    table = np.where(np.eye(n), -200.0, 0.0).tolist()
    names = tuple(f"x.{i}" for i in range(n))
    wide = replace(
        located["stacked"].matrices[0],
        blocks_a=names, blocks_b=names, log10_pvalues=tuple(tuple(r) for r in table),
    )  # fmt: skip
    lines = heat_lines(wide, ASCII_SHADES)
    assert len(lines) == 2 + 44
    assert "3 x 3 pairs per character" in lines[0]
    assert [line[7:].index("#") for line in lines[2:]] == list(range(44))


def test_names_from_files_cannot_move_the_cursor(rng):
    evil = _model(models.base(rng), name="x")
    from dataclasses import replace

    record = locate(evil, evil)
    record = replace(record, a=replace(record.a, source="\x1b[2Jx"))
    assert "\x1b" not in "\n".join(location_lines(record))


def test_a_location_is_verified_and_every_altered_field_is_noticed(located):
    from dataclasses import replace

    from weightkin.api.differences import differences
    from weightkin.api.verify import verify

    record = located["stacked"]
    assert verify(record) == []
    for change in ({"alpha": 0.5}, {"layers": ()}, {"is_monotone": not record.is_monotone}):
        assert differences(record, replace(record, **change))


def test_the_command_prints_the_record_and_the_words(zoo, truth):
    from tests.commands import command

    paths = [str(zoo / truth[name]["path"]) for name in ("llama-a", "llama-a-depth")]
    assert Location.from_json(command("locate", *paths, "--json").stdout).layers
    assert command("locate", *paths).stdout.startswith(
        "4 of 6 blocks of a found in b, in order (p <= 1e-"
    )


def test_an_incomplete_model_exits_with_two(rng, monkeypatch):
    from tests.commands import command
    from weightkin.formats.model import Problem

    whole = _model(models.base(rng))
    from dataclasses import replace

    part = replace(whole, problems=(Problem("shard 2", "missing"),))
    monkeypatch.setattr("weightkin.sketch.source.open_model", lambda source: part)
    assert command("locate", "a", "b").returncode == 2


def test_large_matrices_are_mapped_from_few_rows():
    from benchmarks.lib.big_models import Shape, made

    shape = Shape(width=1536, hidden=2048, blocks=2, heads=8, kv_heads=8, vocabulary=64)
    a, b = made(shape, 1)[0], made(shape, 1, 0.3)[0]
    record = locate(a, b)
    assert record.bytes_read < 0.6 * (a.n_bytes + b.n_bytes)
    maps = {(m.axis, m.block_a): m for m in record.unit_maps}
    assert len(maps) == 4
    for m in maps.values():
        assert set(m.scale) == {"mlp.down" if m.axis == "units" else "attn.o"}
        assert m.units_a == m.units_b == tuple(range(m.n_units_a))


def _under(prefix, arrays):
    return {prefix + name: x for name, x in arrays.items()}


@pytest.mark.parametrize(
    ("here", "copy", "decoy"),
    [
        ("", "main.", "a_decoy."),  # the copy stands behind a decoy
        ("", "teacher.", ""),  # beside a network under its own name
        ("model.", "ema.", "model."),
    ],
)
def test_a_stack_under_another_name_is_found_by_what_it_holds(rng, here, copy, decoy):
    a, other = models.base(rng), models.base(rng)
    b = _under(copy, models.child(models.keep_blocks(a, [0, 1, 3]), rng))
    b |= _under(decoy, other)
    for is_turned in (False, True):
        pair = (_model(_under(here, a)), _model(b))
        record = locate(*pair[:: -1 if is_turned else 1])
        pairs = {(x.block_a, x.block_b) for x in record.matched}
        if is_turned:
            pairs = {(y, x) for x, y in pairs}
        assert {(_number(x), _number(y)) for x, y in pairs} == {(0, 0), (1, 1), (3, 2)}
        assert all(y.startswith(copy) for _, y in pairs)
        assert record.log10_pvalue < -20
        assert {m.block_b for m in record.unit_maps} == {x.block_b for x in record.matched}
        assert any(r.log10_pvalue < -8 for r in record.residual)
        assert Location.from_json(record.to_json()) == record
    lines = map_words(record)
    assert any("(in b: " in line and "inserted" in line for line in lines)


def test_two_networks_whose_names_were_swapped_are_found(rng):
    one, other = models.base(rng), models.base(rng)
    swapped = _under("y.", models.child(one, rng)) | _under("x.", models.child(other, rng))
    record = locate(_model(_under("x.", one) | _under("y.", other)), _model(swapped))
    assert {(x.block_a, x.block_b) for x in record.matched} == {
        (f"{p}.decoder.{i}", f"{q}.decoder.{i}") for p, q in ("xy", "yx") for i in range(4)
    }
    assert "blocks of x.decoder (in b: y.decoder): 0-3 kept" in map_words(record)


def test_other_stacks_are_paid_for_and_unrelated_ones_show_nothing(rng):
    a, other = models.base(rng), models.base(rng)
    child = models.child(a, rng)
    alone = locate(_model(a), _model(child))
    beside = locate(_model(a), _model(child | _under("teacher.", other)))
    assert beside.n_hypotheses == 2 * alone.n_hypotheses
    assert 0 < beside.log10_pvalue - alone.log10_pvalue < 0.5  # twice as many, and no more
    assert {x.block_b.rsplit(".", 1)[0] for x in beside.matched} == {"decoder"}
    nothing = locate(_model(models.base(rng)), _model(child | _under("teacher.", other)))
    assert nothing.log10_pvalue == 0.0
    assert not nothing.layers


@pytest.mark.claim
def test_pairs_of_stacks_that_are_left_out_count_as_nothing_found(rng):
    a, many = models.base(rng), {}
    for k in range(40):
        many |= _under(f"n{k:02}.", models.keep_blocks(models.base(rng), [0]))
    two = _under("x.", a) | _under("y.", models.base(rng))
    record = locate(_model(two), _model(many | _under("zz.", models.child(a, rng))))
    assert {(x.block_a, x.block_b) for x in record.matched} == {
        (f"x.decoder.{i}", f"zz.decoder.{i}") for i in range(4)
    }
    assert "most-pairings" in {s.code for s in record.skipped}

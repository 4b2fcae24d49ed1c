"""Claim: what is in a model fits a screen, whatever it was read from; the record has all of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import weightkin
from weightkin.anatomy import read_anatomy
from weightkin.records import left_out
from weightkin.records.components import ModelComponent
from weightkin.report.components import model_components
from weightkin.report.model import ModelRecord, model_record
from weightkin.report.showing import MOST_AXES, MOST_ROLES, MOST_SKIPPED, model_lines, plain_words
from weightkin.sketch.source import open_model

GRAPHS = Path(__file__).parents[1] / "fixtures" / "graphs"


def read(name: str) -> ModelRecord:
    model = open_model(GRAPHS / name)
    return model_record(model, read_anatomy(model), "wk1-0")


def table(record: ModelRecord) -> list[str]:
    lines = model_lines(record, is_full=True)
    start = next(i for i, x in enumerate(lines) if x.startswith("  stack"))
    return lines[start + 1 :]


@pytest.mark.parametrize("name", ["autoencoder", "unet.onnx"])
def test_tensors_along_an_axis_are_named_up_to_a_few(name):
    record = read(name)
    rows = table(record)
    assert len(rows) <= MOST_AXES + 2
    assert not [x for x in rows if " w:" in x or " b:" in x]
    for axis in record.axes:
        names = {place.tensor for place in axis.places}
        if len(names) > MOST_ROLES + 1:
            assert any(x.endswith(f"and {len(names) - MOST_ROLES} more") for x in rows)


def test_axes_without_a_role_go_by_their_tensors():
    (first, *_) = table(read("unet.onnx"))
    assert first.split()[-6:] == ["t0", "t1", "t14", "t15", "t2", "t10"]


def test_many_kinds_of_axes_are_counted():
    record = read("convnext")
    many = tuple(replace(record.axes[0], name=f"n{i}") for i in range(MOST_AXES + 5))
    assert "  5 more lines; --json lists all" in table(replace(record, axes=many))


def test_models_of_two_kinds_are_told_apart_in_the_first_line():
    found = weightkin.compare(GRAPHS / "autoencoder", GRAPHS / "convnext")
    assert found.verdict == "not-testable"
    assert found.skipped[0].code == "no-shared-stack"
    assert "only one of the two" not in found.sentence


def test_other_names_of_a_model_without_parts_are_said_in_one_line():
    one = ModelComponent(name="other", n_tensors=3, n_parameters=9, stored_as="", names_of="lib.X")
    assert model_components([one]) == ["  names       of another publisher, read as those of lib.X"]
    part = replace(one, name="unet", stored_as="model.")
    assert model_components([part])[0].startswith("  part        U-Net: 3 tensors, 9 values")


def test_the_short_form_leaves_the_table_and_most_of_what_was_skipped_to_the_long_one():
    record = read("convnext")
    gap = left_out("x", "no-axis")
    record = replace(record, skipped=(gap,) * (MOST_SKIPPED + 2))
    short, long = model_lines(record), model_lines(record, is_full=True)
    assert [n for n in (short, long) if any(x.startswith("  stack") for x in n)] == [long]
    n_skipped = [sum(x.startswith("  skipped") for x in lines) for lines in (short, long)]
    assert n_skipped == [MOST_SKIPPED + 1, MOST_SKIPPED + 2]
    assert short[0] == long[0]
    assert short[2] == ""  # two sentences come before all else


def test_the_second_line_tells_a_whole_model_from_others():
    record = read("convnext")
    words = {
        plain_words(x)
        for x in (
            record,
            replace(record, axes=()),
            replace(record, skipped=(left_out("x", "no-axis"),)),
        )
    }
    assert len(words) == 3

"""Claim: an entry has the names under which a file is read, not those of its modules."""

from __future__ import annotations

import logging

import numpy as np
import pytest

as_read = pytest.importorskip("benchmarks.catalogue.as_read")

from benchmarks.catalogue.in_file import of_module  # noqa: E402
from benchmarks.catalogue.shapes import Source, Traced  # noqa: E402
from benchmarks.catalogue.work import made_facts  # noqa: E402

from weightkin.anatomy.graph.labels import Atom, Labels  # noqa: E402

ROWS, COLUMNS, ONE = ((0,),), ((1,),), ((),)
LABELS = Labels(
    {0: Atom(3, is_free=True), 1: Atom(2, is_free=True)},
    {
        "conv.parametrizations.weight.original0": (ROWS, ONE),
        "conv.parametrizations.weight.original1": (ROWS, COLUMNS),
        "norm.beta": (ROWS,),
        "norm.gamma": (ROWS,),
    },
)
SHAPES = dict(zip(LABELS.dims, [(3, 1), (3, 2), (3,), (3,)], strict=True)) | {"steps": (1,)}
READ = ["conv.weight_g", "conv.weight", "norm.bias", "norm.weight"]


def test_names_are_those_that_reading_gives():
    found = as_read.as_read(Traced(LABELS, SHAPES, unused=("steps",)))
    assert list(found.labels.dims.values()) == list(LABELS.dims.values())
    assert [*found.labels.dims] == READ
    assert found.shapes == dict(zip(READ, [(3, 1), (3, 2), (3,), (3,)], strict=True)) | {
        "steps": (1,)
    }
    assert found.unused == ("steps",)


def test_orders_reach_the_tensors_of_the_module():
    found = as_read.as_read(Traced(LABELS, SHAPES))
    order = np.array([2, 0, 1])
    assert of_module(found, {"norm.weight": order})["norm.gamma"].tolist() == order.tolist()


def test_what_the_file_joins_stays_joined():
    joined = (Source("q", 0, 2, 2), Source("k", 0, 1, 1))
    found = as_read.as_read(Traced(LABELS, SHAPES, modules={"norm.beta": joined}))
    assert found.modules["norm.bias"] == joined


def test_names_that_reading_keeps_stay():
    labels = Labels(LABELS.atoms, {"layers.0.up.weight": (ROWS, COLUMNS)})
    traced = Traced(labels, {"layers.0.up.weight": (3, 2)})
    assert as_read.as_read(traced) is traced


def test_sides_of_one_number_that_reading_drops_are_dropped():
    names = [
        *("encoder.down.0.block.0.conv1", "decoder.up.0.block.0.conv1", "encoder.norm_out"),
        "encoder.mid.attn_1.q",
    ]
    labels = Labels(LABELS.atoms, {f"{x}.weight": (ROWS, COLUMNS, ONE, ONE) for x in names})
    traced = Traced(labels, {name: (3, 2, 1, 1) for name in labels.dims})
    found = as_read.as_read(traced)
    assert found.labels.dims["encoder.mid_block.attentions.0.to_q.weight"] == (ROWS, COLUMNS)
    assert len(found.labels.dims["encoder.down_blocks.0.resnets.0.conv1.weight"]) == 4


def test_a_class_whose_norms_have_older_leaves_is_known_by_newer_ones():
    rows = made_facts("transformers:esm:EsmForMaskedLM")["entry"]["rows"]
    assert "esm.encoder.layer.#.attention.LayerNorm.weight 1" in rows
    assert not [x for x in rows if "gamma" in x]
    assert logging.root.manager.disable == logging.NOTSET  # silent no longer than it took

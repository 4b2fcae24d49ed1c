"""Claim: an entry speaks of the tensors of a file, also of those that its library joins there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

in_file = pytest.importorskip("benchmarks.catalogue.in_file")

from benchmarks.catalogue.shapes import Traced  # noqa: E402
from benchmarks.catalogue.work import made_facts  # noqa: E402

from weightkin.anatomy.graph.labels import Atom, Labels  # noqa: E402

FUSED = "gte.encoder.layer.#.attention.qkv_proj.weight 2"
LABELS = Labels(
    {0: Atom(2, is_free=True), 1: Atom(3, is_free=True), 2: Atom(5, is_free=True)},
    {"q": (((0,),), ((2,),)), "k": (((1,),), ((2,),)), "o": (((2,),),)},
)
TRACED = Traced(LABELS, {"q": (2, 5), "k": (3, 5), "o": (5,), "n": (1,)}, unused=("n",))
FILE = in_file.InFile({"q": "q", "k": "k", "o": "out", "n": "n"}, {"kq": ("k", "q")})


def test_a_fused_tensor_of_the_file_is_in_the_entry_and_proven():
    facts = made_facts("transformers:gte:GteForMaskedLM")
    assert min(facts["shares"]) > 0.9
    rows, columns = facts["entry"]["rows"][FUSED]
    assert len(rows) == 3
    assert rows[0] == rows[1] != rows[2]
    assert "gte.layers.#.self_attn.q_proj.weight 2" not in facts["entry"]["rows"]


def test_parts_stand_in_the_order_of_the_file():
    found = in_file.as_in_file(TRACED, FILE)
    assert found.shapes == {"kq": (5, 5), "out": (5,), "n": (1,)}
    assert found.labels.dims == {"kq": (((1,), (0,)), ((2,),)), "out": (((2,),),)}
    assert found.unused == ("n",)
    order = np.arange(25).reshape(5, 5)[[2, 0, 1, 4, 3]].reshape(-1)
    moved = in_file.of_module(found, {"kq": order, "out": np.arange(5)})
    assert moved.keys() == {"k", "q", "o"}
    assert moved["k"].reshape(3, 5)[:, 0].tolist() == [10, 0, 5]
    assert moved["q"].reshape(2, 5)[:, 0].tolist() == [5, 0]
    with pytest.raises(ValueError, match="mixes"):
        in_file.of_module(found, {"kq": order[::-1]})


def test_what_has_other_columns_is_not_joined():
    labels = Labels(LABELS.atoms, {**LABELS.dims, "k": (((1,),), ((1,),))})
    found = in_file.as_in_file(Traced(labels, TRACED.shapes), FILE)
    assert found.shapes.keys() == {"q", "k", "out", "n"}


def test_a_library_without_conversions_saves_the_state_dict():
    module = torch.nn.Linear(3, 4)
    assert in_file.in_file(module) == in_file.InFile({"weight": "weight", "bias": "bias"}, {})
    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=9
    )
    found = in_file.in_file(transformers.BertModel(config))
    assert found.joined == {}
    assert all(old == new for old, new in found.names.items())

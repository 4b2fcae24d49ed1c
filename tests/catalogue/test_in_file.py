"""Claim: an entry speaks of the tensors of a file, also of those that its library joins there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

in_file = pytest.importorskip("benchmarks.catalogue.in_file")


from benchmarks.catalogue import taken_apart  # noqa: E402
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


EXPERTS = Labels(
    {0: Atom(2, is_free=True), 1: Atom(3, is_free=True), 2: Atom(4, is_free=True)},
    {
        "router": (((0,),), ((2,),)),
        "up": (((), ()), ((1,), (1,)), ((2,),)),
        "down": (((), ()), ((2,),), ((1,),)),
    },
)
STACKED = {"router": (2, 4), "up": (2, 6, 4), "down": (2, 4, 3)}


def _pieces(saved):
    starts = {"router": 0, "up": 8, "down": 56}
    return taken_apart.pieces_of(saved, starts, STACKED)


def _saved():
    up, down = np.arange(8, 56).reshape(2, 6, 4), np.arange(56, 80).reshape(2, 4, 3)
    return {f"{e}.{name}": x[e] for e in (0, 1) for name, x in
            (("gate", up[:, :3]), ("up", up[:, 3:]), ("down", down))}  # fmt: skip


def test_a_file_that_holds_every_expert_by_itself_is_seen_as_pieces():
    found = _pieces(_saved())
    assert [x.name for x in found["up"]] == ["0.gate", "0.up", "1.gate", "1.up"]
    assert [x.start for x in found["down"]] == [0, 12]
    del (lost := _saved())["1.up"]
    assert _pieces(lost).keys() == {"down"}  # nothing may be lost
    assert not _pieces({"x": np.arange(8, 56)[::-1]})  # nor be in another order


def test_units_of_one_expert_are_a_label_of_their_own_in_its_tensors():
    labels, split = taken_apart.labels_of_pieces(EXPERTS, STACKED, _pieces(_saved()))
    assert split.keys() == {"up", "down"}
    rows = {e: labels.dims[f"{e}.gate"][0] for e in (0, 1)}
    assert rows[0] != rows[1]
    for e in (0, 1):
        assert labels.dims[f"{e}.up"] == (rows[e], ((2,),))
        assert labels.dims[f"{e}.down"] == (((2,),), rows[e])
    assert labels.dims["router"] == EXPERTS.dims["router"]
    assert "up" not in labels.dims


def test_a_label_that_stands_elsewhere_too_stays_one():
    tied = Labels(EXPERTS.atoms, {**EXPERTS.dims, "other": (((1,),),)})
    labels, _ = taken_apart.labels_of_pieces(tied, STACKED, _pieces(_saved()))
    assert labels.dims["0.gate"] == labels.dims["1.gate"] == (((1,),), ((2,),))


def test_a_piece_that_cuts_a_label_is_not_taken_apart():
    up = np.arange(8, 56).reshape(2, 6, 4)
    cut = {f"{e}.{k}": up[e, 2 * k : 2 * k + 2] for e in (0, 1) for k in range(3)}
    assert not taken_apart.labels_of_pieces(EXPERTS, STACKED, _pieces(cut))[1]


def test_orders_of_pieces_are_one_order_of_their_tensor():
    file = in_file.InFile({x: x for x in STACKED}, {}, _pieces(_saved()))
    traced = in_file.as_in_file(Traced(EXPERTS, STACKED), file)
    assert traced.shapes["1.down"] == (4, 3)
    order = np.arange(12).reshape(4, 3)[:, [2, 0, 1]].reshape(-1)
    moved = in_file.of_module(traced, {"1.down": order})["down"].reshape(2, 4, 3)
    assert moved[0].tolist() == np.arange(12).reshape(4, 3).tolist()
    assert moved[1, 0].tolist() == [14, 12, 13]


def test_experts_are_proven_in_the_tensors_of_the_file():
    facts = made_facts("transformers:qwen3_moe:Qwen3MoeForCausalLM")
    assert min(facts["shares"]) > 0.9
    rows = facts["entry"]["rows"]
    assert "model.layers.#.mlp.experts.#.down_proj.weight 2" in rows
    assert not [x for x in rows if "gate_up_proj" in x]

"""Claim: an entry says what it means, and what it does not mean is refused by name."""

from __future__ import annotations

import pytest

from weightkin.catalogue import entries, layouts
from weightkin.catalogue.entry import make_entry

PARENT = make_entry(
    "parent",
    {
        "model_types": ["parent"],
        "stack": "decoder",
        "labels": {"u[i]": {"n": "width", "sign": "up,down"}, "kv": {}},
        "tensors": {"wte": "embed: - d", "#.mlp.up": "mlp.up: u d"},
    },
    None,
)


def test_every_entry_has_a_sentence_and_a_layout():
    assert len(layouts()) > 20
    for entry in entries().values():
        assert entry.about.endswith("."), entry.name
        assert all((entry.parts, entry.stack, entry.blocks)), entry.name


def test_what_is_not_given_is_that_of_the_entry_it_is_like():
    child = make_entry("child", {"about": "A child.", "like": "parent"}, PARENT)
    assert (child.name, child.like, child.model_types) == ("child", "parent", ())
    assert (child.stack, child.parts, child.top) == ("decoder", PARENT.parts, PARENT.top)
    assert (child.is_odd, child.shares_heads, child.has_heads_in_config) == (True, True, False)


def test_tensors_of_its_own_come_before_those_it_takes_over():
    lines = {"#.mlp.experts.#.w1": "# mlp.gate: g d", "#.x": {"is": "norm: d", "stack": "text"}}
    child = make_entry("child", {"like": "parent", "tensors": lines}, PARENT)
    assert [part.pattern for part in child.parts] == ["mlp.experts.#.w1", "x", "mlp.up"]
    first, second, _ = child.parts
    assert (first.role, first.group, first.dims) == ("mlp.gate", "#", "g d")
    assert (second.role, second.stack) == ("norm", "text")


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"stak": "decoder"}, "field stak"),
        ({"tensors": {"#.x": "mlp.upp: u d"}}, "role mlp.upp"),
        ({"tensors": {"#.x": "mlp.up: u z"}}, "dimension z"),
        ({"tensors": {"#.x": {"is": "mlp.up: u d", "frozen": "yes"}}}, "fact of a tensor frozen"),
        (
            {"tensors": {"#.x": {"is": "attn.qkv: qkv d", "fused": "by heads"}}},
            "order of queries, keys and values by heads",
        ),
        ({"labels": {"d": {"m": "width"}}}, "fact of a label m"),
        ({"norms": {"first": ["norm1"]}}, "norm first"),
    ],
)
def test_what_nobody_knows_is_refused(facts, what):
    with pytest.raises(ValueError, match=f"catalogue entry toy: unknown {what}"):
        make_entry("toy", facts, None)

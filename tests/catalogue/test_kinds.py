"""Claim: blocks of several kinds in one list are told apart where all their matrices say so."""

from __future__ import annotations

import pytest
import torch
from benchmarks.catalogue.choice import entries_of
from benchmarks.catalogue.make import made
from benchmarks.catalogue.patterns import kinds_of
from benchmarks.catalogue.problems import problems_of
from benchmarks.catalogue.recipe import Recipe, Tiny
from benchmarks.catalogue.shapes import Traced
from benchmarks.catalogue.weights import child_of, randomise
from safetensors.torch import save_file
from torch import nn

from weightkin import compare
from weightkin.anatomy.graph.labels import Atom, Labels
from weightkin.anatomy.traced import reading
from weightkin.anatomy.traced.axes import traced_axes
from weightkin.anatomy.traced.instance import instantiate
from weightkin.anatomy.traced.likeness import is_like
from weightkin.anatomy.traced.matching import matched
from weightkin.catalogue.store import packed, unpacked
from weightkin.catalogue.traced import Component, Leaf, Row, TracedEntry

RECIPE = Recipe("test.Inverted", (), lambda which, seed: None)


def inverted(depths, width, hidden):
    """Stages of blocks on one stream: those of the first have no hidden channels of their own."""
    one, stream, kernel = (), ((0,),), ((1,),)
    atoms = {0: Atom(width, is_free=True), 1: Atom(3, is_free=False)}
    shapes, dims = {}, {}
    for i, depth in enumerate(depths):
        for j in range(depth):
            h = 10 * i + j + 100 if i else 0
            n = hidden if i else width
            atoms[h] = Atom(n, is_free=True)
            own = {
                "dw.weight": (((h,),), (one,), kernel),
                "bn.weight": (((h,),),),
                "pw.weight": (((h,),) if i else stream, stream),
            }
            if i:
                own["out.weight"] = stream, ((h,),)
            for name, tree in own.items():
                dims[f"blocks.{i}.{j}.{name}"] = tree
                shapes[f"blocks.{i}.{j}.{name}"] = tuple(
                    1 if dim == (one,) else atoms[dim[0][0]].size for dim in tree
                )
    return Traced(Labels(atoms, dims), shapes)


PAIR = inverted((1, 2), 12, 40), inverted((2, 3, 3), 16, 56)


def axes_of(entry, traced):
    known, unknown = matched(entry, traced.shapes)
    instance = instantiate(entry, known, {x.tensor: traced.shapes[x.tensor] for x in known}, {})
    return traced_axes(entry, instance, known, traced.shapes), unknown


def test_hidden_channels_are_those_of_a_block_where_blocks_of_another_kind_have_none():
    best, plain = entries_of(RECIPE, PAIR)
    assert [problems_of(best, x) for x in PAIR] == [[], []]
    large = inverted((3, 4, 5), 32, 96)
    assert problems_of(best, large) == []
    axes, _ = axes_of(best, large)
    hidden = [axis for axis in axes if axis.n_units == 96]
    assert sorted(axis.block for axis in hidden) == list(range(3, 12))
    assert {axis.block for axis in axes if axis.n_units == 32} == {-1}
    assert {axis.block for axis in axes_of(plain, large)[0]} == {-1}  # all of one size are one


def test_a_block_of_none_of_the_kinds_has_no_axis():
    best, _ = entries_of(RECIPE, PAIR)
    large = inverted((2, 3), 32, 96)
    del large.shapes["blocks.1.1.pw.weight"]
    axes, unknown = axes_of(best, large)
    assert {name.rpartition(".")[0] for name in unknown} == {
        "blocks.1.1.dw",
        "blocks.1.1.bn",
        "blocks.1.1.out",
    }
    places = {place.tensor for axis in axes for place in axis.places}
    assert not any(name.startswith("blocks.1.1.") for name in places)


def test_members_whose_sets_of_matrices_differ_between_instances_are_of_no_kinds():
    one = [("layers.0.a", 2), ("layers.1.a", 2), ("layers.1.b", 2)]
    assert len(list(kinds_of([one, [*one, ("layers.2.a", 2)]]))) == 1
    assert not list(kinds_of([one, [*one, ("layers.2.c", 2)]]))


@pytest.mark.parametrize("has_statistics", [True, False])
def test_a_convolution_under_the_pattern_of_a_norm_has_no_statistics(has_statistics):
    leaf = (((Leaf(0),),),)
    rows = tuple(Row(f"blocks.#.{x}", leaf) for x in ("weight", "running_mean"))
    rows += (Row("blocks.#.weight", leaf * 2),)
    entry = TracedEntry(("test.Net",), (), (Component("x", has_one_size=True),), rows)
    shapes = {"blocks.0.weight": (8, 8), "blocks.1.weight": (8,)}
    if has_statistics:
        shapes["blocks.1.running_mean"] = (8,)
    assert is_like(entry, matched(entry, shapes)[0], shapes) is has_statistics


def test_streams_of_two_sizes_need_what_joins_them_also_where_blocks_of_a_kind_have_it():
    stream, hidden = (((Leaf(0),),), ((Leaf(1),),))
    rows = [Row(f"layers.#{kind}.up.weight", (hidden, stream)) for kind in (1, 2)]
    rows += [Row(f"layers.#{kind}.down.weight", (stream, hidden)) for kind in (1, 2)]
    rows.append(Row("layers.#1.skip.weight", (stream, stream)))
    components = (Component("x"), Component("y", scope=1, has_one_size=True))
    entry = TracedEntry(("test.Net",), (), components, tuple(rows))
    shapes = {
        "layers.0.up.weight": (32, 8),
        "layers.0.down.weight": (8, 32),
        "layers.1.up.weight": (32, 8),
        "layers.1.down.weight": (16, 32),
    }
    assert not is_like(entry, matched(entry, shapes)[0], shapes)
    shapes["layers.1.skip.weight"] = (16, 8)
    known, unknown = matched(entry, shapes)
    assert is_like(entry, known, shapes)
    assert not unknown


class Net(nn.Module):
    """An inverted residual net with batch norms, of a stem, one plain block and others."""

    def __init__(self, depth, width=16, hidden=32):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3)
        plain = [_convolution(width, width, width), _convolution(width, width, 1)]
        wide = [
            [_convolution(width, hidden, 1), _convolution(hidden, hidden, hidden)]
            + [_convolution(hidden, width, 1)]
            for _ in range(depth)
        ]
        self.blocks = nn.ModuleList(nn.Sequential(*own) for own in (plain, *wide))
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x.mean((2, 3)))


def _convolution(n_in, n_out, groups):
    size = 3 if groups > 1 else 1
    own = nn.Conv2d(n_in, n_out, size, padding=size // 2, groups=groups, bias=False)
    return nn.Sequential(own, nn.BatchNorm2d(n_out), nn.ReLU6())


def test_a_child_of_an_inverted_residual_net_is_dependent(tmp_path, monkeypatch):
    def build(which, seed):
        torch.manual_seed(seed)
        return Tiny(Net(2 + which, 16 + 8 * which).eval(), {"x": torch.randn(1, 3, 9, 9)}, {})

    entry = made(Recipe("test.Net", (), build)).entry
    store = unpacked(packed([entry], {}))
    monkeypatch.setattr(reading, "shipped_store", lambda: store)
    for name, seed in (("a", 0), ("child", 0), ("b", 1)):
        torch.manual_seed(seed)
        net = Net(4)
        randomise(net, seed)
        if name == "child":
            child_of(net, 7)
        save_file(net.state_dict(), tmp_path / f"{name}.safetensors")
    a, child, b = (tmp_path / f"{name}.safetensors" for name in ("a", "child", "b"))
    assert compare(a, child).verdict == "dependent"
    assert compare(a, b).verdict == "no-evidence"

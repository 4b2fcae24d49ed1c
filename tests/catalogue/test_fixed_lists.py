"""Claim: lists that are the same in every model are names, and equal widths tie what they tie."""

from __future__ import annotations

import pytest
import torch
from benchmarks.catalogue.make import made
from benchmarks.catalogue.patterns import fixed_lists, patterns_of
from benchmarks.catalogue.recipe import Recipe, Tiny
from benchmarks.catalogue.weights import child_of, randomise
from safetensors.torch import save_file
from torch import nn

from weightkin import compare
from weightkin.anatomy.traced import reading
from weightkin.anatomy.traced.axes import traced_axes
from weightkin.anatomy.traced.instance import instantiate
from weightkin.anatomy.traced.matching import matched
from weightkin.catalogue.store import packed, unpacked

DEPTH, WIDTH = 9, 48  # so many matrices that one label of them all is a stream
NAMES = ("stages.{}.blocks.{}.0.weight", "stages.{}.blocks.{}.1.weight")


def names(*depths):
    return [x.format(i, j) for i, depth in enumerate(depths) for j in range(depth) for x in NAMES]


def test_only_lists_with_the_same_members_in_all_models_are_fixed():
    tiny = names(1, 2), names(2, 3)
    assert fixed_lists(tiny, names(3, 4)) == {
        ("stages",),
        ("stages", "0", "blocks", "#"),
        ("stages", "1", "blocks", "#"),
    }
    assert ("stages",) not in fixed_lists(tiny, names(3, 4, 3))
    assert fixed_lists(tiny, [x for x in names(3, 4) if ".1.weight" not in x]) == {("stages",)}
    assert fixed_lists(tiny, []) == set()


def test_members_of_a_fixed_list_keep_their_numbers():
    fixed = {("stages",), ("stages", "1", "blocks", "#")}
    first, _ = patterns_of([names(1, 2), names(2, 3)], fixed=fixed)
    assert first["stages.1.blocks.1.0.weight"] == ("stages.1.blocks.#.0.weight", (1,))
    assert first["stages.0.blocks.0.1.weight"] == ("stages.0.blocks.#.#.weight", (0, 1))


class Chain(nn.Module):
    """Kernels one after the other; with ``adds``, a sum where both sides are as wide."""

    def __init__(self, widths, *, adds):
        super().__init__()
        self.adds = adds
        sides = zip((3, *widths), widths, strict=False)
        self.layer = nn.ModuleList(nn.Conv2d(x, y, 3, padding=1) for x, y in sides)
        self.head = nn.Linear(widths[-1], 5)

    def forward(self, x):
        for layer in self.layer:
            y = layer(x).relu()
            x = x + y if self.adds and x.shape == y.shape else y
        return self.head(x.mean((2, 3)))


def recipe(*, adds, published=True, alike=True):
    def tiny(widths, seed):
        torch.manual_seed(seed)
        inputs = {"x": torch.randn(1, 3, 5, 5)}
        return Tiny(Chain(widths, adds=adds).eval(), inputs, {})

    large = {x: tuple(y.shape) for x, y in Chain((WIDTH,) * DEPTH, adds=adds).state_dict().items()}
    return Recipe(
        "test.Chain",
        (),
        lambda which, seed: tiny(range((16, 20)[which], 99, 4)[:DEPTH], seed),
        published=(lambda: (large, {})) if published else None,
        build_alike=(lambda seed: tiny((48,) * DEPTH, seed)) if alike else None,
    )


def n_labels(entry):
    """Of a net whose widths are all alike, as its class knows them."""
    shapes = {
        x: tuple(y.shape) for x, y in Chain((WIDTH,) * DEPTH, adds=False).state_dict().items()
    }
    known, unknown = matched(entry, shapes)
    assert not unknown
    return len(traced_axes(entry, instantiate(entry, known, shapes, {}), known, shapes))


def test_square_kernels_of_a_chain_have_axes(tmp_path, monkeypatch):
    entry = made(recipe(adds=False)).entry
    assert n_labels(entry) == DEPTH
    store = unpacked(packed([entry], {}))
    monkeypatch.setattr(reading, "shipped_store", lambda: store)
    for name, seed in (("a", 0), ("child", 0), ("b", 1)):
        torch.manual_seed(seed)
        net = Chain((WIDTH,) * DEPTH, adds=False)
        randomise(net, seed)
        if name == "child":
            child_of(net, 7)
        save_file(net.state_dict(), tmp_path / f"{name}.safetensors")
    a, child, b = (tmp_path / f"{name}.safetensors" for name in ("a", "child", "b"))
    assert compare(a, child).verdict == "dependent"
    assert compare(a, b).verdict == "no-evidence"


def test_a_sum_that_only_equal_widths_bring_about_ties_their_labels():
    assert n_labels(made(recipe(adds=True)).entry) == 1


@pytest.mark.parametrize("left_out", ["published", "alike"])
def test_without_either_the_members_of_a_list_are_numbers(left_out):
    own = made(recipe(adds=False, **{left_out: False})).entry
    assert {row.pattern for row in own.rows if row.pattern.startswith("layer")} == {
        "layer.#.weight",
        "layer.#.bias",
    }


def test_an_instance_that_cannot_be_built_is_done_without():
    def refuse(seed):
        raise ValueError("widths must differ")

    own = recipe(adds=False, alike=False)
    broken = Recipe(own.name, (), own.build, published=own.published, build_alike=refuse)
    assert made(broken).entry == made(own).entry

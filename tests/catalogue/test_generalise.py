"""Claim: an entry made of two instances is never finer than their graphs, whatever their sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from benchmarks.catalogue.facts import level_keys
from benchmarks.catalogue.generalise import generalise
from benchmarks.catalogue.patterns import patterns_of
from benchmarks.catalogue.problems import problems_of
from benchmarks.catalogue.shapes import Traced

from weightkin.anatomy.graph.labels import Atom, Labels
from weightkin.anatomy.traced.instance import instantiate
from weightkin.anatomy.traced.matching import matched
from weightkin.anatomy.traced.sizes import Contradiction, number_under
from weightkin.catalogue.traced import Component, Leaf, Row, TracedEntry


def net(depth, width, hidden, heads, head, *, tied=False, config=True):
    """A transformer without queries: one stream, and in each block heads and hidden units."""
    atoms = {0: Atom(width, is_free=True), 1: Atom(11, is_free=False)}
    dims = {"embed.weight": (((1,),), ((0,),))}
    for i in range(depth):
        h, v, u = 10 * i + 10, 10 * i + 11, 10 * i + 12
        atoms |= {h: Atom(heads, is_free=True), u: Atom(hidden, is_free=True)}
        atoms[v] = Atom(head, is_free=True, within=(h,))
        if tied:
            u = 12
        dims |= {
            f"blocks.{i}.v.weight": (((h, v),), ((0,),)),
            f"blocks.{i}.o.weight": (((0,),), ((h, v),)),
            f"blocks.{i}.mlp.0.weight": (((u,), (u,)), ((0,),)),
            f"blocks.{i}.mlp.2.weight": (((0,),), ((u,),)),
        }
    sizes = {atom: a.size for atom, a in atoms.items()}
    shapes = {
        name: tuple(sum(_product(part, sizes) for part in dim) for dim in own)
        for name, own in dims.items()
    }
    used = {x for own in dims.values() for dim in own for part in dim for x in part}
    labels = Labels({k: x for k, x in atoms.items() if k in used}, dims)
    return Traced(labels, shapes, {"num_heads": heads} if config else {})


def _product(part, sizes):
    size = 1
    for atom in part:
        size *= sizes[atom]
    return size


TWO = (net(2, 12, 20, 4, 5), net(3, 16, 28, 8, 3))


def test_numbers_of_lists_that_grow_are_counted_and_others_are_names():
    (first, second) = patterns_of([x.labels.dims for x in TWO])
    assert first["blocks.1.mlp.2.weight"] == ("blocks.#.mlp.2.weight", (1,))
    assert second["blocks.2.mlp.0.weight"] == ("blocks.#.mlp.0.weight", (2,))


def test_an_entry_gives_back_both_instances_and_any_larger_one():
    entry = generalise(["test.Net"], TWO)
    assert [problems_of(entry, x) for x in TWO] == [[], []]
    large = net(9, 64, 256, 16, 7)
    assert problems_of(entry, large) == []
    found = _instance(entry, large)
    free = [a for a in found.labels.atoms.values() if a.is_free]
    assert len(free) == 1 + 9 * 3


def test_without_a_config_what_shapes_do_not_give_is_fixed():
    entry = generalise(["test.Net"], TWO)
    found = _instance(entry, net(4, 64, 256, 16, 7, config=False))
    assert sum(a.is_free for a in found.labels.atoms.values()) == 1 + 4


def test_labels_that_cross_blocks_are_told_apart_by_size_alone():
    pair = [net(2, 12, 20, 4, 5, tied=True), net(3, 16, 28, 8, 3, tied=True)]
    entry = generalise(["test.Net"], pair)
    assert [problems_of(entry, x) for x in pair] == [[], []]
    assert sum(c.scope == 0 and c.is_free for c in entry.components) == 2
    assert problems_of(generalise(["test.Net"], TWO), pair[0])  # and there it would be wrong


def test_what_is_fixed_in_the_last_block_is_fixed_in_the_last_block_of_any_depth():
    pair = [_last_fixed(x) for x in TWO]
    entry = generalise(["test.Net"], pair)
    assert [problems_of(entry, x) for x in pair] == [[], []]
    found = _instance(entry, net(6, 64, 256, 16, 7))
    free = {
        key[1]
        for atom, key in found.keys.items()
        if key[2] == 256 and found.labels.atoms[atom].is_free
    }
    assert free == {(i,) for i in range(5)}


def test_shapes_that_contradict_the_class_are_refused():
    entry = generalise(["test.Net"], TWO)
    odd = net(2, 12, 20, 4, 5)
    shapes = {**odd.shapes, "blocks.0.mlp.2.weight": (12, 21)}
    known, _ = matched(entry, shapes)
    with pytest.raises(Contradiction):
        instantiate(entry, known, shapes, odd.config)


def _last_fixed(traced):
    last = max(atom for atom in traced.labels.atoms if atom % 10 == 2)
    atoms = {**traced.labels.atoms, last: replace(traced.labels.atoms[last], is_free=False)}
    return replace(traced, labels=Labels(atoms, traced.labels.dims))


def _instance(entry, traced):
    known, unknown = matched(entry, traced.shapes)
    assert not unknown
    return instantiate(entry, known, traced.shapes, traced.config)


def test_a_stream_that_stands_more_often_in_some_blocks_is_one_stream_in_all():
    pair = [_modulated(2, 12), _modulated(3, 16)]
    entry = generalise(["test.Net"], pair)
    assert [problems_of(entry, x) for x in pair] == [[], []]
    found = _instance(entry, _modulated(5, 64))
    (stream,) = {atom for atom, a in found.labels.atoms.items() if a.is_free and a.size == 64}
    assert not found.mixed
    for i, n in enumerate((6, 6, 6, 6, 2)):
        ((outer, inner),) = found.labels.dims[f"blocks.{i}.scale.weight"][0]
        assert (found.labels.atoms[outer].size, inner) == (n, stream)


def _modulated(depth, width):
    """Blocks that each scale and shift a stream, the last one with fewer parts."""
    atoms = {0: Atom(width, is_free=True), 1: Atom(7, is_free=False)}
    counts = [6] * (depth - 1) + [2]
    dims = {f"blocks.{i}.scale.weight": (((0,),) * n, ((1,),)) for i, n in enumerate(counts)}
    shapes = {f"blocks.{i}.scale.weight": (n * width, 7) for i, n in enumerate(counts)}
    dims["embed.weight"], shapes["embed.weight"] = (((1,),), ((0,),)), (7, width)
    return Traced(Labels(atoms, dims), shapes, {})


def test_heads_that_a_config_lists_by_level_are_found_from_either_end():
    key = {"num_heads": [2, 3, 4], "width": 8}
    sizes = {(0, (0,)): 5, (0, (1,)): 5, (1, (0,)): 4, (1, (1,)): 3}
    assert level_keys(sizes, [{"num_heads": 5}, key]) == ("num_heads[~0]",)
    assert level_keys({(0, (1,)): 3, (0, (2,)): 4}, [key]) == ("num_heads[0]",)
    assert level_keys({(0, (0,)): 4}, [key]) == ("num_heads[last]",)
    assert level_keys({(0, (0,)): 4}, [{"num_heads": [4, 4]}]) == ()
    assert number_under("num_heads[~0]", {"num_heads": [5, 10, 20]}, (2,)) == 5
    assert number_under("num_heads[0]", {"num_heads": [5, 10, 20]}, (3,)) == 0
    assert number_under("num_heads[0]", {"num_heads": 8}, (3,)) == 8


def test_lists_that_published_members_share_are_names():
    names = [["stages.0.blocks.0.weight", "stages.1.blocks.0.weight"]]
    names.append([*names[0], "stages.1.blocks.1.weight"])
    (found, _) = patterns_of(names)
    assert found["stages.1.blocks.0.weight"] == ("stages.#.blocks.#.weight", (1, 0))
    (found, _) = patterns_of(names, are_members=True)
    assert found["stages.1.blocks.0.weight"] == ("stages.1.blocks.#.weight", (0,))


def test_a_module_of_the_class_called_like_a_wrapper_is_known_with_and_without_wrappers():
    leaf = (((Leaf(0),),),)
    entry = TracedEntry(
        ("test.Net",), (), (Component("x"),), (Row("layers.#.module.up.weight", leaf * 2),)
    )
    for before in ("", "module.", "_orig_mod.module."):
        name = f"{before}layers.3.module.up.weight"
        (known,), unknown = matched(entry, {name: (8, 8)})
        assert (known.tensor, known.name, known.numbers) == (
            name,
            "layers.3.module.up.weight",
            (3,),
        )
        assert not unknown


def test_unused_matrices_are_ignored_only_where_they_are_not_learned():
    more = {"spare.weight": (3, 4), "table": (3, 4)}
    pair = [
        replace(x, shapes={**x.shapes, **more}, unused=tuple(more), buffers=frozenset({"table"}))
        for x in TWO
    ]
    assert generalise(("own.Net",), pair).ignored == ("table",)

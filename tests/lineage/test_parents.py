"""Claim: a parent is stated where the weights show that one alone, and a tie is stated as a tie."""

import re

import ml_dtypes
import numpy as np
import pytest

from tests.lineage.simulated import BLOCKS, UNITS, base, drawn, likely, model, trained_on
from weightkin import compare, family_graph, read_anatomy
from weightkin.evasions import permute_residual, permute_units
from weightkin.lineage.posterior import Posterior

TABLES = ("model.embed_tokens.weight", "lm_head.weight")


def graph_of(**models):
    return family_graph([model(name, arrays) for name, arrays in models.items()])


def joined(graph):
    return {frozenset((e.parent, e.child)) for e in graph.edges}


def node(graph, name):
    return next(n for n in graph.nodes if n.id == name)


def pruned(arrays, share=0.5):
    out = dict(arrays)
    for name, x in arrays.items():
        if "_proj" in name:
            out[name] = np.where(np.abs(x) > np.quantile(np.abs(x), share), x, np.float32(0))
    return out


def rounded(arrays):
    return {k: x.astype(ml_dtypes.bfloat16).astype(np.float32) for k, x in arrays.items()}


def quantised(arrays, bits=8):
    out = dict(arrays)
    for name, x in arrays.items():
        if "_proj" in name:
            step = np.abs(x).max(axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
            out[name] = (np.rint(x / step) * step).astype(np.float32)
    return out


def masked(child, parent):
    """Training that keeps the zeros of what it began from."""
    return {k: np.where(parent[k] == 0, np.float32(0), x) for k, x in child.items()}


def rows(arrays, n, fill=None):
    """The token tables cut to n rows, or continued by what `fill` makes of each."""
    out = dict(arrays)
    for name in TABLES:
        x = arrays[name]
        out[name] = x[:n] if fill is None else np.concatenate([x, fill(x, n - len(x))])
    return out


def permuted(arrays, rng):
    anatomy = read_anatomy(model("x", arrays))
    return permute_residual(permute_units(arrays, anatomy, rng).arrays, anatomy, rng).arrays


@pytest.fixture
def root(rng):
    return base(rng)


@pytest.fixture
def siblings(root, rng):
    return {f"ft{k}": trained_on(root, rng) for k in range(3)}


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name.removeprefix("model."),
        lambda name: f"module.{name}",
        lambda name: f"_orig_mod.module.{name}",
    ],
)
def test_a_model_under_other_names_is_the_same_model(root, siblings, rename):
    other = {rename(name): x for name, x in root.items()}
    graph = graph_of(other=other, **siblings, root=root)
    assert node(graph, "other").duplicates == ("root",)
    assert drawn(graph) == {("other", name) for name in siblings}


def test_a_fine_tune_under_other_names_hangs_below_its_base(root, siblings, rng):
    later = {f"base_model.{k}": x for k, x in trained_on(siblings["ft0"], rng).items()}
    graph = graph_of(root=root, **siblings, later=later)
    assert ("ft0", "later") in likely(graph)


def test_values_stored_in_a_wider_format_are_the_same_model(root, siblings):
    narrow = {k: x.astype(ml_dtypes.bfloat16) for k, x in root.items()}
    wide = {k: x.astype(np.float32) for k, x in narrow.items()}
    graph = graph_of(narrow=narrow, wide=wide, **siblings)
    assert node(graph, "narrow").duplicates == ("wide",)


def test_swapped_layers_are_not_the_same_model(root):
    other = {"0": "1", "1": "0", "2": "2"}
    swapped = {re.sub(r"(?<=layers\.)\d", lambda m: other[m[0]], k): x for k, x in root.items()}
    assert not node(graph_of(root=root, swapped=swapped), "root").duplicates


def test_a_trimmed_vocabulary_is_not_the_parent(root, siblings, rng):
    trimmed = rows(root, 80)
    graph = graph_of(trimmed=trimmed, root=root, **siblings)
    assert frozenset(("root", "trimmed")) in joined(graph)
    assert drawn(graph) == {("root", name) for name in (*siblings, "trimmed")}
    assert compare(model("a", trimmed), model("b", root)).direction.parent == "undetermined"


def test_what_was_trained_after_trimming_hangs_below_the_trimmed(root, siblings, rng):
    trimmed = rows(root, 80)
    later = trained_on(trimmed, rng)
    graph = graph_of(trimmed=trimmed, root=root, **siblings, later=later)
    assert ("trimmed", "later") in likely(graph)


@pytest.mark.parametrize(("what", "is_shown"), [("mean", True), ("copies", True),
                                                ("random", False), ("zeros", False)])  # fmt: skip
def test_only_rows_made_from_the_others_show_an_extension(root, rng, what, is_shown):
    fill = {
        "mean": lambda x, n: np.repeat(x.mean(axis=0, keepdims=True), n, axis=0),
        "copies": lambda x, n: x[:n],
        "random": lambda x, n: rng.normal(0, x.std(), (n, x.shape[1])).astype(np.float32),
        "zeros": lambda x, n: np.zeros((n, x.shape[1]), dtype=np.float32),
    }[what]
    found = compare(model("a", root), model("b", rows(root, 112, fill)))
    assert found.kind == ("vocab-extended",)
    assert found.direction.parent == ("a" if is_shown else "undetermined")


def test_a_cast_of_another_vocabulary_may_be_a_sibling(root):
    for n, fill in ((80, None), (112, lambda x, n: np.zeros((n, x.shape[1]), dtype=np.float32))):
        copy = {k: x.astype(ml_dtypes.bfloat16) for k, x in rows(root, n, fill).items()}
        assert compare(model("a", root), model("b", copy)).direction.parent == "undetermined"


@pytest.mark.parametrize(("kept", "is_shown"), [
    (range(UNITS // 2), False), (range(0, UNITS, 2), True)])  # fmt: skip
def test_units_that_may_have_been_appended_show_no_cut(root, kept, is_shown):
    index, cut = list(kept), dict(root)
    for name, x in root.items():
        if "mlp" in name:
            cut[name] = x[:, index] if "down" in name else x[index]
    found = compare(model("a", root), model("b", cut))
    assert found.kind == ("width-pruned",)
    assert found.direction.parent == ("a" if is_shown else "undetermined")


@pytest.mark.parametrize(("kept", "is_shown"), [((0, 1), False), ((1, 2), False), ((0, 2), True)])
def test_blocks_that_may_have_been_appended_show_no_cut(root, kept, is_shown):
    cut = {k: x for k, x in root.items() if "layers." not in k}
    for new, old in enumerate(kept):
        cut |= {k.replace(f".{old}.", f".{new}."): x for k, x in root.items() if f"s.{old}." in k}
    assert BLOCKS == 3
    found = compare(model("a", root), model("b", cut))
    assert found.kind == ("depth-pruned",)
    assert found.direction.parent == ("a" if is_shown else "undetermined")


@pytest.mark.parametrize("lossy", [pruned, rounded, quantised])
def test_a_fine_tune_of_a_lossy_copy_hangs_below_it(root, siblings, rng, lossy):
    copy = lossy(root)
    first = trained_on(copy, rng)
    graph = graph_of(copy=copy, root=root, **siblings, first=first, second=trained_on(first, rng))
    true = {("copy", "first"), ("first", "second"), *(("root", name) for name in siblings)}
    assert ("root", "copy") in likely(graph)
    assert likely(graph) <= {("root", "copy"), *true}
    assert ("first", "second") in drawn(graph)


def test_a_mask_that_was_kept_shows_the_pruned_parent(root, siblings, rng):
    copy = pruned(root)
    graph = graph_of(root=root, copy=copy, **siblings, tuned=masked(trained_on(copy, rng), copy))
    assert ("copy", "tuned") in likely(graph)


def test_a_fine_tune_that_was_pruned_itself_is_no_child_of_its_pruned_base(root, siblings, rng):
    graph = graph_of(root=root, copy=pruned(root), **siblings, own=pruned(trained_on(root, rng)))
    assert ("copy", "own") not in likely(graph)


@pytest.mark.parametrize("made_from", ["root", "narrow"])
@pytest.mark.parametrize("size", [0.003, 0.02])
def test_a_model_as_coarse_as_a_copy_hangs_below_what_it_was_made_from(
    root, siblings, rng, made_from, size
):
    """What rounding did to the copy is in its children, and in no child of the original."""
    narrow = {k: x.astype(ml_dtypes.bfloat16) for k, x in root.items()}
    wide = {k: x.astype(np.float32) for k, x in narrow.items()}
    parent = {"root": root, "narrow": wide}[made_from]
    tuned = {k: x.astype(ml_dtypes.bfloat16) for k, x in trained_on(parent, rng, size).items()}
    graph = graph_of(root=root, narrow=narrow, **siblings, tuned=tuned)
    (edge,) = graph.parents_of("tuned")
    assert edge.parent == made_from
    assert {u for u, v in likely(graph) if v == "tuned"} <= {made_from}


def with_directions(arrays, rng):
    """A few directions over all entries of a matrix, as training leaves them: zeros can be told."""
    out = dict(arrays)
    for name, x in arrays.items():
        if "_proj" in name:
            left, right = rng.normal(size=(len(x), 2)), rng.normal(size=(2, x.shape[1]))
            out[name] = (x + 0.05 * left @ right).astype(np.float32)
    return out


def test_two_prunings_that_give_the_same_values_are_tied(root, rng):
    root = with_directions(root, rng)
    siblings = {f"ft{k}": trained_on(root, rng) for k in range(3)}
    graph = graph_of(root=root, half=pruned(root, 0.5), most=pruned(root, 0.7), **siblings)
    assert ("root", "half") in likely(graph)
    (edge,) = [e for e in graph.edges if e.child == "most"]
    assert edge.parent in {"root", "half"}


@pytest.mark.parametrize("part", ["mlp", "self_attn"])
def test_a_model_with_one_new_layer_is_not_the_root(root, rng, part):
    children = {f"ft{k}": trained_on(root, rng, 0.3) for k in range(5)}
    fresh, new = base(rng), trained_on(root, rng, 0.02)
    new |= {k: x for k, x in fresh.items() if f"layers.1.{part}" in k}
    graph = graph_of(new=new, **children, root=root)
    assert not {v for u, v in likely(graph) if u == "new"}
    without = graph_of(new=new, **children)
    assert not {v for u, v in likely(without) if u == "new"}
    assert not {u for u, v in likely(graph) if v == "root"}


def test_a_permuted_copy_of_one_model_hangs_below_it(root, siblings, rng):
    graph = graph_of(hidden=permuted(root, rng), narrow=rounded(root), root=root, **siblings)
    (edge,) = [e for e in graph.edges if "hidden" in (e.parent, e.child)]
    assert edge.parent == "root"


def test_a_permuted_copy_of_a_copy_hangs_below_that_copy(root, siblings, rng):
    narrow = rounded(root)
    graph = graph_of(hidden=permuted(narrow, rng), narrow=narrow, root=root, **siblings)
    assert ("narrow", "hidden") in likely(graph)


def test_of_two_permuted_copies_either_may_be_made_from_the_other(root, siblings, rng):
    both = {f"hidden{k}": permuted(root, rng) for k in range(2)}
    graph = graph_of(**both, root=root, **siblings)
    edges = [e for e in graph.edges if {"hidden0", "hidden1"} & {e.parent, e.child}]
    assert len(edges) == 2
    assert {e.direction for e in edges} == {"undetermined"}


def test_a_permuted_model_that_was_trained_has_no_other_parent(root, siblings, rng):
    moved = trained_on(permuted(root, rng), rng, 0.05)
    graph = graph_of(moved=moved, root=root, **siblings)
    assert {(u, v) for u, v in likely(graph) if "moved" in (u, v)} <= {("root", "moved")}


def test_what_was_trained_from_a_permuted_copy_hangs_below_it(root, siblings, rng):
    hidden = permuted(root, rng)
    graph = graph_of(moved=trained_on(hidden, rng, 0.05), hidden=hidden, root=root, **siblings)
    assert ("root", "hidden") in likely(graph)
    assert ("hidden", "moved") in drawn(graph)


def test_whether_a_permuted_copy_or_its_original_was_first_shows_a_parent_in_its_order(root, rng):
    """Most members have the order of the copy; what was there before it has the other one."""
    first = trained_on(root, rng)
    older = {"root": root, **{f"ft{k}": trained_on(root, rng) for k in range(3)}}
    turned = permuted(first, rng)
    kids = {f"kid{k}": trained_on(turned, rng) for k in range(6)}
    graph = graph_of(**older, first=first, turned=turned, **kids)
    assert {("root", "first"), ("first", "turned")} <= drawn(graph)
    assert {("turned", kid) for kid in kids} <= drawn(graph)


def test_where_no_member_can_be_the_parent_nobody_comes_next(root, rng, monkeypatch):
    never = np.zeros((2, 2))
    said = Posterior(never, np.ones(2), (never, np.ones(2)), np.full((2, 2), np.nan))
    monkeypatch.setattr("weightkin.lineage.parents.posterior", lambda *_: said)
    graph = graph_of(one=trained_on(root, rng), two=trained_on(root, rng))
    assert {(e.child, e.runner_up, e.parent_probability) for e in graph.edges} == {
        ("one", None, 1.0),
        ("two", None, 1.0),
    }

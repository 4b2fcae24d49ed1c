"""Claims about the larger benchmarks: layouts are the paper's, and scores count what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.lib import claim, generator

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from benchmarks.lib.growing import adapt, fold, in_place  # noqa: E402 (needs torch)
from benchmarks.lib.stored_alike import pruned  # noqa: E402
from benchmarks.lib.tree_scores import score_parents, tally  # noqa: E402

misplaced = claim("larger").misplaced
UNETS = generator("larger_trees").UNETS
layout = generator("larger_trees").layout
joined = claim("minilm_families").joined
STEPS_OF_ALL = generator("minilm_trees").STEPS_OF_ALL
families = generator("minilm_trees").families

TRUTH = {"a": None, "b": "a", "c": "a", "d": "c", "e": "c"}
WHOLE = [frozenset(TRUTH)]


def test_a_tree_has_one_root_four_children_and_four_grandchildren_each() -> None:
    parents = list(layout(0).values())
    assert len(parents) == 21
    assert parents.count(None) == 1
    assert parents.count("t0") == 4
    assert all(parents.count(f"t0-{k}") == 4 for k in range(4))


def test_every_true_edge_is_counted_once() -> None:
    said = [("a", "b", True), ("c", "a", True), ("c", "d", False), ("b", "e", True)]
    found = tally(TRUTH, said, WHOLE)
    assert found.right == (("a", "b"),)
    assert found.undetermined == (("c", "d"),)
    assert [child for child, _, _ in found.wrong] == ["c", "e"]
    assert (found.reversed_, found.undirected, found.n_edges) == (1, 3, 4)
    assert found.extra == (("c", "a"),)
    assert found.missed == ()


def test_an_empty_answer_misses_everything() -> None:
    found = tally(TRUTH, [], [frozenset({name}) for name in TRUTH])
    assert len(found.missed) == found.n_edges == 4
    assert found.components == "0 of 1, 5 found"


def test_the_true_parents_are_all_right() -> None:
    names = list(TRUTH)
    parents = [-1 if p is None else names.index(p) for p in TRUTH.values()]
    found = score_parents(names, parents, TRUTH)
    assert len(found.right) == 4
    assert found.components == "1 of 1, 1 found"


@pytest.mark.parametrize("truth", [*UNETS.values(), *families().values(), joined(families())])
def test_every_parent_is_a_member_of_its_family(truth: dict[str, str | None]) -> None:
    assert list(truth.values()).count(None) == 1
    assert {parent for parent in truth.values() if parent} <= set(truth)


def test_a_parent_is_grown_before_its_children() -> None:
    seen: set[str | None] = {None}
    for step in STEPS_OF_ALL:
        assert step.parent in seen
        seen.add(step.name)


def test_folding_an_adapter_keeps_the_output() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 8))
    before = model[1].weight.detach().clone()
    adapt(model, ("1",), 2)
    torch.nn.init.normal_(model[1].lora_B)
    x = torch.randn(5, 8)
    expected = model(x)
    fold(model)
    assert torch.allclose(model(x), expected, atol=1e-5)
    assert torch.linalg.matrix_rank(model[1].weight - before, rtol=1e-4) == 2


def test_one_model_and_no_root_is_misplaced() -> None:
    truth = {name: parent for tree in range(5) for name, parent in layout(tree).items()}
    labels = [tree for tree in range(5) for _ in range(21)]
    changed = np.flatnonzero(np.array(misplaced(labels, list(truth), truth, 3)) != labels)
    assert len(changed) == 1
    assert list(truth.values())[changed[0]] is not None


def test_pruning_zeroes_the_smallest_three_in_ten() -> None:
    x = np.arange(1, 11, dtype=np.float32).reshape(2, 5)
    assert (pruned(x, 0.3) == 0).sum() == 3
    assert (pruned(x, 0.3)[0, :3] == 0).all()


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    in_place(tmp_path / "m", lambda draft: (draft / "x").write_text("first") and None)
    in_place(tmp_path / "m", lambda draft: (draft / "x").write_text("second") and None)
    assert (tmp_path / "m" / "x").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]

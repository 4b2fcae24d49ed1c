"""Claim: a proof by running accepts what holds, and rejects what does not or shows nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from benchmarks.catalogue.bench import Bench
from benchmarks.catalogue.moves import axis_moves, label_moves
from benchmarks.catalogue.prove import prove, proven_labels, share_moved
from benchmarks.catalogue.running import hidden_outputs
from benchmarks.catalogue.starts import labels_from_starts
from benchmarks.catalogue.trace import trace
from torch import nn

from tests.catalogue.small import BATCH, TOKENS, Between, N, Small, proven
from weightkin.anatomy.graph.labels import labels_of
from weightkin.anatomy.graph.units import graph_axes


def test_axes_of_a_module_are_proven():
    torch.manual_seed(0)
    module, inputs = Small(), {"ids": torch.randint(0, 11, (2, 9))}
    graph = trace(module, inputs).graph
    shapes = {name: graph.shapes[name] for name in graph.weights}
    moves = axis_moves(graph_axes(labels_of(graph), shapes), shapes, np.random.default_rng(0))
    proofs = prove(Bench(module, inputs), moves)
    assert {proof.state for proof in proofs.values()} == {"proven"}
    assert share_moved(moves, shapes) > 0.6


def test_wrong_labels_are_rejected():
    torch.manual_seed(0)
    module, inputs = Small(), {"ids": torch.randint(0, 11, (2, 9))}
    labels = labels_of(trace(module, inputs).graph)
    bench = Bench(module, inputs)
    fixed = [n for n, atom in labels.atoms.items() if not atom.is_free and atom.size > 1]
    for wrong in (
        *({n: replace(labels.atoms[n], is_free=True)} for n in fixed),
        *({n: replace(atom, cells=())} for n, atom in labels.atoms.items() if atom.cells),
    ):
        own = replace(labels, atoms={**labels.atoms, **wrong})
        proofs = prove(bench, label_moves(own, np.random.default_rng(1)))
        assert [n for n in proofs if proofs[n].state == "broken"] == list(wrong)
        assert not any(proven_labels(own, proofs).atoms[n].is_free for n in wrong)


def test_an_axis_without_one_of_its_places_is_rejected():
    torch.manual_seed(0)
    module, inputs = Between(torch.tanh, N), {"x": torch.randn(BATCH, TOKENS, 4)}
    graph = trace(module, inputs).graph
    shapes = {name: graph.shapes[name] for name in graph.weights}
    (axis,) = graph_axes(labels_of(graph), shapes)
    for left_out in axis.places:
        wrong = replace(axis, places=tuple(p for p in axis.places if p != left_out))
        moves = axis_moves([wrong], shapes, np.random.default_rng(0))
        (proof,) = prove(Bench(module, inputs), moves).values()
        assert proof.state == "broken"


def test_what_has_no_effect_is_not_proven():
    module = Between(lambda h: h * 0.0, N)
    _, proofs, _ = proven(module, {"x": torch.randn(BATCH, TOKENS, 4)})
    assert [proof.state for proof in proofs.values()] == ["without effect"]


class Scan(nn.Module):
    """States that start from a formula, as state-space models have them."""

    def __init__(self):
        super().__init__()
        self.rates = nn.Parameter(torch.arange(1.0, 6).log().repeat(8, 1))
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 3)
        self.states = nn.Linear(4, 5)
        self.cell = nn.LSTM(3, 6)
        with torch.no_grad():
            self.cell.bias_ih_l0.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(6))

    def forward(self, x):
        own = torch.exp(self.rates * self.first(x)[..., None]) * self.states(x)[..., None, :]
        return self.cell(self.last(own.sum(-1)))[0].sum(-1)


def test_starts_from_a_formula_fix_what_they_tell_apart():
    torch.manual_seed(0)
    first, second = Scan(), Scan()
    inputs = {"x": torch.randn(BATCH, TOKENS, 4)}
    own, other = ({k: v.numpy() for k, v in m.state_dict().items()} for m in (first, second))
    graph = trace(first, inputs).graph
    free = [atom.size for atom in labels_of(graph).atoms.values() if atom.is_free]
    assert sorted(free) == [3, 5, 6, 8]
    graph, labels = labels_from_starts(graph, own, other)
    # one rate for each state, the same in all units; one bias for all units of a gate
    assert sorted(atom.size for atom in labels.atoms.values() if atom.is_free) == [3, 6, 8]
    assert graph.constants["rates"] == (True, False)


def test_hidden_outputs_may_be_free():
    class Base(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, N), nn.Linear(N, 6)

        def forward(self, x):
            return {"last_hidden_state": self.last(self.first(x).relu()), "lengths": x.shape[1]}

    module, inputs = Base(), {"x": torch.randn(BATCH, TOKENS, 4)}
    free = hidden_outputs(module, inputs)
    assert free == [("last_hidden_state", 1), ("last_hidden_state", 2)]
    labels, proofs, _ = proven(module, inputs, free=free)
    assert sorted(atom.size for atom in labels.atoms.values() if atom.is_free) == [6, N]
    assert {proof.state for proof in proofs.values()} == {"proven"}
    with pytest.raises(ValueError, match="no output 'logits', only last_hidden_state"):
        trace(module, inputs, free=[("logits", 1)])

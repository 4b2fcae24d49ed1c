"""The free labels of a network: which indices of its weights may be relabelled, and how.

A relabelling moves every index of an atom alike wherever the atom stands; every operation then
gives the same values, relabelled, so the outputs stay as they are. Three things make it smaller or
larger: a fixed atom does not move; cuts keep its indices inside cells (the channels of one group of
a GroupNorm); and where an atom is never seen without another one (the dimensions of a head without
their head), it may be relabelled for each index of that one on its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from weightkin.anatomy.graph import dims as terms
from weightkin.anatomy.graph.call import Call, Dims, Mismatch
from weightkin.anatomy.graph.dims import Product, Sum, Term, fix, fresh, resolved
from weightkin.anatomy.graph.ir import Graph, Node
from weightkin.anatomy.graph.rules import RULES, n_parts, opaque

Factor: TypeAlias = "int | Dim"
Part: TypeAlias = tuple[Factor, ...]
Dim: TypeAlias = tuple[Part, ...]

MAX_NODES = 1 << 17
MAX_PARTS = 1 << 20  # of the dimensions of all values together


@dataclass(frozen=True, slots=True)
class Atom:
    """One label: as many indices as ``size``.

    ``cells`` are sizes of runs inside which any order is allowed, () where that is all of it;
    ``within`` are atoms for each of whose indices it may be relabelled on its own.
    """

    size: int
    is_free: bool
    cells: tuple[int, ...] = ()
    within: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Labels:
    """What every dimension of every weight is made of.

    A dimension is parts joined end to end, a part is factors multiplied, outermost first, a factor
    is the number of an atom or a dimension again; ``((),)`` has size one. Atoms are numbered, and
    weights listed, in the order in which the network uses them first.
    """

    atoms: Mapping[int, Atom]
    dims: Mapping[str, tuple[Dim, ...]]
    opaque: tuple[tuple[int, str], ...] = ()  # nodes that no rule understood, and why


def labels_of(graph: Graph) -> Labels:
    """Return the labels of all weights of a network.

    Parameters
    ----------
    graph : Graph
        Nodes in the order in which they run.

    Returns
    -------
    Labels
        Cost: linear in the nodes, but for the number of parts that a dimension is cut into.

    Raises
    ------
    ValueError
        The graph speaks of values that it does not have, has over `MAX_NODES` nodes, or takes its
        dimensions apart into over `MAX_PARTS` parts.
    """
    if len(graph.nodes) > MAX_NODES:
        raise ValueError(f"{len(graph.nodes)} nodes, {MAX_NODES} at most are read")
    values = _Values(graph)
    unknown = [(i, why) for i, node in enumerate(graph.nodes) if (why := values.run(node))]
    for name in graph.outputs:
        for dim, term in enumerate(values.of(name)):
            if (name, dim) not in graph.free_outputs:
                fix(term)
    return _labels(values, tuple(unknown))


class _Values:
    """Dimensions of every value seen so far."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.dims: dict[str, Dims] = {}
        self.mixed: list[tuple[str, tuple[int, ...]]] = []  # values with mixed dimensions
        self.n_parts = 0
        for name in graph.inputs:
            self.dims[name] = [fresh(n, is_fixed=True) for n in graph.shapes[name]]

    def of(self, name: str) -> Dims:
        """Dimensions of a value; of a weight or constant they are made when it is first used."""
        if name not in self.dims:
            shape = self.graph.shapes.get(name)
            if shape is None or not (name in self.graph.weights or name in self.graph.constants):
                raise ValueError(f"value {name!r} comes from nowhere")
            even = self.graph.constants.get(name, (True,) * len(shape))
            self.dims[name] = [
                fresh(n, is_fixed=not own) for n, own in zip(shape, even, strict=True)
            ]
        return self.dims[name]

    def run(self, node: Node) -> str:
        """Give the outputs of a node their dimensions; return why the node is not understood."""
        shapes = [self.graph.shapes[name] for name in node.outputs]
        call = Call([list(self.of(name)) for name in node.inputs], shapes, node.facts)
        why = "opaque" if node.op == "opaque" else ""
        try:
            found = RULES[node.op](call)
            if [tuple(t.size for t in row) for row in found] != shapes:
                raise Mismatch("the shape of an output is another")
        except (Mismatch, KeyError, IndexError, TypeError, ValueError) as error:
            found, why = opaque(call), f"{node.op}: {error}"
        self.dims.update(zip(node.outputs, found, strict=True))
        self.n_parts += sum(n_parts(term) for row in found for term in row)
        if self.n_parts > MAX_PARTS:
            raise ValueError("its dimensions have too many parts")
        along = tuple(int(d) for d in node.facts.get("along", ()))
        if node.op == "group_norm":
            along = tuple(range(1, len(call.first)))
        if along:
            self.mixed += [(name, along) for name in node.outputs]
        return why


def _labels(values: _Values, unknown: tuple[tuple[int, str], ...]) -> Labels:
    rows = {name: [resolved(term) for term in dims] for name, dims in values.dims.items()}
    numbers: dict[terms.Atom, int] = {}
    for row in rows.values():
        for term in row:
            for atom in terms.atoms(term):
                numbers.setdefault(atom, len(numbers))
    within = _Within(rows, values.mixed)
    weights = {name: row for name, row in rows.items() if name in values.graph.weights}
    seen = {atom for row in weights.values() for term in row for atom in terms.atoms(term)}
    return Labels(
        atoms={
            numbers[atom]: Atom(
                size=atom.size,
                is_free=not atom.is_fixed,
                cells=_cells(atom),
                within=tuple(
                    sorted(
                        numbers[x]
                        for x in within.of(atom)
                        if x in seen and (atom not in within.of(x) or numbers[x] < numbers[atom])
                    )
                ),
            )
            for atom in sorted(seen, key=numbers.__getitem__)
        },
        dims={name: tuple(_dim(term, numbers) for term in row) for name, row in weights.items()},
        opaque=unknown,
    )


def _cells(atom: terms.Atom) -> tuple[int, ...]:
    ends = [0, *sorted(atom.cuts), atom.size]
    return tuple(b - a for a, b in zip(ends, ends[1:], strict=False)) if atom.cuts else ()


def _dim(term: Term, numbers: Mapping[terms.Atom, int]) -> Dim:
    match resolved(term):
        case Sum(parts=parts):
            return tuple(_part(part, numbers) for part in parts)
        case other:
            return (_part(other, numbers),)


def _part(term: Term, numbers: Mapping[terms.Atom, int]) -> Part:
    match resolved(term):
        case terms.Atom() as atom:
            return (numbers[atom],)
        case Product(factors=factors):
            return tuple(_factor(factor, numbers) for factor in factors)
        case other:
            return (_dim(other, numbers),)


def _factor(term: Term, numbers: Mapping[terms.Atom, int]) -> Factor:
    own = resolved(term)
    return numbers[own] if isinstance(own, terms.Atom) else _dim(own, numbers)


class _Within:
    """For every atom the atoms that stand beside it wherever it stands.

    Beside it are factors of the same product, and other dimensions of the same value. One that
    stands beside it twice says nothing (which of the two?), nor does a dimension along which an
    operation mixes entries: it does so for each index of the others alike.
    """

    def __init__(
        self, rows: Mapping[str, Sequence[Term]], mixed: Sequence[tuple[str, tuple[int, ...]]]
    ) -> None:
        self._common: dict[terms.Atom, set[terms.Atom]] = {}
        blends: dict[str, set[int]] = {}
        for name, along in mixed:
            blends.setdefault(name, set()).update(d % max(1, len(rows[name])) for d in along)
        for name, row in rows.items():
            self._look(row, blends.get(name, set()))

    def of(self, atom: terms.Atom) -> set[terms.Atom]:
        """Atoms within whose indices this one may be relabelled."""
        return self._common.get(atom, set())

    def _look(self, row: Sequence[Term], blended: set[int]) -> None:
        every = [list(terms.atoms(term)) for term in row]
        sure = [_unconditional(term) if i not in blended else set() for i, term in enumerate(row)]
        for i, term in enumerate(row):
            others = Counter(x for j, own in enumerate(every) if j != i for x in own)
            outside = {x for j, own in enumerate(sure) if j != i for x in own if others[x] == 1}
            for atom, path in _places(term, ()):
                on_path = Counter(path)
                found = {x for x in on_path if on_path[x] == 1 and not others[x]}
                found |= {x for x in outside if not on_path[x]}
                found.discard(atom)
                own = self._common.get(atom)
                self._common[atom] = found if own is None else own & found


def _unconditional(term: Term) -> set[terms.Atom]:
    """Atoms that every index of a dimension has an index of."""
    match resolved(term):
        case terms.Atom() as atom:
            return {atom}
        case Product(factors=factors):
            return set().union(*map(_unconditional, factors))
        case _:
            return set()


def _places(
    term: Term, path: tuple[terms.Atom, ...]
) -> Iterator[tuple[terms.Atom, tuple[terms.Atom, ...]]]:
    """Every place of an atom in a dimension, with what it is multiplied with there."""
    match resolved(term):
        case terms.Atom() as atom:
            yield atom, path
        case Sum(parts=parts):
            for part in parts:
                yield from _places(part, path)
        case Product(factors=factors):
            for i, factor in enumerate(factors):
                own = [x for j, f in enumerate(factors) if j != i for x in _unconditional(f)]
                yield from _places(factor, (*path, *own))

"""Recurrent cells: one label for each layer and direction, across the gates and both matrices.

Torch and Keras name the matrices of their cells so that nothing else is called alike. The units of
a layer are the rows of its input matrix, once for each gate, and rows and columns of its recurrent
one; the next layer reads them. The last layer is left out where nothing is seen that reads it: its
units may be the output, which data put in order.

A state may be handed from one cell to another, or made by one layer for all: where several modules
have states of one size, or several other matrices are of it, all cells of that size are one label.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from weightkin.anatomy.graph.axes import UnitLabel
from weightkin.anatomy.types import Place
from weightkin.formats.model import TensorInfo

GATES = (1, 3, 4)  # plain, GRU, LSTM
JOINED = "states"  # of one size, which one label relabels
_TORCH = re.compile(r"(?P<module>(?:.*\.)?)weight_hh_l(?P<layer>[0-9]{1,3})(?P<back>(?:_reverse)?)")
_CELL = re.compile(r"(?P<module>(?:.*\.)?)weight_hh")
_KERAS = re.compile(r"(?P<module>.*[./])recurrent_kernel(?::0)?")


@dataclass(frozen=True, slots=True)
class Cell:
    """One layer in one direction: where its units stand."""

    module: str
    layer: int
    is_back: bool
    n_units: int
    places: tuple[Place, ...]
    n_in: int


def recurrent_labels(tensors: Mapping[str, TensorInfo]) -> list[UnitLabel]:
    """Return the labels of all recurrent layers that something reads.

    Parameters
    ----------
    tensors : mapping of str to TensorInfo
        Tensors that no entry of the catalogue explains.

    Returns
    -------
    list of UnitLabel
        A stack for each module, a block for each layer.
    """
    cells = [cell for name in tensors if (cell := _cell(name, tensors)) is not None]
    joined = _joined(cells, tensors)
    found = []
    for cell in sorted(cells, key=lambda x: (x.module, x.layer, x.is_back)):
        readers = list(_readers(cell, cells, tensors))
        if readers and cell.n_units > 1:
            found.append(
                UnitLabel(
                    stack=cell.module.rstrip("./") or "recurrent",
                    block=cell.layer,
                    name="back" if cell.is_back else "units",
                    n_units=cell.n_units,
                    cell=0,
                    atoms=frozenset({_atom(cell, joined)}),
                    places=(*cell.places, *(x for x in readers if x.size)),
                )
            )
    return found


def is_joined(label: UnitLabel) -> bool:
    """Whether other cells may hold the same units."""
    return (JOINED, label.n_units) in label.atoms


def _joined(cells: Sequence[Cell], tensors: Mapping[str, TensorInfo]) -> set[int]:
    """Sizes of states of which several cells may hold the same units."""
    own = {place.tensor for cell in cells for place in cell.places}
    matrices = [x.shape for n, x in tensors.items() if n not in own and len(x.shape) == 2]
    found = set()
    for n in {cell.n_units for cell in cells}:
        modules = {cell.module for cell in cells if cell.n_units == n}
        if len(modules) > 1 or sum(n in shape or 2 * n in shape for shape in matrices) > 1:
            found.add(n)
    return found


def _atom(cell: Cell, joined: set[int]) -> Hashable:
    n = cell.n_units
    return (JOINED, n) if n in joined else (cell.module, cell.layer, cell.is_back)


def _cell(name: str, tensors: Mapping[str, TensorInfo]) -> Cell | None:
    shape = tensors[name].shape
    if len(shape) != 2:
        return None
    if found := _TORCH.fullmatch(name):
        end = f"_l{found['layer']}{found['back']}"
        return _torch_cell(found["module"], end, int(found["layer"]), shape, tensors)
    if found := _CELL.fullmatch(name):
        return _torch_cell(found["module"], "", 0, shape, tensors)
    if found := _KERAS.fullmatch(name):
        return _keras_cell(name, found["module"], shape, tensors)
    return None


def _torch_cell(
    module: str, end: str, layer: int, shape: tuple[int, ...], tensors: Mapping[str, TensorInfo]
) -> Cell | None:
    rows, n = shape
    inputs = tensors.get(f"{module}weight_ih{end}")
    if (
        inputs is None
        or n == 0
        or rows not in [n * g for g in GATES]
        or len(inputs.shape) != 2
        or inputs.shape[0] != rows
        or f"{module}weight_hr{end}" in tensors
    ):
        return None
    gates = rows // n
    names = [f"{module}{part}{end}" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    places = [
        Place(x, 0, 0, rows, x.removeprefix(module), outer=gates)
        for x in names
        if x in tensors and tensors[x].shape[:1] == (rows,)
    ]
    places.append(Place(names[1], 1, 0, n, f"weight_hh{end}.columns"))
    return Cell(module, layer, end.endswith("_reverse"), n, tuple(places), inputs.shape[1])


def _keras_cell(
    name: str, module: str, shape: tuple[int, ...], tensors: Mapping[str, TensorInfo]
) -> Cell | None:
    n, columns = shape
    end = ":0" if name.endswith(":0") else ""
    inputs = tensors.get(f"{module}kernel{end}")
    if inputs is None or n == 0 or columns not in [n * g for g in GATES]:
        return None
    if len(inputs.shape) != 2 or inputs.shape[1] != columns:
        return None
    gates = columns // n
    places = [
        Place(inputs.name, 1, 0, columns, "kernel", outer=gates),
        Place(name, 1, 0, columns, "recurrent_kernel", outer=gates),
        Place(name, 0, 0, n, "recurrent_kernel.rows"),
    ]
    bias = tensors.get(f"{module}bias{end}")
    if bias is not None and bias.shape in ((columns,), (2, columns)):
        places.append(Place(bias.name, len(bias.shape) - 1, 0, columns, "bias", outer=gates))
    return Cell(module, 0, False, n, tuple(places), inputs.shape[0])


def _readers(cell: Cell, cells: list[Cell], tensors: Mapping[str, TensorInfo]) -> Iterator[Place]:
    """Where the next layer reads the units; a place of no size where something else may do so."""
    layers = [x for x in cells if x.module == cell.module]
    n_ways = 1 + any(x.is_back for x in layers)
    wide, n = cell.n_units * n_ways, cell.n_units
    above = [x for x in layers if x.layer == cell.layer + 1]
    for other in above:
        if other.n_in == wide:
            start = n if cell.is_back else 0
            yield Place(other.places[0].tensor, 1, start, n, f"{other.places[0].role}.columns")
    if above:
        return
    own = {x.tensor for other in layers for x in other.places}
    first = min(layers, key=lambda x: x.layer)
    others = (info for name, info in tensors.items() if name not in own)
    if wide != first.n_in and any(len(x.shape) == 2 and wide in x.shape for x in others):
        yield Place("", 0, 0, 0, "")

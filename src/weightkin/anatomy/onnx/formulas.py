"""Weights that a formula made: tables of waves, filters of a spectrum, slopes, grids.

Their indices have a place of their own by definition, in every model alike, so that a relabelling
of them is no symmetry although the network would not notice. They show themselves by their index:
the size of an entry, where along the other dimensions it is large, and how fast it changes there,
go up or down with it. Entries of a random start do none of that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import scipy

from weightkin.anatomy.graph.ir import Graph, Node
from weightkin.anatomy.graph.labels import Dim, Labels
from weightkin.anatomy.graph.units import size_of
from weightkin.formats.model import Model
from weightkin.stats.sinusoids import is_sinusoidal

P_FORMULA = 5e-5  # of a look: overlooking a formula would be worse than losing an axis
MIN_INDICES = 5  # fewer are in order by chance
MIN_TREND = 8
MOST_ELEMENTS = 1 << 22  # of a weight that is looked at
MOST_ROWS, MOST_COLUMNS = 512, 1024  # of it at a time
PASSED = ("reshape", "transpose", "slice", "expand", "fix")

Doubles = npt.NDArray[np.float32 | np.float64]


def made_by_formula(model: Model, graph: Graph, labels: Labels) -> dict[str, tuple[bool, ...]]:
    """Weights of which a label follows a formula: along which dimensions none does.

    Parameters
    ----------
    model : Model
        What is looked at is read whole: weights that are added or multiplied element by element,
        tables read at places that are known, and matrices and kernels that read the data as they
        came in, or as other formulas left them.
    graph : Graph
        The network.
    labels : Labels
        Its labels as they are without formulas.

    Returns
    -------
    dict
        What `Graph.constants` has to say of them.
    """
    found: dict[str, tuple[bool, ...]] = {}
    source = {x: x for x in graph.weights}
    still = {*graph.weights, *graph.constants}  # values that do not depend on the data
    trained: set[str] = set()  # values that depend on a weight that no formula made
    looked: set[str] = set()
    for node in graph.nodes:
        own = [source[x] for x in node.inputs if x in source]
        is_still = all(x in still for x in node.inputs)
        is_table = _reads_tables(node, graph) and not is_still
        is_first = not any(x in trained for x in node.inputs)
        if is_table or (is_first and node.op in ("einsum", "convolution")):
            for name in own:
                if name not in looked and (rows := _even(model, name, labels, is_table=is_table)):
                    found[name] = rows
                looked.add(name)
        still.update(node.outputs if is_still else ())
        if node.op in PASSED and own or (is_still and len(own) == 1):
            source.update(dict.fromkeys(node.outputs, own[0]))
        elif any(x in trained for x in node.inputs) or any(x not in found for x in own):
            trained.update(node.outputs)
    return found


def _reads_tables(node: Node, graph: Graph) -> bool:
    if node.op == "gather":
        return node.inputs[1] in graph.constants
    return node.op in ("elementwise", "concat")


def _even(model: Model, name: str, labels: Labels, *, is_table: bool) -> tuple[bool, ...]:
    """Along which dimensions of a weight no label follows its index; empty where none does."""
    shape = model.tensors[name].shape
    if math.prod(shape) > MOST_ELEMENTS or 0 in shape or not _free(labels, labels.dims[name]):
        return ()
    values = model.rows(name)
    if not np.isfinite(values).all() or values.min() == values.max():
        return ()
    if is_table and values.ndim == 2 and is_sinusoidal(values[:MOST_ROWS]):
        return (False, False)
    flags = tuple(
        not any(follows_index(rows) for rows in _rows_of(np.moveaxis(values, d, 0), dim, labels))
        for d, dim in enumerate(labels.dims[name])
    )
    return () if all(flags) else flags


def _free(labels: Labels, dims: Iterable[Dim]) -> bool:
    """Whether any label of a weight may move."""
    whole = [x for dim in dims for part in dim for x in part]
    return any(not isinstance(x, int) or _may_move(labels, x) for x in whole)


def _may_move(labels: Labels, atom: int) -> bool:
    return labels.atoms[atom].is_free and labels.atoms[atom].size >= MIN_INDICES


def _rows_of(values: Doubles, dim: Dim, labels: Labels) -> Iterator[Doubles]:
    """For every free label along the first dimension, one row for each of its indices."""
    at = 0
    for part in dim:
        sizes = [size_of(labels, factor) for factor in part]
        n = math.prod(sizes)
        own = values[at : at + n].reshape(*sizes, -1)
        at += n
        for i, factor in enumerate(part):
            if isinstance(factor, int) and _may_move(labels, factor):
                yield np.moveaxis(own, i, 0).reshape(sizes[i], -1)


def follows_index(rows: Doubles) -> bool:
    """Whether entries (rows) go up or down with their index in one of the ways a formula makes."""
    n, width = rows.shape
    if n < MIN_INDICES:
        return False
    if width == 1:
        steps = np.diff(rows[:, 0])
        return bool((steps > 0).all() or (steps < 0).all()) or _is_trend(rows[:, 0])
    return any(_is_trend(x) for x in _features(rows))


def _features(rows: Doubles) -> Iterable[Doubles]:
    """Numbers of each row that a formula would let follow its index."""
    rows = rows[:: -(-len(rows) // MOST_ROWS)]
    size = np.abs(rows[:, :: -(-rows.shape[1] // MOST_COLUMNS)])
    total = size.sum(axis=1)
    safe = np.where(total > 0, total, 1.0)
    yield total
    if rows.shape[1] < MIN_INDICES:
        return
    at = np.arange(size.shape[1], dtype=np.float64)
    yield size @ at / safe  # where it is large
    spectrum = np.abs(np.fft.rfft(rows[:, :MOST_COLUMNS], axis=1))
    power = np.maximum(spectrum.sum(axis=1), np.finfo(np.float32).tiny)  # rows of zeros too
    yield spectrum @ np.arange(spectrum.shape[1], dtype=np.float64) / power  # how fast it changes


def _is_trend(values: Doubles) -> bool:
    """Whether the ranks of numbers follow their index further than chance would let them."""
    n = len(values)
    spread = values.max() - values.min()
    if n < MIN_TREND or spread <= 1e-6 * np.abs(values).max(initial=0.0):
        return False
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)
    correlation = abs(float(np.corrcoef(ranks, np.arange(n))[0, 1]))
    if correlation > 1 - 1e-9:
        return True
    t = correlation * math.sqrt((n - 2) / (1 - correlation**2))
    return float(scipy.special.stdtr(n - 2, -t)) < P_FORMULA

"""Gated convolutions of WaveNet and its heirs: what stands between a gate and what reads it.

Two conventions of names say how the lists of one module are wired. In WaveNet ``filter_convs`` and
``gate_convs`` make the channels of each layer, which are multiplied one by one; ``residual_convs``
and ``skip_convs`` of the same number read them. In WaveGlow, Glow-TTS and VITS ``in_layers`` make
both halves at once, and ``res_skip_layers`` read the product. These channels are seen by nothing
else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from weightkin.anatomy.graph.axes import UnitLabel
from weightkin.anatomy.layers import MATRICES
from weightkin.anatomy.types import Place
from weightkin.formats.model import TensorInfo

MIN_UNITS = 8
_FORMS = (  # what makes the channels, how many times each one, and what reads them
    (("filter_convs", "gate_convs"), 1, ("residual_convs", "skip_convs")),
    (("in_layers",), 2, ("res_skip_layers",)),
)
_LEAVES = "|".join(map(re.escape, MATRICES))


def gated_labels(tensors: Mapping[str, TensorInfo]) -> list[UnitLabel]:
    """Return the labels of the channels inside all gated convolutions.

    Parameters
    ----------
    tensors : mapping of str to TensorInfo
        Tensors that no entry of the catalogue explains.

    Returns
    -------
    list of UnitLabel
        A stack for each module, a block for each layer.
    """
    found = []
    for makers, outer, readers in _FORMS:
        pattern = re.compile(
            rf"(?P<module>(?:.*\.)?){makers[0]}\.(?P<n>[0-9]{{1,6}})\.(?:{_LEAVES})"
        )
        for name in tensors:
            if layer := pattern.fullmatch(name):
                module, number = layer["module"], int(layer["n"])
                made = [_matrix(f"{module}{x}.{layer['n']}", tensors) for x in makers]
                read = [_matrix(f"{module}{x}.{layer['n']}", tensors) for x in readers]
                places = list(_places(module, made, read, outer, tensors))
                if places:
                    stack, n = module.rstrip(".") or "gated", places[0].size // outer
                    atoms = frozenset({(module, number)})
                    found.append(UnitLabel(stack, number, "units", n, 0, atoms, tuple(places)))
    return found


def _matrix(module: str, tensors: Mapping[str, TensorInfo]) -> TensorInfo | None:
    return next((x for leaf in MATRICES if (x := tensors.get(f"{module}.{leaf}"))), None)


def _places(
    module: str,
    made: list[TensorInfo | None],
    read: list[TensorInfo | None],
    outer: int,
    tensors: Mapping[str, TensorInfo],
) -> Iterator[Place]:
    """Where the channels stand; nowhere unless all makers and a reader are there and fit."""
    first = made[0]
    if first is None or any(x is None or x.shape != first.shape for x in made):
        return
    rows = first.shape[0]
    n, known = rows // outer, [x for x in read if x is not None]
    if len(first.shape) < 3 or rows % outer or n < MIN_UNITS or not known:
        return
    if any(x.shape[1] != n or set(x.shape[2:]) != {1} for x in known):
        return
    for info in filter(None, made):
        own = info.name.removeprefix(module)
        yield Place(info.name, 0, 0, rows, own, outer=outer)
        bias = tensors.get(f"{info.name.rpartition('.')[0]}.bias")
        if bias is not None and bias.shape == (rows,):
            yield Place(bias.name, 0, 0, rows, bias.name.removeprefix(module), outer=outer)
    for info in known:
        yield Place(info.name, 1, 0, n, f"{info.name.removeprefix(module)}.in")

"""Plain chains of layers: numbered matrices each of which reads what the one before it computes.

``fc1``, ``fc2`` and ``features.0``, ``features.3``: no entry knows them, and no graph says what
stands between (several matrices under one number are blocks, not a chain). Sizes do, where every
link of the chain fits: a size that some layers of a chain compute and that only their next ones
read is one label (all of a size are: one too many is valid). Sizes of the data, at both ends, are
no labels, nor is what a norm may group.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from weightkin.anatomy.gated import gated_labels
from weightkin.anatomy.graph.axes import UnitLabel, carriers_from, label_axes
from weightkin.anatomy.naming import natural
from weightkin.anatomy.recurrent import JOINED, is_joined, recurrent_labels
from weightkin.anatomy.types import Axis, Place
from weightkin.formats.model import TensorInfo

MIN_UNITS = 8
MAX_LAYERS = 4096
MAX_TENSORS = 1 << 15
_NUMBER = re.compile(r"[0-9]+")
OTHER = re.compile(
    r"att|(?:^|[._])(?:q|k|v|qk|kv|qkv|to_[qkv])(?:$|[._])|query|key|value|lora|adapter|expert|rout"
    r"|embed|head|branch|tower|rnn|lstm|gru|skip|short|resid|down|up[0-9._]|group|(?:^|[._])gn",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Layer:
    """A matrix or kernel of a chain."""

    info: TensorInfo
    n_in: int
    n_out: int
    in_dim: int
    out_dim: int

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel is read alone."""
        return len(self.info.shape) > 2 and self.n_in == 1


@dataclass(frozen=True, slots=True)
class Link:
    """The units of a layer as the next one reads them: ``inner`` columns each."""

    n: int
    inner: int = 1


def plain_axes(
    tensors: Mapping[str, TensorInfo], known: Iterable[Axis], taken: set[str]
) -> list[Axis]:
    """Return the axes of recurrent cells and plain chains among tensors that no other axis holds.

    Parameters
    ----------
    tensors : mapping of str to TensorInfo
        Tensors that no entry of the catalogue explains.
    known : iterable of Axis
        Axes found so far.
    taken : set of str
        Names of stacks in use.

    Returns
    -------
    list of Axis
        Of kind ``units``.
    """
    held = {place.tensor for axis in known for place in axis.places}
    rest = {name: info for name, info in tensors.items() if name not in held}
    if len(rest) > MAX_TENSORS:
        return []
    cells = recurrent_labels(rest)
    gates = gated_labels(rest)
    held = {place.tensor for label in (*cells, *gates) for place in label.places}
    labels = [
        *cells,
        *gates,
        *chain_labels({name: info for name, info in rest.items() if name not in held}),
    ]
    labels = [x for x in labels if x.stack not in taken]
    shapes = {name: info.shape for name, info in rest.items()}
    axes = label_axes(labels, carriers_from(labels, shapes), shapes)
    shared = {(x.stack, x.block): f"{JOINED}.{x.n_units}" for x in cells if is_joined(x)}
    return [replace(x, labels=shared.get((x.stack, x.block), x.labels)) for x in axes]


def chain_labels(tensors: Mapping[str, TensorInfo]) -> list[UnitLabel]:
    """Return the labels of all chains.

    Parameters
    ----------
    tensors : mapping of str to TensorInfo
        Tensors that nothing else explains.

    Returns
    -------
    list of UnitLabel
        A stack for each chain, a block for each size, in the order in which they are computed.
    """
    labels: list[UnitLabel] = []
    for prefix, members in _chains(tensors):
        layers = _layers([info for info in members if len(info.shape) > 1])
        vectors = [info for info in members if len(info.shape) == 1]
        if not 2 <= len(layers) <= MAX_LAYERS or len({_pattern(x.info.name) for x in layers}) > 1:
            continue
        links = [_link(x, y) for x, y in zip(layers, layers[1:], strict=False)]
        sizes = [n for n in _sizes(layers) if _is_label(n, layers, links, vectors)]
        for block, n in enumerate(sizes):
            places = tuple(_places(n, prefix, layers, links, vectors))
            name = prefix.rstrip("._") or "layers"
            labels.append(UnitLabel(name, block, "units", n, 0, frozenset({(prefix, n)}), places))
    return labels


def _chains(tensors: Mapping[str, TensorInfo]) -> Iterator[tuple[str, list[TensorInfo]]]:
    """Tensors by what stands before the first number of their names, in natural order."""
    groups: dict[str, list[TensorInfo]] = {}
    for name in sorted(tensors, key=natural):
        module = name.rpartition(".")[0]
        if found := _NUMBER.search(module):
            groups.setdefault(name[: found.start()], []).append(tensors[name])
    for prefix, members in groups.items():
        if not any(OTHER.search(info.name) for info in members):
            yield prefix, members


def _pattern(name: str) -> str:
    return _NUMBER.sub("#", name)


def _layers(matrices: Sequence[TensorInfo]) -> list[Layer]:
    """Every matrix with its sides; none where a chain fits as well the other way round.

    Matrices are stored (out, in) by torch, (in, out) by Keras and Flax, and kernels of transposed
    convolutions (in, out, ...) by torch.
    """
    plain = [_layer(info, 0, 1) for info in matrices if 0 not in info.shape]
    turned = [_layer(x.info, 1, 0) if len(x.info.shape) > 2 else x for x in plain]
    stored = [_layer(x.info, len(x.info.shape) - 1, len(x.info.shape) - 2) for x in plain]
    readings = sorted((plain, stored, *([turned] if turned != plain else [])), key=_n_links)
    return readings[-1] if _n_links(readings[-1]) > _n_links(readings[-2]) else []


def _layer(info: TensorInfo, out_dim: int, in_dim: int) -> Layer:
    return Layer(info, info.shape[in_dim], info.shape[out_dim], in_dim, out_dim)


def _n_links(layers: Sequence[Layer]) -> int:
    links = (_link(x, y) for x, y in zip(layers, layers[1:], strict=False))
    return sum(link is not None and link.n >= MIN_UNITS for link in links)


def _link(before: Layer, after: Layer) -> Link | None:
    """How one layer reads the one before it; None where sizes do not say so."""
    n = before.n_out
    if after.is_depthwise:
        return Link(n) if after.n_out == n else None
    if after.n_in == n:
        return Link(n)
    is_flat = len(before.info.shape) > 2 and len(after.info.shape) == 2
    if is_flat and after.n_in % n == 0:
        return Link(n, after.n_in // n)
    return None


def _sizes(layers: Iterable[Layer]) -> list[int]:
    return list(dict.fromkeys(layer.n_out for layer in layers if layer.n_out >= MIN_UNITS))


def _is_label(
    n: int, layers: Sequence[Layer], links: Sequence[Link | None], vectors: Sequence[TensorInfo]
) -> bool:
    """Whether all that has this size is computed and read inside the chain, as units."""
    if n in (layers[0].n_in, layers[-1].n_out):
        return False
    for i, layer in enumerate(layers):
        if layer.n_out == n and (i == len(links) or links[i] is None):
            return False
        if layer.n_in == n and not layer.is_depthwise and (i == 0 or links[i - 1] is None):
            return False
    pairs = [
        (x, y) for x, y, own in zip(layers, layers[1:], links, strict=False) if own and own.n == n
    ]
    is_fed = any(x.n_in != n and not x.is_depthwise for x, _ in pairs)
    is_read = any(y.n_out != n for _, y in pairs)
    has_kernels = any(len(x.info.shape) > 2 for x, _ in pairs)
    return is_fed and is_read and not (has_kernels and _has_unknown_norm(n, vectors))


def _has_unknown_norm(n: int, vectors: Sequence[TensorInfo]) -> bool:
    """Whether a norm of this size has no running statistics: it may act on groups of channels."""
    names = {info.name for info in vectors}
    return any(
        info.shape == (n,)
        and info.name.endswith(".weight")
        and f"{info.name.removesuffix('weight')}running_mean" not in names
        for info in vectors
    )


def _places(
    n: int,
    prefix: str,
    layers: Sequence[Layer],
    links: Sequence[Link | None],
    vectors: Iterable[TensorInfo],
) -> Iterator[Place]:
    for i, layer in enumerate(layers):
        name = layer.info.name
        own = name.removeprefix(prefix)
        if layer.n_out == n:
            yield Place(name, layer.out_dim, 0, n, own)
        before = links[i - 1] if i else None
        if before and before.n == n and not layer.is_depthwise:
            size = n * before.inner
            yield Place(name, layer.in_dim, 0, size, f"{own}.in", inner=before.inner)
    for info in vectors:
        if math.prod(info.shape) == n:
            yield Place(info.name, 0, 0, n, info.name.removeprefix(prefix))

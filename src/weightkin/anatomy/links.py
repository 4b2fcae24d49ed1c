"""Hidden layers of nets whose wiring nobody knows: where one layer is read by the next one alone.

Some readings of names and shapes are certain enough, each about the outputs of one layer. Inside a
``Sequential`` (numbered layers with members without tensors between them, as activations are)
nothing but the next layer sees them. In a run of numbered layers (``conv1``, ``conv2``) that fit
each other they may be added to something, so they must be more than the layer reads: none of what
it reads can then be one of them. In a dense block each layer reads all that the others before it
put out. Kernels of several lengths over the same inputs are side by side where one matrix reads as
many as all of them put out. And a first convolution reads data. Of graph attention, units are those
inside of a head.

Nobody knows with which others such outputs are tied, so all of them share one label: what is found
on them is averaged. A norm without running statistics may act on groups of channels. Where there
are 64 of them or a multiple, or a power of two, groups are of even size (there are at most 32, or
one for each channel), and the two of a pair may change places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from weightkin.anatomy.chains import OTHER
from weightkin.anatomy.layers import (
    MATRICES,
    MAX_LAYERS,
    Layer,
    Member,
    layer_of,
    layers,
    lists,
    vectors_of,
)
from weightkin.anatomy.naming import natural
from weightkin.anatomy.types import Axis, Place
from weightkin.formats.model import TensorInfo

MIN_UNITS = 8
MAX_TENSORS = 1 << 15
STACK = "layers"
LABELS = "channels"  # those of convolutions that are read one by one
MAX_WORDS = 64  # of a name
N_COLOURS = 3
PAIR = 2  # units of a cell where groups of channels are not known


@dataclass(frozen=True, slots=True)
class _Found:
    """A layer whose outputs are units, and the one that reads them, alone if it is a view too."""

    layer: Layer
    reader: Layer | None = None
    is_private: bool = False


def linked_axes(
    tensors: Mapping[str, TensorInfo], known: Iterable[Axis], taken: set[str]
) -> list[Axis]:
    """Return an axis for every layer whose outputs are certainly units, one label for all.

    Parameters
    ----------
    tensors : mapping of str to TensorInfo
        Tensors that no entry of the catalogue explains.
    known : iterable of Axis
        Axes found so far: their tensors are left alone.
    taken : set of str
        Names of stacks in use.

    Returns
    -------
    list of Axis
        Of kind ``units``; at most `MAX_LAYERS`.
    """
    held = {place.tensor for axis in known for place in axis.places}
    if len(tensors) > MAX_TENSORS or STACK in taken:
        return []
    norms = _norms(tensors)
    found: dict[str, _Found] = {}
    kernels = [x for x in tensors.values() if len(x.shape) > 2 and x.name.endswith(MATRICES)]
    n_made = Counter(info.shape[0] for info in kernels)
    readers = _readers(tensors)
    for _, members in sorted(lists(tensors).items(), key=lambda item: natural(item[0])):
        for one in (*_linked(members, n_made, readers), *_branches(members, readers)):
            found.setdefault(one.layer.info.name, one)
    for one in _stems(kernels, tensors):
        found.setdefault(one.layer.info.name, one)
    axes: list[Axis] = []
    for name in sorted(found.keys() - held, key=natural):
        cell = _cell(found[name].layer, norms)
        if cell != 1 and len(axes) < MAX_LAYERS:
            axes.append(_axis(len(axes), found[name], cell))
    return axes


def _norms(tensors: Mapping[str, TensorInfo]) -> set[int]:
    """Sizes of norms without running statistics."""
    return {
        info.shape[0]
        for name, info in tensors.items()
        if len(info.shape) == 1
        and name.endswith(".weight")
        and f"{name.removesuffix('weight')}running_mean" not in tensors
    }


def _cell(layer: Layer, norms: set[int]) -> int:
    """0 where units may stand in any order, 1 where in none, else the size of cells."""
    n = layer.n_out
    is_normed = len(layer.info.shape) > 2 and any(size >= n for size in norms)
    if layer.cell:
        return 1 if is_normed else layer.cell
    if not is_normed:
        return 0
    is_even = all(size % 64 == 0 or size & (size - 1) == 0 for size in (n, *norms))
    return PAIR if is_even and n >= 2 * MIN_UNITS else 1


def _readers(tensors: Mapping[str, TensorInfo]) -> Counter[tuple[str, int]]:
    """How many matrices below each module read so many inputs."""
    return Counter(
        (".".join(words[:i]), info.shape[1])
        for name, info in tensors.items()
        if len(info.shape) == 2 and len(words := name.split(".")) <= MAX_WORDS
        for i in range(len(words))
    )


def _linked(
    members: Sequence[Member], n_made: Mapping[int, int], readers: Mapping[tuple[str, int], int]
) -> Iterator[_Found]:
    """Layers of one list that are read by the next one."""
    is_sequence = members[0].path.rpartition(".")[2].isdecimal()
    runs = list(layers(members))
    pairs = list(zip(runs, runs[1:], strict=False))
    reads = [_reads(before, after, runs[0]) for before, after in pairs]
    is_whole = len(runs) == sum(bool(x.matrices) for x in members)
    has_gaps = any(b.number > a.number + 1 for a, b in zip(members, members[1:], strict=False))
    is_run = is_whole and all(reads) and not (is_sequence and has_gaps)
    is_run = is_run and not any(OTHER.search(x.path.rpartition(".")[2]) for x in members)
    is_dense = is_whole and len(pairs) > 1 and all(_is_joined(x, y) for x, y in pairs)
    for i, (before, after) in enumerate(pairs):
        n, m = before.n_out, before.n_in
        if n < MIN_UNITS or not (before.n_in > 1 or _is_first(before, n_made)):
            continue
        is_apart = is_sequence and after.number > before.number + 1 and is_whole
        is_known = m < n or (i > 0 and reads[i - 1])
        if not is_sequence and len(before.info.shape) == 2:  # values with queries beside them
            module = before.path.rpartition(".")[0]
            is_known &= readers[module, m] == sum(x.n_in == m for x in runs)
        if is_dense:
            yield _Found(before)
        elif reads[i] and is_apart and before.is_leaf:
            yield _Found(before, after, is_private=after.is_leaf and not after.is_depthwise)
        elif reads[i] and (is_apart or is_run) and n != m and is_known:
            yield _Found(before, after)


def _branches(
    members: Sequence[Member], readers: Mapping[tuple[str, int], int]
) -> Iterator[_Found]:
    """Kernels of several lengths over the same inputs, whose outputs one matrix reads together."""
    runs = list(layers(members))
    if len(runs) < 2 or len(runs) < sum(bool(x.matrices) for x in members):
        return
    (n, m), spans = runs[0].info.shape[:2], {x.info.shape[2:] for x in runs}
    is_alike = all(x.info.shape[:2] == (n, m) and x.out_dim == 0 for x in runs)
    if not is_alike or n < MIN_UNITS or n == m or len(spans) < len(runs) or () in spans:
        return
    total = n * len(runs)
    depths = {span[-1] for span in spans}
    is_seen = m > 1 or (len(depths) == 1 and readers["", max(depths)] > 0)
    if total != m and is_seen and readers["", total] == 1:
        yield from (_Found(layer) for layer in runs)


def _is_first(layer: Layer, n_made: Mapping[int, int]) -> bool:
    """Whether a kernel over one channel reads a grey picture: nobody else makes its channels."""
    return len(layer.info.shape) == 4 and n_made.get(layer.n_out, 0) == 1


def _reads(before: Layer, after: Layer, first: Layer) -> bool:
    """Whether sizes say that a layer reads the one before it, maybe joined with the first input."""
    n = before.n_out
    if after.is_depthwise:
        return after.info.shape[0] == n
    is_flat = len(before.info.shape) > 2 and len(after.info.shape) == 2 and after.n_in % n == 0
    return after.n_in in (n, n + first.n_in) or is_flat


def _is_joined(before: Layer, after: Layer) -> bool:
    """Whether a layer reads what the one before it reads and what that puts out."""
    return after.n_in == before.n_in + before.n_out and before.info.shape[2:] != ()


def _stems(kernels: Sequence[TensorInfo], tensors: Mapping[str, TensorInfo]) -> Iterator[_Found]:
    """A convolution that reads colours, or what no layer puts out, and is read by others."""
    sides = Counter(size for info in kernels for size in info.shape[:2])
    elsewhere = {size for x in tensors.values() if len(x.shape) == 2 for size in x.shape}
    outs = {x.shape[0] for x in kernels}
    grouped = {x.shape[1] for x in kernels if x.shape[1] not in (1, N_COLOURS)} - outs
    for info in kernels:
        layer = layer_of(Member(info.name, 0, [info], vectors_of(info, tensors)))
        if layer is None or not MIN_UNITS <= layer.n_out > layer.n_in > 1:
            continue
        n, m = layer.n_out, layer.n_in
        is_data = sides[m] == 1 and m not in elsewhere
        is_grouped = any(n % size == 0 for size in grouped - {m})
        if (m == N_COLOURS or is_data) and sides[n] > 1 and not is_grouped:
            yield _Found(layer)


def _axis(block: int, found: _Found, cell: int) -> Axis:
    layer, reader = found.layer, found.reader
    n = layer.n_out
    places = [Place(layer.info.name, layer.out_dim, 0, n, "w:out")]
    places += [Place(x.name, 0, 0, n, "b:vector") for x in layer.vectors if x.shape == (n,)]
    if reader is not None and not reader.is_depthwise and reader.n_in % n == 0:
        role = "w:in" if found.is_private and not cell else "b:in"
        inner = reader.n_in // n
        places.append(
            Place(reader.info.name, 1 - reader.out_dim, 0, reader.n_in, role, inner=inner)
        )
    cells = f" in each of {n // cell} cells" if cell else ""
    return Axis(
        name=layer.path,
        kind="units",
        stack=STACK,
        block=block,
        n_units=n,
        group=f"S_{cell or n}{cells}",
        labels=LABELS,
        places=tuple(places),
        head_size=cell,
    )

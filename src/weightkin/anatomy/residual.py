"""The residual width: one relabelling for each stream, wherever the stream is read or written.

Streams of one width that carry text share their labels: a table tied but stored twice, or attention
that reads two streams through the same keys, joins them without a trace in the names. Their
evidence is averaged, never multiplied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from weightkin.anatomy.naming import Bound, Reading, bind, is_buffer
from weightkin.anatomy.types import Axis, Place
from weightkin.anatomy.units import Refusal
from weightkin.formats.model import Problem, TensorInfo

_FIRST = ("embed", "unembed", "position")


def assign_top(readings: list[Reading], top: Iterable[TensorInfo]) -> None:
    """Give every tensor outside the blocks to the stack whose prefix it shares.

    A tensor that several stacks could own goes to the one whose family knows it; one whose family
    knows that it belongs to a stack under another prefix, to that; what none knows is unknown
    to all of them.
    """
    owners: dict[str, list[Reading]] = {}
    for reading in readings:
        for root in reading.stack.roots:
            owners.setdefault(root, []).append(reading)
    entries = {root: {id(r.entry): r.entry for r in rs} for root, rs in owners.items()}
    infos = list(top)
    for info in infos:
        root = _longest_root(info.name, owners)
        rest = info.name[len(root) :]
        own = entries.get(root, {})  # many stacks may share one
        bound = {key: b for key, entry in own.items() if (b := bind(entry, rest, info, "top"))}
        owning = owners.get(root, ()) if bound else ()
        found = [(r, bound[id(r.entry)]) for r in owning if id(r.entry) in bound]
        fitting = [(r, b) for r, b in found if b.part.stack in ("", r.name)]
        fitting = fitting or [(r, b) for _, b in found[:1] for r in readings if _reads(r, b)]
        if fitting and len({_stream(r) for r, _ in fitting}) == 1:
            fitting[0][0].top.append(fitting[0][1])
        elif info.shape and not is_buffer(info):  # one number runs along nothing
            for reading in owners.get(root, ()):
                reading.top_strangers.append(info)
    modules = {info.name.rsplit(".", 1)[0] for info in infos}
    for reading in readings:
        reading.top = [b for b in reading.top if not _is_behind(b, reading, modules)]


def residual_axes(readings: list[Reading]) -> Iterator[Axis | Problem]:
    """Yield the residual axis of every stream, or (stream, reason)."""
    streams: dict[tuple[str, str], list[Reading]] = {}
    for reading in readings:
        streams.setdefault(_stream(reading), []).append(reading)
    names: set[str] = set()
    for members in streams.values():
        name = members[0].entry.joins or members[0].name
        while name in names:
            name += "'"
        names.add(name)
        try:
            _check_others(members, readings)
            yield _axis(members, name)
        except Refusal as reason:
            yield reason.of(name)


def _axis(members: list[Reading], name: str) -> Axis:
    width = members[0].width
    for reading in members:
        _check(reading, width)
    if width < 2:
        raise Refusal("width", "the residual width is not shown by any matrix")
    bound = [b for r in members for row in [r.top, *r.bound] for b in row]
    places = sorted(_places(bound), key=_rank)  # the rest stays in the order of the blocks
    if not any(place.role == "embed" for place in places) and members[0].entry.joins:
        raise Refusal("width", "the shared embedding that joins its stacks was not found")
    return Axis(
        name="residual",
        kind="residual",
        stack=name,
        block=-1,
        n_units=width,
        group=f"S_{width}",
        labels=f"{name if name.split('.')[0] in ('vision', 'audio') else width}.residual",
        places=tuple(places),
    )


def _check_others(members: list[Reading], readings: list[Reading]) -> None:
    """Refuse when a connector from another tower may write into this stream."""
    for other in readings:
        for info in () if other in members else other.top_strangers:
            if members[0].width in info.shape:
                raise Refusal(
                    "unknown-tensor",
                    f"{info.name} is not understood and may join another tower to it",
                )


def _check(reading: Reading, width: int) -> None:
    entry = reading.entry
    if entry.positions == "unsure":
        why = "in this family the width may be tied to sinusoids, to grouped or to other channels"
        raise Refusal("width", why)
    if entry.positions == "stored" and not reading.has_positions:
        why = "no position table was found: positions may be sinusoids tied to the width"
        raise Refusal("positions", why)
    for info in [*reading.top_strangers, *(i for row in reading.strangers for i in row)]:
        raise Refusal(
            "unknown-tensor", f"{info.name} is not understood and may run along the width"
        )
    for bound in [*reading.top, *(b for row in reading.bound for b in row)]:
        if bound.group == "cross" and not entry.joins and bound.sizes("d"):
            why = "cross attention reads another stream; what joins the two is not certain"
            raise Refusal("width", why)
        if any(size != width for size in bound.sizes("d")):
            shape = "x".join(map(str, bound.info.shape))
            raise Refusal("sizes", f"{bound.info.name} has shape {shape}, but the width is {width}")


def _places(bound: list[Bound]) -> Iterator[Place]:
    for b in bound:
        for dim, word in enumerate(b.dims):
            if word == "d":
                yield Place(b.info.name, dim, 0, b.info.shape[dim], b.part.role)


def _rank(place: Place) -> int:
    return _FIRST.index(place.role) if place.role in _FIRST else len(_FIRST)


def _reads(reading: Reading, bound: Bound) -> bool:
    """Whether a projector in the module of another tower writes into the stream of a stack."""
    return bound.part.stack == reading.name and {reading.width} == set(bound.sizes("d"))


def _stream(reading: Reading) -> tuple[str, str]:
    """Stacks with equal keys share one residual stream."""
    if reading.entry.joins:
        return reading.entry.joins, reading.stack.roots[min(1, len(reading.stack.roots) - 1)]
    return reading.name, reading.stack.prefix


def _longest_root(name: str, owners: dict[str, list[Reading]]) -> str:
    end = len(name)
    while (end := name.rfind(".", 0, end)) >= 0:
        if name[: end + 1] in owners:
            return name[: end + 1]
    return ""


def _is_behind(bound: Bound, reading: Reading, modules: set[str]) -> bool:
    """Whether a head reads another head's output: a classifier after a pooler."""
    wanted = bound.part.behind
    return bool(wanted) and any(f"{root}{wanted}" in modules for root in reading.stack.roots)

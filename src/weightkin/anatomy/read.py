"""Read the anatomy of a model: by family where names are known, by shape where they are not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from weightkin.anatomy.conv import conv_axes
from weightkin.anatomy.heads import head_axes
from weightkin.anatomy.infer import inferred_axes
from weightkin.anatomy.naming import MAX_STACKS, Reading, is_optimiser_state
from weightkin.anatomy.networks import split_networks
from weightkin.anatomy.onnx.choice import by_graph
from weightkin.anatomy.residual import residual_axes
from weightkin.anatomy.stacks import MAX_BLOCKS, read_stacks
from weightkin.anatomy.stored_names import stored_anatomy
from weightkin.anatomy.traced import better_anatomy
from weightkin.anatomy.translate import components_of
from weightkin.anatomy.types import Anatomy, Axis
from weightkin.anatomy.unexplained import is_by_layers, unexplained_axes
from weightkin.anatomy.units import MAX_UNITS, unit_axes
from weightkin.catalogue.config import about_stack, config_of
from weightkin.formats.model import Model, Problem, TensorInfo
from weightkin.text import quoted


def read_anatomy(model: Model) -> Anatomy:
    """Say what is known about the layout of a model: blocks, roles, and axes with their symmetries.

    The family is chosen by tensor names and shapes alone. The config is a hint: it may settle the
    size of a head where the shapes agree with it, and it may take an axis away, never add one.
    What cannot be declared with certainty is listed in ``skipped`` with its reason. A sketch brings
    the anatomy of its model along, cut to what it holds. A file that holds several networks
    (a teacher beside a student, an average of the weights) is read network by network.
    """
    if model.sketched is not None:
        known: Anatomy = model.sketched.anatomy
        return known
    found = _by_names(model.tensors, model.config)
    if model.networks:
        found = by_graph(model, found, _by_names)
    return _bounded(found)


def _by_names(tensors: Mapping[str, TensorInfo], config: Mapping[str, Any]) -> Anatomy:
    """What names, shapes and a config say."""
    try:
        text = json.dumps(config)
    except (TypeError, ValueError, RecursionError):  # holds what no file of JSON holds
        return read_headers.__wrapped__(_Headers((), "", tensors, config))
    return read_headers(_Headers(tuple(tensors.items()), text, tensors, config))


@dataclass(frozen=True, slots=True)
class _Headers:
    """All that an anatomy is read from; equal ones have equal anatomies."""

    infos: tuple[tuple[str, TensorInfo], ...]
    text: str
    tensors: Mapping[str, TensorInfo] = field(compare=False)
    config: Mapping[str, Any] = field(compare=False)


@lru_cache(maxsize=8)  # one comparison asks again and again, and most models are alike
def read_headers(headers: _Headers) -> Anatomy:
    """The anatomy of a network or of several, by names, shapes and the config alone."""
    held = {name: info for name, info in headers.tensors.items() if 0 not in info.shape}
    empty = [name for name in headers.tensors if name not in held]
    weights = {name: info for name, info in held.items() if not is_optimiser_state(name)} or held
    moments = [name for name in held if name not in weights]
    found = _of_components(weights, headers.config)
    left = (
        (empty, "without elements", "empty"),
        (moments, "of an optimiser, whose units are those of the weights", "optimiser"),
    )
    for names, what, code in left:
        if names:
            why = f"{len(names)} {what}, first {quoted(names[0])}"
            found = replace(
                found,
                roles=(*found.roles, *((name, "other") for name in names)),
                skipped=(*found.skipped, Problem("tensors", why, code=code)),
            )
    return found


def _of_components(held: Mapping[str, TensorInfo], config: Mapping[str, Any]) -> Anatomy:
    """The parts of a model read one by one, under the names of the library, and joined."""
    parts: list[tuple[str, Anatomy]] = []
    for component in components_of(held):
        networks, outside = split_networks(component.tensors)
        own = config_of(config, component.name)
        read = []
        for prefix, tensors in networks.items():
            beside = () if prefix == "" else outside
            by_names = _network(tensors, own, beside)
            read.append((prefix, better_anatomy(by_names, tensors, own, beside)))
        whole = _joined(read, component.tensors)
        if len(read) > 1:  # towers of one class may look like networks of their own
            whole = better_anatomy(whole, component.tensors, own)
        found = stored_anatomy(whole, component)
        taken = {name for label, x in parts for name, _ in _prefixed(x, label)}
        is_taken = any(name in taken for name, _ in _prefixed(found, component.label))
        parts.append((f"{component.name}." if is_taken else component.label, found))
    return _joined(parts, held)


def _prefixed(anatomy: Anatomy, prefix: str) -> Iterator[tuple[str, int]]:
    return ((f"{prefix}{name}", n) for name, n in anatomy.stacks)


def _network(
    tensors: Mapping[str, TensorInfo], config: Mapping[str, Any], outside: Iterable[TensorInfo]
) -> Anatomy:
    """Read the tensors of one network; those ``outside`` may belong to it, which none can tell."""
    stacks = read_stacks(tensors)
    readings, notes = stacks.readings, _Notes()
    for stack in stacks.too_long:
        why = f"too many blocks ({len(stack.blocks)}, at most {MAX_BLOCKS})"
        notes.problems.append(Problem(stack.prefix, why, code="too-many"))
    unread = [*stacks.top]
    unread += [x for stack in stacks.unread for b in stack.blocks for x in b.tensors.values()]
    for reading in readings:
        reading.top_strangers += [x for x in outside if reading.width in x.shape]

    axes = [axis for reading in readings for axis in _block_axes(reading, config, notes)]
    axes += notes.keep("", -1, "", residual_axes(readings))
    counts = [(reading.name, len(reading.stack.blocks)) for reading in readings]
    roles = dict.fromkeys(tensors, "other")
    for reading in readings:
        for row in [reading.top, *reading.bound]:
            roles.update((bound.info.name, bound.part.role) for bound in row)

    taken = {name for name, role in roles.items() if role != "other"}
    rest = [info for info in unread if info.name not in taken]
    inferred = inferred_axes(rest, taken={name for name, _ in counts})
    convolutions = conv_axes(rest)
    for found in (inferred, convolutions):
        axes += found.axes
        counts += found.stacks
        roles.update(found.roles)
    plain = unexplained_axes(rest, axes, {name for name, _ in counts})
    axes += plain
    counts += Counter(axis.stack for axis in plain).items()
    notes.problems += convolutions.skipped if is_by_layers(plain) else []
    if not readings and not convolutions.axes and not plain:  # beside known axes they are no news
        notes.problems += inferred.skipped
    skipped = notes.summary()
    if n_wide := sum(axis.n_units > MAX_UNITS for axis in axes):
        why = f"more than {MAX_UNITS} units, which is more than is read"
        skipped.append(Problem(f"{n_wide} axes", why, code="too-many"))
        axes = [axis for axis in axes if axis.n_units <= MAX_UNITS]
    if stacks.n_left:
        why = f"only the {MAX_STACKS} largest stacks of blocks are read"
        skipped.append(Problem(f"{stacks.n_left} stacks of blocks", why, code="too-many"))
    if not axes and not skipped:
        why = "no block with a known or inferable unit axis was found"
        skipped.append(Problem("model", why, code="axis-unknown"))
    return Anatomy(
        family=_family(readings, axes),
        stacks=tuple(counts),
        axes=tuple(axes),
        roles=tuple(roles.items()),
        skipped=tuple(skipped),
    )


def _bounded(anatomy: Anatomy) -> Anatomy:
    """The largest stacks, as long as all their blocks can be compared with all of another model."""
    blocks = {(axis.stack, axis.block) for axis in anatomy.axes if axis.block >= 0}
    room = MAX_BLOCKS
    if len(blocks) <= room:
        return anatomy
    kept = set()
    sizes = Counter(stack for stack, _ in blocks)
    for stack, n in sorted(sizes.items(), key=lambda x: (-x[1], x[0])):
        if n <= room:
            kept.add(stack)
            room -= n
    n_left = sum(n for stack, n in sizes.items() if stack not in kept)
    what, why = f"{n_left} blocks", f"too many blocks ({len(blocks)}, at most {MAX_BLOCKS})"
    axes = tuple(x for x in anatomy.axes if x.block < 0 or x.stack in kept)
    skipped = (*anatomy.skipped, Problem(what, why, code="too-many"))
    return replace(anatomy, axes=axes, skipped=skipped)


def _joined(networks: Sequence[tuple[str, Anatomy]], tensors: Mapping[str, TensorInfo]) -> Anatomy:
    """One anatomy for all networks of a file: stacks carry the prefix of their network."""
    if len(networks) == 1 and not networks[0][0]:
        return networks[0][1]
    stacks: list[tuple[str, int]] = []
    axes: list[Axis] = []
    roles = dict.fromkeys(tensors, "other")
    skipped: list[Problem] = []
    for prefix, found in networks:
        stacks += [(f"{prefix}{name}", n) for name, n in found.stacks]
        axes += [
            replace(axis, stack=f"{prefix}{axis.stack}", labels=f"{prefix}{axis.labels}")
            for axis in found.axes
        ]
        roles.update(found.roles)
        skipped += [replace(problem, what=f"{prefix}{problem.what}") for problem in found.skipped]
    sized = sorted((x for _, x in networks), key=lambda x: -sum(n for _, n in x.stacks))
    families = [name for found in sized for name in found.family.split("+") if name != "unknown"]
    return Anatomy(
        family="+".join(dict.fromkeys(families)) or "unknown",
        stacks=tuple(stacks),
        axes=tuple(axes),
        roles=tuple(roles.items()),
        skipped=tuple(skipped),
    )


def _block_axes(reading: Reading, config: Mapping[str, Any], notes: _Notes) -> list[Axis]:
    own = about_stack(config, reading.name, reading.stack.prefix, reading.width)
    is_clamped = any("limit" in key and "glu" in key for key in own)
    axes = []
    for rank, block in enumerate(reading.stack.blocks):
        here = (reading.name, rank, f"{block.path}.")
        axes += notes.keep(*here, unit_axes(reading, rank, is_clamped=is_clamped))
        axes += notes.keep(*here, head_axes(reading, rank, own))
    if not any(word in ("u", "gu", "h") for row in reading.bound for b in row for word in b.dims):
        why = "no MLP under the family's names"
        notes.problems.append(Problem(f"{reading.name} mlp", why, code="no-part"))
    return axes


class _Notes:
    """Reasons for axes left out, one line for all blocks that share it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._reasons: dict[tuple[str, Problem], list[int]] = {}

    def keep(
        self, stack: str, block: int, path: str, found: Iterable[Axis | Problem]
    ) -> list[Axis]:
        """Return the axes of a block, remember the reasons; -1 is no block but the whole model."""
        axes = []
        for item in found:
            if isinstance(item, Axis):
                axes.append(item)
                continue
            if block < 0:
                self.problems.append(replace(item, what=f"{item.what} residual"))
            else:
                same = replace(item, why=item.why.replace(path, ""))  # but for names of tensors
                self._reasons.setdefault((stack, same), []).append(block)
        return axes

    def summary(self) -> list[Problem]:
        """Every reason once, with the blocks it holds for."""
        lines = []
        for (stack, problem), blocks in self._reasons.items():
            more = f" and {len(blocks) - 1} more" if len(blocks) > 1 else ""
            lines.append(replace(problem, what=f"{stack}.{blocks[0]} {problem.what}{more}"))
        return lines + self.problems


def _family(readings: list[Reading], axes: list[Axis]) -> str:
    """The families of a model's stacks, largest stack first."""
    sized = sorted(readings, key=lambda r: -len(r.stack.blocks))
    names = dict.fromkeys(reading.entry.name for reading in sized)
    if names:
        return "+".join(names)
    return "conv" if any(axis.stack == "conv" for axis in axes) else "unknown"

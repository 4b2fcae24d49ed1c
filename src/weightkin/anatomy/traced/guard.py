"""Tensors that a traced class does not have: what they touch is not relabelled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from weightkin.anatomy.graph.labels import Labels
from weightkin.anatomy.naming import is_buffer, is_scale
from weightkin.anatomy.traced.instance import Instance
from weightkin.anatomy.traced.matching import Known, spellings
from weightkin.catalogue.store import end_of
from weightkin.catalogue.traced import TracedEntry, is_number
from weightkin.formats.model import TensorInfo

MAX_RATIO = 8  # of a dimension to a label that may stand there several times


def guarded(
    entry: TracedEntry, instance: Instance, known: Sequence[Known], unknown: Sequence[TensorInfo]
) -> Instance:
    """Fix every label that a tensor which no pattern knows may carry.

    Such a tensor touches labels of its block, and those that cross blocks, whose sizes are its own;
    and, whatever its sizes, those of the module inside of its block that it stands in. One that
    only reads a label, outside of all blocks, is a head and does no harm.

    Parameters
    ----------
    entry : TracedEntry
        The class.
    instance : Instance
        Labels of the model.
    known : sequence of Known
        Tensors that a pattern knows.
    unknown : sequence of TensorInfo
        All others.

    Returns
    -------
    Instance
        With fewer free labels, or as it was.
    """
    odd = [
        info
        for info in unknown
        if not is_buffer(info) and not is_scale(info) and not _is_ignored(entry, info.name)
    ]
    if not odd:
        return instance
    places = _prefixes(entry, instance, known)
    modules = _modules(instance, places)
    stuck = set()
    for info in odd:
        reads = _is_head(info)
        for atom, (_, _, size) in instance.keys.items():
            prefix = places.get(atom, "")
            if not info.name.startswith(prefix):
                continue
            if info.name.startswith(modules.get(atom, ())):
                stuck.add(atom)
            touched = [i for i, n in enumerate(info.shape) if _may_carry(n, size)]
            if touched and not (reads and not prefix and touched == [1]):
                stuck.add(atom)
    atoms = {
        number: replace(atom, is_free=atom.is_free and number not in stuck)
        for number, atom in instance.labels.atoms.items()
    }
    return replace(instance, labels=Labels(atoms, instance.labels.dims))


def _modules(instance: Instance, prefixes: Mapping[int, str]) -> dict[int, tuple[str, ...]]:
    """The modules inside of its block that hold the matrices of each label."""
    found: dict[int, set[str]] = {}
    for tensor, dims in instance.labels.dims.items():
        module = f"{tensor.rpartition('.')[0].rpartition('.')[0]}."
        for atom in {x for dim in dims for x in _atoms(dim)}:
            if prefixes.get(atom) and len(module) > len(prefixes[atom]):
                found.setdefault(atom, set()).add(module)
    return {atom: tuple(sorted(own)) for atom, own in found.items()}


def _is_ignored(entry: TracedEntry, name: str) -> bool:
    """Whether a class is known not to use a tensor, whatever its name begins with."""
    own = {end_of(x) for x in spellings(name)}
    return any(end_of(pattern) in own for pattern in entry.ignored)


def _may_carry(n: int, size: int) -> bool:
    return size > 1 and n % size == 0 and n // size <= MAX_RATIO


def _is_head(info: TensorInfo) -> bool:
    """Whether a tensor stands outside of all numbered lists and is a matrix or a kernel."""
    is_numbered = any(word.isdecimal() for word in info.name.split("."))
    return len(info.shape) >= 2 and not is_numbered


def _prefixes(entry: TracedEntry, instance: Instance, known: Iterable[Known]) -> Mapping[int, str]:
    """What names of the block of each label begin with in the model; "" where it crosses blocks."""
    blocks: dict[tuple[tuple[str, ...], tuple[int, ...]], str] = {}
    found: dict[int, str] = {}
    by_name = {one.tensor: one for one in known}
    for tensor, dims in instance.labels.dims.items():
        one = by_name[tensor]
        pattern = one.row.pattern.split(".")
        for atom in {x for dim in dims for x in _atoms(dim)} & instance.keys.keys():
            component, numbers, _ = instance.keys[atom]
            scope = entry.components[component].scope
            if not scope or atom in found:
                continue
            at = [i for i, word in enumerate(pattern) if is_number(word)][scope - 1]
            head = tuple(pattern[: at + 1])
            n_rest = len(pattern) - at - 1
            words = tensor.split(".")
            prefix = ".".join(words[: len(words) - n_rest]) + "."
            found[atom] = blocks.setdefault((head, numbers), prefix)
    return found


def _atoms(dim: object) -> Iterable[int]:
    if isinstance(dim, int):
        yield dim
    elif isinstance(dim, tuple):
        for part in dim:
            yield from _atoms(part)

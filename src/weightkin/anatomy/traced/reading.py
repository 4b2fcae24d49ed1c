"""Choose the traced class that explains most of a model, and read its axes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from weightkin.anatomy.graph.axes import Carriers, UnitLabel, label_axes
from weightkin.anatomy.links import STACK
from weightkin.anatomy.traced.agreed import agreed, spots
from weightkin.anatomy.traced.axes import carriers_in, named_labels, reach
from weightkin.anatomy.traced.guard import guarded, odd_ones
from weightkin.anatomy.traced.instance import instantiate
from weightkin.anatomy.traced.likeness import is_like, is_whole
from weightkin.anatomy.traced.matching import Known, Shapes, matched, spellings
from weightkin.anatomy.traced.named import under_known_names
from weightkin.anatomy.traced.sizes import Contradiction
from weightkin.anatomy.types import Anatomy, Axis
from weightkin.anatomy.units import MAX_UNITS
from weightkin.catalogue import entries
from weightkin.catalogue.store import Store, end_of, names_of, shipped_store
from weightkin.catalogue.traced import TracedEntry
from weightkin.formats.model import Problem, TensorInfo

MAX_CANDIDATES = 24
MAX_TENSORS = 1 << 17
MANY_TENSORS = 1 << 12  # beyond, only what the config names is looked at
MIN_SHARE = 0.8  # of the hits of the best entry
MAX_PARTS = 64  # of a config
NAMES = ("model_type", "_class_name")  # keys of a config that say what it is about
MARGIN = 1.1  # by how much more of a model a traced class must reach
ENOUGH = 0.5  # of a model: an entry that reaches so much is kept, so that kin are read alike


@dataclass(frozen=True, slots=True)
class TracedReading:
    """A model read as one of a traced class.

    ``is_whole`` where its config names the class, and it has all of its matrices and no others.
    """

    entry: TracedEntry
    axes: tuple[Axis, ...]
    is_whole: bool = False


def better_anatomy(
    found: Anatomy,
    tensors: Mapping[str, TensorInfo],
    config: Mapping[str, Any],
    beside: Sequence[TensorInfo] = (),
) -> Anatomy:
    """Return the anatomy of a network as a traced class, where that reaches more of it.

    Parameters
    ----------
    found : Anatomy
        How it was read by names and shapes.
    tensors : mapping of str to TensorInfo
        Tensors of the network.
    config : mapping
        The config of its model.
    beside : sequence of TensorInfo, optional
        Tensors of the file that may belong to it.

    Returns
    -------
    Anatomy
        ``found`` itself, unless a traced class reaches over a tenth more of the parameters; where
        an entry of the catalogue reaches half of them, the model must be whole, for names refuse
        more than a class does. Single layers of a net that nobody knows share one label: a class
        that reaches nearly as much as they do says more.
    """
    shapes = {name: info.shape for name, info in tensors.items()}
    whole = reach(found.axes, shapes)
    own = reach([axis for axis in found.axes if axis.stack != STACK], shapes)
    store = shipped_store()
    if store is None or own >= 1 / MARGIN:
        return found
    must_be_whole = own >= ENOUGH and bool(set(found.family.split("+")) & entries().keys())
    if must_be_whole and not any(map(_names_in, _parts(config))):
        return found
    traced = traced_reading(store, tensors, config, beside)
    if traced is None or (must_be_whole and not traced.is_whole):
        return found
    if reach(traced.axes, shapes) <= max(own * MARGIN, whole / MARGIN):
        return found
    matrices = {name for name, shape in shapes.items() if len(shape) > 1}
    axes = under_known_names(traced.axes, found.axes, matrices)
    held = {place.tensor for axis in axes for place in axis.places}
    left = [name for name in tensors if name not in held]
    why = "no order of its units is known to leave the network as it is"
    blocks = {(axis.stack, axis.block) for axis in axes}
    return replace(
        found,
        family=traced.entry.name,
        stacks=tuple(Counter(stack for stack, _ in sorted(blocks)).items()),
        axes=axes,
        skipped=(Problem(f"{len(left)} tensors", why, code="axis-unknown"),) if left else (),
    )


def traced_reading(
    store: Store,
    tensors: Mapping[str, TensorInfo],
    config: Mapping[str, Any],
    beside: Sequence[TensorInfo] = (),
) -> TracedReading | None:
    """Read a network by the traced class that explains most of its parameters.

    Where several classes explain it equally well, the one that the config names is taken; where it
    names none, only relabellings that all of them know are kept, by the class that keeps most.

    Parameters
    ----------
    store : Store
        Entries of the catalogue.
    tensors : mapping of str to TensorInfo
        Tensors of one network.
    config : mapping
        Its config, empty where there is none. It may say sizes that shapes do not give.
    beside : sequence of TensorInfo, optional
        Tensors that may belong to it.

    Returns
    -------
    TracedReading or None
        None where no class explains half of it.
    """
    if len(tensors) > MAX_TENSORS:
        return None
    shapes = {name: info.shape for name, info in tensors.items()}
    best = 0
    fitting: list[tuple[TracedEntry, list[Known]]] = []
    candidates = _candidates(store, tensors, config)
    if len(tensors) > MANY_TENSORS:
        candidates = (x for x in candidates if _part_named(x, config) is not None)
    for entry in candidates:
        known, _ = matched(entry, shapes)
        if not is_like(entry, known, shapes):
            continue
        explained = sum(math.prod(shapes[one.tensor]) for one in known)
        if explained > best:
            best, fitting = explained, []
        if explained == best:
            fitting.append((entry, known))
    if 2 * best < sum(map(math.prod, shapes.values())):
        return None
    named = [x for x in fitting if _part_named(x[0], config) is not None]
    drafts = [
        draft
        for entry, known in named or fitting
        if (draft := _draft(entry, known, [*tensors.values(), *beside], config)) is not None
    ]
    if not drafts:
        return None
    unlike = {frozenset(map(_acts, draft.labels)): draft for draft in reversed(drafts)}
    readings = [_agreed(draft, unlike.values(), shapes) for draft in reversed(unlike.values())]
    return max(readings, key=lambda x: reach(x.axes, shapes))


@dataclass(frozen=True, slots=True)
class _Draft:
    """A model as one of a class: its labels, and which atoms run along which dimension."""

    entry: TracedEntry
    labels: tuple[UnitLabel, ...]
    carriers: Carriers
    is_whole: bool


def _acts(label: UnitLabel) -> Hashable:
    return label.cell, spots(label)


def _agreed(draft: _Draft, others: Iterable[_Draft], shapes: Shapes) -> TracedReading:
    """The axes of one class whose relabellings all others know too."""
    labels = list(draft.labels)
    for other in others:
        if other is not draft:
            labels = agreed(labels, other.labels)
    axes = label_axes(labels, draft.carriers, shapes)
    kept = tuple(axis for axis in axes if axis.n_units <= MAX_UNITS)
    return TracedReading(draft.entry, kept, draft.is_whole)


def _candidates(
    store: Store, tensors: Mapping[str, TensorInfo], config: Mapping[str, Any]
) -> Iterator[TracedEntry]:
    """Entries that have most of the names of a model; those that its config names come first."""
    counts = store.counts({end_of(own) for name in tensors for own in spellings(name)})
    if not counts.size or not counts.max():
        return
    named = store.named(x for own in _parts(config) for x in _names_in(own))
    order = dict.fromkeys([*named[:MAX_CANDIDATES], *np.argsort(-counts, kind="stable").tolist()])
    for number in list(order)[:MAX_CANDIDATES]:
        if counts[number] >= MIN_SHARE * counts.max():
            yield store.entry(number)


def _draft(
    entry: TracedEntry,
    known: Sequence[Known],
    tensors: Sequence[TensorInfo],
    config: Mapping[str, Any],
) -> _Draft | None:
    every = {info.name: info.shape for info in tensors}
    shapes = {one.tensor: every[one.tensor] for one in known}
    try:
        instance = instantiate(entry, known, shapes, part_about(entry, config))
    except Contradiction:
        return None
    unknown = [info for info in tensors if info.name not in shapes]
    instance = guarded(entry, instance, known, unknown)
    return _Draft(
        entry,
        tuple(named_labels(entry, instance, known)),
        carriers_in(instance),
        _part_named(entry, config) is not None
        and is_whole(entry, known)
        and not odd_ones(entry, unknown),
    )


def part_about(entry: TracedEntry, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a config that is about a class: itself, or a nested one of its model type."""
    named = _part_named(entry, config)
    if named is not None:
        return named
    return {} if any(key in config for key in NAMES) else config


def _part_named(entry: TracedEntry, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The part of a config that says it is about a class, None where none does."""
    wanted = names_of(entry)
    return next((own for own in _parts(config) if wanted & _names_in(own)), None)


def _parts(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A config and those inside of it."""
    parts = [config]
    for own in parts:
        if len(parts) < MAX_PARTS:
            parts += [x for x in own.values() if isinstance(x, Mapping)]
    return parts


def _names_in(config: Mapping[str, Any]) -> set[str]:
    """What a config says it is about."""
    return {x for key in NAMES if isinstance(x := config.get(key), str)}

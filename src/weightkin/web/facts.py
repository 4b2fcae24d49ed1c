"""What a registered model is, read from its sketch: no weights are opened for it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from weightkin.errors import UnreadableModel
from weightkin.formats.named_class import architecture
from weightkin.records import ModelRef
from weightkin.records.registry import Registered
from weightkin.registry import browsing
from weightkin.report.facts import ModelFacts as CardFacts
from weightkin.sketch.types import Sketch, SketchedTensor
from weightkin.web.ancestors import AncestorLicence, ancestors_of
from weightkin.web.job_service import JobService
from weightkin.web.overviews import Glance


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFacts:
    """The tensors of one part of a model that were read: a stack, or a role outside of it."""

    name: str
    n_blocks: int  # 0 outside the blocks
    n_tensors: int
    n_parameters: int
    values: dict[str, int]  # of each format
    n_held: int  # values that the registry has


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One registered model with what its sketch shows; ``why`` says why nothing is shown."""

    model: Registered
    architecture: str = ""  # class of its config, or the family that its blocks are like
    family: str = ""
    stacks: dict[str, int] = field(default_factory=dict)  # blocks of each stack
    n_parameters: int = 0
    n_bytes: int = 0
    n_tensors: int = 0
    dtypes: dict[str, int] = field(default_factory=dict)  # tensors of each
    values: dict[str, int] = field(default_factory=dict)  # of each dtype
    unread: dict[str, str] = field(default_factory=dict)  # what could not be read, and why
    parts: tuple[PartFacts, ...] = ()
    is_whole: bool = False  # everything is held, not a sample
    is_partial: bool = False  # tensors are missing
    why: str = ""
    is_placed: bool = False  # in the family graph
    ancestors: tuple[AncestorLicence, ...] = ()  # nearest first, with their declared licences

    @property
    def n_held(self) -> int:
        """Values that the registry has, of all that were read."""
        return sum(part.n_held for part in self.parts)


def facts_of(service: JobService, model: Registered) -> ModelFacts:
    """Look a model up. Cost: its sketch is read, a few milliseconds for each MB."""
    try:
        sketch = browsing.sketch_of(service.registry, model)
    except UnreadableModel as error:
        return ModelFacts(model=model, why=service.said(str(error)))
    if sketch is None:
        return ModelFacts(model=model, why="its sketch is gone")
    tensors = sketch.as_stored.values()
    dtypes, values = Counter(tensor.dtype for tensor in tensors), Counter[str]()
    for tensor in tensors:
        values[tensor.dtype] += math.prod(tensor.shape)
    return ModelFacts(
        model=model,
        architecture=architecture(sketch.config, sketch.family),
        family=sketch.family,
        stacks=dict(sketch.stacks),
        n_parameters=sketch.n_parameters,
        n_bytes=sketch.n_bytes,
        n_tensors=len(tensors),
        dtypes=dict(dtypes.most_common()),
        values=dict(values.most_common()),
        unread={service.said(what): service.said(why) for what, why in sketch.problems},
        parts=_parts(sketch),
        is_whole=sketch.scheme.is_whole,
        is_partial=sketch.is_partial,
    )


def with_ancestors(service: JobService, glance: Glance, facts: ModelFacts) -> ModelFacts:
    """The same with its ancestors; as it was where the model was removed a moment ago."""
    number = facts.model.id
    if number not in glance.overview.models:
        return facts
    return replace(
        facts,
        is_placed=glance.overview.standings[number].is_placed,
        ancestors=ancestors_of(service, glance, number),
    )


def _parts(sketch: Sketch) -> tuple[PartFacts, ...]:
    """Stacks in their order, then the roles outside of them."""
    found: dict[str, list[SketchedTensor]] = {name: [] for name, _ in sketch.stacks}
    for tensor in sketch.as_stored.values():
        found.setdefault(tensor.stack if tensor.block >= 0 else tensor.role, []).append(tensor)
    return tuple(_part(name, tensors) for name, tensors in found.items() if tensors)


def _part(name: str, tensors: Sequence[SketchedTensor]) -> PartFacts:
    values = Counter[str]()
    for tensor in tensors:
        values[" ".join(filter(None, (tensor.dtype, tensor.packed)))] += math.prod(tensor.shape)
    return PartFacts(
        name=name,
        n_blocks=len({x.block for x in tensors if x.block >= 0}),
        n_tensors=len(tensors),
        n_parameters=values.total(),
        values=dict(values.most_common()),
        n_held=sum(x.stored.size + x.tail_stored.size for x in tensors),
    )


def card_of(service: JobService, model: Registered | None, ref: ModelRef) -> CardFacts | None:
    """What the card of a report says of a compared model.

    Parameters
    ----------
    service : JobService
        The registry.
    model : Registered or None
        What has the number of the model now.
    ref : ModelRef
        What was compared.

    Returns
    -------
    CardFacts or None
        None where the registry has the model no more, other contents, or no sketch of it.
    """
    if model is None or model.digest != ref.digest:
        return None
    facts = facts_of(service, model)
    if facts.why:
        return None
    return CardFacts(
        architecture=facts.architecture,
        n_parameters=facts.n_parameters,
        dtypes=facts.values,
        stacks=facts.stacks,
        declared_parents=model.declared_parents,
    )

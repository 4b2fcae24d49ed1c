"""What a registered model is, read from what the registry holds of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from weightkin.errors import UnreadableModel
from weightkin.records.registry import Registered
from weightkin.registry import browsing
from weightkin.web.job_service import JobService


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One registered model with what its sketch shows; ``why`` says why nothing is shown."""

    model: Registered
    family: str = ""
    stacks: dict[str, int] = field(default_factory=dict)  # blocks of each stack
    n_parameters: int = 0
    n_bytes: int = 0
    n_tensors: int = 0
    dtypes: dict[str, int] = field(default_factory=dict)  # tensors of each
    is_whole: bool = False  # everything is held, not a sample
    why: str = ""


def facts_of(service: JobService, model: Registered) -> ModelFacts:
    """Look a model up. Cost: its sketch is read, a few milliseconds for each MB."""
    try:
        sketch = browsing.sketch_of(service.registry, model)
    except UnreadableModel as error:
        return ModelFacts(model=model, why=service.said(str(error)))
    if sketch is None:
        return ModelFacts(model=model, why="its sketch is gone")
    dtypes = Counter(tensor.dtype for tensor in sketch.tensors.values())
    return ModelFacts(
        model=model,
        family=sketch.family,
        stacks=dict(sketch.stacks),
        n_parameters=sketch.n_parameters,
        n_bytes=sketch.n_bytes,
        n_tensors=len(sketch.tensors),
        dtypes=dict(dtypes.most_common()),
        is_whole=sketch.scheme.is_whole,
    )

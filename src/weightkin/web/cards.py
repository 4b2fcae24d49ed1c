"""What the cards of two compared models say, from what the registry holds of them."""

from __future__ import annotations

import math
from collections import Counter

from weightkin.errors import UnreadableModel
from weightkin.records import ModelRef
from weightkin.records.registry import Registered
from weightkin.registry import browsing
from weightkin.report.facts import ModelFacts
from weightkin.web.job_service import JobService


def card_of(service: JobService, model: Registered | None, ref: ModelRef) -> ModelFacts | None:
    """The facts of a compared model; None where the registry has it no more, or other contents.

    Parameters
    ----------
    service : JobService
        The registry.
    model : Registered or None
        What has the model's number now.
    ref : ModelRef
        What was compared.

    Returns
    -------
    ModelFacts or None
        From the sketch: its family, size, number types and blocks, and the declared parents.
    """
    if model is None or model.digest != ref.digest:
        return None
    try:
        sketch = browsing.sketch_of(service.registry, model)
    except UnreadableModel:
        return None
    if sketch is None:
        return None
    dtypes: Counter[str] = Counter()
    for tensor in sketch.tensors.values():
        dtypes[tensor.dtype] += math.prod(tensor.shape)
    return ModelFacts(
        architecture=sketch.family,
        n_parameters=sketch.n_parameters,
        dtypes=dict(dtypes.most_common()),
        stacks=dict(sketch.stacks),
        declared_parents=model.declared_parents,
    )

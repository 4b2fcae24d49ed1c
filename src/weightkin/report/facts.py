"""What a model is, for its card in a report: read from the model, since no result holds it."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from weightkin.anatomy import read_anatomy
from weightkin.errors import WeightkinError
from weightkin.formats import Model, digest
from weightkin.formats.declared import declared
from weightkin.formats.named_class import architecture
from weightkin.records import ModelRef
from weightkin.sketch.source import open_model
from weightkin.sketch.stand_in import n_parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """Architecture, size and number types of a model, and the parents that it declares."""

    architecture: str
    n_parameters: int
    dtypes: Mapping[str, int]  # values held of each
    stacks: Mapping[str, int]  # blocks of each
    declared_parents: tuple[str, ...]


def facts_of(ref: ModelRef) -> ModelFacts | None:
    """Read the headers of a model that was compared just now; None where that cannot be done."""
    try:
        return _facts(open_model(ref.source))
    except WeightkinError:
        return None


def facts_at_hand(ref: ModelRef) -> ModelFacts | None:
    """Read a model of a saved result, if it lies on this machine and has the digest of then."""
    try:
        if not all(map(os.path.exists, ref.source.split("+"))):
            return None  # on a hub, or elsewhere
        model = open_model(ref.source)
        return _facts(model) if digest(model) == ref.digest else None
    except WeightkinError:
        return None


def _facts(model: Model) -> ModelFacts:
    anatomy = read_anatomy(model)
    dtypes: Counter[str] = Counter()
    for tensor in model.tensors.values():
        dtypes[tensor.dtype] += math.prod(tensor.shape)
    return ModelFacts(
        architecture=architecture(model.config, anatomy.family),
        n_parameters=n_parameters(model),
        dtypes=dict(dtypes.most_common()),
        stacks=dict(anatomy.stacks),
        declared_parents=() if model.sketched else declared(model).parents,
    )

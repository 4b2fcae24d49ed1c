"""A class at real size as its library would save it: names, shapes and config, no data."""

from __future__ import annotations

import json
import math
from typing import Any

import torch

from weightkin.formats.memory import ArrayStorage
from weightkin.formats.model import Model, TensorInfo


def saved_shapes(model: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of a model's file; of tied tensors one, as in the file."""
    own = {name for name, _ in model.named_parameters()}
    shared = {name for name, _ in model.named_parameters(remove_duplicate=False)} - own
    state: dict[str, Any] = {k: v for k, v in model.state_dict().items() if k not in shared}
    if type(model).__module__.startswith("transformers"):
        from transformers.core_model_loading import revert_weight_conversion

        state = revert_weight_conversion(model, state)  # type: ignore[arg-type]
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def empty_model(model: torch.nn.Module) -> Model:
    """Return what a file of this model would be opened as; its tensors cannot be read."""
    shapes = saved_shapes(model)
    tensors = {
        name: TensorInfo(name, "BF16", shapes[name], 2 * math.prod(shapes[name]))
        for name in sorted(shapes)
    }
    config: Any = model.config
    text = config.to_json_string() if hasattr(config, "to_json_string") else model.to_json_string()  # type: ignore[operator]
    return Model("empty", type(model).__name__, tensors, json.loads(text), ArrayStorage({}))

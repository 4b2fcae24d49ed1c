"""A short real fine-tune of a model held in memory, with the zoo's own data and recipe."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from zoo import truth

from weightkin.formats import Model, model_from_arrays, open_model

STEPS = 150
LR = 6e-4  # that of most fine-tunes of the zoo
ORDER = 190  # of the windows seen: no model of the zoo has it
DATA = {"llama": ("net",), "gpt2": ("net",), "mixtral": ("net",), "vit": ("digits", "rotated")}
NEEDED = ("torch", "transformers", "sklearn", "tokenizers")
MISSING = "not run: it trains, which needs the extra [torch] and scikit-learn"


def can_train() -> bool:
    """Whether everything that training needs is installed."""
    return all(importlib.util.find_spec(name) for name in NEEDED)


def fine_tuned(
    arrays: Mapping[str, npt.NDArray[Any]], config: Mapping[str, Any], *, steps: int = STEPS
) -> Model:
    """Train all weights for some steps on data of the zoo; the result is held in memory."""
    if str(truth.ROOT) not in sys.path:  # its scripts import each other by their own names
        sys.path.append(str(truth.ROOT))
    grow, recipes = importlib.import_module("grow"), importlib.import_module("recipes")
    grow.torch.set_num_threads(1)
    family = str(config["model_type"])
    recipe = recipes.Recipe(
        name="hidden",
        family=family,
        kind="fine-tuned",
        seed=0,
        domains=DATA[family],
        order=ORDER,
        steps=steps,
        lr=LR,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        owned = {name: np.ascontiguousarray(x) for name, x in arrays.items()}
        save_file(owned, path / "model.safetensors", metadata={"format": "pt"})
        (path / "config.json").write_text(json.dumps(dict(config)), encoding="utf-8")
        model = grow.CLASSES[family].from_pretrained(path, dtype=grow.torch.float32)
        grow.train(model, recipe)
        model.save_pretrained(path / "tuned")
        tuned = open_model(path / "tuned")
        found = {name: np.array(tuned.rows(name)) for name in tuned.tensors}
        return model_from_arrays(found, config=tuned.config)

"""Inputs for classes of transformers: by the names of their arguments, and a table by class.

The values of the table (`transformers_inputs.json`: by model type, by class) are tensors in short
(`short.py`).
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.catalogue import composite_inputs
from benchmarks.catalogue.short import made

GIVEN = Path(__file__).with_name("transformers_inputs.json")
LENGTH = 12
BATCH = 2
SOUND = 3840  # samples
_TEXT, _IMAGE = "input_ids", "pixel_values"


@functools.cache
def _given() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = json.loads(GIVEN.read_text(encoding="utf-8"))
    return loaded


def tries(model: torch.nn.Module) -> Iterator[dict[str, Any]]:
    """Arguments to try: those of the table, then all that are known by name, then fewer."""
    config: Any = model.config
    facts = config.to_dict()
    given = _given().get(type(model).__name__) or _given().get(facts.get("model_type", ""))
    beside = {k: made(v, facts) for k, v in (given or {}).items()}
    if beside:
        yield beside
    names = inspect.signature(model.forward).parameters
    for inputs in composite_inputs.tries(model, names, _sounds(facts, names)):
        yield {**inputs, **beside}
    main = getattr(model, "main_input_name", _TEXT)
    required = [n for n, p in names.items() if p.default is p.empty and n != "kwargs"]
    first = dict.fromkeys([main if isinstance(main, str) else main[0], *required])
    extra = ["decoder_input_ids"] if getattr(config, "is_encoder_decoder", False) else []
    both = [n for n in (_TEXT, _IMAGE, "input_values", "input_features") if n in names]
    masks = [n for n in names if n.endswith("features_mask")]
    for wanted in ([*first, *both, *extra], [*first, *extra], [*first], [_TEXT, *extra],
                   [*first, *masks]):  # fmt: skip
        for shape in _SOUNDS if "input_values" in wanted or "input_features" in wanted else ("",):
            inputs = {n: _named(n, facts, shape) for n in dict.fromkeys(wanted) if n in names}
            inputs = {n: x for n, x in inputs.items() if x is not None}
            for mask in inputs.keys() & set(masks) if "input_features" in inputs else ():
                n = inputs["input_features"].shape[2 if shape in ("long", "channel") else 1]
                inputs[mask] = torch.ones(BATCH, n, dtype=torch.long)
            if inputs:
                yield inputs
    if "use_cache" in names:
        yield {_TEXT: _ids(facts), "use_cache": False}


def _sounds(facts: dict[str, Any], names: Collection[str]) -> Iterator[dict[str, Any]]:
    """Sounds beside a text, with masks that hide nothing of them."""
    if _TEXT not in names or "input_features" not in names:
        return
    tower = facts.get("audio_config") or facts.get("encoder_config") or {}
    known = _given().get(tower.get("model_type", ""), {}).get("input_features")
    for shape in ("long", "frames"):
        heard = made(known, tower) if known else _named("input_features", facts, shape)
        n = heard.shape[2 if shape == "long" else 1]
        mask = torch.ones(BATCH, n, dtype=torch.long)
        masks = {"input_features_mask", "feature_attention_mask"} & set(names)
        yield {"input_features": heard, **dict.fromkeys(masks, mask)}
        if masks:
            yield {"input_features": heard}


_SOUNDS = ("long", "channel", "frames", "rows")


def _named(name: str, facts: dict[str, Any], shape: str) -> Any:
    """One argument by its name."""
    if name in (_TEXT, "decoder_input_ids"):
        return _ids(facts)
    if name == _IMAGE:
        return _image(facts)
    if name == "pixel_values_videos":
        frames = int(_found(facts, "num_frames", "frames_per_clip") or 4)
        image = _image(facts)
        return _normal(frames, *image.shape[1:])
    if name == "input_values":
        n = int(_found(facts, "num_mel_bins") or 80)
        frames = int(_found(facts, "max_length") or 96)
        return _normal(*{"long": (SOUND,), "channel": (1, SOUND)}.get(shape, (frames, n)))
    if name == "input_features":
        n = int(_found(facts, "num_mel_bins", "feature_size", "input_feat_size", "input_dim") or 80)
        frames = 2 * int(_found(facts, "n_window", "max_source_positions") or 48)
        sizes = {"long": (n, frames), "channel": (128, frames), "frames": (frames, n)}
        return _normal(*sizes.get(shape, (frames, 128)))
    if name in ("attention_mask", "pixel_mask") or name.endswith("features_mask"):
        return torch.ones(BATCH, LENGTH, dtype=torch.long)
    return None


def _ids(facts: dict[str, Any]) -> torch.Tensor:
    """Token ids that are no special tokens, as far as the vocabulary has others."""
    n = int(_found(facts, "vocab_size") or 64)
    low = min(n - 1, max(3, n // 2))
    generator = torch.Generator().manual_seed(7)
    return torch.randint(low, n, (BATCH, LENGTH), generator=generator)


def _image(facts: dict[str, Any]) -> torch.Tensor:
    size = _found(facts, "image_size", "crop_size", "img_size") or 64
    if isinstance(size, dict):
        size = [size["height"], size["width"]]
    h, w = (size, size) if isinstance(size, int) else (list(size) * 2)[:2]
    return _normal(int(_found(facts, "num_channels", "in_channels") or 3), h, w)


def _normal(*shape: int) -> torch.Tensor:
    return torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(7))


def _found(facts: dict[str, Any], *names: str) -> Any:
    """The first of these fields, of the config or of one inside it."""
    todo = [facts]
    while todo:
        own = todo.pop(0)
        for name in names:
            if own.get(name) is not None:
                return own[name]
        todo += [x for x in own.values() if isinstance(x, dict)]
    return None

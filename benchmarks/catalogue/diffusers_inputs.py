"""Inputs for classes of diffusers: by the names of their arguments, and a table by class.

The values of the table (`diffusers_inputs.json`) are tensors in short (`short.py`).
"""

from __future__ import annotations

import functools
import inspect
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.catalogue.short import made

GIVEN = Path(__file__).with_name("diffusers_inputs.json")
_DATA = ("hidden_states", "sample", "x", "z", "latents")
_SHAPES = ("16,16", "", "4,16,16", "1024")  # behind the channels: images, sequences, videos, sound
_CHANNELS = ("in_channels", "in_visual_dim", "input_channels", "io_channels", "in_dim",
             "audio_channels", "latent_channels")  # fmt: skip
_TEXT = ("joint_attention_dim", "text_embed_dim", "caption_channels", "text_dim", "context_in_dim",
         "cross_attention_dim", "cap_feat_dim", "text_hidden_dim", "encoder_hidden_size",
         "encoder_hid_dim", "in_text_dim", "condition_dim", "text_in_dim",
         "cond_token_dim")  # fmt: skip
_MASKS = ("o", "t", "l")
_COMMON: dict[str, Any] = {
    "timestep": "o:2",
    "timesteps": "o:2",
    "timestep_r": "o:2",
    "r_timestep": "o:2",
    "encoder_attention_mask": "o:2,12",
    "encoder_hidden_states_mask": "o:2,12",
    "pooled_projections": "n:2,pooled_projection_dim",
    "img_ids": "z:16,3",
    "txt_ids": "z:12,3",
    "guidance": "o:2",
    "class_labels": "i:2,3",
    "num_frames": 1,
    "height": 4,
    "width": 4,
    "controlnet_cond": "n:2,conditioning_channels,128,128",
    "added_time_ids": "o:2,3",
    "return_dict": True,
}


def _mask(name: str, value: Any, kind: str) -> Any:
    """The value of an argument; masks of ones hold numbers, truth values or integers."""
    is_mask = "mask" in name and isinstance(value, str) and value.startswith("o:")
    return f"{kind}{value[1:]}" if is_mask else value


@functools.cache
def _given() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = json.loads(GIVEN.read_text(encoding="utf-8"))
    return loaded


def tries(model: torch.nn.Module) -> Iterator[dict[str, Any]]:
    """Arguments to try: those of the table, or by name for images, sequences, videos and sound."""
    names = inspect.signature(model.forward).parameters
    config = dict(getattr(model, "config", {}))
    given = _given().get(type(model).__name__, {})
    required = {n for n, p in names.items() if p.default is p.empty}
    text = next((n for n in _TEXT if config.get(n) is not None), "64")
    channels = next((n for n in _CHANNELS if config.get(n) is not None), "3")
    common = {**_COMMON, "encoder_hidden_states": f"n:2,12,{text}"}
    for shape in _SHAPES:
        data = f"n:2,{channels},{shape}" if shape else f"n:2,16,{channels}"
        named = common | dict.fromkeys(_DATA, data) | given
        if not config.get("guidance_embeds", True):
            named["guidance"] = None
        kinds = _MASKS if any("mask" in n for n in names) else _MASKS[:1]
        for wanted, kind in itertools.product((set(names), required | set(given)), kinds):
            yield {
                n: made(_mask(n, named[n], kind), config)
                for n in names
                if n in wanted and n != "return_dict" and named.get(n) is not None
                and not (n == "pooled_projections" and n not in given
                         and config.get("pooled_projection_dim") is None)
            }  # fmt: skip

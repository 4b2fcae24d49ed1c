"""Inputs for classes of diffusers, by the names of their arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch

BATCH = 2
SIDE = 16  # of a latent image: divisible by what a U-Net halves, and by patches
FRAMES = 4
LENGTH = 12
_VIDEO = (
    "3D",
    "Video",
    "Temporal",
    "CogVideo",
    "Wan",
    "Mochi",
    "Cosmos",
    "LTX",
    "Magvit",
    "Allegro",
)


def tries(model: torch.nn.Module) -> Iterator[dict[str, Any]]:
    """Arguments to try: images, then videos, then sequences."""
    names = inspect.signature(model.forward).parameters
    required = [
        n for n, p in names.items() if p.default is p.empty and p.kind == p.POSITIONAL_OR_KEYWORD
    ]
    is_video = any(word in type(model).__name__ for word in _VIDEO)
    shapes = (
        ("video", "image", "sequence", "audio")
        if is_video
        else ("image", "sequence", "audio", "video")
    )
    optional = [n for n in names if n in _OFTEN]
    for shape in shapes:
        for wanted in (dict.fromkeys([*required, *optional]), dict.fromkeys(required)):
            make = _Maker(model, shape)
            inputs = {n: make(n) for n in wanted}
            yield {n: x for n, x in inputs.items() if x is not None}


_OFTEN = (
    "encoder_hidden_states",
    "timestep",
    "pooled_projections",
    "img_ids",
    "txt_ids",
    "guidance",
    "encoder_attention_mask",
    "class_labels",
    "num_frames",
    "height",
    "width",
    "img_shapes",
    "encoder_hidden_states_mask",
)


class _Maker:
    """Makes one argument from its name, for one shape of data."""

    def __init__(self, model: torch.nn.Module, shape: str) -> None:
        self.model = model
        self.shape = shape
        self.config = dict(getattr(model, "config", {}))
        self.generator = torch.Generator().manual_seed(7)

    def __call__(self, name: str) -> Any:
        rule: Callable[[_Maker], Any] | None = _RULES.get(name)
        return rule(self) if rule else None

    def get(self, *names: str, default: Any = None) -> Any:
        """The first field of the config that is set."""
        return next((self.config[n] for n in names if self.config.get(n) is not None), default)

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator)

    def data(self) -> torch.Tensor:
        """What the model denoises or encodes."""
        n = int(self.get("in_channels", "in_visual_dim", "input_channels", "io_channels", "in_dim",
                         "audio_channels", "latent_channels", default=3))  # fmt: skip
        if self.shape == "image":
            return self.normal(BATCH, n, SIDE, SIDE)
        if self.shape == "video":
            return self.normal(BATCH, n, FRAMES, SIDE, SIDE)
        if self.shape == "audio":
            return self.normal(BATCH, n, 1024)
        return self.normal(BATCH, SIDE, n)

    def text(self) -> torch.Tensor:
        """Hidden states of a text encoder."""
        width = self.get("joint_attention_dim", "text_embed_dim", "caption_channels", "text_dim",
                         "cross_attention_dim", "context_in_dim", "cap_feat_dim", "text_hidden_dim",
                         "encoder_hidden_size", "encoder_hid_dim", "in_text_dim", "condition_dim",
                         "text_in_dim", "cond_token_dim", default=64)  # fmt: skip
        return self.normal(
            BATCH, LENGTH, int(width[0] if isinstance(width, list | tuple) else width)
        )


def _shapes(m: _Maker) -> Any:
    return [[(1, 4, 4)]] * BATCH


_RULES: dict[str, Callable[[_Maker], Any]] = {
    "hidden_states": lambda m: m.data(),
    "sample": lambda m: m.data(),
    "x": lambda m: m.data(),
    "z": lambda m: m.data(),
    "latents": lambda m: m.data(),
    "timestep": lambda m: torch.tensor([3] * BATCH),
    "timesteps": lambda m: torch.tensor([3] * BATCH),
    "timestep_r": lambda m: torch.tensor([2] * BATCH),
    "r_timestep": lambda m: torch.tensor([2] * BATCH),
    "encoder_hidden_states": lambda m: m.text(),
    "encoder_attention_mask": lambda m: torch.ones(BATCH, LENGTH),
    "encoder_hidden_states_mask": lambda m: torch.ones(BATCH, LENGTH),
    "pooled_projections": lambda m: m.normal(BATCH, int(m.get("pooled_projection_dim", "in_text_dim2", default=64))),
    "img_ids": lambda m: torch.zeros(SIDE, len(m.get("axes_dims_rope", default=(1, 1, 1)))),
    "txt_ids": lambda m: torch.zeros(LENGTH, len(m.get("axes_dims_rope", default=(1, 1, 1)))),
    "guidance": lambda m: torch.tensor([1000.0] * BATCH),
    "class_labels": lambda m: torch.tensor([1] * BATCH),
    "num_frames": lambda m: 1,
    "height": lambda m: 4,
    "width": lambda m: 4,
    "img_shapes": _shapes,
    "controlnet_cond": lambda m: m.normal(BATCH, int(m.get("conditioning_channels", default=3)), 8 * SIDE, 8 * SIDE),
    "conditioning_scale": lambda m: 1.0,
    "added_time_ids": lambda m: m.normal(BATCH, 3),
}  # fmt: skip

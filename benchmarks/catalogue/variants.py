"""Classes whose instances are chosen by hand: several settings, and small where norms allow it.

Levels, layers and numbers of groups differ, and so do settings that give the class other tensors:
one entry knows them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

_DOWN, _CROSS_DOWN = "DownBlock2D", "CrossAttnDownBlock2D"
_UP, _CROSS_UP = "UpBlock2D", "CrossAttnUpBlock2D"

_SMALL: dict[str, Any] = {
    "layers_per_block": 1,
    "block_out_channels": (16, 24),
    "down_block_types": (_CROSS_DOWN, _DOWN),
    "cross_attention_dim": 20,
    "attention_head_dim": 2,
    "norm_num_groups": 4,
}
_LARGER: dict[str, Any] = {
    "layers_per_block": 2,
    "block_out_channels": (32, 48, 64),
    "down_block_types": (_CROSS_DOWN, _CROSS_DOWN, _DOWN),
    "cross_attention_dim": 28,
    "attention_head_dim": 4,
    "norm_num_groups": 8,
    "transformer_layers_per_block": 2,
}
_LINEAR: dict[
    str, Any
] = {  # as in Stable Diffusion 2 and XL: a level without attention comes first, heads by level
    **_SMALL,
    "block_out_channels": (16, 24, 32),
    "attention_head_dim": (2, 3, 4),
    "down_block_types": (_DOWN, _CROSS_DOWN, _CROSS_DOWN),
    "transformer_layers_per_block": 2,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 6,
    "projection_class_embeddings_input_dim": 10 + 6 * 6,
}
_UPS: tuple[dict[str, Any], ...] = (
    {"up_block_types": (_UP, _CROSS_UP)},
    {"up_block_types": (_UP, _CROSS_UP, _CROSS_UP)},
    {"up_block_types": (_CROSS_UP, _CROSS_UP, _UP)},
)
_VAE = "DownEncoderBlock2D", "UpDecoderBlock2D"


def _vae(channels: tuple[int, ...], layers: int, groups: int, latent: int) -> dict[str, Any]:
    return {
        "block_out_channels": channels,
        "layers_per_block": layers,
        "norm_num_groups": groups,
        "latent_channels": latent,
        "down_block_types": (_VAE[0],) * len(channels),
        "up_block_types": (_VAE[1],) * len(channels),
    }


def _flux(double: int, single: int, heads: int, *, has_guidance: bool = True) -> dict[str, Any]:
    return {
        "in_channels": 6 + heads,
        "num_layers": double,
        "num_single_layers": single,
        "num_attention_heads": heads,
        "attention_head_dim": 16 if heads > 3 else 8,
        "axes_dims_rope": (4, 4, 8) if heads > 3 else (2, 2, 4),
        "joint_attention_dim": 14 + heads,
        "pooled_projection_dim": 9 + heads,
        "guidance_embeds": has_guidance,
    }


VALUES: dict[str, tuple[dict[str, Any], ...]] = {
    "UNet2DConditionModel": tuple(
        {**own, **up} for own, up in zip((_SMALL, _LARGER, _LINEAR), _UPS, strict=True)
    ),
    "ControlNetModel": tuple(
        {**own, "conditioning_embedding_out_channels": (8, 12)}
        for own in (_SMALL, _LARGER, _LINEAR)
    ),
    "AutoencoderKL": (_vae((16, 24), 1, 4, 4), _vae((32, 48, 64), 2, 8, 6)),
    "FluxTransformer2DModel": (
        _flux(2, 3, 3),
        _flux(3, 4, 4),
        _flux(2, 2, 3, has_guidance=False),
    ),
}


def inputs_of(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a forward pass of an instance of one of these classes."""
    if name == "AutoencoderKL":
        return {"sample": torch.randn(2, 3, 16, 16)}
    if name == "FluxTransformer2DModel":
        return _flux_inputs(config)
    given = {
        "sample": torch.randn(2, 4, 8, 8),
        "timestep": torch.tensor([3, 9]),
        "encoder_hidden_states": torch.randn(2, 5, config["cross_attention_dim"]),
    }
    if name == "ControlNetModel":
        given["controlnet_cond"] = torch.randn(2, 3, 16, 16)
    if config["addition_embed_type"]:
        given["added_cond_kwargs"] = {
            "text_embeds": torch.randn(2, 10),
            "time_ids": torch.ones(2, 6),
        }
    return given


def _flux_inputs(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "hidden_states": torch.randn(2, 4, config["in_channels"]),
        "encoder_hidden_states": torch.randn(2, 5, config["joint_attention_dim"]),
        "pooled_projections": torch.randn(2, config["pooled_projection_dim"]),
        "timestep": torch.tensor([0.3, 0.8]),
        "img_ids": torch.randn(4, 3),
        "txt_ids": torch.zeros(5, 3),
        "guidance": torch.tensor([1.0, 2.0]) if config["guidance_embeds"] else None,
    }

"""Diffusion models under the names of those who published them first, from those of diffusers.

U-Nets and autoencoders as in single files of latent diffusion, Flux as Black Forest Labs write it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[np.generic]]

_UNET = {
    r"time_embedding\.linear_1": "time_embed.0",
    r"time_embedding\.linear_2": "time_embed.2",
    r"conv_in": "input_blocks.0.0",
    r"conv_norm_out": "out.0",
    r"conv_out": "out.2",
}
_UNET_LAYER = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE = {
    r"(.*)\.conv_norm_out": r"\1.norm_out",
    r"(.*)\.mid_block\.attentions\.0\.group_norm": r"\1.mid.attn_1.norm",
    r"(.*)\.mid_block\.attentions\.0\.to_out\.0": r"\1.mid.attn_1.proj_out",
    r"(.*)\.mid_block\.attentions\.0\.to_([qkv])": r"\1.mid.attn_1.\2",
}
_BFL = {
    r"time_text_embed\.timestep_embedder\.linear_1": "time_in.in_layer",
    r"time_text_embed\.timestep_embedder\.linear_2": "time_in.out_layer",
    r"time_text_embed\.text_embedder\.linear_1": "vector_in.in_layer",
    r"time_text_embed\.text_embedder\.linear_2": "vector_in.out_layer",
    r"context_embedder": "txt_in",
    r"x_embedder": "img_in",
    r"proj_out": "final_layer.linear",
    r"norm_out\.linear": "final_layer.adaLN_modulation.1",
    r"single_(blocks\.\d+)\.norm\.linear": r"single_\1.modulation.lin",
    r"single_(blocks\.\d+)\.proj_out": r"single_\1.linear2",
    r"(double_blocks\.\d+)\.norm1\.linear": r"\1.img_mod.lin",
    r"(double_blocks\.\d+)\.norm1_context\.linear": r"\1.txt_mod.lin",
    r"(double_blocks\.\d+)\.ff\.net\.0\.proj": r"\1.img_mlp.0",
    r"(double_blocks\.\d+)\.ff\.net\.2": r"\1.img_mlp.2",
    r"(double_blocks\.\d+)\.ff_context\.net\.0\.proj": r"\1.txt_mlp.0",
    r"(double_blocks\.\d+)\.ff_context\.net\.2": r"\1.txt_mlp.2",
    r"(double_blocks\.\d+)\.attn\.to_out\.0": r"\1.img_attn.proj",
    r"(double_blocks\.\d+)\.attn\.to_add_out": r"\1.txt_attn.proj",
}
_BFL_SCALES = {
    r"(double_blocks\.\d+)\.attn\.norm_q": r"\1.img_attn.norm.query_norm",
    r"(double_blocks\.\d+)\.attn\.norm_k": r"\1.img_attn.norm.key_norm",
    r"(double_blocks\.\d+)\.attn\.norm_added_q": r"\1.txt_attn.norm.query_norm",
    r"(double_blocks\.\d+)\.attn\.norm_added_k": r"\1.txt_attn.norm.key_norm",
    r"(single_blocks\.\d+)\.attn\.norm_q": r"\1.norm.query_norm",
    r"(single_blocks\.\d+)\.attn\.norm_k": r"\1.norm.key_norm",
}
_BFL_JOINED = {  # parts of one matrix, top to bottom
    r"(double_blocks\.\d+)\.attn\.to_([qkv])": (r"\1.img_attn.qkv", "qkv"),
    r"(double_blocks\.\d+)\.attn\.add_([qkv])_proj": (r"\1.txt_attn.qkv", "qkv"),
    r"(single_blocks\.\d+)\.(?:attn\.to_([qkv])|proj_mlp)": (r"\1.linear1", "qkv-"),
}


def ldm_unet(arrays: Arrays, layers: int) -> dict[str, npt.NDArray[np.generic]]:
    """A U-Net with so many layers in each block, as in a single file of Stable Diffusion."""
    depth = layers + 1

    def named(module: str) -> str:
        if (found := _replaced(module, _UNET)) != module:
            return found
        where, kind, number, rest = _block(module)
        rest = _UNET_LAYER.get(rest, rest) if kind == "resnets" else rest
        if where == "mid":
            at = 1 if kind == "attentions" else 2 * number
            return f"middle_block.{at}.{rest}"
        side, block = where.split()
        if kind == "downsamplers":
            return f"input_blocks.{(int(block) + 1) * depth}.0.op"
        if kind == "upsamplers":
            last = int(block) * depth + layers
            has_attention = any(x.startswith(f"up_blocks.{block}.attentions.") for x in arrays)
            return f"output_blocks.{last}.{1 + has_attention}.conv"
        at = int(block) * depth + number
        part = "1" if kind == "attentions" else "0"
        if side == "down":
            return f"input_blocks.{at + 1}.{part}.{rest}"
        return f"output_blocks.{at}.{part}.{rest}"

    return {f"model.diffusion_model.{_each(x, named)}": y for x, y in arrays.items()}


def ldm_vae(arrays: Arrays, n_blocks: int) -> dict[str, npt.NDArray[np.generic]]:
    """An autoencoder with so many blocks a side; the attention's layers are convolutions there."""

    def named(module: str) -> str:
        found = _replaced(module, _VAE)
        if found != module or not re.match(r"(en|de)coder\..*(resnets|samplers)", module):
            return found
        side, _, inner = module.partition(".")
        where, kind, number, rest = _block(inner)
        rest = rest.replace("conv_shortcut", "nin_shortcut")
        if where == "mid":
            return f"{side}.mid.block_{number + 1}.{rest}"
        way, block = where.split()
        at = int(block) if way == "down" else n_blocks - 1 - int(block)
        if kind == "resnets":
            return f"{side}.{way}.{at}.block.{number}.{rest}"
        return f"{side}.{way}.{at}.{way}sample.conv"

    made = {}
    for name, x in arrays.items():
        is_attention = ".attentions.0.to_" in name and x.ndim == 2
        made[f"first_stage_model.{_each(name, named)}"] = x[..., None, None] if is_attention else x
    return made


def bfl_flux(arrays: Arrays) -> dict[str, npt.NDArray[np.generic]]:
    """A Flux transformer: queries, keys and values in one matrix, shift before scale at the end."""
    made: dict[str, npt.NDArray[np.generic]] = {}
    joined: dict[str, dict[str, npt.NDArray[np.generic]]] = {}
    for name, x in arrays.items():
        blocks = name.replace("single_transformer_blocks", "single_blocks")
        blocks = blocks.replace("transformer_blocks", "double_blocks")
        module, _, kind = blocks.rpartition(".")
        parts = [(re.fullmatch(p, module), *to) for p, to in _BFL_JOINED.items()]
        whole = [(found, to) for found, to, _ in parts if found]
        if whole:
            found, to = whole[0]
            part = found[2] or "-"
            joined.setdefault(f"{found.expand(to)}.{kind}", {})[part] = x
        elif (scaled := _replaced(module, _BFL_SCALES)) != module:
            made[f"{scaled}.scale"] = x
        else:
            is_last = module.startswith("norm_out.")
            order = np.roll(np.arange(len(x)), len(x) // 2) if is_last else slice(None)
            made[f"{_replaced(module, _BFL)}.{kind}"] = x[order]
    order_of = {to.rpartition(".")[2]: order for to, order in _BFL_JOINED.values()}
    for name, parts_of in joined.items():
        order = order_of[name.split(".")[-2]]
        made[name] = np.concatenate([parts_of[part] for part in order])
    return made


def _block(module: str) -> tuple[str, str, int, str]:
    """Where a block is (``mid``, ``down 0``), the kind of its part, its number, and the rest."""
    found = re.fullmatch(r"(?:(down|up)_blocks\.(\d+)|mid_block)\.(\w+)\.(\d+)(?:\.(.+))?", module)
    if found is None:
        raise ValueError(f"{module}: where this stands in a single file is not known")
    where = f"{found[1]} {found[2]}" if found[1] else "mid"
    return where, found[3], int(found[4]), found[5] or ""


def _each(name: str, named: Callable[[str], str]) -> str:
    module, _, kind = name.rpartition(".")
    return f"{named(module)}.{kind}"


def _replaced(module: str, table: Mapping[str, str]) -> str:
    for pattern, to in table.items():
        if found := re.fullmatch(pattern, module):
            return found.expand(to)
    return module

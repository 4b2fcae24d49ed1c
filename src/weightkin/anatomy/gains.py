"""The gain of the norm through which a matrix reads the residual stream."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from weightkin.anatomy.types import Place
from weightkin.arrays import Floats
from weightkin.weights.model import Model

_FIRST = (
    "input_layernorm",
    "pre_self_attn_layernorm",
    "ln_1",
    "layernorm_before",
    "layer_norm1",
    "norm1",
    "layer_norm",
)
_SECOND = (
    "pre_feedforward_layernorm",
    "post_attention_layernorm",
    "ln_2",
    "layernorm_after",
    "layer_norm2",
    "norm2",
)
_LAST = ("norm", "ln_f", "final_layernorm", "final_layer_norm", "layernorm")
# Model types whose norms multiply by 1 + weight, as their published code does. The weights do not
# show it. A config that is wrong about it costs power, never validity: a gain acts alike on all
# units.
ONE_PLUS = frozenset(
    {
        *("gemma", "gemma2", "gemma3", "gemma3_text", "recurrent_gemma", "vaultgemma"),
        *("paligemma", "shieldgemma2", "colpali"),
        *("t5gemma", "t5_gemma_module", "t5gemma2", "t5gemma2_text", "t5gemma2_encoder"),
        *("t5gemma2_decoder", "nemotron", "qwen3_next", "qwen4_exp", "qwen4_exp_text"),
        *("qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"),
        *("minimax_m3_vl", "minimax_m3_vl_text", "step3p5", "step3p7", "muse_glimmer"),
        *("muse_glimmer_text", "muse_spark", "muse_spark_text"),
    }
)
PLAIN_LAST = frozenset(
    {"muse_glimmer", "muse_glimmer_text"}
)  # but their last norm is an ordinary one
_LANGUAGE_CONFIGS = ("text_config", "llm_config", "language_config", "decoder")
_OTHER_TOWERS = frozenset({"vision", "audio"})


def gain_before(model: Model, stack: str, place: Place) -> Floats:
    """Gain of the norm that a place of a block reads the stream through; ones if none is known.

    Where a block has one norm for both its halves, both read through it.

    Parameters
    ----------
    model : Model
        The model.
    stack : str
        Stack of the axis that the place belongs to.
    place : Place
        A matrix that reads the residual stream.

    Returns
    -------
    ndarray
        ``(width,)``.
    """
    shape = model.tensors[place.tensor].shape
    matrix = shape if place.index is None else shape[1:]
    width = matrix[1 - place.dim]
    wanted = _FIRST if place.role == "attn.v" else (*_SECOND, *_FIRST)
    for path in _modules(place.tensor):
        for name in wanted:
            tensor = f"{path}.{name}.weight"
            info = model.tensors.get(tensor)
            if info is not None and info.shape == (width,):
                return _stretched(model, stack, tensor)
    return np.ones(width, dtype=np.float32)


def last_gain(model: Model, stack: str, norms: Iterator[str], width: int) -> Floats:
    """Gain of the last norm among the ``norms`` of a stream; ones where there is none."""
    last = [name for name in norms if not re.search(r"\.\d+\.", name) and _stem(name) in _LAST]
    if not last:
        return np.ones(width, dtype=np.float32)
    return _stretched(model, stack, last[-1], is_last=True)


def _stretched(model: Model, stack: str, tensor: str, *, is_last: bool = False) -> Floats:
    gain = model.rows(tensor)
    model_type = "" if stack in _OTHER_TOWERS else _model_type(model.config)
    is_one_plus = model_type in ONE_PLUS and not (is_last and model_type in PLAIN_LAST)
    if is_one_plus or not gain.any():  # a gain of zero would let nothing through
        return np.asarray(gain + 1.0, dtype=np.float32)
    return np.asarray(gain, dtype=np.float32)


def _model_type(config: Mapping[str, Any]) -> str:
    """Model type of the language model that a config speaks of."""
    if config.get("norms_hold_gains"):  # conversion has added the one
        return ""
    for key in _LANGUAGE_CONFIGS:
        nested = config.get(key)
        if isinstance(nested, Mapping) and isinstance(nested.get("model_type"), str):
            return str(nested["model_type"])
    return str(config.get("model_type", ""))


def _modules(tensor: str) -> Iterator[str]:
    """Modules that hold a tensor, from the innermost out to its block."""
    while (end := tensor.rfind(".")) > 0:
        tensor = tensor[:end]
        if re.search(r"\.\d+(\.|$)", tensor):
            yield tensor


def _stem(tensor: str) -> str:
    return tensor.removesuffix(".weight").rsplit(".", 1)[-1]

"""Sizes that a torch file states beside its weights: what the model was made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weightkin.formats.torch_globals import Record

ARGUMENTS = "model_args"  # of nanoGPT and llama2.c: in the words of a config
DIMENSIONS = "dims"  # of Whisper
_WHISPER = {
    "n_audio_state": "d_model",
    "n_audio_head": "encoder_attention_heads",
    "n_audio_layer": "encoder_layers",
    "n_text_head": "decoder_attention_heads",
    "n_text_layer": "decoder_layers",
    "n_vocab": "vocab_size",
    "n_mels": "num_mel_bins",
    "n_audio_ctx": "max_source_positions",
    "n_text_ctx": "max_target_positions",
}


def stated_config(root: object) -> dict[str, Any]:
    """The sizes in a checkpoint, in the words of a config; empty where it states none.

    Parameters
    ----------
    root : object
        What the pickle of the file made.

    Returns
    -------
    dict
        A hint, as every config: whole numbers alone, which shapes may contradict.
    """
    held = _entries(root)
    sizes = _sizes(held.get(DIMENSIONS))
    if {"n_audio_head", "n_text_head"} <= sizes.keys():
        known = {new: sizes[name] for name, new in _WHISPER.items() if name in sizes}
        return {"model_type": "whisper", **known}
    return _sizes(held.get(ARGUMENTS))


def _entries(value: object) -> Mapping[Any, Any]:
    """What a dict holds, or an object that stands for one of any class."""
    if isinstance(value, Record) and isinstance(value.state, dict):
        return value.state
    return value if isinstance(value, dict) else {}


def _sizes(value: object) -> dict[str, Any]:
    return {
        key: x
        for key, x in _entries(value).items()
        if isinstance(key, str) and type(x) is int and 0 < x < 1 << 32
    }

"""The classes of transformers: which there are, and each at real size and tiny."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
import transformers
from transformers import PretrainedConfig
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from benchmarks.catalogue.example_inputs import first_that_runs
from benchmarks.catalogue.exceptions import TINY
from benchmarks.catalogue.joint import joint
from benchmarks.catalogue.shrink import tiny_config
from benchmarks.catalogue.sizes import APART, LABELS, Apart
from benchmarks.catalogue.starting import START

HEADS = (  # the first that a model type has is its main class; the bare model comes last
    "IMAGE_TEXT_TO_TEXT",
    "SEQ_TO_SEQ_CAUSAL_LM",
    "SPEECH_SEQ_2_SEQ",
    "MASKED_LM",
    "CAUSAL_LM",
    "CTC",
    "RNNT",
    "TDT",
    "OBJECT_DETECTION",
    "ZERO_SHOT_OBJECT_DETECTION",
    "UNIVERSAL_SEGMENTATION",
    "INSTANCE_SEGMENTATION",
    "SEMANTIC_SEGMENTATION",
    "DEPTH_ESTIMATION",
    "ZERO_SHOT_IMAGE_CLASSIFICATION",
    "IMAGE_CLASSIFICATION",
    "VIDEO_CLASSIFICATION",
    "AUDIO_CLASSIFICATION",
    "TEXT_TO_SPECTROGRAM",
    "TEXT_TO_WAVEFORM",
    "KEYPOINT_DETECTION",
    "KEYPOINT_MATCHING",
    "POSE_ESTIMATION",
    "IMAGE_TO_IMAGE",
    "IMAGE_MATTING",
    "MASK_GENERATION",
    "MASKED_IMAGE_MODELING",
    "TABLE_RECOGNITION",
    "TEXT_RECOGNITION",
    "VISUAL_QUESTION_ANSWERING",
    "DOCUMENT_QUESTION_ANSWERING",
    "TABLE_QUESTION_ANSWERING",
    "SEQUENCE_CLASSIFICATION",
    "TOKEN_CLASSIFICATION",
    "QUESTION_ANSWERING",
    "AUDIO_FRAME_CLASSIFICATION",
    "AUDIO_XVECTOR",
    "TIME_SERIES_CLASSIFICATION",
    "TIME_SERIES_PREDICTION",
    "TIME_SERIES_REGRESSION",
    "PRETRAINING",
    "BACKBONE",
)
SPANS = ("question_answering", "document_question_answering")  # the labels are start and end


@functools.cache
def names() -> dict[str, tuple[tuple[str, str], ...]]:
    """Classes of each model type: what they are for (``base`` or the head), and the name."""
    found: dict[str, dict[str, str]] = {}
    for head in (*HEADS, ""):
        table = getattr(
            modeling_auto, f"MODEL_FOR_{head}_MAPPING_NAMES" if head else "MODEL_MAPPING_NAMES"
        )
        for kind, given in table.items():
            for name in (given,) if isinstance(given, str) else given:
                found.setdefault(kind, {}).setdefault(name, head.lower() or "base")
    return {
        kind: tuple((head, name) for name, head in classes.items())
        for kind, classes in sorted(found.items())
    }


def real_config(kind: str, name: str) -> PretrainedConfig:
    """Return the config of a class as its model type has it by default."""
    cls = getattr(transformers, name)
    config = CONFIG_MAPPING[kind](**START.get(kind, {}), **START.get(name, {}))
    if isinstance(cls.config_class, type) and not isinstance(config, cls.config_class):
        config = cls.config_class()  # a part, which has a config of its own
    return config


def build(
    kind: str, name: str, which: int | None, apart: Sequence[Apart] = APART
) -> torch.nn.Module:
    """Build one class: tiny, or at real size on the meta device.

    Parameters
    ----------
    kind, name : str
        Model type and class.
    which : int or None
        0 or 1 for the tiny instances, None for real size.
    apart : sequence of str
        What is told apart; the first that runs.

    Returns
    -------
    torch.nn.Module
        In evaluation mode.
    """
    cls = getattr(transformers, name)
    default = real_config(kind, name)
    if which is None:
        with torch.device("meta"):
            return _built(cls, default)
    head = next(own for own, found in names()[kind] if found == name)
    tries = (lambda x=x: _built(cls, tiny_instance(default, which, x, head)) for x in apart)
    return first_that_runs(tries)


def tiny_instance(
    default: PretrainedConfig, which: int, apart: Apart, head: str
) -> PretrainedConfig:
    """The config of one of the two tiny instances, with labels as its head takes them."""
    config = tiny_config(default, which, apart=apart, exceptions=TINY)
    config.num_labels = 2 if head in SPANS else LABELS[which]
    return config


def _built(cls: Any, config: PretrainedConfig) -> torch.nn.Module:
    config._attn_implementation = "eager"
    model: torch.nn.Module = cls(config)
    return joint(model).eval()

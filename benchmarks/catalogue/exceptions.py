"""What the rules by name do not know: fields of configs of transformers, by class.

``TINY`` is laid over the tiny config: one value, a tuple for the two instances, or a function of
the fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.catalogue.sizes import LABELS


def _mamba_head(v: dict[str, Any]) -> int:
    return int(v["mamba_expand"] * v["hidden_size"] // 8)


def _mrope(v: dict[str, Any]) -> dict[str, Any]:
    half = v["hidden_size"] // v["num_attention_heads"] // 2
    return {**v["rope_parameters"], "mrope_section": [half // 3, half // 3, half - 2 * (half // 3)]}


def _adaptor(v: dict[str, Any]) -> Any:
    width = v["text_config"].hidden_size
    v["adaptor_config"].hidden_size = width
    v["adaptor_config"].intermediate_size = width // 4
    return v["adaptor_config"]


def _mrope_of_head(v: dict[str, Any]) -> dict[str, Any]:
    head = v.get("head_dim") or v["hidden_size"] // v["num_attention_heads"]
    half = int(head * v["rope_parameters"].get("partial_rotary_factor", 1.0)) // 2
    part = half // 3
    return {**v["rope_parameters"], "mrope_section": [half - 2 * part, part, part]}


def _efficient() -> dict[str, Any]:
    """Channels follow from a factor, and must be those that the class itself computes."""
    return {
        "width_coefficient": (0.25, 0.375),
        "hidden_dim": (320, 480),
        "in_channels": [32, 16, 24, 40, 80, 112, 192],
        "out_channels": [16, 24, 40, 80, 112, 192, 320],
    }


def _joined(part: str, name: str) -> Callable[[dict[str, Any]], Any]:
    """What comes out of a part is as wide as the text model."""

    def own(v: dict[str, Any]) -> Any:
        setattr(v[part], name, v["text_config"].hidden_size)
        return v[part]

    return own


def _heard(v: dict[str, Any]) -> Any:
    v["projector_config"].encoder_hidden_size = v["encoder_config"].hidden_dim
    return v["projector_config"]


def _spoken(v: dict[str, Any]) -> Any:
    """What the decoder says, the speech encoder hears; codes that replace others are said too."""
    v["decoder_config"].decoder_fixing_codes = [3, 5, 5, 7]
    v["speech_config"].vocab_size = v["decoder_config"].vocab_size
    return v["speech_config"]


def _small_image(v: dict[str, Any]) -> Any:
    v["vision_config"].image_size = 64
    return v["vision_config"]


def _patches_of_16(part: str) -> Callable[[dict[str, Any]], Any]:
    def own(v: dict[str, Any]) -> Any:
        v[part].patch_size = 16
        return v[part]

    return own


def _spoken_mels(v: dict[str, Any]) -> Any:
    v["vocoder_config"].model_in_dim = v["model_config"].num_mel_bins
    return v["vocoder_config"]


def _encoded(v: dict[str, Any]) -> Any:
    """Codes hold what both encoders see."""
    width = v["codebook_dim"] - v["semantic_model_config"].hidden_size
    v["acoustic_model_config"].hidden_size = width
    return v["acoustic_model_config"]


def _merged(v: dict[str, Any]) -> int:
    """Four patches beside each other."""
    return 4 * int(v["vision_config"].hidden_size)


def _text_width(v: dict[str, Any]) -> int:
    return int(v["text_config"].hidden_size)


_SPOKEN = {"projector_config": _heard, "window_size": 10, "downsample_rate": 5}
_FEATURES = {
    "backbone_feature_sizes": ([[32] * 2, [16] * 2, [8] * 2], [[48] * 2, [24] * 2, [12] * 2])
}
_BARK = {"block_size": (24, 32)}
_MUSE = {"out_hidden_size": _merged}
_TILES = {"image_grid_pinpoints": ([[64, 128]], [[96, 192]])}
_VIBE = {
    "depths": ([1, 1, 2, 1], [2, 1, 1, 2]),
    "downsampling_ratios": ([2, 2, 4], [2, 4, 2]),
    "num_filters": (16, 24),
}

TINY: dict[str, dict[str, Any]] = {
    "aria": {"projector_patch_to_query_dict": ({64: 16}, {144: 16})},
    "align": {"projection_dim": (80, 120)},
    "bamba": {
        "num_hidden_layers": (2, 4),
        "attn_layer_indices": ([1], [1, 3]),
        "mamba_n_heads": 8,
        "mamba_d_head": _mamba_head,
    },
    "bit": {
        "hidden_sizes": ([128, 256, 384, 512], [256, 384, 512, 640]),
        "embedding_size": (32, 96),
        "num_groups": (2, 4),
    },
    "BarkSemanticConfig": _BARK,
    "BarkCoarseConfig": _BARK,
    "BarkFineConfig": _BARK,
    "DbrxAttentionConfig": {"rope_theta": 1e4, "kv_n_heads": 2},
    "depth_pro": {
        "patch_size": (64, 96),
        "intermediate_hook_ids": ([1, 0], [2, 0]),
        **{
            part: _patches_of_16(part)
            for part in ("image_model_config", "patch_model_config", "fov_model_config")
        },
    },
    "ernie4_5_vl_moe_text": {"rope_parameters": _mrope},
    "efficientnet": _efficient(),
    "align_vision_model": _efficient(),
    "esm": {"vocab_size": 33},
    "esmc": {"num_key_value_heads": (4, 8)},
    "fastspeech2_conformer_with_hifigan": {"vocoder_config": _spoken_mels},
    "groupvit_vision_model": {
        "num_group_tokens": ([16, 8, 0], [20, 10, 0]),
        "num_output_groups": ([16, 8, 8], [20, 10, 10]),
    },
    "Sam2PromptEncoderConfig": {"patch_size": 16},
    "falcon_h1": {"mamba_n_heads": 8, "mamba_d_head": 24, "mamba_d_ssm": 192},
    "fun_asr_nano": {"adaptor_config": _adaptor},
    "gemma3": {"mm_tokens_per_image": 16},
    "t5gemma2_encoder": {"mm_tokens_per_image": 16},
    "chameleon_vqgan": {"num_embeddings": (32, 64)},
    "janus_vqgan": {"num_embeddings": (32, 64)},
    "clvp": {"speech_config": _spoken},
    "clvp_encoder": {"num_attention_heads": 4},
    "clap_audio_model": {"window_size": 2, "spec_size": (128, 256), "num_mel_bins": (32, 64)},
    "donut-swin": {"window_size": 2},
    "swin": {"window_size": 2},
    "diffusion_gemma_text": {"top_k_experts": 2},
    "levit": {"patch_size": 16, "image_size": (64, 96)},
    "superpoint": {"keypoint_decoder_dim": 65},
    "longcat_flash": {"qk_head_dim": lambda v: v["qk_nope_head_dim"] + v["qk_rope_head_dim"]},
    "xmod": {"default_language": "en_XX"},
    "nystromformer": {"num_landmarks": 4, "segment_means_seq_len": 12},
    "pp_doclayout_v2": {
        "class_thresholds": ([0.5] * LABELS[0], [0.5] * LABELS[1]),
        "class_order": ([*range(LABELS[0])], [*range(LABELS[1])]),
    },
    "recurrent_gemma": {"num_hidden_layers": (3, 6)},
    "deepseek_v2": {"num_key_value_heads": (4, 8)},
    "hunyuan_vl_text": {"rope_parameters": _mrope_of_head},
    "qwen2_vl_text": {"rope_parameters": _mrope_of_head},
    "qwen2_5_omni_text": {"rope_parameters": _mrope_of_head},
    "qwen2_5_vl_text": {"rope_parameters": _mrope_of_head},
    "ovis2": {"hidden_size": _text_width},
    "llama4_vision_model": {
        "intermediate_size": lambda v: 4 * v["hidden_size"],
        "projector_output_dim": lambda v: v["projector_input_dim"],
        "vision_output_dim": lambda v: v["projector_input_dim"],
    },
    "mllama_text_model": {"cross_attention_layers": ([1], [1, 2])},
    "mllama_vision_model": {
        "vision_output_dim": lambda v: (
            v["hidden_size"] * (1 + len(v["intermediate_layers_indices"]))
        ),
    },
    "muse_glimmer": _MUSE,
    "muse_spark": _MUSE,
    "qwen3_asr": {"audio_config": _joined("audio_config", "output_dim")},
    "qwen3_asr_encoder": {"n_window": 50, "n_window_infer": 200},
    "qwen3_omni_moe_audio_encoder": {"n_window": 50, "n_window_infer": 200},
    "llava_next": _TILES,
    "llava_next_video": _TILES,
    "llava_onevision": _TILES,
    "granite4_vision": {"image_grid_pinpoints": [[64, 128]], "vision_config": _small_image},
    "vipllava": {"vision_feature_layers": [-1, -2, 1, -2, -1]},
    "glmasr_encoder": {"intermediate_size": lambda v: 4 * v["hidden_size"]},
    "voxtral_encoder": {"intermediate_size": lambda v: 4 * v["hidden_size"]},
    "granite_speech": _SPOKEN,
    "granite_speech_plus": _SPOKEN,
    "gemma3n_text": {
        "num_hidden_layers": (4, 6),
        "layer_types": (
            ["sliding_attention", "full_attention"] * 2,
            ["sliding_attention", "full_attention"] * 3,
        ),
        "num_kv_shared_layers": 2,
        "activation_sparsity_pattern": ([0.95, 0.95, 0.0, 0.0], [0.95, 0.95, 0.0, 0.0, 0.0, 0.0]),
        "intermediate_size": ([136] * 4, [168] * 6),
    },
    "gemma4_text": {"num_kv_shared_layers": 0},
    "gemma4_unified_text": {"num_kv_shared_layers": 0},
    "glm4v_text": {"rope_parameters": _mrope_of_head},
    "glm4v_moe_text": {"rope_parameters": _mrope_of_head},
    "glm_ocr_text": {"rope_parameters": _mrope_of_head},
    "paddleocr_vl_text": {"rope_parameters": _mrope_of_head},
    "glm_image_text": {"rope_parameters": _mrope_of_head},
    "glm5_next_text": {"num_key_value_heads": (4, 8), "index_kpool": 2, "index_topk": 4},
    "gpt_neo": {
        "attention_types": ([[["global", "local"], 1]], [[["global", "local"], 2]]),
        "num_layers": (2, 4),
    },
    "granitemoehybrid": {
        "layer_types": (
            ["linear_attention", "full_attention"],
            ["linear_attention", "full_attention"] * 2,
        ),
        "num_hidden_layers": (2, 4),
        "mamba_n_heads": 8,
        "mamba_d_head": _mamba_head,
    },
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_offset": 1},
    "lw_detr": {"projector_scale_factors": ([1.0], [2.0, 0.5])},
    "lw_detr_vit": {"num_windows": 4},
    "mamba2": {"num_heads": 8, "head_dim": lambda v: v["expand"] * v["hidden_size"] // 8},
    "mimi": {"num_filters": (16, 24), "upsampling_ratios": ([4, 3, 2], [3, 4, 2])},
    "mimi_decoder": {"num_filters": (16, 24), "upsampling_ratios": ([4, 3, 2], [3, 4, 2])},
    "mimi_encoder": {"num_filters": (16, 24), "upsampling_ratios": ([4, 3, 2], [3, 4, 2])},
    "mistral_large4_text": {
        "num_key_value_heads": (4, 8),
        "num_hidden_layers": (4, 6),
        "kv_source_layers": ([0, 1, 0, 1], [0, 1, 0, 1, 4, 5]),
        "no_rope_layers": ([1, 0, 1, 0], [1, 0, 1, 0, 1, 0]),
        "mlp_layer_types": (["dense"] + ["sparse"] * 3, ["dense"] + ["sparse"] * 5),
        "layer_types": (["indexed_attention"] * 4, ["indexed_attention"] * 6),
        "indexer_types": (["full"] * 4, ["full"] * 6),
    },
    "molmo2_adapter": {"vision_feature_layer": ([1, 0], [2, 1])},
    "moonshine_streaming": {"num_key_value_heads": (4, 8)},
    "muse_spark_audio": {"num_hidden_layers": 4},
    "nemotron_asr_streaming_encoder": {"default_num_lookahead_tokens": 3},
    "nemotron3_5_transcribe_audio": {"num_key_value_heads": (4, 8)},
    "nemotron3_diarization": {"chunk_right_context": 2},
    "qwen2_vl": {"vision_config": _joined("vision_config", "hidden_size")},
    "qwen3_omni_moe_talker": {"spatial_merge_size": 2},
    "qwen3_omni_moe_talker_text": {"shared_expert_intermediate_size": (56, 88)},
    "qwen4_exp_text": {
        "indexer_n_heads": (4, 8),
        "indexer_kv_heads": 1,
        "indexer_head_dim": 64,
        "indexer_budget": 8,
        "indexer_compress_ratio": 4,
        "ngram_vocab_size_base": 100,
    },
    "reformer": {"axial_pos_embds_dim": lambda v: [32, v["hidden_size"] - 32]},
    "sam2_vision_model": {
        "backbone_feature_sizes": ([[16] * 2, [8] * 2, [4] * 2], [[24] * 2, [12] * 2, [6] * 2])
    },
    "sam3_vision_model": _FEATURES,
    "sapiens2": {"num_first_full_attention_layers": 1, "num_last_full_attention_layers": 1},
    "seggpt": {"merge_index": 0, "image_size": [64, 32], "pretrain_image_size": 32},
    "speech_to_text": {"num_conv_layers": 2},
    "t5gemma2_text": {"dropout_rate": 0.0},
    "timesfm": {"context_length": (64, 96)},
    "timesfm2_5": {"context_length": (64, 96)},
    "tvp": {"visual_prompt_size": 8, "max_img_size": 64, "num_frames": 2},
    "univnet": {"kernel_predictor_hidden_channels": lambda v: v["model_in_channels"]},
    "vibevoice_acoustic_tokenizer": _VIBE,
    "vibevoice_acoustic_tokenizer_decoder": _VIBE,
    "vibevoice_acoustic_tokenizer_encoder": _VIBE,
    "vitmatte": {"backbone_config": _patches_of_16("backbone_config")},
    "vjepa2": {"frames_per_clip": 4},
    "xcodec": {"acoustic_model_config": _encoded},
    "vibevoice_asr": {"acoustic_tokenizer_chunk_size": 640},
    "xlnet": {"d_head": lambda v: v["d_model"] // v["n_head"]},
    "zamba": {
        "attention_hidden_size": lambda v: 2 * v["hidden_size"],
        "attention_head_dim": lambda v: 2 * v["hidden_size"] // v["num_attention_heads"],
        "num_hidden_layers": (4, 6),
        "layer_types": (["linear_attention", "hybrid"] * 2, ["linear_attention", "hybrid"] * 3),
    },
}

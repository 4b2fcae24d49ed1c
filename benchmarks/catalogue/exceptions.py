"""What the rules by name do not know: fields of configs of transformers, by class.

``START`` is given to a config class for its real size, where its defaults build no model. ``TINY``
is laid over the tiny config: one value, or a tuple for the two instances.
"""

from __future__ import annotations

from typing import Any

_RESNET = {"model_type": "resnet", "out_features": ["stage4"]}
_DETR = {"use_timm_backbone": False, "backbone": None, "backbone_config": _RESNET}
_CODES = {"<image>": 5, **{f"IMGIMG{chr(ord('A') + i)}Z": 100 + i for i in range(10)}}

START: dict[str, dict[str, Any]] = {
    "autoformer": {"prediction_length": 12},
    "aya_vision": {
        "vision_config": {"model_type": "siglip_vision_model", "num_attention_heads": 16}
    },
    "chameleon": {"vocabulary_map": _CODES},
    "cohere_compass_text": {
        "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}
    },
    "cohere_compass": {
        "text_config": {
            "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}
        }
    },
    "conditional_detr": _DETR,
    "dab-detr": _DETR,
    "dbrx": {"attn_config": {"rope_theta": 1e4, "kv_n_heads": 8}},
    "deformable_detr": {
        **_DETR,
        "backbone_config": {"model_type": "resnet", "out_features": ["stage2", "stage3", "stage4"]},
    },
    "detr": _DETR,
    "emu3": {"vocabulary_map": {"<image>": 5}},
    "esm": {"vocab_size": 33, "mask_token_id": 32, "pad_token_id": 1},
    "granite4_vision": {
        "downsample_rate": "4/8",
        "deepstack_layer_map": [[-2, 0], [-3, 1]],
    },
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128},
    "hunyuan_vl_text": {"head_dim": 128},
    "hunyuan_vl": {"text_config": {"head_dim": 128}},
    "informer": {"prediction_length": 12},
    "lfm2_moe": {"layer_types": ["conv", "conv", "full_attention", "conv"] * 8},
    "ministral": {"head_dim": 128},
    "moonshine_streaming": {"num_key_value_heads": 8},
    "nemotron": {"head_dim": 128},
    "qwen4_exp_text": {
        "indexer_n_heads": 16,
        "indexer_kv_heads": 2,
        "indexer_head_dim": 128,
        "indexer_budget": 64,
        "indexer_compress_ratio": 4,
    },
    "table-transformer": _DETR,
    "time_series_transformer": {"prediction_length": 12},
}

TINY: dict[str, dict[str, Any]] = {
    "bit": {
        "hidden_sizes": ([128, 256, 384, 512], [256, 384, 512, 640]),
        "embedding_size": (32, 96),
    },
    "DbrxAttentionConfig": {"rope_theta": 1e4, "kv_n_heads": 2},
    "esm": {"vocab_size": 33},
    "esmc": {"num_key_value_heads": (4, 8)},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_offset": 1},
    "lw_detr_vit": {"num_windows": 4},
    "moonshine_streaming": {"num_key_value_heads": (4, 8)},
}

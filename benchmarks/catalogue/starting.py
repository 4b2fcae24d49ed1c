"""Fields of configs of transformers without which a class cannot be built at real size."""

from __future__ import annotations

from typing import Any

_RESNET = {"model_type": "resnet", "out_features": ["stage4"]}
_DETR = {"use_timm_backbone": False, "backbone": None, "backbone_config": _RESNET}
_LETTERS = str.maketrans("0123456789", "ABCDEFGHIJ")
_CODES = {"<image>": 5} | {f"IMGIMG{str(i).translate(_LETTERS)}Z": 70 + i for i in range(64)}
_VISUAL = {"<image>": 5, "<|extra_200|>": 6} | {
    f"<|visual token {i:06d}|>": 70 + i for i in range(64)
}

_BLOCK = {
    "reduce_channel": [1, 1, 0],
    "return_channel": [1, 1, 0],
    "vertical_long_to_small_conv_longratio": [[7, 1], [1, 1], [3, 0]],
    "vertical_long_to_small_conv_midratio": [[5, 1], [1, 1], [2, 0]],
    "vertical_long_to_small_conv_shortratio": [[3, 1], [1, 1], [1, 0]],
    "horizontal_small_to_long_conv_longratio": [[1, 7], [1, 1], [0, 3]],
    "horizontal_small_to_long_conv_midratio": [[1, 5], [1, 1], [0, 2]],
    "horizontal_small_to_long_conv_shortratio": [[1, 3], [1, 1], [0, 1]],
    "symmetric_conv_long_longratio": [[7, 7], [1, 1], [3, 3]],
    "symmetric_conv_long_midratio": [[5, 5], [1, 1], [2, 2]],
    "symmetric_conv_long_shortratio": [[3, 3], [1, 1], [1, 1]],
}
_INDEXER = {
    "indexer_n_heads": 16,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 256,
    "indexer_budget": 64,
    "indexer_compress_ratio": 4,
}

START: dict[str, dict[str, Any]] = {
    "autoformer": {"prediction_length": 12, "num_time_features": 1},
    "bamba": {"attn_layer_indices": [9, 18, 27]},
    "granitemoehybrid": {"layer_types": (["linear_attention"] * 7 + ["full_attention"]) * 4},
    "aya_vision": {
        "vision_config": {"model_type": "siglip_vision_model", "num_attention_heads": 16}
    },
    "beit": {"out_indices": [3, 5, 7, 11]},
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
    "deepseek_ocr2": {
        "text_config": {
            "mlp_layer_types": ["dense"] + ["sparse"] * 11,
            "num_hidden_layers": 12,
            "hidden_size": 1280,
            "intermediate_size": 6848,
            "moe_intermediate_size": 896,
            "num_attention_heads": 10,
            "num_key_value_heads": 10,
            "num_experts_per_tok": 6,
        }
    },
    "diffusion_gemma": {
        "text_config": {"num_experts": 128, "top_k_experts": 8, "moe_intermediate_size": 704}
    },
    "dots1": {"n_routed_experts": 128, "n_shared_experts": 2, "num_experts_per_tok": 6},
    "dbrx": {"attn_config": {"rope_theta": 1e4, "kv_n_heads": 8, "clip_qkv": 8}},
    "deepseek_v2": {"num_experts_per_tok": 6},
    "deformable_detr": {
        **_DETR,
        "backbone_config": {"model_type": "resnet", "out_features": ["stage2", "stage3", "stage4"]},
    },
    "detr": _DETR,
    "emu3": {"vocabulary_map": _VISUAL},
    "esm": {"vocab_size": 33, "mask_token_id": 32, "pad_token_id": 1},
    "gemma4_assistant": {
        "text_config": {"hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": 0}
    },
    "granite4_vision": {
        "downsample_rate": "4/8",
        "deepstack_layer_map": [[-2, 0], [-3, 1]],
    },
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128},
    "hunyuan_vl_text": {"head_dim": 128},
    "hunyuan_vl": {"text_config": {"head_dim": 128}},
    "informer": {"prediction_length": 12, "num_time_features": 1},
    "lfm2_moe": {"layer_types": ["conv", "conv", "full_attention", "conv"] * 8},
    "ministral": {"head_dim": 128},
    "moonshine_streaming": {"num_key_value_heads": 8},
    "nemotron": {"head_dim": 128, "num_key_value_heads": 8},
    "qwen4_exp_text": _INDEXER,
    "pp_ocrv5_server_det": {"intraclass_block_config": _BLOCK, "kernel_list": [3, 2, 2]},
    "pp_ocrv6_medium_det": {"intraclass_block_config": _BLOCK, "kernel_list": [3, 2, 2]},
    "qwen4_exp": {"text_config": _INDEXER},
    "qwen3_omni_moe": {"talker_config": {"text_config": {"shared_expert_intermediate_size": 2048}}},
    "ReformerModelWithLMHead": {"is_decoder": True},
    "sapiens2": {
        "head_config": {"upsample_out_channels": [768] * 4, "conv_out_channels": [64, 64]}
    },
    "step3p7": {"text_config": {"sliding_window": 512}},
    "t5gemma2_encoder": {"text_config": {"dropout_rate": 0.0}},
    "table-transformer": _DETR,
    "time_series_transformer": {"prediction_length": 12, "num_time_features": 1},
    "vitmatte": {
        "backbone_config": {
            "model_type": "vitdet",
            "hidden_size": 384,
            "num_attention_heads": 6,
            "num_channels": 4,
            "out_features": ["stage12"],
        },
        "fusion_hidden_sizes": [256, 128, 64, 32],
        "convstream_hidden_sizes": [48, 96, 192],
    },
    "wav2vec2-bert": {"vocab_size": 32},
    "wav2vec2-conformer": {"vocab_size": 32},
}

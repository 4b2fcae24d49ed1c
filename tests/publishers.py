"""Models of the library under the names, and with the rows, of those who published them first."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDTH, HIDDEN, HEADS, KV_HEADS, BLOCKS, TOKENS = 32, 48, 4, 2, 2, 60
SIZES = {
    "hidden_size": WIDTH,
    "intermediate_size": HIDDEN,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "vocab_size": TOKENS,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": 1,
}
PARAMS = {"dim": WIDTH, "n_layers": BLOCKS, "n_heads": HEADS, "n_kv_heads": KV_HEADS}
Arrays = dict[str, np.ndarray]
_BLOCK = r"model\.layers\.(\d+)\."


def _renamed(arrays: Arrays, rules: dict[str, str]) -> Arrays:
    found = {}
    for name, x in arrays.items():
        for old, new in rules.items():
            name = re.sub(old, new, name)
        found[name] = x
    return found


def _fused(arrays: Arrays, parts: tuple[str, ...], whole: str, join: Callable[..., Any]) -> Arrays:
    """Modules joined into one, which takes the place of the first."""
    found = {}
    for name, x in arrays.items():
        part = next((part for part in parts if f".{part}." in name), None)
        if part == parts[0]:
            found[name.replace(part, whole)] = join(*(arrays[name.replace(part, p)] for p in parts))
        elif part is None:
            found[name] = x
    return found


def _one_after_another(*parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts)


def _by_group(*parts: np.ndarray) -> np.ndarray:
    groups = [x.reshape(KV_HEADS, -1, *x.shape[1:]) for x in parts]
    joined = np.concatenate(groups, axis=1)
    return joined.reshape(-1, *parts[0].shape[1:])


def _neighbours(x: np.ndarray, n_heads: int) -> np.ndarray:
    """Halves of every head, rotary partners side by side."""
    heads = x.reshape(n_heads, 2, -1, *x.shape[1:])
    return heads.swapaxes(1, 2).reshape(x.shape)


QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_META = {
    r"^model\.embed_tokens": "tok_embeddings",
    r"^lm_head": "output",
    r"^model\.": "",
    r"self_attn\.([qkvo])_proj": r"attention.w\1",
    r"mlp\.gate_proj": "feed_forward.w1",
    r"mlp\.up_proj": "feed_forward.w3",
    r"mlp\.down_proj": "feed_forward.w2",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
}


def meta(arrays: Arrays) -> Arrays:
    """As Meta publishes a Llama, and Mistral its models."""
    heads = {".wq.": HEADS, ".wk.": KV_HEADS}
    found = _renamed(arrays, {"block_sparse_moe": "feed_forward", **_META})
    for name, x in found.items():
        n = next((n for word, n in heads.items() if word in name), 0)
        found[name] = _neighbours(x, n) if n else x
    return found


def internlm2(arrays: Arrays) -> Arrays:
    """As InternLM 2 is published."""
    found = _renamed(
        _fused(arrays, QKV, "attention.wqkv", _by_group),
        {k: v for k, v in _META.items() if k != r"^model\." and "embed" not in k},
    )
    return _renamed(found, {"embed_tokens": "tok_embeddings"})


def megatron(arrays: Arrays) -> Arrays:
    """As Megatron-Core stores a Llama."""
    found = _fused(arrays, QKV, "self_attention.linear_qkv", _by_group)
    pair = ("mlp.gate_proj", "mlp.up_proj")
    found = _fused(found, pair, "mlp.linear_fc1", _one_after_another)
    rules = {
        r"^model\.layers": "decoder.layers",
        r"input_layernorm\.weight": "self_attention.linear_qkv.layer_norm_weight",
        r"post_attention_layernorm\.weight": "mlp.linear_fc1.layer_norm_weight",
        r"self_attn\.o_proj": "self_attention.linear_proj",
        r"down_proj": "linear_fc2",
        r"^model\.embed_tokens": "embedding.word_embeddings",
        r"^lm_head": "output_layer",
        r"^model\.norm": "decoder.final_layernorm",
    }
    return _renamed(found, rules)


def litgpt(arrays: Arrays) -> Arrays:
    """As LitGPT stores a Llama."""
    rules = {
        r"^model\.layers": "transformer.h",
        r"^model\.embed_tokens": "transformer.wte",
        r"^model\.norm": "transformer.ln_f",
        r"self_attn\.o_proj": "attn.proj",
        "input_layernorm": "norm_1",
        "post_attention_layernorm": "norm_2",
        r"mlp\.gate_proj": "mlp.fc_1",
        r"mlp\.up_proj": "mlp.fc_2",
        r"mlp\.down_proj": "mlp.proj",
    }
    return _renamed(_fused(arrays, QKV, "attn.attn", _by_group), rules)


def torchtune(arrays: Arrays) -> Arrays:
    """As torchtune stores a Llama: with the rows of Meta."""
    rules = {
        r"attention\.w([qkv])": r"attn.\1_proj",
        r"attention\.wo": "attn.output_proj",
        r"feed_forward\.": "mlp.",
        r"attention_norm\.weight": "sa_norm.scale",
        r"ffn_norm\.weight": "mlp_norm.scale",
        r"^norm\.weight": "norm.scale",
    }
    return _renamed(meta(arrays), rules)


def gpt_fast(arrays: Arrays) -> Arrays:
    """As gpt-fast stores a Llama: with the rows of Meta, queries, keys and values joined."""
    parts = ("attention.wq", "attention.wk", "attention.wv")
    return _fused(meta(arrays), parts, "attention.wqkv", _one_after_another)


def gpt_oss(arrays: Arrays) -> Arrays:
    """As GPT-OSS is published, in plain numbers: experts (out, in)."""
    found = _fused(arrays, QKV, "attn.qkv", _one_after_another)
    turned = (".gate_up_proj", ".down_proj")
    found = {n: x.swapaxes(1, 2) if n.endswith(turned) else x for n, x in found.items()}
    rules = {
        r"^model\.layers": "block",
        r"^model\.embed_tokens": "embedding",
        r"^lm_head": "unembedding",
        r"^model\.norm\.weight": "norm.scale",
        r"self_attn\.o_proj": "attn.out",
        r"self_attn\.sinks": "attn.sinks",
        r"input_layernorm\.weight": "attn.norm.scale",
        r"post_attention_layernorm\.weight": "mlp.norm.scale",
        r"mlp\.router": "mlp.gate",
        r"mlp\.experts\.gate_up_proj_bias": "mlp.mlp1_bias",
        r"mlp\.experts\.down_proj_bias": "mlp.mlp2_bias",
        r"mlp\.experts\.gate_up_proj": "mlp.mlp1_weight",
        r"mlp\.experts\.down_proj": "mlp.mlp2_weight",
    }
    return _renamed(found, rules)


def sam(arrays: Arrays) -> Arrays:
    """As Segment Anything is published."""
    rules = {
        r"^vision_encoder\.patch_embed\.projection": "image_encoder.patch_embed.proj",
        r"^vision_encoder\.layers": "image_encoder.blocks",
        r"^vision_encoder": "image_encoder",
        r"neck\.conv1": "neck.0",
        r"neck\.layer_norm1": "neck.1",
        r"neck\.conv2": "neck.2",
        r"neck\.layer_norm2": "neck.3",
        r"^shared_image_embedding\.positional_embedding": "prompt_encoder.pe_layer."
        "positional_encoding_gaussian_matrix",
        r"\.point_embed\.": ".point_embeddings.",
        r"^(prompt_encoder\.)mask_embed\.conv1": r"\1mask_downscaling.0",
        r"^(prompt_encoder\.)mask_embed\.layer_norm1": r"\1mask_downscaling.1",
        r"^(prompt_encoder\.)mask_embed\.conv2": r"\1mask_downscaling.3",
        r"^(prompt_encoder\.)mask_embed\.layer_norm2": r"\1mask_downscaling.4",
        r"^(prompt_encoder\.)mask_embed\.conv3": r"\1mask_downscaling.6",
        r"upscale_conv1": "output_upscaling.0",
        r"upscale_layer_norm": "output_upscaling.1",
        r"upscale_conv2": "output_upscaling.3",
        r"(head|mlps\.\d)\.layers\.0": r"\1.layers.1",
        r"(head|mlps\.\d)\.proj_in": r"\1.layers.0",
        r"(head|mlps\.\d)\.proj_out": r"\1.layers.2",
        r"layer_norm_final": "norm_final",
        r"layer_norm": "norm",
    }
    return _renamed(arrays, rules)


def deepseek(arrays: Arrays) -> Arrays:
    """As DeepSeek publishes its models, those without experts."""
    rules = {
        r"^model\.embed_tokens": "embed",
        r"^lm_head": "head",
        r"^model\.": "",
        r"input_layernorm": "attn_norm",
        r"post_attention_layernorm": "ffn_norm",
        r"self_attn\.q_a_layernorm": "attn.q_norm",
        r"self_attn\.kv_a_layernorm": "attn.kv_norm",
        r"self_attn\.q_([ab])_proj": r"attn.wq_\1",
        r"self_attn\.kv_a_proj_with_mqa": "attn.wkv_a",
        r"self_attn\.kv_b_proj": "attn.wkv_b",
        r"self_attn\.o_proj": "attn.wo",
        r"mlp\.gate_proj": "ffn.w1",
        r"mlp\.up_proj": "ffn.w3",
        r"mlp\.down_proj": "ffn.w2",
    }
    return _renamed(arrays, rules)


def chatglm(arrays: Arrays) -> Arrays:
    """As ChatGLM and GLM-4 are published."""
    found = _fused(arrays, QKV, "self_attention.query_key_value", _one_after_another)
    rules = {
        r"^model\.layers": "transformer.encoder.layers",
        r"^model\.embed_tokens": "transformer.embedding.word_embeddings",
        r"^lm_head": "transformer.output_layer",
        r"^model\.norm": "transformer.encoder.final_layernorm",
        r"self_attn\.o_proj": "self_attention.dense",
        r"mlp\.gate_up_proj": "mlp.dense_h_to_4h",
        r"mlp\.down_proj": "mlp.dense_4h_to_h",
    }
    return _renamed(found, rules)


def qwen(arrays: Arrays) -> Arrays:
    """As Qwen 1 is published."""
    found = _fused(arrays, QKV, "attn.c_attn", _one_after_another)
    rules = {
        r"^model\.layers": "transformer.h",
        r"^model\.embed_tokens": "transformer.wte",
        r"^model\.norm": "transformer.ln_f",
        r"self_attn\.o_proj": "attn.c_proj",
        "input_layernorm": "ln_1",
        "post_attention_layernorm": "ln_2",
        r"mlp\.gate_proj": "mlp.w2",
        r"mlp\.up_proj": "mlp.w1",
        r"mlp\.down_proj": "mlp.c_proj",
    }
    return _renamed(found, rules)


def olmo(arrays: Arrays) -> Arrays:
    """As OLMo 1 is published."""
    found = _fused(arrays, QKV, "att_proj", _one_after_another)
    found = _fused(found, ("mlp.up_proj", "mlp.gate_proj"), "ff_proj", _one_after_another)
    rules = {
        r"^model\.layers": "model.transformer.blocks",
        r"^model\.embed_tokens": "model.transformer.wte",
        r"^lm_head": "model.transformer.ff_out",
        r"self_attn\.o_proj": "attn_out",
        r"mlp\.down_proj": "ff_out",
    }
    return _renamed(found, rules)


def gemma(arrays: Arrays) -> Arrays:
    """As Gemma is published for PyTorch."""
    found = _fused(arrays, QKV, "self_attn.qkv_proj", _one_after_another)
    found = _renamed(found, {r"^model\.embed_tokens": "embedder"})
    return {name: x for name, x in found.items() if name != "lm_head.weight"}


def megatron_lm(arrays: Arrays) -> Arrays:
    """As Megatron-LM stores a GPT-2: turned, queries, keys and values head by head."""
    found = {}
    for name, x in arrays.items():
        if x.ndim == 2 and name.startswith("h."):
            x = x.T
        if "c_attn" in name:
            parts = x.reshape(3, HEADS, -1, *x.shape[1:])
            x = parts.swapaxes(0, 1).reshape(x.shape)
        found[name] = x
    rules = {
        r"^h\.": "encoder.layers.",
        r"^wte": "embedding.word_embeddings",
        r"^wpe": "embedding.position_embeddings",
        r"^ln_f": "encoder.final_layernorm",
        "ln_1": "input_layernorm",
        "ln_2": "post_attention_layernorm",
        r"attn\.c_attn": "self_attention.query_key_value",
        r"attn\.c_proj": "self_attention.dense",
        r"mlp\.c_fc": "mlp.dense_h_to_4h",
        r"mlp\.c_proj": "mlp.dense_4h_to_h",
        "^": "language_model.",
    }
    return _renamed(found, rules)


def rwkv(arrays: Arrays) -> Arrays:
    """As RWKV 4 is published."""
    rules = {
        r"^rwkv\.embeddings": "emb",
        r"^rwkv\.": "",
        r"\.attention\.": ".att.",
        r"\.feed_forward\.": ".ffn.",
        r"time_mix_(.)\w+": r"time_mix_\1",
        "pre_ln": "ln0",
    }
    return _renamed(arrays, rules)


def mamba(arrays: Arrays) -> Arrays:
    """As Mamba is published."""
    return _renamed(arrays, {r"backbone\.embeddings": "backbone.embedding"})


def wav2vec2(arrays: Arrays) -> Arrays:
    """As fairseq stores wav2vec 2."""
    rules = {
        r"^encoder\.pos_conv_embed\.conv": "encoder.pos_conv.0",
        r"parametrizations\.weight\.original0": "weight_g",
        r"parametrizations\.weight\.original1": "weight_v",
        r"^encoder\.(layers\.\d+)\.layer_norm": r"encoder.\1.self_attn_layer_norm",
        r"\.attention\.": ".self_attn.",
        r"feed_forward\.intermediate_dense": "fc1",
        r"feed_forward\.output_dense": "fc2",
        r"(conv_layers\.\d+)\.conv": r"\1.0",
        r"(conv_layers\.\d+)\.layer_norm": r"\1.2",
        r"^feature_projection\.projection": "post_extract_proj",
        r"^feature_projection\.layer_norm": "layer_norm",
        r"^masked_spec_embed": "mask_emb",
    }
    return _renamed(arrays, rules)


@dataclass(frozen=True)
class Publisher:
    """A class of the library, and how its models are published."""

    class_name: str
    config: dict[str, Any]
    stored: Callable[[Arrays], Arrays]
    beside: tuple[str, dict[str, Any]] = ("", {})  # name and contents of a config, if any


CONFIG = ("config.json", {"hidden_size": WIDTH, **{k: SIZES[k] for k in list(SIZES)[3:5]}})
MEGATRON_LM = Publisher(
    "GPT2",
    {"n_embd": WIDTH, "n_layer": BLOCKS, "n_head": HEADS, "vocab_size": TOKENS, "n_positions": 16},
    megatron_lm,
)
_TINY = {"hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2}
SAM = {
    "vision_config": {
        **{"hidden_size": WIDTH, "mlp_dim": HIDDEN, "num_hidden_layers": BLOCKS},
        **{"num_attention_heads": HEADS, "image_size": 32, "patch_size": 8, "output_channels": 16},
        **{"window_size": 2, "global_attn_indexes": [1], "num_pos_feats": 8},
    },
    "prompt_encoder_config": {"hidden_size": 16, "image_size": 32, "patch_size": 8},
    "mask_decoder_config": {**_TINY, "mlp_dim": 24, "iou_head_hidden_dim": 20},
}
PUBLISHERS = {
    "meta": Publisher("Llama", SIZES, meta, ("params.json", PARAMS)),
    "mistral": Publisher("Mistral", {**SIZES, "head_dim": 12}, meta, ("params.json", PARAMS)),
    "mixtral": Publisher(
        "Mixtral", {**SIZES, "num_local_experts": 3}, meta, ("params.json", PARAMS)
    ),
    "internlm2": Publisher("Llama", SIZES, internlm2, CONFIG),
    "megatron-core": Publisher("Llama", SIZES, megatron, CONFIG),
    "litgpt": Publisher("Llama", SIZES, litgpt, CONFIG),
    "torchtune": Publisher("Llama", SIZES, torchtune, CONFIG),
    "gpt-fast": Publisher("Llama", SIZES, gpt_fast, ("params.json", PARAMS)),
    "gpt-oss": Publisher(
        "GptOss",
        {**SIZES, "head_dim": 8, "num_local_experts": 3, "num_experts_per_tok": 2},
        gpt_oss,
        CONFIG,
    ),
    "sam": Publisher("Sam", SAM, sam),
    "deepseek": Publisher(
        "DeepseekV3",
        {
            **SIZES,
            **{"num_key_value_heads": HEADS, "first_k_dense_replace": BLOCKS, "q_lora_rank": 12},
            **{"kv_lora_rank": 10, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 8},
        },
        deepseek,
    ),
    "chatglm": Publisher("Glm", {**SIZES, "head_dim": 8, "attention_bias": True}, chatglm, CONFIG),
    "qwen": Publisher("Qwen2", {**SIZES, "num_key_value_heads": HEADS}, qwen),
    "olmo": Publisher("Olmo", SIZES, olmo, CONFIG),
    "gemma": Publisher("Gemma", {**SIZES, "head_dim": 8, "tie_word_embeddings": True}, gemma),
    "rwkv": Publisher(
        "Rwkv",
        {"hidden_size": WIDTH, "num_hidden_layers": BLOCKS, "vocab_size": TOKENS},
        rwkv,
    ),
    "mamba": Publisher(
        "Mamba",
        {"hidden_size": WIDTH, "num_hidden_layers": BLOCKS, "vocab_size": TOKENS, "state_size": 4},
        mamba,
    ),
    "wav2vec2": Publisher(
        "Wav2Vec2",
        {
            **{k: SIZES[k] for k in list(SIZES)[:4]},
            **{"conv_dim": (16, 16), "conv_kernel": (4, 3), "conv_stride": (2, 2)},
            **{"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2},
        },
        wav2vec2,
    ),
}

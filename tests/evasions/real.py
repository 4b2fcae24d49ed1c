"""Tiny real models with weights that hide no mistake, and their outputs from arrays alone."""

from __future__ import annotations

import json

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file

from weightkin.evasions import whole_anatomy
from weightkin.formats import model_from_arrays

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

SIZES = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
TEXT = {"vocab_size": 64, "max_position_embeddings": 32, "bos_token_id": 0, "eos_token_id": 0}


def _llama(**changes):
    return transformers.LlamaConfig(
        **SIZES | HEADS | TEXT | {"attention_bias": True, "mlp_bias": True} | changes
    )


def _gpt2(**changes):
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 32, "n_inner": 40}
    return transformers.GPT2Config(
        **sizes, vocab_size=64, bos_token_id=0, eos_token_id=0, **changes
    )


BARE = {"vocab_size": 64, "bos_token_id": 0, "eos_token_id": 0}
OLD = BARE | {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 32, "n_inner": 40}
FALCON = BARE | {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
FALCON |= {"ffn_hidden_size": 40}


def _falcon(**changes):
    return ("FalconForCausalLM", lambda: transformers.FalconConfig(**FALCON | changes))


FUSED = {  # how their queries, keys and values stand in one matrix, no two alike
    "neox": (
        "GPTNeoXForCausalLM",
        lambda: transformers.GPTNeoXConfig(**SIZES | TEXT, num_attention_heads=4, rotary_pct=0.5),
    ),
    "falcon": _falcon(new_decoder_architecture=True, num_kv_heads=2, bias=True),
    "falcon, one key head": _falcon(multi_query=True),
    "falcon with slopes": _falcon(multi_query=False, alibi=True, parallel_attn=False, bias=True),
    "bloom": (
        "BloomForCausalLM",
        lambda: transformers.BloomConfig(**BARE, hidden_size=32, n_layer=2, n_head=4),
    ),
    "mpt": (
        "MptForCausalLM",
        lambda: transformers.MptConfig(**BARE, d_model=32, n_layers=2, n_heads=4, max_seq_len=32),
    ),
    "codegen": (
        "CodeGenForCausalLM",
        lambda: transformers.CodeGenConfig(**OLD | {"n_head": 8}, rotary_dim=2),
    ),
    "bigcode": ("GPTBigCodeForCausalLM", lambda: transformers.GPTBigCodeConfig(**OLD)),
    "persimmon": (
        "PersimmonForCausalLM",
        lambda: transformers.PersimmonConfig(
            **SIZES | TEXT, num_attention_heads=4, qk_layernorm=False
        ),
    ),
    "phi3": (
        "Phi3ForCausalLM",
        lambda: transformers.Phi3Config(**SIZES | HEADS | TEXT, pad_token_id=0),
    ),
}
FAMILIES = {
    **FUSED,
    "llama": ("LlamaForCausalLM", _llama),
    "llama-tied": ("LlamaForCausalLM", lambda: _llama(tie_word_embeddings=True)),
    "gpt2": ("GPT2LMHeadModel", _gpt2),
    "gpt2-classifier": (
        "GPT2ForSequenceClassification",
        lambda: _gpt2(num_labels=5, pad_token_id=63),
    ),
    "gpt2-headless": ("GPT2Model", _gpt2),
    "mixtral": (
        "MixtralForCausalLM",
        lambda: transformers.MixtralConfig(**SIZES | HEADS | TEXT, num_local_experts=4),
    ),
    "vit": (
        "ViTForImageClassification",
        lambda: transformers.ViTConfig(
            **SIZES, num_attention_heads=4, image_size=16, patch_size=8, num_labels=5
        ),
    ),
    "bert": (
        "BertForMaskedLM",
        lambda: transformers.BertConfig(**SIZES | TEXT, num_attention_heads=4),
    ),
    "relu": (
        "OPTForCausalLM",
        lambda: transformers.OPTConfig(
            **TEXT | {"pad_token_id": 1},
            hidden_size=32,
            word_embed_proj_dim=32,
            ffn_dim=40,
            num_hidden_layers=2,
            num_attention_heads=4,
        ),
    ),
    "qwen3": (
        "Qwen3ForCausalLM",
        lambda: transformers.Qwen3Config(**SIZES | HEADS | TEXT, head_dim=8),
    ),
    "gemma": (
        "GemmaForCausalLM",
        lambda: transformers.GemmaConfig(**SIZES | HEADS | TEXT, head_dim=8, pad_token_id=0),
    ),
}


def build(family, folder, seed=0, **changes):
    """Save a random model; returns its arrays and config as they are on disk."""
    torch.manual_seed(seed)
    name, config = FAMILIES[family]
    config = config()
    for key, value in changes.items():
        setattr(config, key, value)
    model = getattr(transformers, name)(config)
    with torch.no_grad():
        for key, x in model.named_parameters():  # norms and biases away from 1 and 0
            is_norm = "norm" in key.lower() or ".ln_" in key
            center = 1.0 if is_norm and key.endswith("weight") else 0.0
            x.copy_(center + torch.randn_like(x) * (0.15 if is_norm or x.ndim > 1 else 0.3))
    model.save_pretrained(folder)
    return load_file(folder / "model.safetensors"), read_config(folder)


def read_config(folder):
    return json.loads((folder / "config.json").read_text())


def anatomy_of(arrays, config):
    return whole_anatomy(model_from_arrays(arrays, config=config))


def output(folder, arrays, config, tokens=None):
    """Output of a model made of arrays and config, in float64, loaded as users would.

    ``tokens`` are the new numbers of the tokens that it reads, by their old ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    cls = getattr(transformers, config["architectures"][0])
    experts = {"experts_implementation": "eager"} if "num_local_experts" in config else {}
    model, report = cls.from_pretrained(
        folder, dtype=torch.float64, output_loading_info=True, **experts
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert not report["mismatched_keys"]
    inputs = _inputs(config)
    if tokens is not None:
        inputs["input_ids"] = torch.as_tensor(tokens)[inputs["input_ids"]]
    with torch.no_grad():
        return model.eval()(**inputs)[0].numpy()


def _inputs(config):
    generator = torch.Generator().manual_seed(7)
    if "image_size" in config:
        side, channels = config["image_size"], config["num_channels"]
        pixels = torch.randn(3, channels, side, side, generator=generator, dtype=torch.float64)
        return {"pixel_values": pixels}
    n_tokens = config["vocab_size"]
    return {"input_ids": torch.randint(2, n_tokens - 1, (3, 12), generator=generator)}


def distance(a, b):
    """Largest difference of two outputs, relative to their spread."""
    return np.abs(a - b).max() / a.std()

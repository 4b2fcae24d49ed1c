"""Tiny models of every family, written by the family's own library class, with random weights."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as hf
from safetensors.numpy import load_file, save_file

from weightkin.formats.memory import model_from_arrays
from weightkin.formats.model import Model

Arrays = dict[str, np.ndarray]

TOKENS = torch.tensor([[5, 9, 2, 31, 7, 11, 3, 30, 8], [1, 4, 38, 6, 17, 12, 10, 21, 3]])
PIXELS = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))

_SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "vocab_size": 40,
    "max_position_embeddings": 32,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_GROUPED = {**_SIZES, "num_key_value_heads": 2}
_IMAGE = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 8,
    "patch_size": 4,
}
_GPT2 = {"n_embd": 16, "n_layer": 2, "n_head": 4, "vocab_size": 40, "n_positions": 32}
_ENDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
_BLOOM = {"hidden_size": 16, "n_layer": 2, "n_head": 4, "vocab_size": 40, **_ENDS}
_FALCON = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 40,
    **_ENDS,
}
_T5 = {
    "d_model": 16,
    "d_ff": 24,
    "d_kv": 5,
    "num_layers": 2,
    "num_heads": 4,
    "vocab_size": 40,
    "decoder_start_token_id": 0,
}
_BART = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "vocab_size": 40,
    "max_position_embeddings": 32,
    **_ENDS,
}
_DEEPSEEK = {
    "num_key_value_heads": 4,
    "n_routed_experts": 4,
    "n_group": 2,
    "topk_group": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 12,
    "first_k_dense_replace": 1,
    "kv_lora_rank": 8,
    "q_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 4,
}


@dataclass(frozen=True)
class Tiny:
    """A tiny model on disk: its class, its arrays, its config, and how it is run."""

    folder: Path
    arrays: Arrays
    config: dict[str, Any]
    run: Callable[[Any], torch.Tensor]
    cls: Any

    @property
    def model(self) -> Model:
        return model_from_arrays(self.arrays, config=self.config)

    def output(self, arrays: Arrays) -> np.ndarray:
        """Load arrays into the class as its library does, and run it on fixed inputs."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "config.json").write_text((self.folder / "config.json").read_text())
            file = next(self.folder.glob("*.safetensors")).name
            contiguous = {name: np.array(x, order="C") for name, x in arrays.items()}
            save_file(contiguous, Path(folder) / file, metadata={"format": "pt"})
            model = self.cls.from_pretrained(folder).eval()
        with torch.no_grad():
            return self.run(model).numpy()


def _text(model: Any) -> torch.Tensor:
    return model(input_ids=TOKENS).logits


def _seq2seq(model: Any) -> torch.Tensor:
    return model(input_ids=TOKENS, decoder_input_ids=TOKENS[:, :6]).logits


def _image(model: Any) -> torch.Tensor:
    return model(pixel_values=PIXELS).logits


def _clip(model: Any) -> torch.Tensor:
    out = model(input_ids=TOKENS, pixel_values=PIXELS)
    return torch.cat([out.text_embeds, out.image_embeds])


def _unet(model: Any) -> torch.Tensor:
    noise = torch.Generator().manual_seed(2)
    sample = torch.randn(1, 4, 8, 8, generator=noise)
    context = torch.randn(1, 5, 12, generator=noise)
    return model(sample, 7, encoder_hidden_states=context).sample


def _llama(name: str, **more: Any) -> tuple[Any, Any, Any]:
    config = {**_GROUPED, **more}
    return getattr(hf, f"{name}ForCausalLM"), getattr(hf, f"{name}Config")(**config), _text


def _t5(**more: Any) -> tuple[Any, Any, Any]:
    return hf.T5ForConditionalGeneration, hf.T5Config(**_T5, **more), _seq2seq


def _make_unet() -> tuple[Any, Any, Any]:
    from diffusers import UNet2DConditionModel

    config = {
        "block_out_channels": (8, 16),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 12,
        "attention_head_dim": 4,
        "norm_num_groups": 4,
        "layers_per_block": 1,
        "sample_size": 8,
    }
    return UNet2DConditionModel, config, _unet


def _clip_config() -> Any:
    return hf.CLIPConfig(text_config=dict(_SIZES), vision_config=dict(_IMAGE), projection_dim=12)


MAKERS: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "llama": lambda: _llama("Llama"),
    "llama-biased": lambda: _llama("Llama", attention_bias=True, mlp_bias=True),
    "mistral": lambda: _llama("Mistral"),
    "qwen2": lambda: _llama("Qwen2"),
    "qwen3": lambda: _llama("Qwen3", head_dim=8),
    "olmo2": lambda: _llama("Olmo2"),
    "starcoder2": lambda: _llama("Starcoder2"),
    "gemma": lambda: _llama("Gemma", head_dim=8),
    "gemma2": lambda: _llama("Gemma2", head_dim=8),
    "phi3": lambda: _llama("Phi3"),
    "mixtral": lambda: _llama("Mixtral", num_local_experts=3, num_experts_per_tok=2),
    "qwen2-moe": lambda: _llama(
        "Qwen2Moe",
        num_experts=3,
        num_experts_per_tok=2,
        moe_intermediate_size=12,
        shared_expert_intermediate_size=20,
        decoder_sparse_step=2,
    ),
    "deepseek-v3": lambda: _llama("DeepseekV3", **_DEEPSEEK),
    "gpt-oss": lambda: _llama("GptOss", head_dim=8, num_local_experts=3, num_experts_per_tok=2),
    "llama4": lambda: (
        hf.Llama4ForCausalLM,
        hf.Llama4TextConfig(
            **_GROUPED,
            head_dim=8,
            intermediate_size_mlp=20,
            num_local_experts=3,
            num_experts_per_tok=1,
            interleave_moe_layer_step=2,
        ),
        _text,
    ),
    "gpt2": lambda: (hf.GPT2LMHeadModel, hf.GPT2Config(**_GPT2, **_ENDS), _text),
    "gpt-bigcode": lambda: (
        hf.GPTBigCodeForCausalLM,
        hf.GPTBigCodeConfig(**_GPT2, **_ENDS, multi_query=False),
        _text,
    ),
    "gpt-neo": lambda: (
        hf.GPTNeoForCausalLM,
        hf.GPTNeoConfig(
            hidden_size=16,
            num_layers=2,
            num_heads=4,
            attention_types=[[["global", "local"], 1]],
            vocab_size=40,
            max_position_embeddings=32,
            **_ENDS,
        ),
        _text,
    ),
    "gpt-j": lambda: (hf.GPTJForCausalLM, hf.GPTJConfig(**_GPT2, **_ENDS, rotary_dim=4), _text),
    "gpt-neox": lambda: (hf.GPTNeoXForCausalLM, hf.GPTNeoXConfig(**_SIZES), _text),
    "phi": lambda: (hf.PhiForCausalLM, hf.PhiConfig(**_SIZES), _text),
    "bloom": lambda: (hf.BloomForCausalLM, hf.BloomConfig(**_BLOOM), _text),
    "falcon": lambda: (hf.FalconForCausalLM, hf.FalconConfig(**_FALCON), _text),
    "falcon-rw": lambda: (
        hf.FalconForCausalLM,
        hf.FalconConfig(**_FALCON, alibi=True, multi_query=False, bias=True, parallel_attn=False),
        _text,
    ),
    "mpt": lambda: (
        hf.MptForCausalLM,
        hf.MptConfig(d_model=16, n_layers=2, n_heads=4, vocab_size=40, max_seq_len=32),
        _text,
    ),
    "opt": lambda: (
        hf.OPTForCausalLM,
        hf.OPTConfig(**{**_SIZES, "ffn_dim": 24, "word_embed_proj_dim": 16}),
        _text,
    ),
    "modernbert": lambda: (hf.ModernBertForMaskedLM, hf.ModernBertConfig(**_SIZES), _text),
    "bert": lambda: (hf.BertForMaskedLM, hf.BertConfig(**_SIZES), _text),
    "bert-classifier": lambda: (
        hf.BertForSequenceClassification,
        hf.BertConfig(**_SIZES, num_labels=5),
        _text,
    ),
    "roberta": lambda: (hf.RobertaForMaskedLM, hf.RobertaConfig(**_SIZES), _text),
    "distilbert": lambda: (
        hf.DistilBertForMaskedLM,
        hf.DistilBertConfig(dim=16, hidden_dim=24, n_layers=2, n_heads=4, vocab_size=40),
        _text,
    ),
    "t5": lambda: _t5(),
    "t5-gated": lambda: _t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "bart": lambda: (hf.BartForConditionalGeneration, hf.BartConfig(**_BART), _seq2seq),
    "vit": lambda: (
        hf.ViTForImageClassification,
        hf.ViTConfig(**_IMAGE, num_labels=5),
        _image,
    ),
    "dinov2": lambda: (
        hf.Dinov2ForImageClassification,
        hf.Dinov2Config(**_IMAGE, num_labels=5),
        _image,
    ),
    "clip": lambda: (hf.CLIPModel, _clip_config(), _clip),
    "unet": _make_unet,
}


def of_class(name: str, sizes: dict[str, int]) -> tuple[Any, Any, Any]:
    """A language model of a class of transformers, by the keys that its config has for sizes."""
    cls = getattr(hf, name)
    return cls, cls.config_class(**{**_GROUPED, **sizes}), _text


def make(name: str, folder: Path) -> Tiny:
    """Build a tiny model, fill every parameter with noise, save it as its library does."""
    return built(*MAKERS[name](), folder)


def built(cls: Any, config: Any, run: Callable[[Any], torch.Tensor], folder: Path) -> Tiny:
    """Build a tiny model from its class, its config and what runs it."""
    torch.set_num_threads(1)
    model = cls(**config) if isinstance(config, dict) else cls(config)
    noise = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=noise))
            if parameter.ndim == 1 and not parameter.shape[0] % 2:
                parameter.add_(0.5)
    model.save_pretrained(folder)
    arrays = load_file(next(folder.glob("*.safetensors")))
    return Tiny(folder, arrays, json.loads((folder / "config.json").read_text()), run, cls)

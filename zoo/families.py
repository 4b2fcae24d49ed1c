"""The four architectures of the zoo, how each one reads a batch and how its loss is measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
)

from corpus import digits, text_batches, token_split, unigram_nats

TOKENIZER = Path(__file__).parent / "tokenizer.json"
N_ROWS = 512
BATCH, LENGTH = 16, 64
BATCH_IMAGES = 64
ROUTER_LOSS = 0.01  # weight of the experts' load balance
EVALUATION_ORDER = 20_000

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Held-out loss in nats; accuracy for classifiers only."""

    nats: float
    accuracy: float | None = None


def fresh(family: str, seed: int) -> PreTrainedModel:
    """Initialise a model of a family from a seed that nothing else uses."""
    torch.manual_seed(seed)
    return {"llama": llama, "gpt2": gpt2, "mixtral": mixtral, "vit": vit}[family]()


def llama() -> PreTrainedModel:
    """Six gated blocks of 256 units, two query heads per key head, untied embeddings."""
    config = LlamaConfig(
        vocab_size=N_ROWS,
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    return LlamaForCausalLM(config)


def gpt2() -> PreTrainedModel:
    """Four plain blocks of 384 units, learned positions, tied embeddings."""
    config = GPT2Config(
        vocab_size=N_ROWS,
        n_positions=LENGTH,
        n_embd=96,
        n_layer=4,
        n_head=4,
        n_inner=384,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPT2LMHeadModel(config)


def mixtral() -> PreTrainedModel:
    """Four blocks of four gated experts of 128 units, two of them used per token."""
    config = MixtralConfig(
        vocab_size=N_ROWS,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
        num_experts_per_tok=2,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=0,
    )
    return MixtralForCausalLM(config)


def vit() -> PreTrainedModel:
    """Four plain blocks of 256 units over 16 patches of 2 x 2 pixels."""
    config = ViTConfig(
        hidden_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=256,
        image_size=8,
        patch_size=2,
        num_channels=1,
        num_labels=10,
    )
    return ViTForImageClassification(config)


@cache
def tokens(domain: str) -> tuple[np.ndarray, np.ndarray]:
    """Training and held-out tokens of a domain."""
    return token_split(domain, Tokenizer.from_file(str(TOKENIZER)))


@cache
def images(domain: str) -> tuple[Batch, Batch]:
    """Training and held-out digits of a domain; every fifth image is held out."""
    x, y = (torch.from_numpy(array) for array in digits(domain))
    held_out = torch.arange(len(x)) % 5 == 3
    return (x[~held_out], y[~held_out]), (x[held_out], y[held_out])


def batches(family: str, domains: tuple[str, ...], *, order: int, steps: int) -> Iterator[Batch]:
    """Yield inputs and targets, all fixed by `order`."""
    if family == "vit":
        yield from image_batches(domains, order=order, steps=steps)
        return
    streams = [tokens(domain)[0] for domain in domains]
    for rows in text_batches(streams, order=order, steps=steps, size=BATCH, length=LENGTH):
        x = torch.from_numpy(rows)
        yield x, x[:, 1:]


def image_batches(domains: tuple[str, ...], *, order: int, steps: int) -> Iterator[Batch]:
    """Digits with their classes, drawn evenly over domains."""
    x = torch.cat([images(domain)[0][0] for domain in domains])
    y = torch.cat([images(domain)[0][1] for domain in domains])
    rng = np.random.default_rng(order)
    for _ in range(steps):
        pick = torch.from_numpy(rng.integers(len(x), size=BATCH_IMAGES))
        yield x[pick], y[pick]


def predict(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | float]:
    """Logits for the targets of `x`, and the router's loss where there is a router."""
    if model.config.model_type == "vit":
        return model(pixel_values=x).logits, 0.0
    if model.config.model_type == "mixtral":
        out = model(input_ids=x, output_router_logits=True)
        return out.logits[:, :-1], ROUTER_LOSS * out.aux_loss
    return model(input_ids=x).logits[:, :-1], 0.0


@torch.no_grad()
def measure(model: nn.Module, domains: tuple[str, ...]) -> Loss:
    """Loss on held-out data, the same windows for every model."""
    model.eval()
    if model.config.model_type == "vit":
        x = torch.cat([images(domain)[1][0] for domain in domains])
        y = torch.cat([images(domain)[1][1] for domain in domains])
        logits, _ = predict(model, x)
        accuracy = (logits.argmax(-1) == y).float().mean().item()
        return Loss(nats=cross_entropy(logits, y).item(), accuracy=accuracy)
    streams = [tokens(domain)[1] for domain in domains]
    windows = text_batches(streams, order=EVALUATION_ORDER, steps=16, size=16, length=LENGTH)
    x = torch.from_numpy(np.concatenate(list(windows)))
    return Loss(nats=cross_entropy(predict(model, x)[0], x[:, 1:]).item())


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats over all positions."""
    return nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


def chance(family: str, domains: tuple[str, ...]) -> dict[str, float]:
    """Loss of knowing nothing and, for text, of knowing only how frequent tokens are."""
    if family == "vit":
        return {"uniform": float(np.log(10))}
    unigram = np.mean([unigram_nats(*tokens(domain)) for domain in domains])
    return {"uniform": float(np.log(N_ROWS)), "unigram": float(unigram)}

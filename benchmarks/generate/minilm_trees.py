"""Grow three families of ten models from the real MiniLM: half an hour of one core, once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from zoo.corpus import documents

from benchmarks.generate.minilm_copies import model_folder
from benchmarks.lib.growing import adapt, cache_folder, fit, fold, in_place

Objective = Literal["masked", "contrastive"]

BATCH, LENGTH, STEPS = 8, 32, 30
LORA_LR, TEMPERATURE = 1e-3, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One model of a family: its parent, what it was trained for, on what, and how."""

    name: str
    parent: str | None
    objective: Objective
    domains: tuple[str, ...]
    lr: float
    decay: float
    steps: int = STEPS
    rank: int = 0
    bf16: bool = False


def _step(line: str) -> Step:
    name, parent, objective, domains, lr, decay, *more = line.split()
    told = dict(word.split("=") for word in more)
    return Step(
        name=name,
        parent=None if parent == "-" else parent,
        objective="masked" if objective == "masked" else "contrastive",
        domains=tuple(domains.split("+")),
        lr=float(lr),
        decay=float(decay),
        steps=int(told.get("steps", STEPS)),
        rank=int(told.get("rank", 0)),
        bf16=told.get("as") == "bf16",
    )


# name, parent (-: MiniLM itself), objective, text, learning rate, weight decay.
# The first family has MiniLM in it as its root. The roots of the other two are longer fine-tunes of
# MiniLM for one objective, and MiniLM is not among their models.
PLAN = """
a-1 - masked prose 2e-5 0.01
a-2 - contrastive code 5e-5 0.1
a-3 - masked tables 1e-3 0 rank=8
a-4 - masked code 1e-5 0 as=bf16
a-1-1 a-1 masked net 3e-5 0
a-1-1-1 a-1-1 contrastive prose 2e-5 0.01
a-2-1 a-2 masked code 2e-5 0.1 as=bf16
a-2-2 a-2 contrastive net 2e-5 0
a-3-1 a-3 masked prose 3e-5 0.05
b-0 - masked prose+code+net 5e-5 0.01 steps=80
b-1 b-0 masked prose 3e-5 0.01
b-2 b-0 masked prose 3e-5 0
b-3 b-0 masked code 5e-5 0.1
b-1-1 b-1 masked net 3e-5 0.01
b-1-1-1 b-1-1 masked tables 5e-5 0
b-2-1 b-2 contrastive net 1e-3 0 rank=8
b-2-2 b-2 masked tables 2e-5 0.05
b-3-1 b-3 masked code 2e-5 0.1 as=bf16
b-3-1-1 b-3-1 masked prose 3e-5 0.01
c-0 - contrastive prose+code 5e-5 0.1 steps=60
c-1 c-0 contrastive prose 3e-5 0.1
c-2 c-0 contrastive code 3e-5 0
c-3 c-0 masked net 3e-5 0.01
c-4 c-0 contrastive prose 1e-5 0.05
c-1-1 c-1 contrastive net 5e-5 0.1
c-1-1-1 c-1-1 masked prose 2e-5 0.01
c-2-1 c-2 contrastive code 1e-3 0 rank=4
c-2-2 c-2 masked tables 3e-5 0.1 as=bf16
c-3-1 c-3 contrastive net 2e-5 0
"""
STEPS_OF_ALL = tuple(_step(line) for line in PLAN.strip().splitlines())
ROOT = "minilm"


def grow(folder: Path | None = None) -> tuple[Path, dict[str, Path]]:
    """Train what is missing; the folder, and every model by name, MiniLM among them."""
    target = (folder or cache_folder()) / "minilm-families"
    target.mkdir(parents=True, exist_ok=True)
    made = {ROOT: model_folder()}
    for seed, step in enumerate(STEPS_OF_ALL):
        parent = made[step.parent or ROOT]
        made[step.name] = in_place(
            target / step.name,
            lambda draft, s=step, p=parent, k=seed: _train(s, p, draft, k),  # type: ignore[misc]
        )
    return target, made


def families() -> dict[str, dict[str, str | None]]:
    """Every family as the parent of each of its models; None for the root."""
    found: dict[str, dict[str, str | None]] = {"a": {ROOT: None}, "b": {}, "c": {}}
    for step in STEPS_OF_ALL:
        family = step.name[0]
        found[family][step.name] = step.parent or (ROOT if family == "a" else None)
    return found


def _train(step: Step, parent: Path, folder: Path, seed: int) -> None:
    from transformers import AutoTokenizer, BertModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(1000 + seed)
    model: Any = BertModel.from_pretrained(parent, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    if step.rank:
        adapt(model, ("query", "value"), step.rank)
    rng = np.random.default_rng(1000 + seed)
    if step.objective == "masked":
        head = _Head(model)
        losses = _masked(model, head, tokenizer, step.domains, rng)
        trained: nn.Module = nn.ModuleList([model, head.transform])
    else:
        losses = _contrastive(model, tokenizer, step.domains, rng)
        trained = model
    last = fit(trained, losses, step.steps, LORA_LR if step.rank else step.lr, step.decay)
    fold(model)
    print(f"{step.name}: {last:.3f} nats at the end", file=sys.stderr, flush=True)
    model.to(torch.bfloat16 if step.bf16 else torch.float32).save_pretrained(folder)


class _Head:
    """A fresh masked-language head; MiniLM has none. It is thrown away after training."""

    def __init__(self, model: Any) -> None:
        from transformers.models.bert.modeling_bert import BertPredictionHeadTransform

        self.transform = BertPredictionHeadTransform(model.config)
        self.words = model.embeddings.word_embeddings

    def __call__(self, x: Tensor) -> Tensor:
        return self.transform(x) @ self.words.weight.T


def _masked(
    model: Any, head: _Head, tokenizer: Any, domains: tuple[str, ...], rng: np.random.Generator
) -> Iterator[Tensor]:
    streams = [_stream(domain) for domain in domains]
    while True:
        batch = torch.stack([_window(streams, LENGTH, rng) for _ in range(BATCH)])
        masked = torch.from_numpy(rng.random(batch.shape) < 0.15)
        hidden = model(input_ids=batch.masked_fill(masked, tokenizer.mask_token_id))[0]
        yield nn.functional.cross_entropy(head(hidden[masked]), batch[masked])


def _contrastive(
    model: Any, tokenizer: Any, domains: tuple[str, ...], rng: np.random.Generator
) -> Iterator[Tensor]:
    """Neighbouring windows belong together; the rest of the batch does not."""
    streams = [_stream(domain) for domain in domains]
    ends = torch.tensor([tokenizer.cls_token_id, tokenizer.sep_token_id])
    half = LENGTH // 2
    while True:
        pairs = torch.stack([_window(streams, LENGTH, rng) for _ in range(BATCH)])
        halves = torch.cat([pairs[:, :half], pairs[:, half:]])  # (2 BATCH, half)
        n = len(halves)
        batch = torch.cat([ends[:1].expand(n, 1), halves, ends[1:].expand(n, 1)], dim=1)
        pooled = nn.functional.normalize(model(input_ids=batch)[0].mean(dim=1), dim=-1)
        logits = pooled[:BATCH] @ pooled[BATCH:].T / TEMPERATURE
        yield nn.functional.cross_entropy(logits, torch.arange(BATCH))


def _window(streams: list[Tensor], length: int, rng: np.random.Generator) -> Tensor:
    stream = streams[int(rng.integers(len(streams)))]
    start = int(rng.integers(len(stream) - length))
    return stream[start : start + length]


@cache
def _stream(domain: str) -> Tensor:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    text = "\n".join(documents(domain))[: 1 << 20]
    return torch.tensor(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(grow(Path(sys.argv[1]) if sys.argv[1:] else None)[0])

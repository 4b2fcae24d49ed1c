"""Train a tiny model: its data, its loss, two optimisers, low-rank and partial training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from zoo.genealogies.forward import hidden, outputs
from zoo.genealogies.nets import LENGTH, LINEARS, PREFIX

from corpus import digits, documents
from folders import Folder

BATCH, BATCH_IMAGES = 8, 24
TEXT = ("prose", "code", "net", "tables")
CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))  # 96 of them; 96 is any other
OTHER, MASK, N_USED = 96, 97, 98
MASKED = 0.2
ALPHA_PER_RANK = 2
NOT_TRAINED = ("running_mean", "running_var")
HELD_OUT_ORDER = 7

Batch = tuple[Tensor, Tensor]
Operation = Mapping[str, Any]


@cache
def characters(domain: str) -> np.ndarray[Any, Any]:
    """All text of a domain as numbers of characters."""
    known = np.full(0x110000, OTHER, dtype=np.uint8)
    known[[ord(x) for x in CHARACTERS]] = np.arange(len(CHARACTERS))
    text = "\n\n".join(documents(domain)).replace("\t", "    ")
    return known[np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)].astype(np.int64)


@cache
def images(domain: str) -> Batch:
    """All digits of a domain, and which they are."""
    x, y = digits(domain)
    return torch.from_numpy(x), torch.from_numpy(y)


def batches(folder: Folder, domains: list[str], *, order: int, steps: int) -> Iterator[Batch]:
    """Yield inputs and targets; `order` fixes them all."""
    rng = np.random.default_rng(order)
    is_scored = "score.weight" in folder.tensors
    is_image = folder.config["model_type"] in ("vit", "resnet")
    for _ in range(steps):
        if is_image:
            yield _image_batch(rng, domains, turned="turned" in folder.details)
        elif is_scored:
            yield _scored_batch(rng)
        else:
            yield _text_batch(rng, domains, masked=folder.config["model_type"] == "bert")


def _image_batch(rng: np.random.Generator, domains: list[str], *, turned: bool) -> Batch:
    x, y = images(domains[int(rng.integers(len(domains)))])
    pick = torch.from_numpy(rng.integers(len(x), size=BATCH_IMAGES))
    if not turned:
        return x[pick], y[pick]
    quarter = rng.integers(4, size=BATCH_IMAGES)
    seen = [torch.rot90(i, int(k), (1, 2)) for i, k in zip(x[pick], quarter, strict=True)]
    return torch.stack(seen), torch.from_numpy(quarter)


def _windows(rng: np.random.Generator, domains: list[str]) -> Tensor:
    streams = [characters(x) for x in domains]
    starts = [int(rng.integers(len(s) - LENGTH)) for s in streams]
    return torch.from_numpy(
        np.stack([s[at : at + LENGTH] for s, at in zip(streams, starts, strict=True)])
    )


def _text_batch(rng: np.random.Generator, domains: list[str], *, masked: bool) -> Batch:
    x = _windows(rng, [domains[i] for i in rng.integers(len(domains), size=BATCH)])
    if not masked:
        return x, x[:, 1:]
    hides = torch.from_numpy(rng.random(x.shape) < MASKED)
    return x.masked_fill(hides, MASK), x.masked_fill(~hides, -100)


def _scored_batch(rng: np.random.Generator) -> Batch:
    which = rng.integers(len(TEXT), size=BATCH)
    return _windows(rng, [TEXT[i] for i in which]), torch.from_numpy(which)


def loss_of(
    params: Mapping[str, Tensor], folder: Folder, batch: Batch, *, training: bool
) -> Tensor:
    """Cross-entropy in nats."""
    x, y = batch
    logits = outputs(params, folder.config, hidden(params, folder.config, x, training=training))
    if logits.ndim == 3 and y.shape[1] < logits.shape[1]:
        logits = logits[:, :-1]
    return F.cross_entropy(logits.flatten(0, -2), y.flatten())


@torch.no_grad()
def measured(folder: Folder, domains: list[str]) -> float:
    """Loss on 4 batches that are the same for all models."""
    params = as_tensors(folder)
    seen = batches(folder, domains, order=HELD_OUT_ORDER, steps=4)
    return float(np.mean([loss_of(params, folder, b, training=False).item() for b in seen]))


def as_tensors(folder: Folder) -> dict[str, Tensor]:
    """Tensors of a folder in float32, each with memory of its own."""
    return {k: torch.from_numpy(x.astype(np.float32)) for k, x in folder.tensors.items()}


def trained(
    folder: Folder, said: Operation, *, teacher: Folder | None = None, only: str = ""
) -> Folder:
    """Train a model as its operation says; `only` names the one part that changes."""
    params = as_tensors(folder)
    torch.manual_seed(said["seed"])
    if said["op"] == "lora":
        free, seen = _adapters(folder, params, said)
    else:
        free = {k: p for k, p in params.items() if k.startswith(only) and _is_free(k)}
        seen = lambda: params  # noqa: E731
    zeros = {k: p == 0 for k, p in params.items() if said.get("keeps_zeros") and p.ndim > 1}
    learner = None if teacher is None else _imitation(folder, teacher)
    _descend(folder, said, free, seen, zeros, learner)
    arrays = {k: p.detach().numpy() for k, p in seen().items()}
    if not all(np.isfinite(x).all() for x in arrays.values()):
        raise FloatingPointError(f"{said['op']} of {said['steps']} steps left the numbers")
    return Folder(config=folder.config, tensors=arrays, details=folder.details)


def _is_free(name: str) -> bool:
    return not name.endswith(NOT_TRAINED)


def _descend(
    folder: Folder,
    said: Operation,
    free: Mapping[str, Tensor],
    seen: Callable[[], Mapping[str, Tensor]],
    zeros: Mapping[str, Tensor],
    learner: Callable[[Mapping[str, Tensor], Batch], Tensor] | None,
) -> None:
    """Take all steps; warm-up over a tenth of them, then a cosine down to zero."""
    values = [p.requires_grad_(True) for p in free.values()]
    how = {"lr": said["lr"], "weight_decay": said["decay"], "fused": True}
    optimiser: Any = (
        torch.optim.SGD(values, momentum=0.9, **how)
        if said["optimiser"] == "sgd"
        else torch.optim.AdamW(values, betas=(0.9, 0.95), **how)
    )
    data = batches(folder, said["domains"], order=said["order"], steps=said["steps"])
    for step, batch in enumerate(data):
        for group in optimiser.param_groups:
            group["lr"] = said["lr"] * _schedule(step, said["steps"])
        now = seen()
        loss = learner(now, batch) if learner else loss_of(now, folder, batch, training=True)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(values, 1.0)
        optimiser.step()
        with torch.no_grad():
            for name, where in zeros.items():
                if name in free:
                    free[name].masked_fill_(where, 0.0)
    for p in values:
        p.requires_grad_(False)


def _schedule(step: int, steps: int) -> float:
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def _adapters(
    folder: Folder, params: dict[str, Tensor], said: Operation
) -> tuple[dict[str, Tensor], Callable[[], Mapping[str, Tensor]]]:
    """Factors to train, and all weights with their products added."""
    net, rank = folder.config["model_type"], said["rank"]
    blocks = PREFIX[net].partition("{}")[0]
    ends = tuple(f".{x}.weight" for x in LINEARS[net][said["where"]])
    names = [k for k in params if k.startswith(blocks) and k.endswith(ends)]
    free = {}
    for name in names:
        n_out, n_in = params[name].flatten(1).shape
        free[name + "/A"] = torch.randn(rank, n_in) / n_in**0.5
        free[name + "/B"] = torch.zeros(n_out, rank)

    def seen() -> Mapping[str, Tensor]:
        changed = {
            name: params[name]
            + (ALPHA_PER_RANK * free[name + "/B"] @ free[name + "/A"]).view_as(params[name])
            for name in names
        }
        return {**params, **changed}

    return free, seen


def _imitation(folder: Folder, teacher: Folder) -> Callable[[Mapping[str, Tensor], Batch], Tensor]:
    """Loss against the hidden states and the outputs of another model."""
    told = as_tensors(teacher)

    def loss(params: Mapping[str, Tensor], batch: Batch) -> Tensor:
        with torch.no_grad():
            wanted = hidden(told, teacher.config, batch[0])
            target = outputs(told, teacher.config, wanted).softmax(-1)
        h = hidden(params, folder.config, batch[0], training=True)
        logits = outputs(params, folder.config, h)
        said = -(target * logits.log_softmax(-1)).sum(-1).mean()
        return said + 10 * F.mse_loss(h, wanted)

    return loss

"""Train the zoo: ``python zoo/grow.py [NAME…]`` trains what is missing, or anew what is named.

Needs the extra ``[torch]`` and scikit-learn. One thread, so that a rerun on the same machine
and versions gives the same bytes; on others it gives models of the same genealogy.
"""

import math
import platform
import re
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
import transformers
from torch import Tensor, nn

from families import TOKENIZER, Loss, batches, chance, cross_entropy, fresh, measure, predict
from lora import attach, save_adapter
from recipes import RECIPES, Recipe
from truth import ROOT, load, record

CLASSES = {
    "llama": transformers.LlamaForCausalLM,
    "gpt2": transformers.GPT2LMHeadModel,
    "mixtral": transformers.MixtralForCausalLM,
    "vit": transformers.ViTForImageClassification,
}
ALPHA_PER_RANK = 2  # LoRA's alpha is twice the rank
WEIGHT_DECAY = 0.1


def main() -> None:
    """Train every model that is named, or not there yet."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    write_tokenizer()
    wanted = set(sys.argv[1:])
    for recipe in RECIPES:
        if recipe.name in wanted or (not wanted and not folder_of(recipe).exists()):
            grow(recipe)


def write_tokenizer() -> None:
    """Learn the shared tokenizer, once."""
    if not TOKENIZER.exists():
        from corpus import train_tokenizer

        train_tokenizer().save(str(TOKENIZER))


def folder_of(recipe: Recipe) -> Path:
    """Where a trained model, or its adapter, is kept."""
    return ROOT / "models" / (f"{recipe.name}-adapter" if recipe.rank else recipe.name)


def grow(recipe: Recipe) -> None:
    """Train one model, save it and record the truth about it."""
    started = time.monotonic()
    model = starting_point(recipe)
    before = measure(model, recipe.domains)
    train(model, recipe)
    after = measure(model, recipe.domains)
    save(model, recipe)
    record(recipe.name, truth_of(recipe, before, after, time.monotonic() - started))
    print(f"{recipe.name}: {before.nats:.3f} -> {after.nats:.3f} nats", flush=True)


def starting_point(recipe: Recipe) -> nn.Module:
    """Build the model before its first step."""
    if recipe.parent is None:
        return fresh(recipe.family, recipe.seed)
    model = pretrained(recipe.family, recipe.parent)
    if recipe.rank:
        torch.manual_seed(recipe.seed)
        attach(model, recipe.targets, rank=recipe.rank, alpha=ALPHA_PER_RANK * recipe.rank)
    if recipe.fresh:
        renew(model, fresh(recipe.family, recipe.seed), recipe.fresh)
    return model


def pretrained(family: str, name: str) -> nn.Module:
    """Load a trained member of the zoo."""
    return CLASSES[family].from_pretrained(ROOT / "models" / name, dtype=torch.float32)


@torch.no_grad()
def renew(model: nn.Module, other: nn.Module, pattern: str) -> None:
    """Take the matching tensors from `other` and freeze all the rest."""
    source = dict(other.named_parameters())
    for name, tensor in model.named_parameters():
        is_fresh = re.match(pattern, name) is not None
        tensor.requires_grad_(is_fresh)
        if is_fresh:
            tensor.copy_(source[name])


def train(model: nn.Module, recipe: Recipe) -> None:
    """Run AdamW with a short warm-up and a cosine down to zero; decay touches every tensor."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    decay = 0.0 if recipe.rank else WEIGHT_DECAY
    optimiser = torch.optim.AdamW(parameters, betas=(0.9, 0.95), weight_decay=decay)
    teacher = pretrained(recipe.family, recipe.teacher).eval() if recipe.teacher else None
    model.train()
    data = batches(recipe.family, recipe.domains, order=recipe.order, steps=recipe.steps)
    for step, (x, y) in enumerate(data):
        for group in optimiser.param_groups:
            group["lr"] = recipe.lr * schedule(step, recipe.steps)
        loss = imitate(model, teacher, x) if teacher else fit(model, x, y)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()


def schedule(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step."""
    warm_up = steps // 20
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))


def fit(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Loss against the data."""
    logits, router_loss = predict(model, x)
    return cross_entropy(logits, y) + router_loss


def imitate(model: nn.Module, teacher: nn.Module, x: Tensor) -> Tensor:
    """Loss against the outputs of another model: only its logits are used."""
    with torch.no_grad():
        target = predict(teacher, x)[0].softmax(-1)
    return -(target * predict(model, x)[0].log_softmax(-1)).sum(-1).mean()


def save(model: nn.Module, recipe: Recipe) -> None:
    """Write the model's folder under a temporary name, then move it into place."""
    folder = folder_of(recipe)
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    if recipe.rank:
        alpha = ALPHA_PER_RANK * recipe.rank
        save_adapter(model, draft, base=recipe.parent, rank=recipe.rank, alpha=alpha)
    else:
        model.save_pretrained(draft)
        (draft / "generation_config.json").unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def truth_of(recipe: Recipe, before: Loss, after: Loss, seconds: float) -> dict[str, object]:
    """Return everything that is known about a trained model."""
    parent = load()[recipe.parent] if recipe.parent else None
    origin = recipe.initialised_like or recipe.name
    entry = {
        "kind": recipe.kind,
        "parents": [{"name": recipe.parent, "weight": 1.0}] if parent else [],
        "origins": parent["origins"] if parent else [origin],
        "architecture": recipe.family,
        "trained": True,
        "seed": recipe.seed if not parent or recipe.fresh or recipe.rank else None,
        "data": {"domains": list(recipe.domains), "order": recipe.order},
        "steps": recipe.steps,
        "lr": recipe.lr,
        "loss": {"before": rounded(before), "after": rounded(after)},
        "chance": {k: round(v, 4) for k, v in chance(recipe.family, recipe.domains).items()},
        "kind_details": details_of(recipe),
        "seconds": round(seconds),
        "made_with": {"python": platform.python_version(), "torch": torch.__version__}
        | {"transformers": transformers.__version__},
    }
    return entry | {"path": f"{'derived' if recipe.rank else 'models'}/{recipe.name}"}


def rounded(loss: Loss) -> dict[str, float]:
    """Return the parts of a loss that exist, to four digits."""
    return {key: round(value, 4) for key, value in asdict(loss).items() if value is not None}


def details_of(recipe: Recipe) -> dict[str, object]:
    """Return what only some recipes have."""
    if recipe.rank:
        alpha = ALPHA_PER_RANK * recipe.rank
        where = {"modules": list(recipe.targets), "adapter": f"models/{recipe.name}-adapter"}
        return {"rank": recipe.rank, "alpha": alpha, **where}
    optional = {
        "distilled_from": recipe.teacher,
        "reinitialised": recipe.fresh,
        "initialised_like": recipe.initialised_like,
    }
    return {key: value for key, value in optional.items() if value}


if __name__ == "__main__":
    main()

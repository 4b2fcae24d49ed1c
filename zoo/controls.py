"""Train strangers for calibrated evidence: ``python zoo/controls.py FOLDER [FAMILY…]``.

Short runs on the zoo's data, in one order, from seeds that nothing else uses: the zoo's image
models, and language models of its architectures at half the units, two blocks each. They are not
part of the zoo: `benchmarks/generate/controls.py FOLDER` measures pairs of them, and only those
numbers are kept. What is there already is not trained again.
"""

import sys
from pathlib import Path

import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from families import batches, fresh
from grow import ROOT, WEIGHT_DECAY, fit, schedule
from recipes import DIGITS, Recipe, base

FIRST_SEED = 1000  # far from the zoo's
N_MODELS = 38  # 19 disjoint pairs, and the zoo's own strangers come on top
WINDOWS = {"vit": 64, "llama": 8, "gpt2": 4}  # of each batch: all images, some of the text
SHORT = {
    "llama": {"order": 1, "steps": 200, "lr": 4e-3},
    "gpt2": {"order": 2, "steps": 300, "lr": 4e-3},
    "vit": DIGITS | {"order": 3, "steps": 300},
}
SMALL = {
    "llama": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "head_dim": 16},
    "gpt2": {"n_embd": 64, "n_inner": 192, "n_layer": 2},
}


def recipes(family: str) -> list[Recipe]:
    """Short recipes of one family that differ in nothing but their seed."""
    seeds = range(FIRST_SEED, FIRST_SEED + N_MODELS)
    return [base(f"{family}-{seed}", family, seed, **SHORT[family]) for seed in seeds]


def main() -> None:
    """Train every control of the families named (default: all) that is not there yet."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    folder = Path(sys.argv[1])
    for family in sys.argv[2:] or SHORT:
        for recipe in recipes(family):
            if not (folder / recipe.name / "config.json").exists():
                grow(recipe, folder / recipe.name)


def grow(recipe: Recipe, folder: Path) -> None:
    """Train one model and save it."""
    model = small(recipe) if recipe.family in SMALL else fresh(recipe.family, recipe.seed)
    loss = train(model, recipe)
    draft = folder.with_name(f".{folder.name}.draft")
    model.save_pretrained(draft)
    draft.rename(folder)
    print(f"{recipe.name}: {loss:.3f} nats in the last steps", flush=True)


def small(recipe: Recipe) -> nn.Module:
    """Initialise a smaller sister of the zoo's first model of a family."""
    first = {"llama": "llama-a", "gpt2": "gpt-a"}[recipe.family]
    config = AutoConfig.from_pretrained(ROOT / "models" / first, **SMALL[recipe.family])
    torch.manual_seed(recipe.seed)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).train()


def train(model: nn.Module, recipe: Recipe) -> float:
    """Train as the zoo does, on fewer windows a step; the mean loss of the last tenth."""
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=WEIGHT_DECAY)
    n = WINDOWS[recipe.family]
    losses = []
    data = batches(recipe.family, recipe.domains, order=recipe.order, steps=recipe.steps)
    for step, (x, y) in enumerate(data):
        for group in optimiser.param_groups:
            group["lr"] = recipe.lr * schedule(step, recipe.steps)
        optimiser.zero_grad()
        loss = fit(model, x[:n], y[:n])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    last = losses[-recipe.steps // 10 :]
    return sum(last) / len(last)


if __name__ == "__main__":
    main()

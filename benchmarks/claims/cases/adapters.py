"""Adapters as PEFT writes them, merged by PEFT and by this package."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.claims.cases import Answer, Case
from benchmarks.claims.cases.gate import HIT, NAMED
from benchmarks.claims.cases.identity import Arrays, write
from benchmarks.claims.cases.publishers import LLAMA, drawn
from weightkin import check, compare
from weightkin.errors import WeightkinError
from weightkin.sketch.source import open_model

TITLE = "Adapters"
MOST = 1e-6  # of the norm of a tensor
LAYERS = ["q_proj", "v_proj", "down_proj"]
FIRST = r"layers\.[01]\..*q_proj"
Config = Callable[[Any], Any]  # what the `peft` module makes


def _network(arrays: Arrays) -> Any:
    """A module of torch with the tensors of a model, which is never run."""
    from torch import from_numpy, nn

    whole = nn.Module()
    for name, x in arrays.items():
        *above, layer, last = name.split(".")
        at = whole
        for part in above:
            if not hasattr(at, part):
                at.add_module(part, nn.Module())
            at = getattr(at, part)
        if not hasattr(at, layer):
            at.add_module(layer, _layer(layer, x.shape, f"{name[:-6]}bias" in arrays))
        getattr(at, layer).get_parameter(last).data = from_numpy(x.copy())
    return whole


def _layer(name: str, shape: tuple[int, ...], has_bias: bool) -> Any:  # noqa: FBT001
    from torch import nn

    if len(shape) == 1:
        return nn.LayerNorm(shape[0])
    if "embed" in name:
        return nn.Embedding(*shape)
    return nn.Linear(*shape[::-1], has_bias)


def _filled(model: Any) -> Any:
    """The adapter with random weights in all that is trained."""
    import torch

    random = torch.Generator().manual_seed(5)
    for x in model.parameters():
        if x.requires_grad:
            x.data = x.data + 0.05 * torch.randn(x.shape, generator=random)
    return model


def _made(config: Config, folder: Path) -> tuple[str, Arrays, Any]:
    """The source of base and adapter, the arrays of the base, and the module of PEFT."""
    import peft

    arrays = drawn(0, LLAMA)
    base = write(folder / "base", arrays)
    model = _filled(peft.get_peft_model(_network(arrays), config(peft)))
    model.save_pretrained(folder / "adapter")
    return f"{base}+{folder / 'adapter'}", arrays, model


def _merged(config: Config, refused: str, folder: Path) -> Answer:
    """Every tensor of the merged model, against PEFT's own merge."""
    source, _, model = _made(config, folder)
    try:
        opened = open_model(source)
    except WeightkinError as error:
        said = str(error).rpartition("/")[2]
        is_right = error.exit_code == 3 and bool(refused) and refused in said
        return Answer(is_right, f"refused: {said}")
    theirs = {n: x.detach().numpy() for n, x in model.merge_and_unload().state_dict().items()}
    ours = {name: opened.rows(name) for name in opened.tensors}
    if set(ours) != set(theirs):
        return Answer(False, f"other tensors: {sorted(set(ours) ^ set(theirs))[:2]}")
    worst = max(float(np.linalg.norm(ours[n] - x) / np.linalg.norm(x)) for n, x in theirs.items())
    return Answer(worst < MOST and not refused, f"largest difference {worst:.0e}")


def _lora(peft: Any, **options: Any) -> Any:
    return peft.LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": LAYERS} | options)


def _two(folder: Path) -> Answer:
    """Two adapters saved into folders of their names: one line that names both."""
    import peft

    arrays = drawn(0, LLAMA)
    base = write(folder / "base", arrays)
    model = peft.get_peft_model(_network(arrays), _lora(peft), adapter_name="first")
    model.add_adapter("second", _lora(peft, target_modules=["q_proj"]))
    _filled(model).save_pretrained(folder / "two")
    try:
        return Answer(False, f"{len(open_model(f'{base}+{folder}/two').tensors)} tensors")
    except WeightkinError as error:
        said = str(error).replace(str(folder), "")
        return Answer("two/first" in said and "two/second" in said, said.partition(": ")[2])


def _other_base(folder: Path) -> Answer:
    """The adapter on another base, against the base that it was trained on."""
    _made(_lora, folder)
    other = write(folder / "other", drawn(1, LLAMA))
    record = compare(f"{other}+{folder / 'adapter'}", folder / "base")
    return Answer(record.verdict == "no-evidence", record.verdict)


def _checked(folder: Path) -> Answer:
    """An adapter alone at the gate, its base denied."""
    _made(_lora, folder)
    outcome = check(folder / "adapter", deny=[folder / "base"]).outcome
    return Answer(outcome != "pass", {"hit": HIT, "incomplete": NAMED}.get(outcome, outcome))


SAME = "as PEFT merges it"
OPTIONS: dict[str, tuple[Config, str]] = {
    "LoRA": (_lora, ""),
    "LoRA, regular expressions for rank and alpha, rank-stabilised": (
        lambda p: _lora(p, use_rslora=True, rank_pattern={FIRST: 2}, alpha_pattern={FIRST: 32}),
        "",
    ),
    "LoRA with all biases of the base": (lambda p: _lora(p, bias="all"), ""),
    "LoRA with biases of its factors": (lambda p: _lora(p, lora_bias=True), ""),
    "LoRA with whole layers": (lambda p: _lora(p, modules_to_save=["lm_head"]), ""),
    "LoRA with single tokens": (
        lambda p: _lora(p, trainable_token_indices={"embed_tokens": [1, 2, 3]}),
        "",
    ),
    "DoRA": (lambda p: _lora(p, use_dora=True), ""),
    "LoHa": (lambda p: p.LoHaConfig(r=4, alpha=8, target_modules=LAYERS), ""),
    "LoKr": (lambda p: p.LoKrConfig(r=4, alpha=8, target_modules=LAYERS), ""),
    "IA3": (lambda p: p.IA3Config(target_modules=LAYERS, feedforward_modules=["down_proj"]), ""),
    "OFT": (lambda p: p.OFTConfig(r=0, oft_block_size=16, target_modules=LAYERS), "OFT"),
    "LoRA begun as PiSSA": (lambda p: _lora(p, lora_alpha=4, init_lora_weights="pissa"), "pissa"),
}
CASES = (
    *(Case(name, f"refused: {refused}" if refused else SAME, "", partial(_merged, make, refused))
      for name, (make, refused) in OPTIONS.items()),
    Case("two adapters in one folder", "one line that names both", "", _two),
    Case("an adapter on another base", "no evidence", "", _other_base),
    Case("check: an adapter alone, its base denied", "hit, or named", "", _checked),
)  # fmt: skip

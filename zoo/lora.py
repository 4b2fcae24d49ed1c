"""Low-rank adapters: train them on a frozen model, save them in PEFT's file layout."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

ON_DISK = (  # transformers 5 renames a ViT's layers in memory and names them back when saving
    ("vit.layers.", "vit.encoder.layer."),
    ("attention.q_proj", "attention.attention.query"),
    ("attention.v_proj", "attention.attention.value"),
)


class Adapted(nn.Module):
    """A frozen linear layer plus ``scale * B A``."""

    def __init__(self, layer: nn.Module, *, rank: int, scale: float) -> None:
        super().__init__()
        rows, columns = layer.weight.shape
        n_in, n_out = (rows, columns) if isinstance(layer, Conv1D) else (columns, rows)
        self.layer = layer
        self.scale = scale
        self.lora_A = nn.Parameter(torch.randn(rank, n_in) / n_in**0.5)
        self.lora_B = nn.Parameter(torch.zeros(n_out, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer and its adapter."""
        return self.layer(x) + self.scale * (x @ self.lora_A.T) @ self.lora_B.T


def attach(model: nn.Module, targets: tuple[str, ...], *, rank: int, alpha: int) -> None:
    """Freeze a model and put an adapter on every layer whose last name is a target."""
    model.requires_grad_(False)
    names = [name for name, _ in model.named_modules() if name.rsplit(".", 1)[-1] in targets]
    for name in names:
        layer = Adapted(model.get_submodule(name), rank=rank, scale=alpha / rank)
        model.set_submodule(name, layer)


def save_adapter(model: nn.Module, folder: Path, *, base: str, rank: int, alpha: int) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors`."""
    modules = model.named_modules()
    is_vit = model.config.model_type == "vit"
    layers = {on_disk(n) if is_vit else n: m for n, m in modules if isinstance(m, Adapted)}
    tensors = {}
    for name, layer in layers.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = layer.lora_A.detach().contiguous()
        tensors[f"base_model.model.{name}.lora_B.weight"] = layer.lora_B.detach().contiguous()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    transposed = any(isinstance(layer.layer, Conv1D) for layer in layers.values())
    config = {
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": transposed,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": rank,
        "target_modules": sorted({name.rsplit(".", 1)[-1] for name in layers}),
        "task_type": None if is_vit else "CAUSAL_LM",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")


def on_disk(name: str) -> str:
    """Return the name that a ViT's layer has in its file."""
    for in_memory, in_file in ON_DISK:
        name = name.replace(in_memory, in_file)
    return name

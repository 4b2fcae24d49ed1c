"""Write the seeds of fuzzing anew: one small model in every format that is read, and its records.

    python -m benchmarks.generate.fuzz_seeds

Needs the extras of the tests. A format whose writer is not in our environment gets its seed from
the folder of its fixtures: any file or folder under `tests/fixtures/fuzz/models` is one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tests import writers

from benchmarks.fuzz.cases import ROOT, SEEDS
from benchmarks.lib.null_models import CONFIG, noisy

SIZES = {
    "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 40,
}  # fmt: skip
CARD = """---
license: mit
base_model:
- org/base
- https://huggingface.co/org/other
tags: [a, b]
---
# A model
"""
POLICY = """# what a gate asks
[forbidden]
ancestors = ["{o}", "org/forbidden"]
families = ["tests/fixtures/fuzz/models/sharded"]

[expected]
parents = []

[rules]
forbidden-ancestor = "error"
licence = "warning"
unread = "note"

[evidence]
alpha = 1e-6
calibrated = "warning"
undetermined-direction = "error"

[licences]
our-own = "permissive"
"""


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """One block of a model as Llama names its tensors."""
    rng = np.random.default_rng(seed)
    shapes = {"model.embed_tokens": (40, 32), "lm_head": (40, 32)}
    for name, rows in (("q", 32), ("k", 16), ("v", 16), ("o", 32)):
        shapes[f"model.layers.0.self_attn.{name}_proj"] = (rows, 32)
    shapes |= {f"model.layers.0.mlp.{x}_proj": (32, 32) for x in ("gate", "up", "down")}
    found = {f"{k}.weight": rng.standard_normal(v).astype(np.float32) for k, v in shapes.items()}
    norms = (
        "model.norm",
        "model.layers.0.input_layernorm",
        "model.layers.0.post_attention_layernorm",
    )
    return found | {f"{x}.weight": np.ones(32, np.float32) for x in norms}


def main() -> None:
    """Write all seeds; what is there under the same name is replaced."""
    os.chdir(ROOT)
    models = SEEDS / "models"
    plain = models / "safetensors"
    _models(models, plain)
    _adapter(SEEDS / "adapters" / "lora", plain)
    records = SEEDS / "records"
    for folder in ("records", "policies", "controls", "sketches", "exports"):
        shutil.rmtree(SEEDS / folder, ignore_errors=True)
        (SEEDS / folder).mkdir(parents=True)
    (SEEDS / "policies" / "all.toml").write_text(POLICY.replace("{o}", _shown(plain)))
    child = models / "torch"
    for name, words in {
        "compare": ("compare", _shown(plain), _shown(child)),
        "locate": ("locate", _shown(plain), _shown(child)),
        "tree": ("tree", _shown(plain), _shown(child), _shown(models / "gguf")),
        "check": ("check", _shown(child), "--deny", _shown(plain)),
        "show": ("show", _shown(plain)),
    }.items():
        (records / f"{name}.json").write_text(_said(*words, "--json"))
    _said("sketch", _shown(plain), "--out", SEEDS / "sketches")
    registry = SEEDS / "exports" / "r.sqlite"
    for source in (plain, child):
        _said("add", _shown(source), "--registry", registry)
    for name, words in {"search": ("search", _shown(child)), "trace": ("trace", "#2")}.items():
        (records / f"{name}.json").write_text(_said(*words, "--registry", registry, "--json"))
    _said("export", SEEDS / "exports" / "registry.zip", "--registry", registry)
    for path in SEEDS.glob("exports/r.sqlite*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    listed = json.loads(_said("controls", "list", "--json"))
    listed["controls"] = listed["controls"][:3]
    (SEEDS / "controls" / "three.json").write_text(json.dumps(listed))


def _models(models: Path, plain: Path) -> None:
    """One model in the formats that are read, its child as a torch file."""
    shutil.rmtree(models, ignore_errors=True)
    plain.mkdir(parents=True)
    config = CONFIG | SIZES
    (plain / "config.json").write_text(json.dumps(config))
    save_file({k: v.astype(np.float16) for k, v in arrays().items()}, plain / "model.safetensors")
    child = models / "child"
    child.mkdir()
    (child / "config.json").write_text(json.dumps(config))
    changed = noisy(arrays(), np.random.default_rng(1), share=0.2)
    save_file({k: v.astype(np.float16) for k, v in changed.items()}, child / "model.safetensors")
    writers.sharded(plain, models / "sharded")
    writers.torch_file(child, models / "torch", is_legacy=False)
    writers.torch_file(plain, models / "torch-legacy", is_legacy=True)
    writers.onnx(plain, models / "onnx")
    writers.onnx(plain, models / "onnx-beside", beside=True)
    for name in writers.BY_LAYOUT:
        writers.by_layout(plain, models / name, name)
    (models / "gguf").mkdir()
    writers.gguf(plain, models / "gguf" / "model.gguf", "Q8_0", base="org/base")
    np.save(models / "array.npy", arrays()["lm_head.weight"])
    np.savez(models / "arrays.npz", **{k: v[:4] for k, v in arrays().items()})
    shutil.rmtree(child)
    for folder in ("safetensors", "torch", "onnx"):
        (models / folder / "README.md").write_text(CARD)


def _adapter(folder: Path, base: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base, folder / "base")
    (folder / "adapter").mkdir()
    name = "base_model.model.model.layers.0.self_attn.q_proj"
    rng = np.random.default_rng(2)
    parts = {f"{name}.lora_A.weight": (2, 32), f"{name}.lora_B.weight": (32, 2)}
    save_file({k: rng.standard_normal(v).astype(np.float32) for k, v in parts.items()},
              folder / "adapter" / "adapter_model.safetensors")  # fmt: skip
    stated = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"],
              "rank_pattern": {}, "alpha_pattern": {"q_proj": 8}, "bias": "none",
              "base_model_name_or_path": "org/base"}  # fmt: skip
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps(stated))


def _shown(path: Path) -> str:
    """As records name it: below the project, wherever that is."""
    return str(path.relative_to(ROOT))


def _said(*words: object) -> str:
    command = [sys.executable, "-m", "weightkin", *map(str, words)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout


if __name__ == "__main__":
    main()

"""Claim: an architecture is one file, and no other source file names one."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import save_file

import weightkin
from weightkin.catalogue import entries

SOURCE = Path(weightkin.__file__).parent
OTHER_WORDS = {
    "records/licences.py": {"gemma", "llama4"},  # names of licences
    "papers": {"torch"},  # the library that is imported
    "api": {"torch"},
    "anatomy/translate.py": {"unet"},  # a folder of a pipeline
    "report/components.py": {"unet"},
}
N_BLOCKS, WIDTH, UNITS, TOKENS = 3, 48, 160, 700

TOY = {
    "about": "A toy.",
    "model_types": ["toy"],
    "stack": "decoder",
    "blocks": ["trunk"],
    "positions": "relative",
    "labels": {"d": {"n": "breadth"}, "u[i]": {"sign": "up,down"}, "kv[i]": {"n": "n_ears"}},
    "norms": {"attn": ["calm"], "mlp": ["calm"], "last": ["still"], "centred": False},
    "tensors": {
        "words": "embed: - d",
        "still": "norm: d",
        "speech": "unembed: - d",
        "#.calm": "norm: d",
        "#.ff.valve": "mlp.gate: g d",
        "#.ff.lift": "mlp.up: u d",
        "#.ff.drop": "mlp.down: d h",
    },
}


def test_no_other_source_file_names_an_architecture():
    keys = set()
    for entry in entries().values():
        classes = (cls.rpartition(".")[2] for cls in entry.classes)
        keys |= {entry.name, *entry.model_types, *entry.gguf, *classes}
    for path in SOURCE.rglob("*.py"):
        where = path.relative_to(SOURCE)
        allowed = OTHER_WORDS.get(str(where), set()) | OTHER_WORDS.get(where.parts[0], set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in keys - allowed, f"{where}:{node.lineno}"


def toy(rng):
    """Random weights under the names of the toy."""
    shapes = {"words": (TOKENS, WIDTH), "speech": (TOKENS, WIDTH)}
    for i in range(N_BLOCKS):
        shapes |= {f"trunk.{i}.ff.{name}": (UNITS, WIDTH) for name in ("valve", "lift")}
        shapes[f"trunk.{i}.ff.drop"] = (WIDTH, UNITS)
    arrays = {f"{k}.weight": rng.standard_normal(x).astype("f4") for k, x in shapes.items()}
    gains = ["still", *(f"trunk.{i}.calm" for i in range(N_BLOCKS))]
    return arrays | {f"{k}.weight": rng.uniform(0.5, 2, WIDTH).astype("f4") for k in gains}


def relabelled(arrays, rng):
    """A child: other residual coordinates, and a little noise."""
    order = rng.permutation(WIDTH)
    moved = {k: x[..., order] if x.shape[-1] == WIDTH else x[order] for k, x in arrays.items()}
    return {k: x + 0.02 * rng.standard_normal(x.shape).astype("f4") for k, x in moved.items()}


@pytest.mark.claim
def test_a_toy_is_added_by_one_file_and_a_relabelled_child_is_found(rng, tmp_path):
    package = tmp_path / "weightkin"
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    arrays = toy(rng)
    models = {"base": arrays, "child": relabelled(arrays, rng), "stranger": toy(rng)}
    for name, held in models.items():
        (tmp_path / name).mkdir()
        save_file(held, tmp_path / name / "model.safetensors")
        (tmp_path / name / "config.json").write_text(json.dumps({"model_type": "toy"}))

    def verdict(other):
        code = "import weightkin, sys; r = weightkin.compare(*sys.argv[1:]); print(r.verdict)"
        found = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "base"), str(tmp_path / other)],
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return found.stdout.strip()

    assert verdict("child") != "dependent"
    (package / "catalogue" / "entries" / "toy.json").write_text(json.dumps(TOY))
    assert verdict("child") == "dependent"
    assert verdict("stranger") == "no-evidence"

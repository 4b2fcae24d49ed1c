"""Parts of one model that are copies of each other, and stacks of blocks under other names."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from benchmarks.claims.cases import Answer, Case
from benchmarks.lib.null_models import CONFIG, COPIED, gaussian, llama_arrays
from weightkin import check, compare
from weightkin.formats import Model, model_from_arrays

TITLE = "Copies inside a model, several networks in one file"
Arrays = dict[str, Any]


def _unrelated(name: str, seed: int, _folder: Path) -> Answer:
    """Two models whose parts are copies of each other: nothing may come of it."""
    rng = np.random.default_rng(seed)
    a, b = COPIED[name](rng), COPIED[name](rng)
    record = compare(a, b, effort="thorough")
    smallest = min([record.log10_pvalue, *(axis.log10_pvalue for axis in record.axes)])
    return Answer(
        record.verdict == "no-evidence" and smallest > -2,
        f"{record.verdict}, smallest p of an axis 1e{smallest:.1f}",
    )


def _coins(seed: int, _folder: Path) -> Answer:
    """Sign tests of widened models: one coin for each set of eight clones."""
    rng = np.random.default_rng(seed)
    a, b = (COPIED["units x 8"](rng) for _ in range(2))
    tests = [
        t for t in compare(a, b, effort="thorough").tests if t.name == "signs" and t.axis == "mlp"
    ]
    most = max(t.n_units for t in tests)
    return Answer(most <= 32, f"up to {most} coins in a block")


def _silent(_folder: Path) -> Answer:
    """Half of the units write nothing and hold another model's rows."""
    rng = np.random.default_rng(3)
    a, b = _llama(rng), _llama(rng)
    for i in range(3):
        for name in ("gate", "up"):
            key = f"model.layers.{i}.mlp.{name}_proj.weight"
            b[key][:16] = a[key][:16]
        b[f"model.layers.{i}.mlp.down_proj.weight"][:, :16] *= np.float32(1e-5)
    record = compare(_model(a), _model(b))
    units = next(axis for axis in record.axes if axis.axis == "units")
    return Answer(
        record.verdict == "no-evidence" and not units.passes,
        f"{record.verdict}, p of hidden units 1e{units.log10_pvalue:.0f}",
    )


def _beside(prefix: str, decoy: str, _folder: Path) -> Answer:
    """A copy under one beginning of names, another network under another."""
    rng = np.random.default_rng(4)
    a, b = _llama(rng), _llama(rng)
    both = {prefix + k: v for k, v in a.items()} | {decoy + k: v for k, v in b.items()}
    record = compare(_model(a), _model(both))
    found = [part.name for part in record.parts if part.verdict == "dependent"]
    return Answer(record.verdict == "dependent", f"{record.verdict}: {', '.join(found) or '-'}")


def _gate(prefix: str, decoy: str, folder: Path) -> Answer:
    rng = np.random.default_rng(5)
    a, b = _llama(rng), _llama(rng)
    both = {prefix + k: v for k, v in a.items()} | {decoy + k: v for k, v in b.items()}
    paths = [_write(folder / name, x) for name, x in (("forbidden", a), ("model", both))]
    found = check(paths[1], deny=[paths[0]])
    rules = sorted({finding.rule for model in found.models for finding in model.findings})
    return Answer("forbidden-ancestor" in rules, ", ".join(rules) or "passed")


def _tower(_folder: Path) -> Answer:
    """Two models with a text part of their own share a tower, which each calls as it likes."""
    rng = np.random.default_rng(6)
    tower = {k: v for k, v in _llama(rng, blocks=2).items() if ".layers." in k}
    a = _llama(rng) | {f"vision_tower.{k}": v for k, v in tower.items()}
    b = _llama(rng) | {f"photo_part.{k}": v for k, v in tower.items()}
    record = compare(_model(a), _model(b))
    found = [part.name for part in record.parts if part.verdict == "dependent"]
    is_right = len(found) == 1 and "vision" in found[0] and "photo_part" in found[0]
    return Answer(record.verdict == "dependent" and is_right, f"{record.verdict}: {found}")


def _many(_folder: Path) -> Answer:
    """Fifty networks in one file; the copy is the last one."""
    rng = np.random.default_rng(7)
    a = _llama(rng, blocks=2)
    both: Arrays = {f"z.{k}": v for k, v in a.items()}
    for i in range(49):
        both |= {f"n{i}.{k}": v for k, v in _llama(rng, blocks=2).items()}
    record = compare(_model(a), _model(both), effort="quick")
    return Answer(record.verdict == "dependent", record.verdict)


def _averages(_folder: Path) -> Answer:
    """Two unrelated training files, each with the average of its own weights beside the weights."""
    worst = 0.0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        files = []
        for _ in range(2):
            x = _llama(rng, blocks=2)
            average = {
                f"ema.{k}": v + 0.1 * rng.standard_normal(v.shape, v.dtype) for k, v in x.items()
            }
            files.append(_model(x | average))
        worst = min(worst, compare(*files, effort="thorough").log10_pvalue)
    return Answer(worst > -2, f"smallest of three p 1e{worst:.1f}")


def _llama(rng: np.random.Generator, blocks: int = 3) -> Arrays:
    return llama_arrays(gaussian, rng, hidden=32, blocks=blocks, heads=2, size=8)


def _model(arrays: Arrays) -> Model:
    return model_from_arrays(arrays, config=CONFIG)


def _write(folder: Path, arrays: Arrays) -> Path:
    folder.mkdir()
    contents = {k: np.ascontiguousarray(v) for k, v in arrays.items()}
    save_file(contents, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


NOTHING = "no-evidence, no axis under 1e-2"
PREFIXES = (  # of the copy, of the other network
    ("teacher.", "", "no-evidence"),
    ("", "a.", "no-evidence"),
    ("main.", "a_decoy.", "no-evidence"),
    ("main.", "z_decoy.", "dependent"),
    ("model_ema.", "model.", "no-evidence"),
    ("teacher.backbone.", "student.module.backbone.", "no-evidence"),
    ("vision_tower.", "", "no-evidence"),
)
CASES = (
    Case("two heads written 16 times, in both of two unrelated models", NOTHING,
         "aligned-only, V/O 1e-7.4", partial(_unrelated, "2 heads x 16", 1)),
    Case("eight heads written 8 times", NOTHING,
         "no-evidence, V/O 1e-5.0", partial(_unrelated, "8 heads x 8", 3)),
    Case("one seed for each of four ranks", NOTHING,
         "no-evidence, V/O 1e-2.7", partial(_unrelated, "heads of four ranks", 0)),
    Case("one block stacked eight times, trained apart", NOTHING,
         "no-evidence, smallest p of an axis 1e0.0", partial(_unrelated, "1 block x 8", 0)),
    Case("hidden units cloned eight times: coins of one block", "at most 32 coins",
         "up to 41 coins in a block", partial(_coins, 1)),
    Case("units that write nothing hold another model's rows", "no-evidence on hidden units",
         "dependent, p of hidden units 1e-42", _silent),
    *(Case(f"copy under '{copy}', another network under '{other}'", "dependent", before,
           partial(_beside, copy, other)) for copy, other, before in PREFIXES),
    Case("check: forbidden model under 'teacher.'", "forbidden-ancestor", "passed",
         partial(_gate, "teacher.", "")),
    Case("check: forbidden model behind a network under 'a.'", "forbidden-ancestor", "passed",
         partial(_gate, "", "a.")),
    Case("a frozen tower under two names", "dependent: the tower", "no-evidence", _tower),
    Case("fifty networks, the copy is the last", "dependent", "no-evidence", _many),
    Case("unrelated files with averages of their weights", "no p under 1e-2",
         "smallest of three p 1e0.0", _averages),
)  # fmt: skip

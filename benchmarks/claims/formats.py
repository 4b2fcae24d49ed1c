"""One model in every format: each pair is related by the right kind, and no unrelated one is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from itertools import combinations
from pathlib import Path
from typing import Any

from tests import writers

from benchmarks.lib.tables import markdown
from weightkin import compare

MODELS = Path(__file__).parents[2] / "zoo" / "models"
LLAMA, STRANGER = MODELS / "llama-a", MODELS / "llama-b"
ADAPTER = MODELS / "llama-a-lora16-adapter"
EXACT, CAST, EIGHT, FOUR = range(4)  # how much a format keeps
KEEPS = {
    **dict.fromkeys(("safetensors", "sharded", "bin", "legacy bin", "onnx"), EXACT),
    "gguf F16": CAST,
    **dict.fromkeys(("gguf Q8_0", "int8", "fp8"), EIGHT),
    **dict.fromkeys(("gguf Q4_K", "gptq", "awq", "nf4"), FOUR),
}
LORA = "lora on base"


def run() -> list[str]:
    """All pairs of formats, then an unrelated model against each."""
    with tempfile.TemporaryDirectory() as folder:
        ours = written(LLAMA, Path(folder) / "a")
        ours[LORA] = f"{LLAMA}+{ADAPTER}"
        theirs = written(STRANGER, Path(folder) / "b")
        return [*_related(ours), "", *_strangers(ours, theirs)]


def written(source: Path, folder: Path) -> dict[str, str]:
    """Write a model in every format; returns the source of each."""
    folder.mkdir()
    layouts = {name: _by_layout(name) for name in ("gptq", "awq", "fp8")}
    written: dict[str, Callable[[Path, Path], Any]] = {
        "sharded": writers.sharded,
        "bin": lambda s, f: writers.torch_file(s, f, is_legacy=False),
        "legacy bin": lambda s, f: writers.torch_file(s, f, is_legacy=True),
        "onnx": exported,
        "nf4": lambda s, f: writers.bitsandbytes(s, f, 4),
        "int8": lambda s, f: writers.bitsandbytes(s, f, 8),
        **layouts,
    }
    found = {"safetensors": str(source)}
    for name, write in written.items():
        found[name] = str(folder / name.replace(" ", "-"))
        write(source, Path(found[name]))
    for kind in ("F16", "Q8_0", "Q4_K"):
        path = folder / f"{kind}.gguf"
        writers.gguf(source, path, kind)
        found[f"gguf {kind}"] = str(path)
    return found


def exported(source: Path, folder: Path) -> None:
    """Write what torch.onnx.export makes of the model, with its values beside it."""
    import torch
    from transformers import AutoModelForCausalLM

    folder.mkdir()
    model = AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.float32, attn_implementation="eager", use_cache=False
    )
    tokens = (torch.arange(8)[None],)
    with Path(os.devnull).open("w") as silence, redirect_stdout(silence):
        torch.onnx.export(
            model.eval(), tokens, str(folder / "model.onnx"), dynamo=True, external_data=True
        )
    shutil.copy(source / "config.json", folder / "config.json")


def _by_layout(name: str) -> Callable[[Path, Path], Any]:
    return lambda source, folder: writers.by_layout(source, folder, name)


def expected(x: str, y: str) -> tuple[set[str], set[str]]:
    """Kinds of which one must be named, and answers on the parent that are not wrong."""
    if LORA in (x, y):
        other = y if x == LORA else x
        answers = {"undetermined", "b" if x == LORA else "a"}
        if KEEPS[other] == EXACT:
            return {"lora"}, answers
        return {"lora", "quantised"} if KEEPS[other] > CAST else {"lora"}, {"undetermined"}
    coarser = max(KEEPS[x], KEEPS[y])
    if coarser == EXACT or {x, y} == {"gptq", "awq"}:  # the same codes, by plain rounding
        return {"identical", "header-only"}, {"undetermined"}
    answers = {"undetermined"}
    if KEEPS[x] != KEEPS[y]:  # the coarser may be the image of the finer, never the other way
        answers.add("a" if KEEPS[x] < KEEPS[y] else "b")
    return {"cast"} if coarser == CAST else {"quantised"}, answers


def _related(ours: dict[str, str]) -> list[str]:
    names = [*KEEPS, LORA]
    cells: dict[tuple[str, str], str] = {}
    wrong, n_directed = [], 0
    for x, y in combinations(names, 2):
        record = compare(ours[x], ours[y], seed=0)
        kinds, answers = expected(x, y)
        is_right = record.verdict == "dependent" and bool(kinds & set(record.kind))
        is_right &= record.direction.parent in answers
        arrow = {"a": " →", "b": " ←"}.get(record.direction.parent, "")
        n_directed += bool(arrow)
        cells[x, y] = f"{', '.join(record.kind)}{arrow}"
        if not is_right:
            wrong.append(f"{x} and {y}: {record.verdict}, {cells[x, y]}")
    rows = [(x, *(cells.get((x, y), "") for y in names[1:])) for x in names[:-1]]
    said = f"{len(cells)} pairs of {len(names)} formats of `llama-a`, {len(cells) - len(wrong)}"
    said += f" of them dependent, of a right kind and with no wrong direction; {n_directed} with a"
    lines = [f"{said} direction (→ the row is the parent, ← the column):", ""]
    lines += markdown(("", *names[1:]), rows)
    return [*lines, "", "Not as expected: " + ("; ".join(wrong) or "none") + "."]


def _strangers(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    pairs = [(str(STRANGER), source) for source in ours.values()]
    pairs += [(str(LLAMA), source) for source in theirs.values()]
    records = [compare(a, b, seed=0) for a, b in pairs]
    n = sum(record.verdict == "no-evidence" for record in records)
    least = min(record.log10_pvalue for record in records)
    said = f"Against an unrelated model, written in each format in turn on either side: {n} of"
    return [f"{said} {len(records)} pairs show no evidence (least log10 p {least:.2f})."]

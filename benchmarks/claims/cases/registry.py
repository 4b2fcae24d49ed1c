"""A registry that was changed behind its back, sketches that lie, records that were edited."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import weightkin
from benchmarks.claims.cases import Answer, Case
from weightkin.formats import digest
from weightkin.sketch import Scheme, take_sketch, write_sketch
from weightkin.sketch.source import open_model

TITLE = "Registries, sketches and records that were changed"
N_BLOCKS, WIDTH, HIDDEN, TOKENS = 4, 32, 96, 64
CONFIG = {"model_type": "llama", "num_attention_heads": 4, "num_key_value_heads": 4,
          "hidden_size": WIDTH, "num_hidden_layers": N_BLOCKS}  # fmt: skip


def arrays(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A small model of random weights."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (TOKENS, WIDTH)}
    for k in range(N_BLOCKS):
        path = f"model.layers.{k}"
        for part in "qkvo":
            shapes[f"{path}.self_attn.{part}_proj.weight"] = (WIDTH, WIDTH)
        for part in ("gate", "up"):
            shapes[f"{path}.mlp.{part}_proj.weight"] = (HIDDEN, WIDTH)
        shapes[f"{path}.mlp.down_proj.weight"] = (WIDTH, HIDDEN)
    return {name: rng.standard_normal(s).astype(np.float32) for name, s in shapes.items()}


def models(folder: Path) -> None:
    """A root, its fine-tuned child and a stranger."""
    rng = np.random.default_rng(5)
    root = arrays(rng)
    child = {k: x + 0.05 * rng.standard_normal(x.shape).astype(np.float32) for k, x in root.items()}
    for name, held in (("root", root), ("child", child), ("stranger", arrays(rng))):
        (folder / name).mkdir()
        save_file(held, folder / name / "model.safetensors")
        (folder / name / "config.json").write_text(json.dumps(CONFIG))


def command(folder: Path, *words: str) -> tuple[int, str]:
    """Exit code and first line of what a command says."""
    own = str(Path(weightkin.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": own, "XDG_DATA_HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "weightkin", *words],
        cwd=folder, capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    lines = (done.stderr + done.stdout).splitlines() or [""]
    is_bug = "Traceback" in done.stderr
    return done.returncode, "a traceback" if is_bug else lines[0]


def refused(code: int, line: str) -> Answer:
    """Whether a command did not claim to be done, and said why in a line."""
    return Answer(code in (2, 3) and line != "a traceback", f"exit {code}: {line[-90:]}")


def changed(change: Callable[[Path], None], folder: Path) -> Answer:
    """Search a registry after a change to it."""
    models(folder)
    weightkin.Registry(folder / "r.sqlite").add([folder / "root", folder / "stranger"])
    change(folder)
    return refused(*command(folder, "search", "child", "--registry", "r.sqlite"))


def vectors(how: str, folder: Path) -> None:
    """Zero or swap the search vectors."""
    for name, dtype in (("aligned", np.float16), ("invariant", np.float16)):
        file = folder / "r.sqlite.files" / f"{name}.vectors"
        rows = np.fromfile(file, dtype).reshape(2, -1)
        (np.zeros_like(rows) if how == "zeroed" else rows[::-1]).tofile(file)


def sketches(folder: Path) -> None:
    """Put one model's sketch in the place of the other's."""
    first, second = sorted((folder / "r.sqlite.files" / "sketches").iterdir())
    data = first.read_bytes(), second.read_bytes()
    first.write_bytes(data[1])
    second.write_bytes(data[0])


def row(statement: str, folder: Path) -> None:
    """Change the database."""
    with closing(sqlite3.connect(folder / "r.sqlite")) as connection, connection:
        connection.execute(statement)


def log(folder: Path) -> None:
    """Lose the newest models with the log they were in: the older file is put back."""
    old = (folder / "r.sqlite").read_bytes()
    rng = np.random.default_rng(6)
    for name in ("x", "y"):
        (folder / name).mkdir()
        save_file(arrays(rng), folder / name / "model.safetensors")
    weightkin.Registry(folder / "r.sqlite").add([folder / "x", folder / "y"])
    (folder / "r.sqlite").write_bytes(old)


def linked(folder: Path) -> Answer:
    """A registry reached through a link."""
    models(folder)
    weightkin.Registry(folder / "r.sqlite").add([folder / "root"])
    (folder / "link.sqlite").symlink_to("r.sqlite")
    code, line = command(folder, "search", "child", "--registry", "link.sqlite")
    return Answer(code == 0 and "1 relative" in line, f"exit {code}: {line[-80:]}")


def lying(folder: Path) -> Answer:
    """A stranger's sketch with the name and digest of a registered model."""
    models(folder)
    target = folder / "lie.sketch.safetensors"
    sketch = take_sketch(open_model(folder / "stranger"), Scheme())
    write_sketch(replace(sketch, name="root", digest=digest(open_model(folder / "root"))), target)
    weightkin.Registry(folder / "r.sqlite").add([folder / "root"])
    return refused(*command(folder, "add", str(target), "--registry", "r.sqlite"))


def bug(_folder: Path) -> Answer:
    """An exception that nobody foresaw."""
    code = "import weightkin.sketch.source as w\nw.open_model = None\nimport sys\n"
    code += "sys.argv = ['weightkin', 'show', 'x']\nfrom weightkin.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return Answer(done.returncode == 2, f"exit {done.returncode}")


def edited(change: Callable[[dict[str, object]], object], folder: Path) -> Answer:
    """Verify a record of `compare` that was edited."""
    models(folder)
    record = json.loads(weightkin.compare(folder / "root", folder / "child").to_json())
    change(record)
    (folder / "record.json").write_text(json.dumps(record))
    code, line = command(folder, "verify", "record.json")
    return Answer(code in (1, 2, 3) and line != "a traceback", f"exit {code}: {line[-80:]}")


def case(name: str, before: str, run: Callable[[Path], Answer], expected: str = "") -> Case:
    """A case whose right answer is a refusal."""
    return Case(name, expected or "one line, exit 2 or 3", before, run)


DIGEST = f"UPDATE models SET digest = 'wk1-{'0' * 64}'"
CASES = (
    case("vectors zeroed", "exit 0, no relatives", partial(changed, partial(vectors, "zeroed"))),
    case("vectors swapped", "exit 0, no relatives", partial(changed, partial(vectors, "swapped"))),
    case("sketches swapped", "exit 0, no relatives", partial(changed, sketches)),
    case("a model removed", "exit 0, no relatives",
         partial(changed, partial(row, "DELETE FROM models WHERE id = 1"))),
    case("a digest edited", "exit 0, under that digest", partial(changed, partial(row, DIGEST))),
    case("contents traded", "exit 0, the stranger is the relative",
         partial(changed, partial(row, "UPDATE models SET slot = 1 - slot"))),
    case("the log is lost", "exit 0", partial(changed, log)),
    Case("a registry behind a link", "as the file", "exit 3: vectors not found", linked),
    case("a lying sketch is added", "added beside the real model", lying),
    case("a bug of ours", "exit 1, that of a hit", bug, "exit 2"),
    case("record: a count changed", "exit 1",
         partial(edited, lambda x: x["tests"][0].update(n_units=97)), "exit 1"),
    case("record: a false full digest", "exit 0, same",
         partial(edited, lambda x: x["a"].update(full_digest="wkfull1-" + "0" * 64)), "exit 1"),
    case("record: an unknown statement", "exit 0, same",
         partial(edited, lambda x: x.update(stolen=True)), "exit 3"),
    case("record: a source that is a number", "exit 3, malformed parameters",
         partial(edited, lambda x: x["a"].update(source=5)), "exit 3"),
    case("record: the level is 7", "exit 1, as if it had been run so",
         partial(edited, lambda x: x.update(alpha=7)), "exit 3"),
)  # fmt: skip

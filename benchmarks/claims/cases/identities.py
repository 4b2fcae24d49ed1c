"""Models, registries and cards that pass themselves off as another, at the gate."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.claims.cases import Answer, Case
from benchmarks.claims.cases.identity import model, write
from weightkin import Registry, check
from weightkin.errors import WeightkinError
from weightkin.sketch import Scheme

Arrays = dict[str, npt.NDArray[Any]]
PASSED, HIT, OPEN = "passed", "hit, exit 1", "named, exit 2"


def child_of(arrays: Arrays, seed: int = 5) -> Arrays:
    """A fine-tuned copy."""
    rng = np.random.default_rng(seed)
    return {
        k: (x + 0.002 * rng.standard_normal(x.shape)).astype(x.dtype) for k, x in arrays.items()
    }


def with_rows_of(arrays: Arrays, other: Arrays) -> Arrays:
    """The weights of one, with the rows of another that digests read."""
    found: Arrays = {}
    for name, x in arrays.items():
        y = np.array(x if x.ndim > 1 else other[name])
        if x.ndim > 1:
            rows = sorted({0, len(x) // 2})
            y[rows] = other[name][rows]
        found[name] = y
    return found


def replace(folder: Path, arrays: Arrays) -> Path:
    """Put other weights where a model lies."""
    (folder / "model.safetensors").unlink()
    (folder / "config.json").unlink()
    folder.rmdir()
    return write(folder, arrays)


def said(record: Any) -> str:
    """The outcome of a check in a few words."""
    return {"pass": PASSED, "hit": HIT, "incomplete": OPEN}[record.outcome]


def judged(use: Callable[[], Any], *right: str) -> Answer:
    """Whether a check ends in one of the outcomes that are right."""
    try:
        found = said(use())
    except WeightkinError as error:
        found = f"exit {error.exit_code}"
    return Answer(found in right, found)


def lies_elsewhere(folder: Path) -> Answer:
    """A child of a registered model, where another registered one lay, with its digest."""
    root, other = model(1, 2), model(2, 2)
    write(folder / "root", root)
    place = write(folder / "place", other)
    registry = Registry(folder / "r.sqlite")
    registry.add([folder / "root", place])
    replace(place, with_rows_of(child_of(root), other))
    return judged(lambda: check(place, registry=registry), HIT)


def remembered(folder: Path) -> Answer:
    """An expected parent of a model whose weights were replaced after a comparison."""
    root, other = model(1, 2), model(2, 2)
    child = child_of(root)
    write(folder / "root", root)
    place = write(folder / "child", child)
    registry = Registry(folder / "r.sqlite")
    registry.add([folder / "root", place])
    registry.search(place)
    replace(place, with_rows_of(other, child))
    return judged(lambda: check(place, registry=registry, expect=["#1"]), HIT)


def same_digest(folder: Path) -> Answer:
    """An innocent, and a forbidden model that holds the rows its digest is made of."""
    innocent = write(folder / "innocent", model(2, 2))
    planted = write(folder / "planted", with_rows_of(model(1, 2), model(2, 2)))
    return judged(lambda: check(innocent, deny=[planted]), PASSED)


def by_number(folder: Path) -> Answer:
    """A registered model with a forbidden one in a folder inside its own."""
    denied = write(folder / "denied", model(1, 2))
    clean = write(folder / "clean", model(2, 2))
    registry = Registry(folder / "r.sqlite")
    registry.add([clean])
    write(clean / "text_encoder", model(1, 2))
    return judged(lambda: check("#1", registry=registry, deny=[denied]), HIT, OPEN)


def card(front: str, right: str, folder: Path) -> Answer:
    """A child of a non-commercial model with a card of its own."""
    root = model(1, 2)
    write(folder / "root", root)
    (folder / "root" / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    registry = Registry(folder / "r.sqlite")
    registry.add([folder / "root"])
    child = write(folder / "child", child_of(root))
    (child / "README.md").write_text(f"---\nbase_model: org/root\n{front}\n---\n")
    return judged(lambda: check(child, registry=registry), right)


def own_name(folder: Path) -> Answer:
    """An unrelated model in a folder of the name that it declares as its parent."""
    write(folder / "root", model(1, 2))
    registry = Registry(folder / "r.sqlite")
    registry.add([folder / "root"])
    (folder / "x").mkdir()
    stranger = write(folder / "x" / "root", model(2, 2))
    (stranger / "README.md").write_text("---\nbase_model: root\nlicense: mit\n---\n")
    return judged(lambda: check(stranger, registry=registry), HIT)


def removed(folder: Path) -> Answer:
    """A registry whose sketch is a path to another file."""
    victim = folder / "victim"
    victim.write_text("precious")
    registry = Registry(folder / "r.sqlite")
    registry.add([write(folder / "m", model(1, 2))])
    with closing(sqlite3.connect(registry.path)) as connection, connection:
        connection.execute("UPDATE contents SET sketch = ?", (str(victim),))
    try:
        registry.remove("m")
        code = 0
    except WeightkinError as error:
        code = error.exit_code
    now = f"exit {code}, {'there' if victim.exists() else 'deleted'}"
    return Answer(victim.exists() and code in (2, 3), now)


def no_file(folder: Path) -> Answer:
    """A registry whose sketch is a link to a device."""
    registry = Registry(folder / "r.sqlite")
    registry.add([write(folder / "m", model(1, 2))])
    (sketch,) = (folder / "r.sqlite.files" / "sketches").iterdir()
    sketch.unlink()
    os.symlink("/dev/null", sketch)
    candidate = write(folder / "c", model(2, 2))
    return judged(lambda: check(candidate, registry=registry, deny=["#1"]), OPEN)


def renumbered(folder: Path) -> Answer:
    """A copy whose residual stream is permuted and whose tokens are renumbered."""
    arrays, rng = model(1, 2), np.random.default_rng(3)
    denied = write(folder / "denied", arrays)
    width, tokens = rng.permutation(64), rng.permutation(96)
    copy = {}
    for name, x in arrays.items():
        if x.ndim == 1:
            copy[name] = x[width]
        elif "embed" in name or "lm_head" in name:
            copy[name] = x[np.ix_(tokens, width)]
        else:
            is_out = "o_proj" in name or "down_proj" in name
            copy[name] = x[width] if is_out else x[:, width]
    candidate = write(folder / "copy", copy)
    return judged(lambda: check(candidate, deny=[denied]), HIT, OPEN)


def sample_replaced(folder: Path) -> Answer:
    """Above 16 MiB the rows of a copy that every check reads are another model's."""
    rng = np.random.default_rng(4)
    shape = {"up": (4096, 256), "gate": (4096, 256), "down": (256, 4096)}
    pair: list[Arrays] = [
        {
            f"model.layers.{i}.mlp.{k}_proj.weight": rng.standard_normal(s).astype(np.float32)
            for i in range(2)
            for k, s in shape.items()
        }
        for _ in range(2)
    ]
    denied = write(folder / "denied", pair[0])
    copy = {k: x.copy() for k, x in pair[0].items()}
    for name, x in copy.items():
        n = len(x)
        rows = np.union1d(np.arange(1024), Scheme().scattered(n, (0,)) if n > 1024 else [0])
        rows = rows[rows < n]
        if n > 1024:
            x[rows] = pair[1][name][rows]
        else:
            x[:, :1024] = pair[1][name][:, :1024]
    candidate = write(folder / "copy", copy)
    return judged(lambda: check(candidate, deny=[denied]), HIT, OPEN)


def locked(folder: Path) -> Answer:
    """Another process holds the write lock of the registry."""
    registry = Registry(folder / "r.sqlite")
    candidate = write(folder / "m", model(1, 2))
    registry.add([candidate, write(folder / "other", model(2, 2))])
    with closing(sqlite3.connect(registry.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        return judged(lambda: check(candidate, registry=registry, deny=["#2"]), PASSED)


TITLE = "Who a model is: digests, names, cards and places that are another's"
CASES = (
    Case("a child where a registered model lay, with its digest", HIT, PASSED, lies_elsewhere),
    Case("an expected parent, the weights replaced since", HIT, HIT, remembered),
    Case("an innocent of the digest of a forbidden model", PASSED, PASSED, same_digest),
    Case("`check '#1'`: a forbidden model inside its folder", "hit, or named", PASSED, by_number),
    Case("card: a licence twice", OPEN, HIT,
         partial(card, "license: cc-by-nc-4.0\nlicense: mit", OPEN)),
    Case("card: two licences in a list", HIT, PASSED,
         partial(card, "license: [cc-by-nc-4.0, mit]", HIT)),
    Case("card: a key in quotes", HIT, PASSED, partial(card, '"license": mit', HIT)),
    Case("a parent of the folder's own name", HIT, PASSED, own_name),
    Case("`remove`: the sketch is a path to another file", "exit 2 or 3, there",
         "exit 0, deleted", removed),
    Case("a sketch that is a device", OPEN, OPEN, no_file),
    Case("the registry is locked by a writer", PASSED, "120 s, exit 2", locked),
    Case("a copy, stream permuted and tokens renumbered", "hit, or named", PASSED, renumbered),
    Case("a copy, the rows that are read replaced", "hit, or named", PASSED, sample_replaced),
)  # fmt: skip

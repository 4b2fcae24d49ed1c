"""Seeds, what they are, and the commands that read a mutant of each.

A seed of a model is a file or a folder under `tests/fixtures/fuzz/models`; nothing else has to be
told of a new format. Files of several kinds have folders of their own beside it.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.mutate import mutated

ROOT = Path(__file__).parents[2]
SEEDS = ROOT / "tests" / "fixtures" / "fuzz"
FOUND = SEEDS / "found"
FIXTURES = SEEDS.parent
ALSO = {  # what other tests read is small enough to be a seed as well
    "models": ("containers", "packed", "torch-objects", "ranks", "onnx-runtime", "graphs"),
    "records": ("v0.1.0", "version2"),
}
SECRET = "outside"  # a folder beside the one of the mutant, which nothing may open
SHARE_ODD = 0.1  # share of mutants whose file is replaced by something that is none
LIGHT = {  # {s}: the mutant, {o}: a small model, {r}: a registry, {n}: a new file
    "models": ("show {s}", "show {s} --json"),
    "adapters": ("show {s}/base+{s}/adapter", "show {s}/adapter"),
    "sketches": ("show {s}", "add {s} --registry {r}"),
    "records": ("render {s}", "render {s} -v", "verify {s}"),
    "policies": ("check {o} --policy {s}",),
    "controls": ("controls list --controls {s}",),
    "exports": ("import {s} --registry {r}", "import {s} --registry {r} --json"),
}
HEAVY = {
    "models": (
        *("sketch {s} --out {n}", "add {s} --registry {r} --json", "check {s} --deny {o}"),
        *("check {s} --deny {o} --json", "compare {s} {o}", "compare {o} {s} --json"),
        *("tree {s} {o}", "locate {s} {o}"),
    ),
    "adapters": ("check {s} --deny {o}", "compare {s}/base+{s}/adapter {s}/base"),
    "sketches": ("compare {s} {o}", "check {s} --deny {o}", "tree {s} {o}", "compare {s} {s}"),
    "records": ("render {s} --html {n}", "verify {s} {o} {o}"),
    "policies": ("check {o} --policy {s} --json",),
    "controls": ("compare {o} {o} --controls {s}",),
    "exports": ("import {s} --registry {r}",),
}
SHARE_LIGHT = 0.8


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed input in a folder of its own, and the command that reads it."""

    target: str  # a key of `LIGHT`
    seed: str
    source: Path
    command: tuple[str, ...]
    cut: Path | None = None  # the seed, where all that was done is to cut one file


def seeds() -> dict[str, list[Path]]:
    """Seeds by target; what once broke a command is one too."""
    found = {target: sorted((SEEDS / target).iterdir()) for target in LIGHT}
    for target, folders in ALSO.items():
        beside = (x for folder in folders for x in sorted((FIXTURES / folder).iterdir()))
        found[target] += [x for x in beside if target == "models" or x.suffix == ".json"]
    return {target: inputs + of_target(FOUND, target) for target, inputs in found.items()}


def of_target(folder: Path, target: str) -> list[Path]:
    """Inputs of one target in a folder of all targets."""
    inside = folder / target
    return sorted(inside.iterdir()) if inside.is_dir() else []


def make(folder: Path, rng: random.Random, corpus: dict[str, list[Path]]) -> Mutant:
    """Write one mutant into an empty folder.

    Parameters
    ----------
    folder : Path
        Where; the mutant lies in ``in``, what no reader may open in ``outside``.
    rng : random.Random
        The only source of chance.
    corpus : dict of str to list of Path
        Seeds by target.

    Returns
    -------
    Mutant
        What was written, and the command.
    """
    target = rng.choice((*corpus, "models", "models", "models"))
    seed = rng.choice(corpus[target])
    source = copied(seed, folder)
    files = sorted(x for x in source.rglob("*") if x.is_file()) if source.is_dir() else [source]
    is_cut = seed in seeds()["models"] and rng.random() < 0.05
    if is_cut:
        os.truncate(path := rng.choice(files), rng.randrange(path.stat().st_size or 1))
    elif rng.random() < SHARE_ODD:
        rng.choice(ODD_FILES)(rng.choice(files), folder / SECRET / "secret")
    else:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            path = rng.choice(files)
            path.write_bytes(mutated(path.read_bytes(), rng))
    command = rng.choice((LIGHT if rng.random() < SHARE_LIGHT else HEAVY)[target])
    cut = seed if is_cut else None
    return Mutant(target, seed.name, source, filled(command, source, folder), cut)


def copied(seed: Path, folder: Path) -> Path:
    """A seed in the folder of a mutant, beside a secret and a place for what is written."""
    for name in ("in", "out", SECRET):
        (folder / name).mkdir(parents=True)
    secret = next((SEEDS / "models" / "safetensors").glob("*.safetensors"))
    shutil.copy(secret, folder / SECRET / "secret")
    source = folder / "in" / seed.name
    (shutil.copytree if seed.is_dir() else shutil.copy)(seed, source)
    return source


def filled(command: str, source: Path, folder: Path) -> tuple[str, ...]:
    """A command with the paths of one mutant in it."""
    places = {
        "s": source,
        "o": SEEDS / "models" / "safetensors",
        "r": folder / "out" / "r.sqlite",
        "n": folder / "out" / "new",
    }
    return tuple(word.format(**places) for word in command.split())


def _pipe(path: Path, _: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path, secret: Path) -> None:
    path.unlink()
    path.symlink_to(secret)


def _circle(path: Path, _: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _device(path: Path, _: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _folder(path: Path, _: Path) -> None:
    path.unlink()
    path.mkdir()


def _missing(path: Path, _: Path) -> None:
    path.unlink()


def _twice(path: Path, _: Path) -> None:
    shutil.copy(path, path.with_name(f"2-{path.name}"))


def _renamed(path: Path, _: Path) -> None:
    path.rename(path.with_name(os.fsdecode(b"\xff\n" + os.fsencode(path.name))))


def _other_suffix(path: Path, _: Path) -> None:
    path.rename(path.with_suffix(".bin"))


def _sparse(path: Path, _: Path) -> None:
    os.truncate(path, 1 << 38)


def _large_header(path: Path, _: Path) -> None:
    path.write_bytes(struct.pack("<Q", 90_000_000) + b'{"' + path.read_bytes())
    os.truncate(path, 95_000_000)


ODD_FILES: tuple[Callable[[Path, Path], None], ...] = (
    *(_pipe, _link, _circle, _device, _folder, _missing, _twice, _renamed, _other_suffix, _sparse),
    _large_header,
)

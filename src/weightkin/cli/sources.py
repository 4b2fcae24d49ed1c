"""Sources as they are named on a command line: models, or one folder of them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from weightkin.errors import UnreadableModel

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx")
NO_MODEL = ("training_args", "optimizer", "scheduler", "scaler", "rng_state", "adapter_model.")
# files by which a folder is itself one model
IS_PART = re.compile(
    r"-\d+-of-\d+\.\w+$|\.index\.json$"
    r"|^(model|pytorch_model|diffusion_pytorch_model)\.(safetensors|bin)$"
)


def named(sources: list[str]) -> list[str]:
    """The sources, or instead of a folder of models every model directly inside.

    An adapter beside its base is that base with the adapter merged in. Models that lie deeper are
    left out, and that is said. Of several sources a folder that may be a model is that model alone.
    """
    if len(sources) == 1:
        return _named(sources[0])
    return [x for source in sources for x in _one_of_many(source)]


def _one_of_many(source: str) -> list[str]:
    """A source; for a folder without files of weights the models inside, if there are any."""
    try:
        folder = Path(source)
        if "\0" in source or not folder.is_dir() or _holds_model(folder):
            return [_with_base(source)]
        if not any(_holds_model(x) for x in folder.iterdir() if x.is_dir()):
            return [_with_base(source)]  # what is wrong with it is said beside the others
    except OSError:
        return [source]
    return _named(source)


def _named(source: str) -> list[str]:
    folder = Path(source)
    try:
        if not source or "\0" in source or not folder.is_dir():
            return [_with_base(source)]
        entries = sorted(x for x in folder.iterdir() if not x.name.startswith("."))
        inside = [x for x in entries if _holds_model(x)]
        if any(x.is_file() and IS_PART.search(x.name) for x in entries):
            inside = [folder, *(x for x in inside if x.is_dir())]
        deeper = [y for x in entries if x.is_dir() for y in _models_below(x)]
    except OSError as error:
        raise UnreadableModel(f"{folder}: cannot be listed ({error.strerror})") from None
    left_out = _left_out(deeper)
    if not inside:
        found = f"found no model among {len(entries)} entries"
        found += f" ({left_out})" if deeper else ""
        wanted = f"subfolders with weights, or files ending in {', '.join(SUFFIXES)}"
        raise UnreadableModel(f"{folder}: {found}, expected {wanted}")
    if deeper:
        print(f"weightkin: {left_out}: name their folder to see them", file=sys.stderr)
    return [_with_base(str(x)) for x in inside]


def _models_below(folder: Path) -> list[Path]:
    """Models in the folders of a folder; one that cannot be listed is not looked into."""
    try:
        below = sorted(x for x in folder.iterdir() if not x.name.startswith(".") and x.is_dir())
        return [x for x in below if _holds_model(x)]
    except OSError:
        return []


def _left_out(deeper: list[Path]) -> str:
    from weightkin.report.terminal import printable

    if not deeper:
        return ""
    count = "1 model lies" if len(deeper) == 1 else f"{len(deeper)} models lie"
    return f"{count} one level deeper, not read, such as {printable(str(deeper[0]))}"


def _with_base(source: str) -> str:
    """``base+adapter`` for an adapter whose base lies beside it."""
    from weightkin.formats.adapter_base import base_beside

    base = base_beside(Path(source)) if "\0" not in source else None
    return source if base is None else f"{base}+{source}"


def _holds_model(path: Path) -> bool:
    """A file of weights, or a folder with one directly inside; sketches in a folder are none."""
    if path.is_dir():
        names = [x.name.lower() for x in path.iterdir()]
        return any(x.endswith(SUFFIXES) and not x.endswith(".sketch.safetensors") for x in names)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(NO_MODEL)

"""Sources as they are named on a command line: models, or one folder of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from weightkin.errors import UnreadableModel

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx")
MOST_FOUND = 10_000  # models in one folder
Note = Callable[[str], None]
NO_MODEL = ("training_args", "optimizer", "scheduler", "scaler", "rng_state", "adapter_model.")
# files by which a folder is itself one model
IS_PART = re.compile(
    r"-\d+-of-\d+\.\w+$|\.index\.json$"
    r"|^(model|pytorch_model|diffusion_pytorch_model)\.(safetensors|bin)$"
)


def named(sources: list[str], *, is_recursive: bool = False, note: Note | None = None) -> list[str]:
    """The sources, or instead of a folder of models every model directly inside.

    An adapter beside its base is that base with the adapter merged in. Models that lie one folder
    deeper, as in ORG/NAME, count if ``is_recursive``; else they are left out, with a ``note``. Of
    several sources a folder that may be a model is that model alone.
    """
    if len(sources) == 1:
        return _named(sources[0], note, is_recursive=is_recursive)
    return [x for source in sources for x in _one_of_many(source, note, is_recursive=is_recursive)]


def _one_of_many(source: str, note: Note | None, *, is_recursive: bool) -> list[str]:
    """A source; for a folder without files of weights the models inside, if there are any."""
    try:
        folder = Path(source)
        if "\0" in source or not folder.is_dir() or _holds_model(folder):
            return [_with_base(source)]
        inside = [x for x in folder.iterdir() if x.is_dir()]
        deeper = [y for x in inside for y in _models_below(x)] if is_recursive else []
        if not deeper and not any(_holds_model(x) for x in inside):
            return [_with_base(source)]  # what is wrong with it is said beside the others
    except OSError:
        return [source]
    return _named(source, note, is_recursive=is_recursive)


def _named(source: str, note: Note | None, *, is_recursive: bool) -> list[str]:
    folder = Path(source)
    try:
        if not source or "\0" in source or not folder.is_dir():
            return [_with_base(source)]
        entries = sorted(x for x in folder.iterdir() if not x.name.startswith("."))
        inside = [x for x in entries if _holds_model(x)]
        if any(x.is_file() and IS_PART.search(x.name) for x in entries):
            inside = [folder, *(x for x in inside if x.is_dir())]
        deeper = [y for x in entries if x.is_dir() for y in _models_below(x)]
        if is_recursive:
            below = [x for x in deeper if x.parent not in inside]  # no parts of a model
            inside, deeper = sorted({*inside, *below}), []
    except OSError as error:
        raise UnreadableModel(f"{folder}: cannot be listed ({error.strerror})") from None
    if len(inside) > MOST_FOUND:
        raise UnreadableModel(f"{folder}: more than {MOST_FOUND:,} models: name fewer folders")
    left_out = _left_out(deeper)
    if not inside:
        found = f"found no model among {len(entries)} entries"
        found += f" ({left_out}: use --recursive)" if deeper else ""
        wanted = f"subfolders with weights, or files ending in {', '.join(SUFFIXES)}"
        raise UnreadableModel(f"{folder}: {found}, expected {wanted}")
    if deeper and note is not None:
        note(f"{left_out}: use --recursive to include {'it' if len(deeper) == 1 else 'them'}")
    return [_with_base(str(x)) for x in inside]


def _models_below(folder: Path) -> list[Path]:
    """Models in the folders of a folder; one that cannot be listed is not looked into."""
    try:
        below = sorted(x for x in folder.iterdir() if not x.name.startswith(".") and x.is_dir())
        return [x for x in below if _holds_model(x)]
    except OSError:
        return []


def _left_out(deeper: list[Path]) -> str:
    if not deeper:
        return ""
    count = "1 model lies" if len(deeper) == 1 else f"{len(deeper)} models lie"
    return f"{count} one folder deeper, not read, such as {deeper[0]}"


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

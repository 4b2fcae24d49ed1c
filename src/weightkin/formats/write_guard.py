"""A model's folder stays as it is: what is written goes somewhere else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from weightkin.errors import UsageError
from weightkin.formats.finder import CONFIGS, has_standard_name, is_models_folder, kind_of
from weightkin.formats.pipeline import INDEX


def refuse_inside(target: Path, sources: Sequence[str | Path] = ()) -> None:
    """Refuse to write a file or folder into the folder of a model, one named or any other.

    Parameters
    ----------
    target : Path
        A file, or a folder for files; it need not be there yet.
    sources : sequence
        What models are named by; those that are not on this machine have no folder here.

    Raises
    ------
    UsageError
        It would lie in or below a folder among ``sources``, in one that holds weights under a
        standard name, or in or below one that holds a config beside weights; or it is to be the
        very folder in which a file among ``sources`` lies.
    """
    try:
        place = target.resolve()
        home = _named_around(place, sources) or _model_around(place)
    except (OSError, ValueError) as error:  # a name that no file can have
        raise UsageError(f"{target}: cannot be written ({error})") from None
    if home is not None:
        raise UsageError(f"{target}: inside the model {home}; choose another folder")


def models_among(sources: Sequence[str]) -> list[str]:
    """Sources other than folders of folders, into which results may be written."""
    return [x for x in sources if not _is_mere_folder(Path(x))]


def _is_mere_folder(path: Path) -> bool:
    try:
        names = [x.name for x in path.iterdir()] if path.is_dir() else [""]
    except (OSError, ValueError):
        return False
    return names != [""] and not any(kind_of(x) or x in (*CONFIGS, INDEX) for x in names)


def _named_around(place: Path, sources: Sequence[str | Path]) -> Path | None:
    """The folder of a source that a path lies in; a base and its adapter have one each."""
    for source in map(str, sources):
        for path in map(Path, dict.fromkeys((source, *filter(None, source.split("+"))))):
            with suppress(OSError, ValueError):
                if path.is_dir() and place.is_relative_to(path.resolve()):
                    return path.resolve()
                if path.is_file() and place == path.resolve().parent:
                    return place
    return None


def _model_around(place: Path) -> Path | None:
    """The folder of a model that a path lies in, by the files there."""
    around = [x for x in (place, *place.parents) if x.is_dir()]
    for position, folder in enumerate(around):
        if position and not any((folder / name).exists() for name in CONFIGS):
            continue
        names = [x.name for x in folder.iterdir()]
        has_standard = position == 0 and any(has_standard_name(name) for name in names)
        if has_standard or is_models_folder(names):
            return folder
    return None

"""From what the user names to an open model: a path on this machine, else a name on a hub."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from weightkin.errors import UnreadableModel
from weightkin.weights.adapter import ALONE, is_adapter, with_adapter
from weightkin.weights.computed import ComputedStorage
from weightkin.weights.files import Contents, File, FileStorage, LocalFile, readable
from weightkin.weights.folder import STANDARD_STEMS, Folder, read_config, read_folder
from weightkin.weights.hub import SCHEME, is_hub_name, open_repository, repository_of
from weightkin.weights.messages import shown, unreadable
from weightkin.weights.model import SKETCH_KEY, Model
from weightkin.weights.packed import unpack
from weightkin.weights.shards import read_files, read_index
from weightkin.weights.sketch_file import sketched_model

BESIDE = ("config.json", "tokenizer.json")  # what is read beside a file that was named alone


def open_model(source: str | Path) -> Model:
    """Open a model that lies on this machine or on a hub; reads headers only.

    Parameters
    ----------
    source : str or Path
        A folder (in this order: a safetensors index, safetensors files, a torch index, torch
        files, GGUF), or one ``.safetensors``, ``.bin``, ``.pt``, ``.pth``, ``.gguf`` or index
        file. A file that `write_sketch` wrote opens as the runs it holds, with ``sketched`` set.
        Where no such path is, ``org/name`` or ``hf://org/name``, both with an optional
        ``@revision``: a model on a hub, of which only the bytes needed are asked for.
        ``base+adapter`` is a base, here or on a hub, with a PEFT adapter that lies here merged
        into it.

    Returns
    -------
    Model
        Tensors in sorted name order. What could not be read is in ``problems``; ``revision`` is
        the commit of a hub.

    Raises
    ------
    UnreadableModel
        Nothing could be read, or the source is malformed in a way that is refused.
    OutOfReach
        It is on a hub that cannot be asked, and not in the cache.
    """
    if (pair := base_and_adapter(str(source))) is not None:
        return with_adapter(open_model(pair[0]), Path(pair[1]), str(source))
    path = _existing(source)
    if path is None:
        found = open_repository(repository_of(source))
        contents, files = read_folder(found.folder)
        return _model(found.source, found.name, found.folder, contents, files, found.commit)
    if path.is_dir():
        with readable(path):
            names = [entry.name for entry in path.iterdir() if not entry.name.startswith(".")]
        folder = Folder(path, sorted(names), partial(_open_in, path))
        contents, files = read_folder(folder)
    else:
        near = path.parent
        names = [name for name in BESIDE if (near / name).exists()]
        folder = Folder(near, names, partial(_open_in, near))
        contents, files = _read_one(path.name, folder)
    return _model(str(source), _name(path), folder, contents, files, None)


def _model(
    source: str,
    name: str,
    folder: Folder,
    contents: Contents,
    files: Sequence[File],
    revision: str | None,
) -> Model:
    """Put together what was read of the files and of the config beside them."""
    if not contents.tensors:
        said = [f"{problem.what}: {problem.why}" for problem in contents.problems[:1]]
        raise unreadable(folder.path, " ".join(["no tensors", *said]), "at least one")
    if is_adapter(contents.tensors):
        raise unreadable(folder.path, *ALONE)
    if SKETCH_KEY in contents.metadata:
        return sketched_model(source, files[0].path, contents, files)
    beside, config_files, problems = read_config(folder)
    config = contents.config or beside
    stored = FileStorage(contents.places, [*files, *config_files])
    tensors, recipes, unpacking = unpack(contents.tensors, stored, config)
    recipes |= contents.recipes
    if not tensors:
        raise UnreadableModel(unpacking[0].why)
    return Model(
        source=source,
        name=name,
        tensors={name: tensors[name] for name in sorted(tensors)},
        config=config,
        storage=ComputedStorage(stored, recipes) if recipes else stored,
        revision=revision,
        problems=(*contents.problems, *problems, *unpacking),
        headers=contents.headers,
        beside=folder.read_beside,
    )


def base_and_adapter(source: str) -> tuple[str, str] | None:
    """Cut ``base+adapter`` at the last plus that leaves an existing adapter behind it."""
    if "\0" in source or "+" not in source:
        return None
    with readable(Path(source)):
        if Path(source).exists():
            return None
        at = len(source)
        while (at := source.rfind("+", 0, at)) > 0:
            if source[at + 1 :] and Path(source[at + 1 :]).exists():
                return source[:at], source[at + 1 :]
    return None


def full_name(source: str | Path) -> str:
    """The source so that it means the same from everywhere: paths absolute, hub names marked."""
    if (pair := base_and_adapter(str(source))) is not None:
        return f"{full_name(pair[0])}+{Path(pair[1]).resolve()}"
    try:
        path = _existing(source)
    except UnreadableModel:  # it is told when it is opened
        return str(source) if "\0" in str(source) else str(Path(source).absolute())
    if path is not None:
        return str(path.resolve())
    return str(source) if str(source).startswith(SCHEME) else f"{SCHEME}{source}"


def _existing(source: str | Path) -> Path | None:
    """Return the path if there is anything at it, None if it may be a name on a hub."""
    path = Path(source)
    if str(source) and "\0" not in str(source):
        if str(source).startswith(SCHEME):
            return None
        with readable(path):
            if path.exists():
                return path
        # below a folder that exists here, a path was meant: nobody else is told of it
        if is_hub_name(str(source)) and not path.parent.is_dir():
            return None
    wanted = "a local file or folder, or org/name on a hub"
    raise unreadable(shown(source), "that this path does not exist", wanted)


def _open_in(folder: Path, name: str) -> File:
    return LocalFile(folder / name)


def _read_one(name: str, folder: Folder) -> tuple[Contents, list[File]]:
    if name.endswith(".index.json"):
        return read_index(folder.open_file(name), folder.open_file)
    return read_files([name], folder.open_file)


def _name(path: Path) -> str:
    """Name a model by its folder, or by its file unless that has a standard name."""
    with readable(path):
        whole = path.resolve() if path.name in ("", "..") else path.absolute()
    if path.is_dir():
        return whole.name or str(whole)
    stem = whole.name.split(".")[0] if whole.name.endswith(".index.json") else whole.stem
    return whole.parent.name if stem in STANDARD_STEMS and whole.parent.name else stem

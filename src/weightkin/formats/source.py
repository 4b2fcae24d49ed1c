"""From what the user names to an open model: a path on this machine, else a name on a hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from weightkin.errors import AdapterAlone, UnreadableModel
from weightkin.formats.adapter import Adapter, label_of, read_adapter, with_adapter
from weightkin.formats.adapter_names import is_adapter
from weightkin.formats.computed import ComputedStorage
from weightkin.formats.factorised import multiplied_out
from weightkin.formats.finder import ADAPTER_CONFIG, ALONE, CONFIG, PARAMETERS, STANDARD_STEMS
from weightkin.formats.folder import Chosen, read_chosen, read_config
from weightkin.formats.header_claims import claims_in
from weightkin.formats.headers import plain_names
from weightkin.formats.model import Model, Problem, Storage
from weightkin.formats.packed import unpack
from weightkin.formats.repository import open_part
from weightkin.formats.row_order import in_library_order
from weightkin.formats.storage import FileStorage, SketchFound, is_sketch
from weightkin.sources.hub import SCHEME, is_hub_name, pinned
from weightkin.sources.local import folder_around, folder_at, readable
from weightkin.text import located, shown, unreadable

MAX_PROBLEMS = 100  # that are named one by one
MAX_NAME = 256  # characters of a declared base in an error
MAX_MARKS = 16  # plus signs of a name at which it may be cut
BESIDE = (CONFIG, PARAMETERS, "tokenizer.json")  # what is read beside a file that was named alone


def open_model(source: str | Path) -> Model:
    """Open a model that lies on this machine or on a hub; reads headers only.

    Parameters
    ----------
    source : str or Path
        A folder (of the formats in `table` the first that is there: safetensors, TensorFlow.js,
        torch, GGUF, ONNX, HDF5 and others; of each an index before single files), or one file of
        such a format; any part of a split model stands for all of them.
        Where no such path is, ``org/name`` or ``hf://org/name``, both with an optional
        ``@revision``, then an optional ``:file`` or ``:folder`` inside it: a model on a hub, of
        which only the bytes needed are asked for. ``base+adapter`` is a base with a PEFT adapter
        merged into it, both here or on a hub; an adapter that is a file is that file.

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
    SketchFile
        It is the file of a sketch.
    """
    if (pair := base_and_adapter(str(source))) is not None:
        return open_pair(*pair)
    path = _existing(source)
    if path is None:
        return _model(open_part(source))
    if path.is_dir():
        return _model(Chosen(str(source), name_of(path), folder_at(path)))
    return _model(Chosen(str(source), name_of(path), folder_around(path, BESIDE), path.name))


def absolute(source: str | Path) -> str:
    """The same source as it can be named in any folder: a path absolute, a hub's name as it is."""
    text = str(source)
    if (pair := base_and_adapter(text)) is not None:
        return "+".join(map(absolute, pair))
    path = Path(text)
    if "\0" in text or text.startswith(SCHEME):
        return text
    with readable(path):
        is_on_hub = is_hub_name(text) and not path.exists() and not path.parent.is_dir()
    return text if is_on_hub else str(path.absolute())


def _model(chosen: Chosen) -> Model:
    """Read what was named, and put it together with the config beside it."""
    source, folder = chosen.source, chosen.folder
    contents, files = read_chosen(chosen)
    where = files[0].path if len(files) == 1 else folder.path
    if not contents.tensors:
        said = "".join(f" ({problem.what}: {problem.why})" for problem in contents.problems[:1])
        raise unreadable(where, f"no tensors{said}")
    if is_adapter(contents.tensors):
        base = next(iter(claims_in(contents.metadata).parents), "")
        declared = f"; declared base: {shown(base[:MAX_NAME])}" if base else ""
        raise AdapterAlone(f"{located(where)}: {ALONE}{declared}")
    if is_sketch(contents):
        raise SketchFound(source, files[0], contents)
    beside, config_files, problems = read_config(folder)
    config = contents.config or beside
    renamed = plain_names(contents.tensors)
    infos = {
        renamed.get(key, key): replace(info, name=renamed.get(key, key))
        for key, info in contents.tensors.items()
    }
    computed = contents.recipes  # which know the stored names of their parts
    places = {
        key if key in computed else renamed.get(key, key): place
        for key, place in contents.places.items()
    }
    whole = None if chosen.file else folder
    stored: Storage = FileStorage(places, [*files, *config_files], contents.claims, whole)
    tensors, recipes, unpacking = (
        (infos, {}, []) if contents.own_codes else unpack(infos, stored, config)
    )
    recipes |= {renamed.get(key, key): recipe for key, recipe in computed.items()}
    tensors, products = multiplied_out(tensors)
    if products:  # of what may be computed itself
        stored, recipes = ComputedStorage(stored, recipes), products
    tensors, recipes = in_library_order(tensors, recipes, config)
    if not tensors:
        raise unreadable(where, unpacking[0].why)
    return Model(
        source=source,
        name=chosen.name,
        tensors={name: tensors[name] for name in sorted(tensors)},
        config=config,
        storage=ComputedStorage(stored, recipes) if recipes else stored,
        revision=chosen.revision,
        problems=_first((*contents.problems, *problems, *unpacking)),
        headers=contents.headers,
        metadata=contents.metadata,
        beside=folder.read_beside,
        networks=tuple(partial(network, renamed) for network in contents.networks),
    )


def _first(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """The first problems, and how many more there are: a file can make any number of them."""
    kept, rest = tuple(problems[:MAX_PROBLEMS]), problems[MAX_PROBLEMS:]
    if not rest:
        return kept
    is_lost = any(problem.loses_tensors for problem in rest)
    return (*kept, Problem("further ones", f"{len(rest)} more problems", loses_tensors=is_lost))


def open_pair(base: str, adapter: str) -> Model:
    """Open a base with an adapter merged into it, each of them here or on a hub.

    See `open_model`, which takes both as one text; here no name is cut.
    """
    try:
        model = open_model(base)
    except SketchFound:
        raise unreadable(f"{base}+{adapter}", "the base is a sketch, not a model") from None
    parts = model.parts or (pinned(model.source, model.revision),)
    return with_adapter(model, open_adapter(adapter), parts)


def open_adapter(source: str) -> Adapter:
    """Read what an adapter holds, here or on a hub; to be merged it needs its base."""
    path = _existing(source)
    if path is None:
        found = open_part(source)
        return read_adapter(replace(found, source=pinned(found.source, found.revision)))
    is_file = not path.is_dir()
    folder = folder_around(path, (ADAPTER_CONFIG,)) if is_file else folder_at(path)
    name = path.name if is_file else ""
    return read_adapter(Chosen(source, label_of(path.absolute()), folder, name))


def base_and_adapter(source: str) -> tuple[str, str] | None:
    """Cut ``base+adapter`` at the plus with something on both sides, here or on a hub.

    Where there is no base, the last plus with an adapter behind it tells what was meant.

    Raises
    ------
    UnreadableModel
        It can be cut at several: another pair than was meant could be opened.
    """
    if "\0" in source or "+" not in source or _is_here(source):
        return None
    marks = [at for at, letter in enumerate(source) if letter == "+" and at]
    cuts = [(source[:at], source[at + 1 :]) for at in reversed(marks[-MAX_MARKS:])]
    near = [(base, adapter) for base, adapter in cuts if adapter and _is_something(adapter)]
    whole = [(base, adapter) for base, adapter in near if _is_something(base)]
    if len(whole) > 1:
        found = f"ambiguous: {len(whole)} ways to read it as base+adapter"
        raise unreadable(shown(source), f"{found}; use folders without + in their names")
    if not whole:  # a base that is a pair itself
        whole = [x for x in near if "+" in x[0] and base_and_adapter(x[0])]
    return next(iter(whole or near), None)


def _is_here(source: str) -> bool:
    with readable(Path(source)):
        return Path(source).exists()


def _is_something(source: str) -> bool:
    """Whether a part of a pair lies here, or is to be asked of a hub."""
    return _is_here(source) or _is_on_hub(source)


def full_name(source: str | Path) -> str:
    """The source so that it means the same from everywhere: paths absolute, hub names marked."""
    try:
        if (pair := base_and_adapter(str(source))) is not None:
            return "+".join(map(full_name, pair))
        path = _existing(source)
    except UnreadableModel:  # it is told when it is opened
        return str(source) if "\0" in str(source) else str(Path(source).absolute())
    if path is not None:
        return str(path.resolve())
    return str(source) if str(source).startswith(SCHEME) else f"{SCHEME}{source}"


def full_name_of(model: Model) -> str:
    """The full name of what was opened as a model."""
    return "+".join(map(full_name, model.parts)) if model.parts else full_name(model.source)


def _existing(source: str | Path) -> Path | None:
    """Return the path if there is anything at it, None if it may be a name on a hub."""
    path = Path(source)
    if str(source) and "\0" not in str(source):
        if str(source).startswith(SCHEME):
            return None
        with readable(path):
            if path.exists():
                return path
        if _is_on_hub(str(source)):
            return None
    what = "no such file or folder; a model on a hub is written org/name"
    raise unreadable(shown(source) or "''", what)


def _is_on_hub(source: str) -> bool:
    """Whether a name that is no path is to be asked of a hub.

    Below a folder that exists here, a path was meant: nobody else is told of it.
    """
    if source.startswith(SCHEME):
        return True
    repository = source.partition("@")[0].partition(":")[0]
    return is_hub_name(source) and not Path(repository).parent.is_dir()


def may_be_elsewhere(source: str) -> bool:
    """Whether what is no path here can be opened all the same: on a hub, or with an adapter."""
    return base_and_adapter(source) is not None or (
        "\0" not in source and (source.startswith(SCHEME) or is_hub_name(source))
    )


def name_of(path: Path) -> str:
    """Name a model by its folder, or by its file unless that has a standard name."""
    with readable(path):
        whole = path.resolve() if path.name in ("", "..") else path.absolute()
    if path.is_dir():
        return whole.name or str(whole)
    stem = whole.name.split(".")[0] if whole.name.endswith(".index.json") else whole.stem
    return whole.parent.name if stem in STANDARD_STEMS and whole.parent.name else stem

"""A folder of diffusers: its components, each in a folder of its own, are the parts of one model.

Names of tensors begin with the component (``unet.conv_in.weight``); configs of the components are
nested in the config of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightkin.catalogue.config import COMPONENTS
from weightkin.catalogue.names_table import components_table
from weightkin.errors import UnreadableModel
from weightkin.formats.model import Problem
from weightkin.formats.storage import Contents, ReadNetwork
from weightkin.sources.files import File, Folder
from weightkin.sources.local import folder_at

if TYPE_CHECKING:
    from weightkin.formats.onnx_network import Network
    from weightkin.formats.torch_text import Program

INDEX = "model_index.json"
Read = Callable[[Folder], tuple[Contents, list[File]]]
ReadConfig = Callable[[Folder], tuple[Any, list[File], list[Problem]]]


@dataclass(slots=True)
class _Joined:
    contents: Contents = field(default_factory=Contents)
    files: list[File] = field(default_factory=list)


def components_in(folder: Folder) -> dict[str, Folder]:
    """The folders of a pipeline that may hold a component, by its name; none where it is none."""
    if INDEX not in folder.names:
        return {}
    found: dict[str, Folder] = {}
    for name in components_table()["folders"]:
        if isinstance(folder.path, Path):
            if name in folder.names and (folder.path / name).is_dir():
                found[name] = folder_at(folder.path / name)
            continue
        start = f"{name}/"
        inside = [x.removeprefix(start) for x in folder.deeper if x.startswith(start)]
        if inside:
            opened = partial(_open_below, folder, start)
            found[name] = Folder(folder.path / name, [x for x in inside if "/" not in x], opened)
    return found


def read_components(
    folders: dict[str, Folder], read: Read, read_config: ReadConfig
) -> tuple[Contents, list[File]]:
    """Tensors of all components, under names that begin with the component.

    One that cannot be read is a problem, unless no other can.

    Parameters
    ----------
    folders : dict of str to Folder
        By the name of the component; at least one.
    read, read_config : callable
        Read the tensors and the config of one folder.

    Returns
    -------
    Contents
        With the configs of the components as its config.
    list of File
        The files opened.

    Raises
    ------
    UnreadableModel
        No component can be read.
    """
    joined, configs = _Joined(), {}
    first_error: UnreadableModel | None = None
    for name, folder in folders.items():
        try:
            contents, files = read(folder)
            config, config_files, problems = read_config(folder)
            if contents.recipes:
                raise UnreadableModel(f"{folder.path}: stored in parts; name it to read it alone")
        except UnreadableModel as error:
            first_error = first_error or error
            joined.contents.problems.append(Problem(name, str(error)))
            continue
        _add(joined.contents, name, contents)
        joined.contents.problems += problems
        joined.files += [*files, *config_files]
        configs[name] = contents.config or config
    if first_error and not joined.contents.tensors:
        raise first_error
    joined.contents.config = {COMPONENTS: configs}
    return joined.contents, joined.files


def _add(joined: Contents, component: str, contents: Contents) -> None:
    names = {name: f"{component}.{name}" for name in contents.tensors}
    joined.tensors |= {
        names[name]: replace(info, name=names[name]) for name, info in contents.tensors.items()
    }
    joined.places |= {names[name]: contents.places[name] for name in names}
    joined.problems += [replace(x, what=f"{component}: {x.what}") for x in contents.problems]
    joined.headers += contents.headers
    joined.claims += contents.claims
    joined.networks += tuple(partial(_below, network, names) for network in contents.networks)
    joined.own_codes |= contents.own_codes


def _below(
    network: ReadNetwork, names: Mapping[str, str], renamed: Mapping[str, str]
) -> Network | Program:
    """A network whose tensors got other names, and others again."""
    return network({own: renamed.get(name, name) for own, name in names.items()})


def _open_below(folder: Folder, start: str, name: str) -> File:
    return folder.open_file(start + name)

"""One name for every tensor, whoever stored it; and the parts of a diffusion model apart.

What wrappers put into names is taken out, older leaves become those of today, and the names of
other publishers become those of the library's class, by the tables in ``catalogue/names``. A fused
tensor is several under these names. Stacks, roles and axes are read from them alone; `Home` says
where each one stands in the file.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os.path import commonprefix

from weightkin.anatomy.by_table import Home, by_table
from weightkin.catalogue.names_table import (
    Level,
    NamesTable,
    components_table,
    names_tables,
)
from weightkin.formats.model import TensorInfo
from weightkin.records.components import ModelComponent

MAX_TENSORS = 1 << 16  # of a model whose names are translated
MAX_ROOTS = 64  # networks of one publisher's names in one part
_WRAPPERS = frozenset(
    {
        *("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"),
        "base_layer",  # of a module that an adapter changes
    }
)
_OLDER = {"gamma": "weight", "beta": "bias"}  # leaves of norms in TensorFlow's times
_FACTORS = (  # a matrix stored as direction and size (weight norm): the direction is the matrix
    ("parametrizations.weight.original1", "weight"),
    ("parametrizations.weight.original0", "weight_g"),
    ("weight_v", "weight"),
)


@dataclass(frozen=True, slots=True)
class Component:
    """A part of a model with names of its own; the only one of most models."""

    name: str  # unet, vae, text_encoder ...; "" of a model without parts
    label: str  # what its stacks are told by from those of other parts; "" mostly
    tensors: Mapping[str, TensorInfo]
    homes: Mapping[str, Home]
    names_of: str = ""  # the class whose names they were given, where those stored are others


def components_of(tensors: Mapping[str, TensorInfo]) -> list[Component]:
    """Split a model into its parts, each under the names of the library.

    No two tensors of a part have one name, and no stored tensor stands in two parts. A model
    without parts is one, with names that are its own wherever no table knows them.
    """
    if len(tensors) > MAX_TENSORS:
        return [Component("", "", tensors, {name: Home(name) for name in tensors})]
    plain = _plain(tensors)
    found = []
    for name, own in _parts(plain).items():
        label = "" if not name or name in components_table()["main"] else f"{name}."
        homes: dict[str, Home] = {}
        infos: dict[str, TensorInfo] = {}
        named = {short: tensors[stored] for short, stored in own}
        roots = [(table, _roots(table, named)) for table in names_tables()]
        for new, info, home in _translated(named, roots):
            infos[new] = info
            homes[new] = home
        names_of = next((table.names_of for table, held in roots if held), "")
        found.append(Component(name, label, infos, homes, names_of))
    return found


def model_components_of(tensors: Mapping[str, TensorInfo]) -> Iterator[ModelComponent]:
    """What the components of a model are, where it has any or is called by other names."""
    found = components_of(tensors)
    for x in found if len(found) > 1 or any(x.name or x.names_of for x in found) else ():
        stored = {home.tensor for home in x.homes.values()}
        yield ModelComponent(
            name=x.name or "other",
            n_tensors=len(stored),
            n_parameters=sum(math.prod(tensors[name].shape) for name in stored),
            stored_as=commonprefix(sorted(stored)).rpartition(".")[0],
            names_of=x.names_of,
        )


def parts_of(names: Iterable[str]) -> dict[str, str]:
    """The part of a diffusion model that each tensor belongs to, by stored names; else nothing."""
    found = _parts(_plain(names))
    return {stored: part for part, own in found.items() if part for _, stored in own}


def _plain(tensors: Iterable[str]) -> dict[str, str]:
    """Every stored name by its name without wrappers and in today's leaves."""
    stored = list(tensors)
    plain = _renamed(stored, [_unwrapped(name) for name in stored])
    held = set(plain)
    modern = _renamed(list(plain), [_modern(name, held) for name in plain])
    return {new: plain[old] for new, old in modern.items()}


def _renamed(old: list[str], new: list[str]) -> dict[str, str]:
    """Old names by new ones; all as they were where two would come to have one name."""
    return dict(zip(new if len(set(new)) == len(new) else old, old, strict=True))


def _unwrapped(name: str) -> str:
    *modules, leaf = name.split(".")
    kept = [word for word in modules if word not in _WRAPPERS]
    return ".".join([*kept, leaf]) if len(kept) < len(modules) and kept else name


def _modern(name: str, held: Iterable[str]) -> str:
    """A name with the leaf that torch writes today."""
    module, dot, leaf = name.rpartition(".")
    if leaf in _OLDER:
        pair = all(f"{module}{dot}{x}" in held for x in _OLDER)
        return f"{module}{dot}{_OLDER[leaf]}" if pair else name
    for ending, today in _FACTORS:
        if name.endswith(f".{ending}"):
            base = name.removesuffix(ending)
            return f"{base}{today}" if f"{base}weight" not in held else name
    return name


def _parts(names: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Names of each part, without its beginning, with the stored ones; "" is what is in none."""
    known = components_table()
    beginnings: dict[str, str] = dict(known["prefixes"])
    is_single = any(name.startswith(tuple(beginnings)) for name in names)
    if not is_single:
        beginnings = {f"{folder}.": folder for folder in known["folders"]}
        words = {name.partition(".")[0] for name in names}
        if len(words) < 2 or not words <= set(known["folders"]):
            return {"": list(names.items())}
    starts = sorted(beginnings, key=len, reverse=True)
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, stored in names.items():
        start = next((x for x in starts if name.startswith(x)), "")
        found[beginnings.get(start, "")].append((name.removeprefix(start), stored))
    return _with_average(_with_transformer(found), known["averages"]) if is_single else dict(found)


def _with_transformer(parts: dict[str, list[tuple[str, str]]]) -> dict[str, list[tuple[str, str]]]:
    """What is no U-Net is a transformer, where the beginning of names does not tell."""
    unet = parts.get("unet", [])
    if not unet or any("_blocks." in f".{name}" and _BLOCKS.search(name) for name, _ in unet):
        return parts
    return {("transformer" if part == "unet" else part): own for part, own in parts.items()}


_BLOCKS = re.compile(r"(?:^|\.)(?:input_blocks|output_blocks|down_blocks|up_blocks)\.")


def _with_average(
    parts: dict[str, list[tuple[str, str]]], begin: str
) -> dict[str, list[tuple[str, str]]]:
    """Averages of weights in training, whose names have lost their dots."""
    rest = parts.get("", [])
    if not any(name.startswith(begin) for name, _ in rest):
        return parts
    for part in ("unet", "transformer"):
        joined = {
            f"{begin}{stored.removeprefix('model.').replace('.', '')}": name
            for name, stored in parts.get(part, ())
        }
        average = [(joined[name], stored) for name, stored in rest if name in joined]
        if average:
            left = [(name, stored) for name, stored in rest if name not in joined]
            return parts | {f"{part}_average": average, "": left}
    return parts


def _translated(
    tensors: Mapping[str, TensorInfo], tables: Sequence[tuple[NamesTable, set[str]]]
) -> Iterator[tuple[str, TensorInfo, Home]]:
    """New name, tensor and home of everything in one part, by tables and where each holds."""
    news = {name: [_untouched(name, info)] for name, info in tensors.items()}
    for table, roots in tables:
        for root in roots if len(roots) <= MAX_ROOTS else ():
            inside = {n.removeprefix(root): x for n, x in tensors.items() if n.startswith(root)}
            numbers = [(level, _numbers(level, inside)) for level in table.levels]
            for name in inside:
                short = name
                for level, of in numbers:
                    short = level.begin.sub(partial(_renumbered, level, of), short)
                news[f"{root}{name}"] = list(by_table(table, root, short, name, inside))
    names = Counter(new for those in news.values() for new, *_ in those)
    for name, those in news.items():
        is_alone = all(names[new] == 1 for new, *_ in those)
        yield from those if is_alone else [_untouched(name, tensors[name])]


def _untouched(name: str, info: TensorInfo) -> tuple[str, TensorInfo, Home]:
    return name, info if info.name == name else replace(info, name=name), Home(info.name)


def _roots(table: NamesTable, names: Collection[str]) -> set[str]:
    """What names begin with wherever all is there that a table asks for."""
    common: set[str] | None = None
    for pattern in table.when:
        searched = ((name, pattern.search(name)) for name in names)
        roots = {name[: found.start()] for name, found in searched if found}
        common = roots if common is None else common & roots
        if not common:
            return set()
    return common or set()


def _numbers(level: Level, names: Iterable[str]) -> dict[int, str]:
    """New number or numbers of each module of a list."""
    held, ends = set(), set()
    for name in names:
        if found := level.begin.search(name):
            held.add(int(found[1]))
            if level.end is not None and level.end.match(name, found.end() + 1):
                ends.add(int(found[1]))
    if level.is_turned:
        return {n: f"{max(held) - n}" for n in held}
    new, depth, start = {}, 0, level.first
    for n in sorted(held):
        if n >= level.first:
            new[n] = f"{depth}.{n - start}"
        if n in ends:
            depth, start = depth + 1, n + 1
    return new


def _renumbered(level: Level, numbers: Mapping[int, str], found: re.Match[str]) -> str:
    new = numbers.get(int(found[1]))
    return found[0] if new is None else f"{level.renamed}.{new}"

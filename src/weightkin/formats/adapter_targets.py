"""The tensors of a base that an adapter changes, under whatever prefixes both have."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import PurePath

from weightkin.formats.adapter_names import Part
from weightkin.formats.model import Model
from weightkin.text import quoted, unreadable

MAX_DOTS = 8  # at which a prefix of a name may end
WEIGHT = ".weight"
_WRAPPERS = frozenset(("base_model", "model", "module"))  # parts of names that say nothing
# Projections as old versions of diffusers call them, and the modules that they are.
_PROJECTIONS = {
    "to_q": ("to_q", "q_proj"),
    "to_k": ("to_k", "k_proj"),
    "to_v": ("to_v", "v_proj"),
    "to_out": ("to_out", "to_out.0", "out_proj"),
}


class Targets:
    """A base's tensors, by their names and by all endings of these."""

    def __init__(self, base: Model, file: PurePath) -> None:
        self.base, self.file = base, file

    def of(self, name: str) -> str:
        """The same name, or the only one under a longer or shorter prefix.

        Raises
        ------
        UnreadableModel
            There is none, or several.
        """
        if name in self.base.tensors:
            return name
        near: list[str] = [x for x in _endings(name) if x in self.base.tensors]
        near += self._by_ending.get(name, [])
        return self._only(near or self._by_plain.get(_plain(name), []), name)

    def weight_of(self, part: Part) -> str:
        """The weight of a module."""
        if not part.has_dots:
            return self._only(self._by_underscores.get(part.module, []), part.module)
        head, dot, last = part.module.rpartition(".")
        if not part.group or last not in _PROJECTIONS:
            return self.of(part.module + WEIGHT)
        names = [f"{head}{dot}{x}{WEIGHT}" for x in _PROJECTIONS[last]]
        found = [x for name in names if (x := self._found(name))]
        return self._only(found, part.module)

    def _found(self, name: str) -> str:
        if name in self.base.tensors:
            return name
        near = [x for x in _endings(name) if x in self.base.tensors]
        near += self._by_ending.get(name, [])
        return near[0] if len(near) == 1 else ""

    def _only(self, near: list[str], name: str) -> str:
        if len(near) != 1:
            what = f"changes {quoted(name)}, which {self.base.name} does not have"
            if near:
                what = f"changes {quoted(name)}, which may be any of {len(near)} tensors"
            raise unreadable(self.file, f"{what}; name the base it was trained on")
        return near[0]

    @cached_property
    def _by_ending(self) -> dict[str, list[str]]:
        return _grouped((x, name) for name in self.base.tensors for x in _endings(name))

    @cached_property
    def _by_plain(self) -> dict[str, list[str]]:
        return _grouped((_plain(name), name) for name in self.base.tensors)

    @cached_property
    def _by_underscores(self) -> dict[str, list[str]]:
        modules = [x.removesuffix(WEIGHT) for x in self.base.tensors if x.endswith(WEIGHT)]
        pairs = ((x, m) for m in modules for x in (m, *_endings(m)))
        return _grouped((x.replace(".", "_"), f"{m}{WEIGHT}") for x, m in pairs)


def is_stored_turned(base: Model, *, is_said: bool) -> bool:
    """Whether layers of a base are stored as (inputs, outputs), by the biases beside them.

    Where it has layers of both kinds, what the adapter says of it counts.
    """
    found = set()
    for name, info in base.tensors.items():
        bias = base.tensors.get(name.removesuffix(WEIGHT) + ".bias")
        if bias is None or len(info.shape) != 2 or len(set(info.shape)) == 1:
            continue
        if name.endswith(WEIGHT) and len(bias.shape) == 1 and bias.shape[0] in info.shape:
            found.add(bias.shape[0] == info.shape[1])
    return found == {True} or (len(found) == 2 and is_said)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, name in pairs:
        found.setdefault(key, []).append(name)
    return found


def _endings(name: str) -> list[str]:
    """What stands behind each of the first dots of a name."""
    parts = name.split(".", MAX_DOTS)
    return [".".join(parts[i:]) for i in range(1, len(parts))]


def _plain(name: str) -> str:
    """A name without the parts that wrappers put into it."""
    return ".".join(x for x in name.split(".") if x not in _WRAPPERS)

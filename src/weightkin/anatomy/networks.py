"""Several networks in one file: a student and its teacher, an average of the weights, a decoy.

Two stacks of one sort whose names end alike and begin otherwise (``model.layers`` and
``teacher.model.layers``) belong to two networks; everything under the beginning goes with its
stack. Towers of one network (vision and text, encoder and decoder) are stacks of different sorts;
a tower beside two networks is one of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from weightkin.anatomy.naming import read_stack, split_names
from weightkin.formats.model import TensorInfo

MAX_NETWORKS = 64

Tensors = dict[str, TensorInfo]


def split_networks(
    tensors: Mapping[str, TensorInfo],
) -> tuple[dict[str, Mapping[str, TensorInfo]], tuple[TensorInfo, ...]]:
    """Tensors of each network by the beginning of their names, and those that belong to none.

    A single network is ``{"": tensors}``. Beyond `MAX_NETWORKS` beginnings all stays together, and
    the stacks beyond those that are read are counted there.
    """
    prefixes = _beginnings(tensors)
    if len(prefixes) < 2 or len(prefixes) > MAX_NETWORKS:
        return {"": tensors}, ()
    networks: dict[str, Tensors] = {prefix: {} for prefix in sorted(prefixes)}
    outside: list[TensorInfo] = []
    longest_first = sorted(prefixes, key=len, reverse=True)
    for name, info in tensors.items():
        own = next((prefix for prefix in longest_first if name.startswith(prefix)), None)
        if own is None:
            outside.append(info)
        else:
            networks[own][name] = info
    return dict(networks), tuple(outside)


def _beginnings(tensors: Mapping[str, TensorInfo]) -> set[str]:
    """How the names of every network begin; fewer than two where there is one network."""
    stacks, _, _ = split_names(tensors.values(), most=2 * MAX_NETWORKS)
    sorts: dict[str, list[list[str]]] = defaultdict(list)
    for stack in stacks:
        if len(stacks) > 1 and (reading := read_stack(stack)) is not None:
            sorts[reading.name].append(stack.prefix.split("."))
    found: set[str] = set()
    twins: list[list[str]] = []
    for names in sorts.values():
        n_same = _n_same_words(names)
        if len(names) > 1 and n_same:
            found |= {_without_last(words, n_same) for words in names}
            twins += names
    for words in (words for names in sorts.values() for words in names):
        n_same = max((_n_same_words([words, twin]) for twin in twins), default=0)
        own = _without_last(words, n_same)
        if n_same and own and not any(_joined(words).startswith(prefix) for prefix in found):
            found.add(own)
    return found


def _without_last(words: list[str], n: int) -> str:
    return _joined(words[:-n])


def _joined(words: list[str]) -> str:
    return "".join(f"{word}." for word in words)


def _n_same_words(names: list[list[str]]) -> int:
    """How many last words all names have in common."""
    n = 0
    for words in zip(*(reversed(name) for name in names), strict=False):
        if len(set(words)) > 1:
            break
        n += 1
    return n

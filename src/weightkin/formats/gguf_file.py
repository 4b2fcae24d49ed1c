"""GGUF: metadata, a table of tensors, then their blocks; under the names the model had before.

The header is parsed here and hostile until checked; blocks of quantised types are unpacked by the
package `gguf` (extra ``[gguf]``), only for the rows asked for. Conversion stores the rows of
queries and keys of a Llama in another order, which is undone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from weightkin.formats.byte_pieces import is_blank
from weightkin.formats.computed import Recipe
from weightkin.formats.dtypes import NUMPY
from weightkin.formats.gguf_blocks import PACKED, PLAIN, Blocks, Reordered
from weightkin.formats.gguf_header import Cursor
from weightkin.formats.gguf_metadata import config_of, heads_of, original_name
from weightkin.formats.model import Problem, TensorInfo
from weightkin.formats.storage import Claim, Contents
from weightkin.sources.files import File, Spans, TensorLocation
from weightkin.text import located, quoted, shown, unreadable

GGUF_MAGIC = b"GGUF"
MAX_TENSORS = 1 << 17
MAX_FACTS = 1 << 16
NO_MODEL = {  # by type or architecture
    "adapter": "a LoRA adapter in GGUF, which is not read; merge it first (llama-export-lora)",
    "imatrix": "an importance matrix, not a model",
    "controlvector": "a control vector, not a model",
}
MAX_PARTS = 1000  # of a split file
_PART = re.compile(r"(.*)-([0-9]{5})-of-([0-9]{5})(\.gguf)", re.ASCII | re.IGNORECASE | re.DOTALL)
STORED = "stored:"  # before the name of what a recipe reads


def read_gguf(file: File, first: Mapping[str, Any]) -> Contents:
    """Tensors of a GGUF file, each with its place or with what is computed from it.

    ``first`` is what the first part of a split file says, for the parts that follow it.
    """
    cursor = Cursor(file)
    if cursor.take(4) != GGUF_MAGIC:
        raise unreadable(file.path, "not a GGUF file (it does not begin with GGUF)")
    version, n_tensors, n_facts = cursor.numbers("<IQQ")
    if version not in (2, 3):
        what = f"GGUF version {version} is not supported, only 2 and 3, little-endian"
        raise unreadable(file.path, what)
    if n_tensors > MAX_TENSORS or n_facts > MAX_FACTS:
        said = f"{n_tensors} and {n_facts}, at most {MAX_TENSORS} and {MAX_FACTS}"
        raise unreadable(file.path, f"too many tensors or metadata entries ({said})")
    facts: dict[str, Any] = {}
    for _ in range(n_facts):
        key, value = cursor.fact()
        if key in facts:
            raise unreadable(file.path, f"metadata key {quoted(key)} is repeated")
        facts[key] = value
    _check_kind(file, facts)
    if "general.architecture" not in facts:
        if "general.architecture" not in first:
            what = "no general.architecture; a later part of a split file needs the first one"
            raise unreadable(file.path, what)
        facts = {**first, **facts}
    table = [cursor.tensor() for _ in range(n_tensors)]
    alignment = facts.get("general.alignment", 32)
    if type(alignment) is not int or not 0 < alignment <= 1 << 16:
        what = f"general.alignment is {quoted(alignment)}, not an integer from 1 to 65536"
        raise unreadable(file.path, what)
    base = -(-cursor.at // alignment) * alignment
    contents = Contents(config=config_of(facts), facts=facts)
    n_unknown, unknown = cursor.unknown()
    if n_unknown:
        why = f"{n_unknown} numbers in arrays that describe no tokens"
        contents.problems.append(Problem("metadata", why))
    end: int | None = base
    padding = [(cursor.at, base)]
    for name, shape, kind, start in _checked(file, table, base):
        contents.problems += _hole(end, start, alignment)
        padding += _padding(end, start, alignment)
        _add(file, contents, name, shape, kind, start)
        n_bytes = _n_bytes(shape, kind)
        end = None if n_bytes < 0 else start + n_bytes
    contents.problems += _hole(end, file.size, alignment)
    padding += _padding(end, file.size, alignment)
    contents.claims = [
        Claim(file, unknown, "unread", "unknown-field"),
        Claim(file, cursor.of_tokens, "not-weights", "vocabulary"),
        Claim(file, cursor.others(), "container"),
        Claim(file, padding, "container", check=is_blank),
    ]
    return contents


def _padding(end: int | None, start: int, alignment: int) -> Spans:
    """What may lie between two tensors: fewer bytes than the alignment."""
    return [(end, start)] if end is not None and 0 < start - end < alignment else []


def _hole(end: int | None, start: int, alignment: int) -> list[Problem]:
    """Say so where more lies between two tensors than their alignment asks for."""
    if end is None or start - end < alignment:
        return []
    return [Problem("file", f"{start - end} bytes at byte {end} that belong to no tensor")]


def _check_kind(file: File, facts: Mapping[str, Any]) -> None:
    """Refuse what llama.cpp stores in its own format and is no model."""
    for key in ("general.type", "general.architecture"):
        if (kind := facts.get(key)) in NO_MODEL:
            raise unreadable(file.path, NO_MODEL[kind])


def lost_of_split(contents: Contents) -> list[Problem]:
    """Say how many tensors of a file in several parts are in none of them."""
    stated = contents.facts.get("split.tensors.count")
    n = len(contents.tensors) + len(contents.problems)
    if not isinstance(stated, int) or n >= stated:
        return []
    return [Problem("split file", f"{stated - n} of its {stated} tensors are in no part found")]


def parts_of(name: str) -> list[str]:
    """Names of all parts of a split file, by the name of one; none if it is whole."""
    found = _PART.fullmatch(name)
    if found is None or not 1 <= int(found[3]) <= MAX_PARTS:
        return []
    return [f"{found[1]}-{i:05d}-of-{found[3]}{found[4]}" for i in range(1, int(found[3]) + 1)]


def _checked(
    file: File, table: list[tuple[str, tuple[int, ...], int, int]], base: int
) -> Iterator[tuple[str, tuple[int, ...], int, int]]:
    """Tensors with the byte each begins at; refuse overlaps, repeats and what lies outside."""
    end = base
    seen = set()
    for name, shape, kind, offset in sorted(table, key=lambda row: row[3]):
        where, start = located(file.path, name), base + offset
        if name in seen:
            raise unreadable(where, "listed twice")
        seen.add(name)
        n_bytes = _n_bytes(shape, kind)
        if start < end or start + max(0, n_bytes) > file.size:
            what = "overlaps the tensor before it, or ends outside the file"
            raise unreadable(where, f"its data at byte {start} {what}")
        end = start + max(0, n_bytes)
        yield name, shape, kind, start


def _n_bytes(shape: tuple[int, ...], kind: int) -> int:
    """Bytes of a tensor; -1 when its type or its rows are not known."""
    if kind in PLAIN:
        return math.prod(shape) * NUMPY[PLAIN[kind]].itemsize
    if kind not in PACKED or len(shape) < 2 or shape[-1] % PACKED[kind][1]:
        return -1
    return math.prod(shape) // PACKED[kind][1] * PACKED[kind][2]


def _add(
    file: File,
    contents: Contents,
    stored: str,
    shape: tuple[int, ...],
    kind: int,
    start: int,
) -> None:
    name = original_name(contents.facts, stored)
    if name in contents.tensors:
        what = f"its name {quoted(name)} is that of another tensor too"
        raise unreadable(located(file.path, stored), what)
    n_bytes = _n_bytes(shape, kind)
    if n_bytes < 0:
        label = PACKED[kind][0] if kind in PACKED else str(kind)
        contents.problems.append(Problem(shown(name), f"type {label} is not read for this shape"))
        return
    heads = heads_of(contents.facts, stored)
    is_reordered = bool(heads) and bool(shape) and shape[0] % (2 * heads) == 0
    if kind in PLAIN:
        dtype = PLAIN[kind]
        place = TensorLocation(file, NUMPY[dtype], start, shape)
        contents.tensors[name] = TensorInfo(name, dtype, shape, n_bytes)
        if not is_reordered:
            contents.places[name] = place
            return
        recipe: Recipe | None = None
    else:
        label, _, _ = PACKED[kind]
        n_rows = shape[0]
        width = n_bytes // max(1, n_rows)
        place = TensorLocation(file, np.dtype("u1"), start, (n_rows, width))
        n = math.prod(shape)
        contents.tensors[name] = TensorInfo(name, "F32", shape, 4 * n, label)
        recipe = Blocks(shape, STORED + name, kind, width)
    contents.places[STORED + name] = place
    if is_reordered:
        recipe = Reordered(shape, STORED + name, heads, recipe)
    if recipe is not None:
        contents.recipes[name] = recipe

"""PyTorch files from before 1.6: five pickles, then the storages one behind the other.

The pickles are a magic number, a version, facts about the machine, the state dict, and the order of
the storages. They are run by the same machine as those of newer files; see `torch_pickle`. The tar
files of 2016 are refused.
"""

from __future__ import annotations

import io
import struct

from weightkin.errors import UnreadableModel
from weightkin.formats.dtypes import BITS
from weightkin.formats.storage import Contents
from weightkin.formats.torch_globals import StorageRecord
from weightkin.formats.torch_pickle import unpickle_next
from weightkin.formats.torch_state import pickle_claim, state_contents
from weightkin.formats.torch_zip import MAX_PICKLE, read_torch_zip
from weightkin.formats.zip_archive import LOCAL_HEADER
from weightkin.sources.files import File
from weightkin.text import located, quoted, unreadable

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
BEGINNING = b"\x80\x02\x8a\x0a" + MAGIC.to_bytes(10, "little") + b"."
FIRST = 1 << 16  # bytes in which most pickles end
WIDER = {"C128": 128, "QINT32": 32}  # bits of storages of which no tensor is read


def read_torch(file: File) -> Contents:
    """Tensors of a torch file of either format, as its first bytes say."""
    start = file.read([(0, min(512, file.size))]).tobytes()
    if start.startswith(LOCAL_HEADER):
        return read_torch_zip(file)
    if start.startswith(BEGINNING):
        return _read_legacy(file)
    if start[257:262] == b"ustar":
        what = "a tar archive of torch 0.1 (2016), not supported; save it with a newer torch"
        raise unreadable(file.path, what)
    raise unreadable(file.path, f"not a file of torch.save (it begins with {start[:4]!r})")


def _read_legacy(file: File) -> Contents:
    root, storages, keys, at = _pickles(file)
    spans: dict[str, tuple[int, int]] = {}
    counts = [(0, at)]  # the pickles, then how many elements each storage has
    for key in keys:
        if key not in storages or key in spans:
            raise unreadable(file.path, f"storage {quoted(key)} is repeated or used by no tensor")
        n = storages[key].n
        if at + 8 > file.size:
            raise unreadable(file.path, "truncated before the last storage")
        stated = struct.unpack("<q", file.read([(at, at + 8)]).tobytes())[0]
        bits = BITS.get(storages[key].dtype, WIDER.get(storages[key].dtype, 8))
        start, stop = at + 8, at + 8 + n * bits // 8
        if stated != n or stop > file.size:
            what = f"the storage at byte {at} has {stated} elements, not {quoted(n)}"
            raise unreadable(file.path, f"{what}, or ends outside the file")
        spans[key] = start, stop
        counts.append((at, start))
        at = stop

    def span(key: str) -> tuple[int, int]:
        if key not in spans:
            raise unreadable(file.path, f"storage {quoted(key)} is missing in the list of storages")
        return spans[key]

    contents = state_contents(file, root, span, keys)
    contents.claims.append(pickle_claim(contents, file, counts))
    return contents


def _pickles(file: File) -> tuple[object, dict[str, StorageRecord], list[str], int]:
    """State dict, storages, their order, and the byte behind the pickles; reads little beyond."""
    head, n = located(file.path), FIRST
    while True:
        data = file.read([(0, min(n, file.size))]).tobytes()
        stream = io.BytesIO(data)
        try:
            facts = [unpickle_next(stream, head)[0] for _ in range(3)]
            root, storages = unpickle_next(stream, head)
            keys, _ = unpickle_next(stream, head)
            break
        except UnreadableModel:
            if stream.tell() < len(data) or len(data) == file.size or n >= MAX_PICKLE:
                raise
        n *= 8
    if facts[:2] != [MAGIC, VERSION]:
        raise unreadable(head, f"version {quoted(facts[1])} of torch's format, not {VERSION}")
    if not isinstance(facts[2], dict) or facts[2].get("little_endian") is not True:
        raise unreadable(head, "the byte order is not little-endian")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise unreadable(head, "the list of storages is not a list of texts")
    return root, storages, keys, stream.tell()

"""PyTorch files (``torch.save`` since 1.6): a zip of one pickle and one plain entry per storage.

Storages are read in place, so entries must be stored, not compressed. Nothing is imported and
nothing in the file is called; see `torch_pickle`.
"""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass, field
from typing import IO, cast

from weightkin.formats.model import Problem
from weightkin.formats.storage import Claim, Contents
from weightkin.formats.torch_pickle import unpickle_next
from weightkin.formats.torch_state import state_contents
from weightkin.formats.zip_claims import Directory, claims_of
from weightkin.sources.files import File
from weightkin.sources.local import readable
from weightkin.text import located, quoted, shown, unreadable

MAX_PICKLE = 64 << 20  # bytes; 1000 tensors take about 150 kB
MAX_DIRECTORY = 16 << 20  # bytes; about 100 per storage
MAX_SMALL = 64  # bytes of an entry beside the pickle and the storages
TAIL = 1 << 16  # bytes at the end of a file that hold most directories whole
NEAR_HEADER = 256  # bytes that hold most local headers whole
DATA = "data/"  # before the key of a storage
BESIDE = (  # what torch writes beside the storages
    "data.pkl", "byteorder", "version", ".format_version", ".storage_alignment",
    ".data/serialization_id",
)  # fmt: skip
LOCAL_HEADER = b"PK\x03\x04"
BROKEN_ZIP = (  # what zipfile raises on one
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    IndexError,
    OverflowError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True, slots=True)
class _Archive:
    """The entries of the zip by their name below the archive's folder."""

    file: File
    entries: dict[str, zipfile.ZipInfo]
    directory: Directory
    located: dict[str, tuple[int, int]] = field(default_factory=dict)  # of entries looked for


def read_torch_zip(file: File) -> Contents:
    """Tensors of the state dict in a torch file, each with its place in the file."""
    archive = _archive(file)
    order = _bytes_of(archive, "byteorder", 16) if "byteorder" in archive.entries else b"little"
    if order != b"little":
        what = f"byte order {quoted(order.decode('latin-1'))} is not supported, only 'little'"
        raise unreadable(file.path, what)
    stream = io.BytesIO(_bytes_of(archive, "data.pkl", MAX_PICKLE))
    root, _ = unpickle_next(stream, located(file.path))

    def span(key: str) -> tuple[int, int]:
        return _span(archive, f"{DATA}{key}")

    storages = [x.removeprefix(DATA) for x in archive.entries if x.startswith(DATA)]
    contents = state_contents(file, root, span, storages)
    others = [x for x in archive.entries if not x.startswith(DATA) and x not in BESIDE]
    if others:
        why = f"zip entries beside the state dict are not read, first {quoted(min(others))}"
        contents.problems.append(Problem(shown(f"{len(others)} entries"), why))
    contents.claims += _claims(archive, stream.tell())
    return contents


def _claims(archive: _Archive, n_pickle: int) -> list[Claim]:
    """What holds the archive together: what torch writes beside the storages, the pickle."""
    start, _ = _span(archive, "data.pkl")
    small = [_span(archive, x) for x in BESIDE[1:] if x in archive.entries]
    spans = [(a, b) for a, b in small if b - a <= MAX_SMALL]
    own = Claim(archive.file, sorted([(start, start + n_pickle), *spans]), "container")
    return [own, *claims_of(archive.file, archive.directory, archive.located)]


class _Handle(io.RawIOBase):
    """What `zipfile` reads through: the ledger of the file sees it, and it is bounded."""

    def __init__(self, file: File) -> None:
        super().__init__()
        self.file, self.at = file, 0

    def seekable(self) -> bool:
        """Any byte can be reached."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self.at

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move; before the beginning is an error, as in a file."""
        at = (0, self.at, self.file.size)[whence] + offset
        if at < 0:
            raise OSError(f"seek to byte {at}")
        self.at = at
        return at

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `MAX_DIRECTORY` bytes; a central directory beyond that is refused."""
        wanted = self.file.size - self.at if size is None or size < 0 else size
        if wanted > MAX_DIRECTORY:
            what = f"the zip directory is too large ({wanted} bytes, at most {MAX_DIRECTORY})"
            raise unreadable(self.file.path, what)
        stop = max(self.at, min(self.at + wanted, self.file.size))
        data = self.file.read([(self.at, stop)]).tobytes() if stop > self.at else b""
        self.at = stop
        return data


def _archive(file: File) -> _Archive:
    """List the zip's entries below the folder of its pickle; refuse what torch does not write."""
    directory = _directory(file)
    infos = directory.entries
    starts = sorted({min(max(0, info.header_offset), file.size) for info in infos})
    file.prefetch([(start, min(start + NEAR_HEADER, file.size)) for start in starts])
    pickles = [info.filename for info in infos if info.filename.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise unreadable(file.path, f"{len(pickles)} files data.pkl in the zip archive, not one")
    folder = pickles[0].removesuffix("data.pkl")
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename.removeprefix(folder)
        if name in entries or info.orig_filename != info.filename:
            what = f"zip entry {quoted(info.orig_filename)} is repeated or has an invalid name"
            raise unreadable(file.path, what)
        entries[name] = info
    if "constants.pkl" in entries:
        raise unreadable(file.path, "a TorchScript program, not a state dict")
    return _Archive(file, entries, directory)


def _directory(file: File) -> Directory:
    start = file.read([(0, min(4, file.size))]).tobytes()
    if start != LOCAL_HEADER:
        raise unreadable(file.path, f"not a zip archive (it begins with {start!r})")
    file.prefetch([(max(0, file.size - TAIL), file.size)])
    try:
        with readable(file.path), zipfile.ZipFile(cast(IO[bytes], _Handle(file))) as archive:
            return Directory(archive.infolist(), archive.start_dir, archive.comment)
    except BROKEN_ZIP as error:
        what = f"damaged or truncated zip archive ({shown(error)})"
        raise unreadable(file.path, what) from None


def _span(archive: _Archive, name: str) -> tuple[int, int]:
    """Bytes of an uncompressed entry, found through its local header."""
    if name in archive.entries and (known := archive.located.get(archive.entries[name].filename)):
        return known
    file = archive.file
    where = f"{located(file.path)}: zip entry {quoted(name)}"
    if name not in archive.entries:
        raise unreadable(where, "missing")
    info = archive.entries[name]
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        raise unreadable(where, "compressed or encrypted, which torch.save does not do")
    if info.compress_size != info.file_size:
        raise unreadable(where, "its two sizes differ, though it is not compressed")
    at = info.header_offset
    if not 0 <= at <= file.size - 30:
        raise unreadable(where, "its header is outside the file")
    local = file.read([(at, at + 30)]).tobytes()
    # APPNOTE 4.3.7: signature, 22 bytes repeated in the directory, lengths of name and extra field
    n_name, n_extra = struct.unpack("<HH", local[26:])
    start = at + 30 + n_name + n_extra
    stop = start + info.file_size
    if local[:4] != LOCAL_HEADER or stop > file.size:
        raise unreadable(where, "its local header is damaged, or the data ends outside the file")
    written = file.read([(at + 30, at + 30 + n_name)]).tobytes()
    if written not in (info.filename.encode("utf-8"), info.filename.encode("cp437", "replace")):
        raise unreadable(where, "its local header has another name")
    archive.located[info.filename] = start, stop
    return start, stop


def _bytes_of(archive: _Archive, name: str, limit: int) -> bytes:
    start, stop = _span(archive, name)
    if stop - start > limit:
        what = f"{name} is too large ({stop - start} bytes, at most {limit})"
        raise unreadable(archive.file.path, what)
    return archive.file.read([(start, stop)]).tobytes()

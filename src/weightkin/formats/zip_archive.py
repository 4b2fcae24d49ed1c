"""The entries of a zip archive, and where their bytes lie; what holds them together is claimed.

Entries are read in place, so those that hold elements must be stored, not compressed. Every header
that a file states twice is compared, and every byte that no header explains stays unclaimed.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, cast

from weightkin.formats.storage import Claim
from weightkin.sources.files import File
from weightkin.sources.local import readable
from weightkin.text import located, quoted, shown, unreadable

MAX_DIRECTORY = 16 << 20  # bytes; about 100 per entry
TAIL = 1 << 16  # bytes at the end of a file that hold most directories whole
NEAR_HEADER = 256  # bytes that hold most local headers whole
MAX_ENTRIES = 1 << 16
MAX_EXTRA = 32  # bytes of facts beside a name: times and sizes of 64 bits take fewer
END, END64 = 22, 76  # bytes of the end of a directory, and of both its records of 64 bits
LOCAL_HEADER = b"PK\x03\x04"
DESCRIPTOR = b"PK\x07\x08"
PADDING = b"FB"  # mark of torch's alignment, which consists of the letter Z
BROKEN_ZIP = (  # what zipfile raises on one
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    IndexError,
    OverflowError,
    ValueError,
    struct.error,
)
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Archive:
    """The entries of a zip by their name below the archive's folder, and where its list is."""

    file: File
    entries: Mapping[str, zipfile.ZipInfo]
    directory: Span
    is_plain: bool  # the directory holds nothing but the names and places of entries
    known: dict[str, tuple[Span, bytes]] = field(default_factory=dict)  # places found so far

    def within(self, folder: str) -> Archive:
        """The archive with names below a folder; all of it stays in the account."""
        entries: dict[str, zipfile.ZipInfo] = {}
        for info in self.entries.values():
            name = info.filename.removeprefix(folder)
            if name in entries:
                what = f"zip entry {quoted(info.orig_filename)} is repeated or has an invalid name"
                raise unreadable(self.file.path, what)
            entries[name] = info
        return Archive(self.file, entries, self.directory, self.is_plain, self.known)

    def span(self, name: str) -> Span:
        """Bytes of an uncompressed entry, found through its local header."""
        where = f"{located(self.file.path)}: zip entry {quoted(name)}"
        if name not in self.entries:
            raise unreadable(where, "missing")
        info = self.entries[name]
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise unreadable(where, "compressed or encrypted, which torch.save does not do")
        if info.compress_size != info.file_size:
            raise unreadable(where, "its two sizes differ, though it is not compressed")
        return self._placed(where, info)[0]

    def bytes_of(self, name: str, limit: int) -> bytes:
        """The contents of an entry of bounded length, unpacked if they are compressed."""
        where = f"{located(self.file.path)}: zip entry {quoted(name)}"
        info = self.entries.get(name)
        is_packed = info is not None and info.compress_type == zipfile.ZIP_DEFLATED
        if info is None or not is_packed or info.flag_bits & 1:
            start, stop = self.span(name)
        else:
            start, stop = self._placed(where, info)[0]
        if stop - start > limit:
            what = f"{name} is too large ({stop - start} bytes, at most {limit})"
            raise unreadable(self.file.path, what)
        raw = self.file.read([(start, stop)]).tobytes()
        return _inflated(where, raw, limit) if is_packed else raw

    def framing(self, name: str) -> tuple[list[Span], Span]:
        """The headers around an entry, as far as nothing can hide in them, and its bytes."""
        info = self.entries[name]
        (start, stop), extra = self._placed(f"{located(self.file.path)}: {quoted(name)}", info)
        headers = [(info.header_offset, start)]
        if not _is_padding(extra):
            headers = [(info.header_offset, start - len(extra))]
        after = self.file.read([(stop, min(stop + 4, self.file.size))]).tobytes()
        if info.flag_bits & 8 and after == DESCRIPTOR:
            is_wide = info.file_size >= 1 << 32 or info.extra[:2] == b"\x01\x00"
            headers.append((stop, min(stop + (24 if is_wide else 16), self.file.size)))
        return headers, (start, stop)

    def _placed(self, where: str, info: zipfile.ZipInfo) -> tuple[Span, bytes]:
        """Where the stored bytes of an entry lie, and what its local header holds beside names."""
        if info.filename not in self.known:
            self.known[info.filename] = _local(self.file, where, info)
        return self.known[info.filename]


def _local(file: File, where: str, info: zipfile.ZipInfo) -> tuple[Span, bytes]:
    at = info.header_offset
    if not 0 <= at <= file.size - 30:
        raise unreadable(where, "its header is outside the file")
    local = file.read([(at, at + 30)]).tobytes()
    # APPNOTE 4.3.7: signature, 22 bytes repeated in the directory, lengths of name and extra field
    n_name, n_extra = struct.unpack("<HH", local[26:])
    start = at + 30 + n_name + n_extra
    stop = start + info.compress_size
    if local[:4] != LOCAL_HEADER or stop > file.size:
        raise unreadable(where, "its local header is damaged, or the data ends outside the file")
    rest = file.read([(at + 30, start)]).tobytes()
    names = (info.filename.encode("utf-8"), info.filename.encode("cp437", "replace"))
    if rest[:n_name] not in names:
        raise unreadable(where, "its local header has another name")
    return (start, stop), rest[n_name:]


def open_archive(file: File) -> Archive:
    """List the entries of a zip."""
    start = file.read([(0, min(4, file.size))]).tobytes()
    if start != LOCAL_HEADER:
        raise unreadable(file.path, f"not a zip archive (it begins with {start!r})")
    file.prefetch([(max(0, file.size - TAIL), file.size)])
    try:
        with readable(file.path), zipfile.ZipFile(cast(IO[bytes], _Handle(file))) as archive:
            infos, begin, note = archive.infolist(), archive.start_dir, archive.comment
    except BROKEN_ZIP as error:
        what = f"damaged or truncated zip archive ({shown(error)})"
        raise unreadable(file.path, what) from None
    if len(infos) > MAX_ENTRIES:
        raise unreadable(file.path, f"{len(infos)} zip entries (at most {MAX_ENTRIES} allowed)")
    starts = sorted({min(max(0, info.header_offset), file.size) for info in infos})
    file.prefetch([(start, min(start + NEAR_HEADER, file.size)) for start in starts])
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        if info.filename in entries or info.orig_filename != info.filename:
            what = f"zip entry {quoted(info.orig_filename)} is repeated or has an invalid name"
            raise unreadable(file.path, what)
        entries[info.filename] = info
    n_stated = sum(_stated(info) for info in infos)
    is_plain = (
        not note and n_stated >= 0 and begin + n_stated + END in (file.size, file.size - END64)
    )
    return Archive(file, entries, (begin, file.size), is_plain)


def _stated(info: zipfile.ZipInfo) -> int:
    """Bytes that an entry takes in the directory; very few where it has more than it needs."""
    if info.comment or len(info.extra) > MAX_EXTRA:
        return -1 << 62
    kind = "utf-8" if info.flag_bits & 0x800 else "cp437"
    return 46 + len(info.orig_filename.encode(kind, "replace")) + len(info.extra)


def framing_claims(archive: Archive) -> list[Claim]:
    """Claim the directory and the headers of all entries."""
    spans = [x for name in archive.entries for x in archive.framing(name)[0]]
    if archive.is_plain:
        spans.append(archive.directory)
    return [Claim(archive.file, sorted(spans), "container")]


def _is_padding(extra: bytes) -> bool:
    """Whether what follows the name in a header is an alignment, or sizes of 64 bits."""
    if extra[:2] == PADDING:
        return not extra[4:].strip(b"Z\0")
    return not extra.strip(b"\0") or (extra[:2] == b"\x01\0" and len(extra) <= MAX_EXTRA)


def _inflated(where: str, raw: bytes, limit: int) -> bytes:
    """Unpack a short entry; what would become longer than the limit is refused."""
    unpacker = zlib.decompressobj(-15)
    try:
        data = unpacker.decompress(raw, limit)
    except zlib.error as error:
        raise unreadable(where, f"damaged ({shown(error)})") from None
    if not unpacker.eof:
        raise unreadable(where, f"damaged, or too large when unpacked (at most {limit} bytes)")
    if unpacker.unused_data:
        raise unreadable(where, "bytes behind its compressed ones")
    return data


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

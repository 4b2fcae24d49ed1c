"""What holds a zip archive together, as claims: headers of entries, the directory, its end.

Lengths come from the directory; what headers hold beside names is looked at by the ledger. Section
numbers are those of APPNOTE, the description of the format by PKWARE.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from weightkin.formats.byte_pieces import MOST_RAW
from weightkin.formats.storage import Claim
from weightkin.sources.files import File, Spans

DESCRIBED = 8  # bit of an entry whose sizes follow its data (4.4.4)
DESCRIPTORS = (12, 16, 20, 24)  # bytes of these sizes (4.3.9)
END, END64 = 22, 76  # bytes of the end of a directory (4.3.16), and of both its records of 64 bits
MOST_EXTRA = 32  # bytes of an extra field: times and sizes of 64 bits take fewer
FILLER = b"FB"  # extra field by which torch puts data at a multiple of 64 bytes
FILLED_WITH = b"Z\0"


@dataclass(frozen=True, slots=True)
class Directory:
    """The entries of an archive, and the byte at which their list begins."""

    entries: Sequence[zipfile.ZipInfo]
    start: int
    comment: bytes


def claims_of(file: File, directory: Directory, located: dict[str, tuple[int, int]]) -> list[Claim]:
    """Claims for what surrounds entries, and for the directory.

    Parameters
    ----------
    file : File
        The archive.
    directory : Directory
        Its directory.
    located : dict
        First byte of the data of an entry and the one behind its last, by its name in the archive,
        of the entries that were read.

    Returns
    -------
    list of Claim
        Nothing of an entry that was not read.
    """
    starts = sorted({*(x.header_offset for x in directory.entries), directory.start})
    following = dict(zip(starts, starts[1:], strict=False))
    heads: list[tuple[int, int]] = []
    around: list[tuple[int, int]] = []
    for info in directory.entries:
        if info.filename not in located:
            continue
        start, stop = located[info.filename]
        heads.append((info.header_offset, start))
        behind = following.get(info.header_offset, stop)
        if info.flag_bits & DESCRIBED and behind - stop in DESCRIPTORS:
            around.append((stop, behind))
    claims = [Claim(file, sorted(heads), "container", check=has_plain_headers)]
    if spans := _directory(file, directory):
        around += spans
    return [*claims, Claim(file, sorted(around), "container")]


def _directory(file: File, directory: Directory) -> list[tuple[int, int]]:
    """The directory to the end of the file; nothing where it has comments or long extra fields."""
    n = 0
    for info in directory.entries:
        if info.comment or len(info.extra) > MOST_EXTRA:
            return []
        kind = "utf-8" if info.flag_bits & 0x800 else "cp437"
        n += 46 + len(info.orig_filename.encode(kind, "replace")) + len(info.extra)
    is_to_end = directory.start + n + END in (file.size, file.size - END64)
    if directory.comment or not is_to_end:
        return []
    return [(directory.start, file.size)]


def has_plain_headers(file: File, spans: Spans) -> bool:
    """Whether local headers hold a name and small facts alone, or what torch fills them with."""
    if sum(stop - start for start, stop in spans) > MOST_RAW:
        return False
    raw, at = file.read(spans).tobytes(), 0
    for start, stop in spans:
        head = raw[at : at + stop - start]
        at += stop - start
        n_name = struct.unpack("<H", head[26:28])[0]
        if not _is_plain(head[30 + n_name :]):
            return False
    return True


def _is_plain(extra: bytes) -> bool:
    """Whether extra fields (4.5) are short, or filled with one letter."""
    at = 0
    while at + 4 <= len(extra):
        n = struct.unpack("<H", extra[at + 2 : at + 4])[0]
        value = extra[at + 4 : at + 4 + n]
        is_filler = extra[at : at + 2] == FILLER
        if len(value) != n or (value.strip(FILLED_WITH) if is_filler else n > MOST_EXTRA):
            return False
        at += 4 + n
    return not extra[at:].strip(FILLED_WITH)

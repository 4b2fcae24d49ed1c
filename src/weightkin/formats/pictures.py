"""Pictures: is a file one from its first byte to its last, with little beside the pixels?

What pixels show is not looked at; but they must be pixels, as many as the header says.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from weightkin.sources.files import File

MOST_IMAGE, MOST_BESIDE = 8 << 20, 1 << 17  # bytes of a picture, and of all but its pixels
MOST_PIXELS = 1 << 27  # bytes of pixels, unpacked
MAX_PIXELS = 1 << 14
MOST_PALETTE = 768
PNG = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by kind of colour
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
PASSES = (  # of interlaced pictures: first column and row, steps between columns and rows
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip
SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7]")
JPEG_FRAMES = (0xC0, 0xC1, 0xC2)  # headers of plain and progressive JPEG
JPEG_TABLES = (0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0))  # of JPEG, and what lies beside it


def is_image(file: File) -> bool:
    """Whether a file is a picture and nothing else."""
    if not 32 <= file.size <= MOST_IMAGE:
        return False
    raw = file.read([(0, file.size)]).tobytes()
    return _is_png(raw) if raw.startswith(PNG) else _is_jpeg(raw)


def _is_png(raw: bytes) -> bool:
    """Chunks to the last byte, each with its check sum; pixels as many as the header says."""
    chunks = list(_chunks(raw))
    kinds = [kind for kind, _ in chunks]
    if kinds[:1] != [b"IHDR"] or kinds[-1:] != [b"IEND"] or kinds.count(b"IHDR") != 1:
        return False
    palettes = [len(data) for kind, data in chunks if kind == b"PLTE"]
    beside = sum(len(data) for kind, data in chunks if kind not in (b"IHDR", b"IDAT", b"PLTE"))
    if len(palettes) > 1 or sum(palettes) > MOST_PALETTE or beside > MOST_BESIDE:
        return False
    wanted = _n_pixel_bytes(chunks[0][1])
    if not 0 < wanted <= MOST_PIXELS:
        return False
    unpacker = zlib.decompressobj()
    try:
        pixels = unpacker.decompress(b"".join(d for k, d in chunks if k == b"IDAT"), wanted + 1)
    except zlib.error:
        return False
    return len(pixels) == wanted and unpacker.eof and not unpacker.unused_data


def _chunks(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Chunks of a PNG; none after one that is broken, so that what follows is never the end."""
    at = len(PNG)
    while at + 12 <= len(raw):
        n, kind = int.from_bytes(raw[at : at + 4], "big"), raw[at + 4 : at + 8]
        data, at = raw[at + 8 : at + 8 + n], at + 12 + n
        is_whole = at <= len(raw) and zlib.crc32(kind + data) == int.from_bytes(raw[at - 4 : at])
        if not is_whole or (kind == b"IEND" and (n or at != len(raw))):
            return
        yield kind, data


def _n_pixel_bytes(header: bytes) -> int:
    """Bytes that the pixels of a PNG have when unpacked; 0 where the header is none."""
    if len(header) != 13:
        return 0
    width, height = (int.from_bytes(header[i : i + 4], "big") for i in (0, 4))
    depth, colour, packing, filtering, is_interlaced = header[8:]
    if depth not in DEPTHS.get(colour, ()) or (packing, filtering) != (0, 0) or is_interlaced > 1:
        return 0
    if not (0 < width <= MAX_PIXELS and 0 < height <= MAX_PIXELS):
        return 0
    n = 0
    for left, top, across, down in PASSES if is_interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            n += rows * (1 + -(-columns * depth * CHANNELS[colour] // 8))
    return n


def _is_jpeg(raw: bytes) -> bool:
    """Segments to the last byte: tables, one frame header, then scans in proportion to pixels."""
    at, beside, scanned, most = 2, 0, 0, 0
    if not raw.startswith(b"\xff\xd8"):
        return False
    while at + 4 <= len(raw) and raw[at] == 0xFF:
        kind, n = raw[at + 1], int.from_bytes(raw[at + 2 : at + 4], "big")
        data, at = raw[at + 4 : at + 2 + n], at + 2 + n
        beside += n
        if kind in JPEG_FRAMES and not most:
            most = _most_scanned(data)
        elif kind == 0xDA and most:  # pixels, in which 0xFF is followed by a zero or a restart
            found = SCAN_END.search(raw, at)
            end = found.start() if found else len(raw)
            scanned, at = scanned + end - at, end
        elif kind not in JPEG_TABLES:
            return False
        if raw[at:] == b"\xff\xd9":
            return 0 < scanned <= most and beside <= MOST_BESIDE
    return False


def _most_scanned(frame: bytes) -> int:
    """Bytes that the pixels of a frame may take: two for each value; 0 where it is no header."""
    if (
        len(frame) < 6
        or frame[0] != 8
        or frame[5] not in (1, 3, 4)
        or len(frame) != 6 + 3 * frame[5]
    ):
        return 0
    height, width = (int.from_bytes(frame[i : i + 2], "big") for i in (1, 3))
    if not (0 < width <= MAX_PIXELS and 0 < height <= MAX_PIXELS):
        return 0
    blocks = -(-width // 16) * -(-height // 16)
    return 2 * 256 * blocks * frame[5]

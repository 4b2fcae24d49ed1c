"""The table of file formats: suffix, first bytes, reader. Nothing else in the package lists them.

A new format is a reader and one row here. Rows with a reader stand in the order in which the files
of a folder are looked for; those without are known by name or beginning, and not read. The first
bytes of a file decide what it is; its name only where they do not tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from weightkin.formats import gguf_file, torch_legacy, zip_archive
from weightkin.formats.archive_file import read_archive
from weightkin.formats.ctranslate2_file import CT2_BEGINNING, read_ctranslate2
from weightkin.formats.distcp_file import read_distcp
from weightkin.formats.flax_file import read_flax
from weightkin.formats.gguf_file import read_gguf
from weightkin.formats.hdf5_blocks import HDF5_MAGIC
from weightkin.formats.hdf5_file import read_hdf5
from weightkin.formats.numpy_file import NPY_MAGIC, read_npy
from weightkin.formats.onnx_file import read_onnx
from weightkin.formats.safetensors_file import read_safetensors
from weightkin.formats.storage import Contents
from weightkin.formats.tfjs_file import read_tfjs
from weightkin.sources.files import File, Opener
from weightkin.text import shown, unreadable

# a file, how to open others beside it, and what the files before it held
Reader = Callable[[File, Opener, Contents], Contents]
HEAD = 16  # first bytes of a file that tell its format
CONVERT = "not read (convert it to safetensors)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format of files that hold weights, or may.

    ``magic`` is a regular expression for the first `HEAD` bytes. With ``is_sure`` a file that
    begins so is a model under any name; one with the suffix is if it begins like ``named_magic``
    (None: the suffix proves nothing; empty: it is enough).
    """

    suffixes: tuple[str, ...] = ()  # lower case, with the dot; the first one names the index
    names: tuple[str, ...] = ()  # whole names, in lower case
    read: Reader | None = None
    magic: bytes | None = None
    is_sure: bool = False
    named_magic: bytes | None = None
    parts_of: Callable[[str], list[str]] | None = None  # names of all parts, by that of one
    is_joined: bool = False  # one file of a folder stands for all
    has_beside: bool = False  # values may lie in other files, which it names
    holds_tokens: bool = False  # the vocabulary is in the file
    named: str = ""  # what a file with the suffix is, where it is not read
    begun: str = ""  # what a file with the magic is, under a name that says otherwise

    def is_named(self, name: str) -> bool:
        """Whether a file may be of this format, by its name or path."""
        lower = PurePath(name).name.lower()
        return lower in self.names or (bool(self.suffixes) and lower.endswith(self.suffixes))

    def is_begun(self, head: bytes, *, is_named: bool = False) -> bool:
        """Whether a file may be of this format, by its first bytes (and its suffix)."""
        patterns = (self.magic, self.named_magic if is_named else None)
        return any(x is not None and re.match(x, head, re.DOTALL) for x in patterns)


def alone(read: Callable[[File], Contents]) -> Reader:
    """A reader that needs nothing but the file."""
    return lambda file, _open_file, _before: read(file)


FORMATS = (
    Format(
        suffixes=(".safetensors", ".sft"),
        read=alone(read_safetensors),
        magic=rb"(?!\0{4}).{4}\0{4}\{",  # a header of under 4 GiB, and its beginning
        is_sure=True,
        named_magic=b"",
        begun="safetensors under a name that is not read",
    ),
    Format(
        names=("model.json",),
        read=lambda file, open_file, _: read_tfjs(file, open_file),
        has_beside=True,
    ),
    Format(
        suffixes=(".bin", ".pt", ".pth", ".ckpt", ".pth.tar", ".th", ".jit", ".pt2"),
        read=alone(read_archive),
        magic=re.escape(zip_archive.LOCAL_HEADER) + b"|" + re.escape(torch_legacy.BEGINNING),
        is_sure=True,
        named_magic=rb"\x80",
        begun="a file of torch, or another zip archive",
    ),
    Format(
        suffixes=(".gguf",),
        read=lambda file, _, before: read_gguf(file, before.facts),
        magic=gguf_file.GGUF_MAGIC,
        is_sure=True,
        named_magic=b"",
        parts_of=gguf_file.parts_of,
        holds_tokens=True,
        begun="a GGUF file under another name",
    ),
    Format(
        suffixes=(".onnx",),
        read=lambda file, open_file, _: read_onnx(file, open_file),
        # its version, then the producer or the graph
        magic=rb"\x08[\x01-\x20](?:\x12[\0-\x40][\x20-\x7e\x1a]|\x3a)",
        has_beside=True,
        begun="an ONNX graph under another name",
    ),
    Format(
        suffixes=(".h5", ".hdf5"),
        read=alone(read_hdf5),
        magic=re.escape(HDF5_MAGIC),
        is_sure=True,
        named_magic=b"",
        begun="an HDF5 file",
    ),
    Format(
        suffixes=(".keras",),
        read=alone(read_archive),
        magic=re.escape(zip_archive.LOCAL_HEADER),
        named_magic=b"",
    ),
    Format(
        suffixes=(".distcp",),
        read=lambda file, open_file, _: read_distcp(file, open_file),
        magic=re.escape(zip_archive.LOCAL_HEADER),
        named_magic=b"",
        has_beside=True,
        is_joined=True,
    ),
    Format(suffixes=(".msgpack",), read=alone(read_flax), named_magic=b""),
    Format(
        suffixes=(".npz",),
        read=alone(read_archive),
        magic=re.escape(zip_archive.LOCAL_HEADER),
        named_magic=b"",
    ),
    Format(
        suffixes=(".npy",),
        read=alone(read_npy),
        magic=re.escape(NPY_MAGIC),
        named_magic=b"",
        begun="an array of numpy",
    ),
    Format(
        read=alone(read_ctranslate2),
        magic=CT2_BEGINNING,
        is_sure=True,
        begun="a model of CTranslate2",
    ),
    Format(suffixes=(".pkl", ".pickle", ".joblib"), magic=rb"\x80[\x02-\x05]", begun="a pickle"),
    Format(suffixes=(".gz",), magic=rb"\x1f\x8b", begun="a gzip archive"),
    Format(magic=rb"BZh", begun="a bzip2 archive"),
    Format(magic=rb"\xfd7zXZ", begun="an xz archive"),
    Format(magic=rb"7z\xbc\xaf", begun="a 7z archive"),
    Format(magic=rb"\(\xb5/\xfd", begun="a zstd archive"),
    Format(suffixes=(".llamafile",), magic=rb"\x7fELF|MZ", begun="a program"),
    Format(
        suffixes=(
            *(".pte", ".ot", ".nemo", ".pb", ".tflite", ".mlmodel"),
            *(".dduf", ".engine", ".plan", ".ggml", ".data", ".tar", ".zip"),
        )
    ),
)


def format_of(name: str) -> Format | None:
    """The format that is read under the suffix of a name or path; None where there is none."""
    return next((x for x in read_formats() if x.is_named(name)), None)


def read_formats() -> tuple[Format, ...]:
    """The formats that are read, in the order in which a folder is searched for them."""
    return tuple(x for x in FORMATS if x.read)


def known_as(suffix: str) -> Format | None:
    """The format of a suffix, read or not."""
    return next((x for x in FORMATS if suffix in x.suffixes), None)


def begun_as(head: bytes) -> Format | None:
    """The first format whose files begin like this, whatever their names."""
    return next((x for x in FORMATS if x.is_begun(head)), None)


def format_in(name: str, head: bytes) -> Format | None:
    """The format that reads a file, by its first bytes, else by its name; None where none does."""
    named, every = format_of(name), read_formats()
    if named is not None and named.is_begun(head):
        return named
    sure = next((x for x in every if x.is_sure and x.is_begun(head)), None)
    return sure or named or next((x for x in every if x.is_begun(head)), None)


def holds_weights(name: str, file: File) -> bool:
    """Whether the first bytes of a file are those of a format that is read, whatever its name."""
    head = file.read([(0, min(HEAD, file.size))]).tobytes()
    return any(x.is_begun(head) for x in read_formats()) and format_in(name, head) is not None


def is_model(name: str, head: bytes) -> bool:
    """Whether a file is a model in itself, by its suffix or its first bytes.

    Bytes of tensors alone, as they lie beside an ONNX graph, begin with anything.
    """
    named = format_of(name)
    if named is not None and named.is_begun(head, is_named=True):
        return True
    return any(x.is_sure and x.is_begun(head) for x in FORMATS)


def suffixes() -> tuple[str, ...]:
    """All suffixes that are read."""
    return tuple(suffix for x in read_formats() for suffix in x.suffixes)


def read_file(file: File, open_file: Opener, before: Contents) -> Contents:
    """Tensors of one file, by the format that its first bytes show, or else its name.

    Parameters
    ----------
    file : File
        The file.
    open_file : callable
        Opens a file beside it, by its name.
    before : Contents
        What the parts before it held.

    Returns
    -------
    Contents
        The tensors, and the files beside it that hold their values.

    Raises
    ------
    UnreadableModel
        No such format, or a file that is malformed.
    """
    head = file.read([(0, min(HEAD, file.size))]).tobytes()
    found = format_in(file.path.name, head)
    if found is None or found.read is None:
        suffix = file.path.suffix.lower()
        said = f"not a model file ({shown(suffix) or 'no suffix'})"
        raise unreadable(file.path, f"{said}; supported are {', '.join(suffixes())}")
    return found.read(file, open_file, before)

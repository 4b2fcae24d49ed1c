"""PyTorch files (``torch.save`` since 1.6, TorchScript): a zip of pickles and plain storages.

A pickle ``X.pkl`` describes tensors whose storages are the entries below ``X/``, which are read in
place. A program of TorchScript is such an archive with the text of its code beside, which is not
run. Nothing is imported and nothing in the file is called; see `torch_pickle`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import partial

from weightkin.formats.model import Problem
from weightkin.formats.storage import Claim, Contents
from weightkin.formats.torch_globals import Record
from weightkin.formats.torch_pickle import unpickle_next
from weightkin.formats.torch_program import has_program, read_program
from weightkin.formats.torch_state import pickle_claim, state_contents
from weightkin.formats.zip_archive import Archive, Span, framing_claims, open_archive
from weightkin.sources.files import File
from weightkin.text import located, quoted, shown, unreadable

MAX_PICKLE = 64 << 20  # bytes; 1000 tensors take about 150 kB
MAX_CODE = 4 << 20  # bytes of the text of a program
MAX_INPUTS = 1 << 16  # bytes of the description of inputs
MAX_NOTE = 64  # bytes of a version, a byte order, a number of the file
STATE, PICKLE = "data.pkl", ".pkl"
INPUTS = "traced_inputs.pkl"  # shapes of what a program was traced with; its storages are empty
CODE = "code/"
NOTES = (  # what torch writes beside the storages
    "byteorder", "version", ".format_version", ".storage_alignment", ".data/serialization_id",
    ".data/version", "archive_format", "archive_version",
)  # fmt: skip


def read_torch_zip(file: File, seen: Callable[[object], object] | None = None) -> Contents:
    """Tensors of a torch file, each with its place in the file.

    ``seen`` gets what the pickles describe, and returns what is to be read of it.
    """
    whole = open_archive(file)
    archive = whole.within(_folder_of(file, whole.entries))
    order = archive.bytes_of("byteorder", 16) if "byteorder" in archive.entries else b"little"
    if order != b"little":
        what = f"byte order {quoted(order.decode('latin-1'))} is not supported, only 'little'"
        raise unreadable(file.path, what)
    pickles = [x for x in archive.entries if x.endswith(PICKLE) and "/" not in x]
    pickles.sort(key=lambda x: (x != STATE, x))
    pickles = [x for x in pickles if x != INPUTS]
    roots, spans = zip(*(_root(archive, name) for name in pickles), strict=True)
    root = roots[0]
    if len(roots) > 1:
        root = Record("", (roots[0],))
        root |= {x.removesuffix(PICKLE): y for x, y in zip(pickles[1:], roots[1:], strict=True)}
    folders = tuple(f"{x.removesuffix(PICKLE)}/" for x in pickles)
    storages = [x for x in archive.entries if x.startswith(folders)]
    root = seen(root) if seen else root
    contents = state_contents(file, root, archive.span, storages)
    contents.claims += framing_claims(archive)
    contents.claims.append(pickle_claim(contents, file, sorted(spans)))
    claim_others(contents, archive, {*storages, *pickles}, (CODE, NOTES, MAX_CODE))
    first = roots[0]
    if isinstance(first, Record) and has_program(archive, first):
        contents.networks = (partial(read_program, archive, first.name),)
    return contents


def _folder_of(file: File, names: Iterable[str]) -> str:
    """The folder of the archive in which the pickle of the state lies."""
    states = [x for x in names if x == STATE or x.endswith(f"/{STATE}")]
    if len(states) != 1:
        raise unreadable(file.path, f"{len(states)} files data.pkl in the zip archive, not one")
    return states[0].removesuffix(STATE)


def _root(archive: Archive, name: str) -> tuple[object, Span]:
    """What a pickle makes, and its bytes; its storages are named as entries of the archive."""
    data = archive.bytes_of(name, MAX_PICKLE)
    stream, head = io.BytesIO(data), located(archive.file.path)
    root, _ = unpickle_next(stream, head, f"{name.removesuffix(PICKLE)}/")
    start, stop = archive.framing(name)[1]
    left = len(data) - stream.tell()
    return root, (start, max(start, stop - left))


def claim_others(
    contents: Contents, archive: Archive, known: set[str], rules: tuple[str, tuple[str, ...], int]
) -> None:
    """Say what the entries are that are neither storages nor pickles.

    Parameters
    ----------
    contents : Contents
        Which the claims and problems are added to.
    archive : Archive
        All entries.
    known : set of str
        Those that were read.
    rules : tuple
        The folder of the text of a program, names of short notes, and how many bytes all the text
        has at most.
    """
    folder, short, most = rules
    sizes = {x: info.compress_size for x, info in archive.entries.items() if x not in known}
    notes = [x for x, n in sizes.items() if x in short and n <= MAX_NOTE]
    notes += [x for x, n in sizes.items() if not n or (x == INPUTS and n <= MAX_INPUTS)]
    code = [x for x in sizes if x.startswith(folder)]
    if sum(sizes[x] for x in code) > most:
        code = []
    file = archive.file
    contents.claims.append(Claim(file, _spans(archive, notes), "container"))
    contents.claims.append(Claim(file, _spans(archive, code), "not-weights", "program-text"))
    others = sorted(sizes.keys() - {*notes, *code})
    if others:
        contents.claims.append(Claim(file, _spans(archive, others), "unread", "zip-entry"))
        why = f"zip entries beside the state dict are not read, first {quoted(others[0])}"
        contents.problems.append(Problem(shown(f"{len(others)} entries"), why))


def _spans(archive: Archive, names: Iterable[str]) -> list[Span]:
    """Where the bytes of entries lie."""
    return sorted(archive.framing(name)[1] for name in names)

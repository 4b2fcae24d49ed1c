"""Archives of Keras: a zip with its weights as an HDF5 file, read in place, and its config."""

from __future__ import annotations

from weightkin.formats.hdf5_file import read_hdf5
from weightkin.formats.model import Problem
from weightkin.formats.part_file import FilePart, in_whole
from weightkin.formats.storage import Claim, Contents
from weightkin.formats.zip_archive import framing_claims, open_archive
from weightkin.sources.files import File
from weightkin.text import shown, unreadable

WEIGHTS = ("model.weights.h5",)
NOTES = ("config.json", "metadata.json")
MAX_NOTE = 4 << 20  # bytes of one of them


def read_keras(file: File) -> Contents:
    """Tensors of an archive of Keras."""
    archive = open_archive(file)
    held = [name for name in archive.entries if name in WEIGHTS]
    if not held:
        raise unreadable(file.path, "no model.weights.h5 in it: not an archive of Keras")
    (_, (start, stop)), info = archive.framing(held[0]), archive.entries[held[0]]
    if info.compress_type or info.flag_bits & 1:
        raise unreadable(file.path, "its weights are compressed, which Keras does not do")
    contents = in_whole(read_hdf5(FilePart(file, start, stop)))
    contents.claims += framing_claims(archive)
    for name in archive.entries:
        _, (start, stop) = archive.framing(name)
        if name in NOTES and stop - start <= MAX_NOTE:
            contents.claims.append(Claim(file, [(start, stop)], "container"))
        elif name not in WEIGHTS:
            contents.problems.append(
                Problem(shown(name), "an entry of the archive that is not read")
            )
    return contents

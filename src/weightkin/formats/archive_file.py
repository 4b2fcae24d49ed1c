"""Zip archives by what lies in them, whatever their name: torch, Keras, arrays of numpy."""

from __future__ import annotations

from weightkin.formats.keras_file import WEIGHTS, read_keras
from weightkin.formats.numpy_file import SUFFIX, read_npz
from weightkin.formats.storage import Contents
from weightkin.formats.torch_export import read_export, tables_in
from weightkin.formats.torch_legacy import read_torch
from weightkin.formats.zip_archive import LOCAL_HEADER, open_archive
from weightkin.sources.files import File


def read_archive(file: File) -> Contents:
    """Tensors of an archive; what is neither Keras' nor numpy's is read as torch's."""
    start = file.read([(0, min(len(LOCAL_HEADER), file.size))]).tobytes()
    archive = open_archive(file) if start == LOCAL_HEADER else None
    names = archive.entries if archive else {}
    if any(name in WEIGHTS for name in names):
        return read_keras(file)
    is_torch = any(name.rpartition("/")[2] == "data.pkl" for name in names)
    if not is_torch and any(name.lower().endswith(SUFFIX) for name in names):
        return read_npz(file)
    if archive and not is_torch and (tables := tables_in(names)):
        return read_export(file, archive, tables)
    return read_torch(file)

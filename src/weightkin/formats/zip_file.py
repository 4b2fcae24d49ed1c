"""Zip archives of weights: which of their kinds a file is, by what its entries are called."""

from __future__ import annotations

from weightkin.formats.keras_file import WEIGHTS, read_keras
from weightkin.formats.numpy_file import SUFFIX, read_npz
from weightkin.formats.storage import Contents
from weightkin.formats.torch_export import read_export, tables_in
from weightkin.formats.torch_zip import read_torch_zip
from weightkin.formats.zip_archive import open_archive
from weightkin.sources.files import File


def read_zip(file: File) -> Contents:
    """Tensors of an archive of torch, of numpy or of Keras, whatever the file is called."""
    archive = open_archive(file)
    names = archive.entries
    if any(x in names for x in WEIGHTS):
        return read_keras(file)
    if names and all(x.lower().endswith(SUFFIX) for x in names):
        return read_npz(file)
    if tables := tables_in(iter(names)):
        return read_export(file, archive, tables)
    return read_torch_zip(file)

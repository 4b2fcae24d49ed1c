"""Programs that ``torch.export`` saves: a zip of plain weights, which a JSON text describes.

The graph is not read; inputs that were saved as a sample are a torch file inside, and tensors too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from weightkin.formats.headers import checked_name
from weightkin.formats.json_text import parse_object
from weightkin.formats.part_file import FilePart, in_whole
from weightkin.formats.storage import Claim, Contents
from weightkin.formats.torch_globals import StorageRecord, TensorRecord
from weightkin.formats.torch_state import state_contents
from weightkin.formats.torch_zip import MAX_CODE, NOTES, claim_others, read_torch_zip
from weightkin.formats.zip_archive import Archive, framing_claims
from weightkin.sources.files import File
from weightkin.text import quoted, unreadable

TABLE = "_config.json"  # ends the names of what lists weights or constants
FOLDERS = ("data/weights/", "data/constants/")
SAMPLE = "data/sample_inputs/"
GRAPH = "models/"
MAX_TABLE = 64 << 20  # bytes
SCALARS = {  # numbers of types in the schema
    1: "U8", 2: "I8", 3: "I16", 4: "I32", 5: "I64", 6: "F16", 7: "F32", 8: "F64", 10: "C64",
    12: "BOOL", 13: "BF16", 28: "U16", 29: "F8_E4M3", 30: "F8_E5M2", 31: "F8_E4M3FNUZ",
    32: "F8_E5M2FNUZ", 33: "F8_E8M0", 34: "U32", 35: "U64",
}  # fmt: skip


def tables_in(names: Iterable[str]) -> list[str]:
    """The entries that list weights, by their whole names; none in any other archive."""
    return [x for x in names if x.endswith(TABLE) and x.partition("/")[2].startswith(FOLDERS)]


def read_export(file: File, whole: Archive, tables: list[str]) -> Contents:
    """Tensors of a saved program.

    Parameters
    ----------
    file : File
        The file.
    whole : Archive
        Its entries.
    tables : list of str
        Those that list weights.

    Returns
    -------
    Contents
        The tensors, and what of the file is not read.

    Raises
    ------
    UnreadableModel
        A list is malformed.
    """
    archive = whole.within(f"{tables[0].partition('/')[0]}/")
    names = [x.partition("/")[2] for x in tables]
    root: dict[str, Any] = {}
    for name in names:
        said = parse_object(archive.bytes_of(name, MAX_TABLE), file.path, name)
        root |= _tensors(file, archive, name, said.get("config"))
    storages = [x for x in archive.entries if x.startswith(FOLDERS) and x not in names]
    contents = state_contents(file, root, archive.span, storages)
    contents.claims += framing_claims(archive)
    held = sorted(archive.framing(x)[1] for x in names)
    contents.claims.append(Claim(file, held, "container"))
    samples = [x for x in archive.entries if x.startswith(SAMPLE)]
    for name in samples:
        part = in_whole(read_torch_zip(FilePart(file, *archive.span(name))))
        for key, info in part.tensors.items():
            inside = f"sample_inputs.{key}"
            contents.tensors[inside] = replace(info, name=inside)
            if key in part.places:
                contents.places[inside] = part.places[key]
        contents.claims += part.claims
        contents.problems += part.problems
    claim_others(contents, archive, {*storages, *names, *samples}, (GRAPH, NOTES, MAX_CODE))
    return contents


def _tensors(file: File, archive: Archive, table: str, said: object) -> dict[str, Any]:
    """A record for each weight of a list."""
    folder = table.rpartition("/")[0]
    if not isinstance(said, dict):
        raise unreadable(file.path, f"{table} lists no weights")
    found: dict[str, Any] = {}
    for name, entry in said.items():
        match entry:
            case {"path_name": str(path), "tensor_meta": {
                "dtype": int(kind), "sizes": list(sizes), "strides": list(strides),
                "storage_offset": offset,
            }}:  # fmt: skip
                pass
            case _:
                what = f"{table}: weight {quoted(name)} is described in an unknown way"
                raise unreadable(file.path, what)
        key = f"{folder}/{path}"
        start, stop = archive.span(key)
        record = StorageRecord("", key, stop - start)
        shape, steps = [_whole(x) for x in sizes], [_whole(x) for x in strides]
        dtype = SCALARS.get(kind, f"number {kind}")
        found[checked_name(file.path, name)] = TensorRecord(
            dtype, record, _whole(offset), shape, steps
        )
    return found


def _whole(value: object) -> object:
    """A size, which is written as an object; anything else is refused where it is used."""
    return value.get("as_int") if isinstance(value, dict) else value

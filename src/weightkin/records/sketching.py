"""The record of `sketch`: which files were written, and what was left out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from weightkin.notebooks import InNotebooks, InShort
from weightkin.records.built import built
from weightkin.records.form import from_text
from weightkin.records.frames import frame_of
from weightkin.records.notes import Skipped

SCHEMA = "weightkin/sketching/2"
COLUMNS = (
    "name", "file", "size", "n_bytes_model", "bytes_read", "n_parameters", "incomplete", "digest",
    "full_digest", "source",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SketchFile(InShort):
    """One sketch that was written."""

    source: str
    name: str
    digest: str
    full_digest: str | None = None
    scheme: str
    file: str
    n_parameters: int
    n_bytes_model: int
    bytes_read: int
    size: int  # bytes of the file
    seconds: float
    incomplete: bool  # tensors of the model could not be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketching(InNotebooks):
    """All that one call of `sketch` did."""

    sketches: tuple[SketchFile, ...]
    skipped: tuple[Skipped, ...]
    version: str

    def __repr__(self) -> str:
        return f"<Sketching {len(self.sketches)} written, {len(self.skipped)} skipped>"

    def to_pandas(self) -> Any:
        """Return the files as a `pandas.DataFrame`, a row each.

        Columns: ``name``, ``file``, ``size`` (bytes of the file), ``n_bytes_model``,
        ``bytes_read``, ``n_parameters``, ``incomplete``, ``digest``, ``full_digest``, ``source``.
        """
        return frame_of(self.sketches, COLUMNS)

    @property
    def incomplete(self) -> bool:
        """Whether anything that was asked for is missing."""
        return bool(self.skipped) or any(sketch.incomplete for sketch in self.sketches)

    def to_json(self) -> str:
        """Return the record as JSON; a digest that was not asked for is left out."""
        fields = asdict(self)
        for sketch in fields["sketches"]:
            if sketch["full_digest"] is None:
                del sketch["full_digest"]
        return json.dumps({"schema": SCHEMA, **fields}, indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> Sketching:
        """Read a record back; one line says what is wrong with a text that is none."""
        return from_text(text, where, SCHEMA, partial(built, Sketching))

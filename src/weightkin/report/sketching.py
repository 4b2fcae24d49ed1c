"""What `sketch` wrote: one line for each model."""

from __future__ import annotations

from weightkin.records.sketching import Sketching
from weightkin.report.terminal import file_size, printable


def sketching_lines(record: Sketching) -> list[str]:
    """Name, file, its size, and how much of the model was read."""
    return [
        f"{printable(s.name)}: {printable(s.file)} ({file_size(s.size)}; read"
        f" {file_size(s.bytes_read)} of {file_size(s.n_bytes_model)})"
        + ("; some tensors could not be read" if s.incomplete else "")
        for s in record.sketches
    ]

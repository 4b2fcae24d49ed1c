"""What a command would read, as lines of text."""

from __future__ import annotations

from weightkin.records.estimating import Estimate
from weightkin.report.terminal import file_size, printable


def estimate_lines(record: Estimate) -> list[str]:
    """One line for each model, and the sum where there are two."""
    lines = []
    for x in record.models:
        revision = f" @ {printable(x.revision)}" if x.revision else ""
        named = (
            ("headers", x.headers),
            ("digest", x.digest),
            ("tests", x.tests),
            ("sketch", x.kind),
        )
        parts = ", ".join(f"{name} {file_size(n)}" for name, n in named if n)
        asked = f"; {x.n_requests} requests more" if x.n_requests else ""
        total = f"about {file_size(x.n_bytes)} of {file_size(x.n_bytes_model)}"
        if x.n_bytes >= x.n_bytes_model:  # headers and what two errands both need count as well
            total = f"all of it, about {file_size(x.n_bytes)}"
        lines.append(f"{printable(x.source)}{revision}: {total} ({parts}{asked})")
    if len(record.models) > 1:
        lines.append(f"together about {file_size(sum(x.n_bytes for x in record.models))}")
    return lines

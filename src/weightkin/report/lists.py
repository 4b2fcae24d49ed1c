"""Results that are lists, as lines of text: one for each model, or for each class of controls."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from weightkin.records.estimating import Estimate
from weightkin.records.listing import Adding, Described, Listing
from weightkin.records.notes import Skipped
from weightkin.records.registry import Registered
from weightkin.records.sketching import SketchFile, Sketching
from weightkin.report.line import Line, Style, fact
from weightkin.report.sentences import one_line
from weightkin.report.table import table
from weightkin.report.terminal import file_size, printable
from weightkin.report.width import WIDE
from weightkin.text import counted

if TYPE_CHECKING:
    from weightkin.evidence.controls import Control


MAX_LINES = 20  # models that are listed in short


def adding_lines(record: Adding, *, is_full: bool = False) -> list[str]:
    """How many were added, what that leaves, and a line for each model.

    Parameters
    ----------
    record : Adding
        What was done.
    is_full : bool
        Every model, with its source and digest.

    Returns
    -------
    list of str
        The sentence first.
    """
    lines = [
        Line.of((f"{one_line(record)}, in {record.seconds:.1f} s", _tone(record.skipped))),
        _added_words(record),
    ]
    states = [("added", m) for m in record.added] + [("known", m) for m in record.known]
    shown = states if is_full else states[:MAX_LINES]
    lines += [""] if shown else []
    for state, m in shown:
        lines.append(fact(state, _model(m)))
        lines += _identity(m) if is_full else []
    if n_left := len(states) - len(shown):
        lines.append(f"  {n_left} more (-v lists them)")
    return lines


def _added_words(record: Adding) -> str:
    """What can be done now, or what is missing."""
    if record.n_waiting:
        return f"{counted(record.n_waiting, 'model')} can be tried again with --resume."
    if record.skipped:
        return "What could not be read is not registered."
    if not record.added:
        return "Nothing had to be done."
    return "`search` and `trace` find relatives among all models of the registry."


def _tone(skipped: Sequence[Skipped]) -> Style:
    return "open" if skipped else "found"


def listing_lines(record: Listing, *, is_full: bool = False, width: int = WIDE) -> list[str]:
    """A table of models with what each is, and below it what else is known of some.

    Parameters
    ----------
    record : Listing
        The models.
    is_full : bool
        Also a line for each with its source, what it declares and its date.
    width : int
        Columns of the table.

    Returns
    -------
    list of str
        Lines without their ends.
    """
    described = {x.id: x for x in record.described}
    rows = []
    for m in record.models:
        x = described.get(m.id, Described(id=m.id))
        size = count_words(x.n_parameters) if x.n_parameters else ""
        cells = (m.name, x.architecture, size, x.dtype, x.family, m.licence)
        rows.append([f"#{m.id}", *map(printable, cells)])
    head = ("", "model", "architecture", "parameters", "dtype", "family", "licence")
    lines = table(head, rows, right=(0, 3), width=width, indent="", spare=(6, 2, 4, 3, 5)) or [
        "no models"
    ]
    if is_full:
        lines += ["", *(_listed(m) for m in record.models)]
    noted = [_model(m) for m in record.models if m.notes]
    return [*lines, *([""] if noted and not is_full else []), *(noted if not is_full else [])]


def count_words(n: int) -> str:
    """A number of parameters as people write it: 7.2B."""
    for size, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if n >= size:
            return f"{n / size:.3g}{unit}" if n < 1000 * size else f"{n // size:,}{unit}"
    return str(n)


def _listed(m: Registered) -> str:
    """Everything that is known of a model, on one line."""
    parents = ", ".join(m.declared_parents)
    said = f"; declares {printable(parents)}" if parents else ""
    said += f"; licence {printable(m.licence)}" if m.licence else ""
    since = f"{m.added}, imported {m.imported}" if m.imported else m.added
    return f"{_model(m)} {printable(since)} {printable(m.source)}{said}"


def sketching_lines(record: Sketching, *, is_full: bool = False) -> list[str]:
    """How many sketches were written, what they are for, and each file.

    Parameters
    ----------
    record : Sketching
        What was written.
    is_full : bool
        Every file, with the source and the digest of its model.

    Returns
    -------
    list of str
        The sentence first.
    """
    total = file_size(sum(s.size for s in record.sketches))
    lines: list[str] = [
        Line.of((f"{one_line(record)}, {total} in all", _tone(record.skipped))),
        "A sketch stands for its model in most commands; some tests are left out then."
        if not any(s.incomplete for s in record.sketches)
        else "Not all tensors could be read; the sketches contain the others.",
        "",
    ]
    shown = record.sketches if is_full else record.sketches[:MAX_LINES]
    for s in shown:
        part = "; some tensors could not be read" if s.incomplete else ""
        read = f"{file_size(s.bytes_read)} of {file_size(s.n_bytes_model)} read"
        lines.append(fact("sketch", f"{printable(s.file)} ({file_size(s.size)}; {read}{part})"))
        lines += _identity(s) if is_full else []
    if n_left := len(record.sketches) - len(shown):
        lines.append(f"  {n_left} more (-v lists them)")
    return lines


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
        asked = f"; {counted(x.n_requests, 'request')} more" if x.n_requests else ""
        total = f"about {file_size(x.n_bytes)} of {file_size(x.n_bytes_model)}"
        if x.n_bytes >= x.n_bytes_model:  # headers and what two errands both need count as well
            total = f"all of it, about {file_size(x.n_bytes)}"
        lines.append(f"{printable(x.source)}{revision}: {total} ({parts}{asked})")
    if len(record.models) > 1:
        lines.append(f"together about {file_size(sum(x.n_bytes for x in record.models))}")
    return lines


def control_lines(controls: Sequence[Control]) -> list[str]:
    """What is counted, then a line a class, size and pairing of tokens: pairs, median, largest."""
    if not controls:
        return ["no controls"]
    lines = ["share of units on which the two models of a pair agree (statistic, 0 to 1):"]
    head = f"{'class':<26}{'tokens':<9}{'units':>6}{'width':>7}{'pairs':>7}"
    lines += [f"{head}{'median':>9}{'largest':>9}"]
    groups: dict[tuple[str, str, int, int], list[float]] = {}
    for c in controls:
        groups.setdefault((c.model_class, c.rows, c.n_units, c.width), []).append(c.statistic)
    for (name, rows, n_units, width), values in groups.items():
        lines.append(
            f"{name:<26}{rows:<9}{n_units:>6}{width:>7}{len(values):>7}"
            f"{median(values):>9.4f}{max(values):>9.4f}"
        )
    return lines


def _identity(m: Registered | SketchFile) -> list[str]:
    """Where a model was read, and its digest."""
    return [f"    {printable(m.source)}", f"    {printable(m.digest)}"]


def _model(m: Registered) -> str:
    notes = f" ({'; '.join(printable(x.sentence) for x in m.notes)})" if m.notes else ""
    return f"#{m.id} {printable(m.name)}{notes}"

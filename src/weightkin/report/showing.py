"""What is in a model, as lines of text: the answer first, then what a reader needs, then axes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from weightkin.anatomy.positions import is_view
from weightkin.anatomy.types import Axis, Place
from weightkin.records.accounting import FileBytes, Ledger
from weightkin.report.clues import evidence_line
from weightkin.report.components import model_components
from weightkin.report.line import Line, Style, fact
from weightkin.report.lists import count_words
from weightkin.report.model import ModelRecord
from weightkin.report.reasons import REASON_WORDS, in_words, why
from weightkin.report.table import table
from weightkin.report.terminal import AXIS_WORDS, file_size, printable
from weightkin.text import counted

STATES = {
    "payload": "weights",
    "container": "container",
    "not_weights": "not weights",
    "unread": "unread",
}
MOST_NAMED = 5  # declared parents that are named
MOST_STACKS = 6  # stacks whose blocks are counted
MOST_AXES = 24  # lines of the table of axes
MOST_ROLES = 6  # tensors that are named beside an axis
MOST_UNREAD = 5  # files that are named where not all are listed
MOST_SKIPPED = 3


def model_lines(record: ModelRecord, *, is_full: bool = False) -> list[str]:
    """What a model is, whether all of it could be read, and a line for each question that follows.

    Parameters
    ----------
    record : ModelRecord
        What was found in it.
    is_full : bool
        Also bytes, the axes with their symmetries, and everything that was skipped.

    Returns
    -------
    list of str
        The sentence first.
    """
    style: Style = "found" if is_whole(record) else "open"
    revision = f" @ {printable(record.revision)}" if record.revision else ""
    lines = [
        Line.of((headline(record), style)),
        plain_words(record),
        "",
        fact("source", f"{printable(record.source)}{revision}"),
        Line.of(("  digest", "faint"), f"  {printable(record.digest)}"),  # within 80 columns
        fact("blocks", _stacks(record.stacks)),
        fact("tensors", _stored(record)),
        *model_components(record.components),
        *_declared_lines(record),
        *(_ledger_lines(record.ledger, is_full=is_full) if record.ledger else ()),
    ]
    lines += [fact("evidence", printable(evidence_line(x))) for x in record.evidence]
    skipped = record.skipped if is_full else record.skipped[:MOST_SKIPPED]
    lines += [fact("skipped", f"{printable(x.what)}: {printable(why(x))}") for x in skipped]
    if n_left := len(record.skipped) - len(skipped):
        lines.append(fact("skipped", f"{n_left} more (-v lists them)"))
    if not record.axes:
        return lines
    if is_full:
        return [*lines, "", *axis_lines(record.axes)]
    lines.append(fact("axes", axis_kinds(record.axes)))
    said = "an axis is a set of units in an arbitrary order; tests compare it (-v: its tensors)"
    return [*lines, Line.of((f"  {said}", "faint"))]


def headline(record: ModelRecord) -> str:
    """The name of a model, its kind, and how many values are held: of a sketch, its sample."""
    n_blocks = sum(record.stacks.values())
    blocks = f" in {counted(n_blocks, 'block')}" if n_blocks else ""
    size = f"{count_words(_n_values(record))} values{blocks}"
    return f"{printable(record.name)}: {printable(record.family)}, {size}"


def is_whole(record: ModelRecord) -> bool:
    """Whether nothing was left out of a model."""
    return not record.skipped and (record.ledger is None or record.ledger.is_whole)


def plain_words(record: ModelRecord) -> str:
    """What that comes to for whoever wants to compare the model."""
    if not is_whole(record):
        return "Not everything in it could be used; what was left out is named below."
    if not record.axes:
        return "All of it could be read, but no test applies to it: only equal values are found."
    return "All of it could be read, and it can be compared with models of its kind."


def _n_values(record: ModelRecord) -> int:
    return sum(math.prod(x.shape) for x in record.tensors)


def _stored(record: ModelRecord) -> str:
    """How many tensors and values, and as which types."""
    dtypes = Counter(x.dtype for x in record.tensors).most_common()
    size = f", {file_size(record.n_bytes)}" if record.n_bytes else ""
    kinds = f" ({', '.join(f'{n} {dtype}' for dtype, n in dtypes)})" if dtypes else ""
    return f"{len(record.tensors)}, {_n_values(record):,} values{size}{kinds}"


def _stacks(stacks: Mapping[str, int]) -> str:
    """How many blocks each stack has; the longest ones where there are many."""
    longest = sorted(stacks, key=lambda name: -stacks[name])[:MOST_STACKS]
    named = [f"{printable(name)} {stacks[name]}" for name in stacks if name in longest]
    more = len(stacks) - len(named)
    return ", ".join([*named, *([f"{more} more"] if more else [])]) or "none found"


def axis_kinds(axes: Sequence[Axis]) -> str:
    """The kinds of axes, hidden units with what they belong to."""
    names: dict[str, dict[str, None]] = {}
    for axis in axes:
        names.setdefault(axis.kind, {})[printable(axis.name)] = None
    return ", ".join(_kind(kind, list(found)) for kind, found in names.items())


def _kind(kind: str, names: Sequence[str]) -> str:
    words, named = AXIS_WORDS.get(kind, kind), [x for x in names if x != kind]
    more = [f"{len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []
    return f"{words} ({', '.join([*named[:MOST_NAMED], *more])})" if named else words


def axis_lines(axes: Sequence[Axis]) -> list[str]:
    """A table of the axes, equal ones of several blocks in one line; the record has all of it."""
    shown: dict[tuple[str, ...], list[int]] = {}
    for axis in axes:
        row = (axis.stack, _kind(axis.kind, [axis.name]), _symmetry(axis), _tensors(axis))
        shown.setdefault(row, []).append(axis.block)
    if not shown:
        return []
    rows = [(row[0], _span(blocks), *row[1:]) for row, blocks in shown.items()][:MOST_AXES]
    cells = [tuple(map(printable, row)) for row in rows]
    lines = table(("stack", "blocks", "axis", "symmetry", "tensors"), cells)
    more = len(shown) - len(rows)
    return [*lines, *([f"  {counted(more, 'more line')}; --json lists all"] if more else [])]


def _tensors(axis: Axis) -> str:
    """What stands along an axis: matrices first, the rest as a number where it is much."""
    views_first = sorted(axis.places, key=lambda x: (not is_view(x), x.role))
    named = list(dict.fromkeys(map(_tensor, views_first)))
    more = len(named) - MOST_ROLES
    return " ".join(named if more < 2 else [*named[:MOST_ROLES], f"and {more} more"])


def _tensor(place: Place) -> str:
    """A tensor as its role calls it, by its own name where the role is only its number."""
    mark, _, role = place.role.rpartition(":")
    name = role.rpartition(".")[0] or role if mark else role
    return place.tensor if name.isdecimal() else name


def _declared_lines(record: ModelRecord) -> list[str]:
    """What the model says of itself, which nothing has checked."""
    if not record.declared_parents:
        return []
    how = ", ".join(filter(None, (record.declared_merge, record.declared_adapter)))
    said = ", ".join(record.declared_parents[:MOST_NAMED])
    more = len(record.declared_parents) - MOST_NAMED
    tail = f" and {more} more" if more > 0 else ""
    words = f"{printable(said)}{tail}{f' ({printable(how)})' if how else ''}; not checked"
    return [fact("declared", words)]


def _ledger_lines(ledger: Ledger, *, is_full: bool) -> list[str]:
    """Where all bytes went, by state, and which files are not all read."""
    files = ledger.files
    sums = [sum(getattr(x, state) for x in files) for state in STATES]
    parts = [f"{n:,} {word}" for n, word in zip(sums, STATES.values(), strict=True) if n]
    total = sum(x.n_bytes for x in files)
    lines: list[str] = [
        fact("files", f"{len(files)}, {total:,} bytes: {', '.join(parts) or 'none'}")
    ]
    open_ = [x for x in files if not x.is_read]
    shown = open_ if is_full else open_[:MOST_UNREAD]
    lines += [fact("unread", _file_line(x)) for x in shown]
    if n_left := len(open_) - len(shown):
        lines.append(fact("unread", f"{counted(n_left, 'more file')} (-v lists them)"))
    return lines


def file_lines(ledger: Ledger) -> list[str]:
    """One line for each file."""
    return [f"  {_file_line(x)}" for x in ledger.files]


def _file_line(x: FileBytes) -> str:
    parts = [f"{n:,} {word}" for state, word in STATES.items() if (n := getattr(x, state))]
    said = "; ".join(in_words(REASON_WORDS, code, x.data) for code in x.codes)
    head = f"{printable(x.file)}: {', '.join(parts) or 'not opened'}"
    return f"{head} ({printable(said)})" if said else head


def _symmetry(axis: Axis) -> str:
    """What may be reordered without a change of what the model computes."""
    if axis.kind == "vo" and axis.head_size:
        return f"{axis.head_size} in each of {axis.n_units // axis.head_size} heads"
    if axis.kind == "units" and axis.head_size:
        return f"{axis.head_size} in each of {axis.n_units // axis.head_size} cells"
    return f"{axis.n_units} in any order"


def _span(blocks: list[int]) -> str:
    if blocks == [-1]:
        return "all"
    distinct = sorted(set(blocks))
    is_run = distinct == list(range(distinct[0], distinct[-1] + 1))
    return (
        f"{distinct[0]}-{distinct[-1]}"
        if is_run and len(distinct) > 1
        else (",".join(map(str, distinct[:4])) + ("..." if len(distinct) > 4 else ""))
    )

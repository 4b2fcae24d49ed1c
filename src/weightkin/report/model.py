"""What is in a model: as lines of text and as a record."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from weightkin.anatomy.positions import is_view
from weightkin.anatomy.side import Side
from weightkin.anatomy.translate import model_components_of
from weightkin.anatomy.types import Anatomy, Axis, Place
from weightkin.derivation.merge_traces import averaged_positions
from weightkin.derivation.stored_twice import stored_twice
from weightkin.evidence.untested import not_read
from weightkin.formats import Model
from weightkin.formats.declared import MAX_NAME, declared
from weightkin.formats.header_claims import claims_in
from weightkin.records import Clue, Skipped
from weightkin.records.accounting import FileBytes, Ledger
from weightkin.records.built import built
from weightkin.records.components import ModelComponent
from weightkin.records.form import from_text, to_text
from weightkin.report.clues import evidence_line
from weightkin.report.components import model_components
from weightkin.report.reasons import REASON_WORDS, in_words, why
from weightkin.report.terminal import file_size, printable
from weightkin.text import counted

STATES = {
    "payload": "weights",
    "container": "container",
    "not_weights": "no weights",
    "unread": "unread",
}
MOST_NAMED = 5  # declared parents that are named
MOST_STACKS = 6  # stacks whose blocks are counted
MOST_AXES = 24  # lines of the table of axes
MOST_ROLES = 6  # tensors that are named beside an axis
MOST_UNREAD = 5  # files that are named where not all are listed
MODEL_SCHEMA = "weightkin/model/2"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """One tensor as its header states it, with the role it was given."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """What is in a model: family, blocks, unit axes and their symmetries, tensors, digest."""

    source: str
    name: str
    revision: str
    digest: str
    family: str
    stacks: dict[str, int]
    axes: tuple[Axis, ...]
    tensors: tuple[TensorEntry, ...]
    skipped: tuple[Skipped, ...]
    bytes_read: int
    n_bytes: int = 0  # of all tensors, as they are stored
    ledger: Ledger | None = None
    components: tuple[ModelComponent, ...] = ()  # of a diffusion model
    declared_parents: tuple[str, ...] = ()  # by what lies beside the weights, or their header
    declared_merge: str = ""  # how the header says that they were merged
    evidence: tuple[Clue, ...] = ()  # of how the model was made, in itself
    declared_adapter: str = ""  # module that the header says an adapter was trained with

    def to_json(self) -> str:
        """Return the record as JSON without empty optional fields."""
        return to_text(MODEL_SCHEMA, asdict(self), 2)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> ModelRecord:
        """Read a record back; one line says what is wrong with a text that is none."""
        return from_text(text, where, MODEL_SCHEMA, partial(built, ModelRecord))


def model_record(
    model: Model, anatomy: Anatomy, model_digest: str, ledger: Ledger | None = None
) -> ModelRecord:
    """Return what `show` prints of a model as a record.

    Parameters
    ----------
    model : Model
        The open model.
    anatomy : Anatomy
        Its own.
    model_digest : str
        Its digest.
    ledger : Ledger, optional
        Where the bytes of its files went.

    Returns
    -------
    ModelRecord
        Tensors in the order of ``anatomy.roles``.
    """
    header = claims_in(model.metadata)
    return ModelRecord(
        source=model.source,
        name=model.name,
        revision=model.revision or "",
        digest=model_digest,
        family=anatomy.family,
        stacks=dict(anatomy.stacks),
        axes=anatomy.axes,
        tensors=tuple(
            TensorEntry(
                name=name,
                dtype=model.tensors[name].dtype,
                shape=model.tensors[name].shape,
                role=role,
            )
            for name, role in anatomy.roles
        ),
        skipped=tuple(not_read(Side(model, anatomy))),
        bytes_read=model.bytes_read,
        n_bytes=model.n_bytes,
        ledger=ledger,
        components=tuple(model_components_of(model.tensors)),
        declared_parents=() if model.sketched else declared(model).parents,
        declared_merge=header.method[:MAX_NAME],
        evidence=(
            *averaged_positions(model, model.name),
            *stored_twice(model, anatomy, model.name),
        ),
        declared_adapter=header.adapts[:MAX_NAME],
    )


def model_lines(record: ModelRecord) -> list[str]:
    """What is in a model: family, blocks, axes with their symmetries, dtypes, digest."""
    revision = f" @ {printable(record.revision)}" if record.revision else ""
    n_values = sum(math.prod(x.shape) for x in record.tensors)
    dtypes = Counter(x.dtype for x in record.tensors)
    size = f", {file_size(record.n_bytes)}" if record.n_bytes else ""
    lines = [
        f"{printable(record.name)}: {printable(record.family)}",
        f"  source   {printable(record.source)}{revision}",
        f"  digest   {printable(record.digest)}",
        f"  tensors  {len(record.tensors)}, {n_values:,} values{size}"
        f" ({', '.join(f'{n} {dtype}' for dtype, n in dtypes.most_common())})",
        f"  blocks   {_stacks(record.stacks)}",
        *model_components(record.components),
        *_declared_lines(record),
        *(_ledger_lines(record.ledger) if record.ledger else ()),
        "",
    ]
    lines += _axis_lines(record.axes)
    lines += [f"  evidence {printable(evidence_line(x))}" for x in record.evidence]
    for problem in record.skipped:
        lines.append(f"  skipped  {printable(problem.what)}: {printable(why(problem))}")
    return lines


def _stacks(stacks: Mapping[str, int]) -> str:
    """How many blocks each stack has; the longest ones where there are many."""
    longest = sorted(stacks, key=lambda name: -stacks[name])[:MOST_STACKS]
    named = [f"{printable(name)} {stacks[name]}" for name in stacks if name in longest]
    more = len(stacks) - len(named)
    return ", ".join([*named, *([f"{more} more"] if more else [])]) or "none found"


def _axis_lines(axes: Sequence[Axis]) -> list[str]:
    """A table of the axes, equal ones of several blocks in one line; the record has all of it."""
    shown: dict[tuple[str, ...], list[int]] = {}
    for axis in axes:
        row = (axis.stack, axis.name, _symmetry(axis), _tensors(axis), axis.kind)
        shown.setdefault(row, []).append(axis.block)
    if not shown:
        return []
    rows = [(row[0], _span(blocks), *row[1:4]) for row, blocks in shown.items()][:MOST_AXES]
    table = [("stack", "blocks", "axis", "symmetry", "tensors"), *rows]
    widths = [max(len(printable(row[i])) for row in table) for i in range(4)]
    lines = [
        "  "
        + " ".join(
            [
                *(f"{printable(x):<{n}}" for x, n in zip(row, widths, strict=False)),
                printable(row[4]),
            ]
        )
        for row in table
    ]
    more = len(shown) - len(rows)
    return [
        *lines,
        *([f"  {counted(more, 'more line')}; --json lists all"] if more else []),
    ]


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
    return [
        f"  declared {printable(said)}{tail}{f' ({printable(how)})' if how else ''}; not checked"
    ]


def _ledger_lines(ledger: Ledger) -> list[str]:
    """Where all bytes went, by state, and which files are not all read."""
    files = ledger.files
    sums = [sum(getattr(x, state) for x in files) for state in STATES]
    parts = [f"{n:,} {word}" for n, word in zip(sums, STATES.values(), strict=True) if n]
    total = sum(x.n_bytes for x in files)
    lines = [f"  files    {len(files)}, {total:,} bytes: {', '.join(parts) or 'none'}"]
    open_ = [x for x in files if not x.is_read]
    lines += [f"  unread   {_file_line(x)}" for x in open_[:MOST_UNREAD]]
    if more := open_[MOST_UNREAD:]:
        lines.append(f"  unread   {counted(len(more), 'more file')}; --files lists all")
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

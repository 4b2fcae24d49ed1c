"""What is in a model: as lines of text and as a record."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass

from weightkin.anatomy.types import Anatomy, Axis
from weightkin.formats import Model
from weightkin.records import Skipped
from weightkin.records.form import to_text
from weightkin.report.terminal import file_size, printable

MODEL_SCHEMA = "weightkin/model/1"


def model_lines(model: Model, anatomy: Anatomy, model_digest: str) -> list[str]:
    """What is in a model: family, blocks, axes with their symmetries, dtypes, digest."""
    revision = f" @ {printable(model.revision)}" if model.revision else ""
    n_values = sum(math.prod(info.shape) for info in model.tensors.values())
    dtypes = Counter(info.dtype for info in model.tensors.values())
    stacks = ", ".join(f"{printable(name)} {n}" for name, n in anatomy.stacks) or "none found"
    lines = [
        f"{printable(model.name)}: {anatomy.family}",
        f"  source   {printable(model.source)}{revision}",
        f"  digest   {model_digest}",
        f"  tensors  {len(model.tensors)}, {n_values:,} values, {file_size(model.n_bytes)}"
        f" ({', '.join(f'{n} {dtype}' for dtype, n in dtypes.most_common())})",
        f"  blocks   {stacks}",
        "",
    ]
    shown: dict[tuple[str, str, str], list[int]] = {}
    for axis in anatomy.axes:
        roles = sorted({p.role for p in axis.places})
        words = f"{axis.name:<10} {axis.group:<28} {' '.join(roles)}"
        shown.setdefault((axis.stack, axis.kind, words), []).append(axis.block)
    if shown:
        lines.append(f"  {'stack':<10} {'blocks':<10} {'axis':<10} {'symmetry':<28} seen in")
    for (stack, _, words), blocks in shown.items():
        lines.append(f"  {printable(stack):<10} {_span(blocks):<10} {printable(words)}")
    for problem in (*model.problems, *anatomy.skipped):
        lines.append(f"  skipped  {printable(problem.what)}: {printable(problem.why)}")
    return lines


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

    def to_json(self) -> str:
        """Return the record as JSON without empty optional fields."""
        return to_text(MODEL_SCHEMA, asdict(self), 2)


def model_record(model: Model, anatomy: Anatomy, model_digest: str) -> ModelRecord:
    """Return the same facts as a record."""
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
        skipped=tuple(Skipped(what=p.what, why=p.why) for p in (*model.problems, *anatomy.skipped)),
        bytes_read=model.bytes_read,
    )


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

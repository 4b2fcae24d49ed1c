"""What descends from a model, for people."""

from __future__ import annotations

from weightkin.records.descendants import Descendant, Descendants
from weightkin.records.form import probability_words, pvalue_words
from weightkin.report.registry import NEAREST, numbered
from weightkin.report.terminal import command_line, printable
from weightkin.text import counted

OPEN = "related to it, direction open (each may descend from it, or not):"


def descendants_lines(record: Descendants, registry: str = "FILE") -> list[str]:
    """The sentence, a line for each descendant, and the relatives of which that is open."""
    lines = [printable(record.sentence)]
    lines += [f"  identical: {numbered(x.name, x.id)}" for x in record.identical]
    lines += [f"  {_line(x)}" for x in record.descendants]
    if record.may_descend:
        lines += [f"  {OPEN}", *(f"    {_line(x)}" for x in record.may_descend)]
    if record.placed_among == "nearest":
        lines += [f"  {NEAREST}", command_line("tree", "--registry", registry)]
    lines.append(
        f"  {record.n_scanned} scanned; alpha {record.alpha:g}; {record.seconds:.2f} s,"
        f" seed {record.seed}, weightkin {record.version}"
    )
    return lines


def path_words(x: Descendant) -> str:
    """The models from the marked one on, with the kind of every step."""
    if not x.determined:
        return ", ".join(f"{s.parent} {_sign(s.direction)} {s.child} ({s.kind})" for s in x.path)
    return x.path[0].parent + "".join(f" -> {s.child} ({s.kind})" for s in x.path)


def _line(x: Descendant) -> str:
    sure = f"; probability {probability_words(x.probability)}" if x.determined else ""
    steps = counted(len(x.path), "step")
    where = f"{steps}: {printable(path_words(x))}"
    return f"{numbered(x.model.name, x.model.id)}, {where}; {pvalue_words(x.log10_pvalue)}{sure}"


def _sign(direction: str) -> str:
    return "->" if direction == "determined" else "--"

"""What descends from a model, for people."""

from __future__ import annotations

from collections.abc import Sequence

from weightkin.records.descendants import Descendant, Descendants
from weightkin.records.family import is_related
from weightkin.records.form import probability_words
from weightkin.report.line import Line, Style, fact
from weightkin.report.nodes import NO_PROOF, related_words
from weightkin.report.registry import NEAREST, numbered
from weightkin.report.sentences import others_words
from weightkin.report.table import table
from weightkin.report.terminal import command_line, printable
from weightkin.report.width import WIDE
from weightkin.text import counted

OPEN = "in its family, parent undetermined (each may descend from it, or not):"


def descendants_lines(
    record: Descendants, registry: str = "FILE", *, is_full: bool = False, width: int = WIDE
) -> list[str]:
    """The sentence, a line for each descendant, and the relatives of which that is open.

    Parameters
    ----------
    record : Descendants
        What was found.
    registry : str
        Its file, for the command to run next.
    is_full : bool
        The whole path to each with its p-value.
    width : int
        Columns of the table.

    Returns
    -------
    list of str
        Lines without their ends.
    """
    style: Style = "found" if record.descendants else "strong"
    lines: list[str] = [Line.of((printable(record.sentence), style))]
    lines += [fact("identical", numbered(x.name, x.id)) for x in record.identical]
    lines += _listed(record.descendants, record.alpha, width, is_full=is_full)
    if record.may_descend:
        lines += ["", f"  {OPEN}"]
        lines += _listed(record.may_descend, record.alpha, width, is_full=is_full)
    if record.placed_among == "nearest":
        lines += [f"  {NEAREST}", command_line("tree", "--registry", registry)]
    lines.append(fact("looked at", f"{others_words(record)} scanned in {record.seconds:.2f} s"))
    if is_full:
        alpha = f"  alpha {record.alpha:g}"
        lines.append(f"{alpha}; seed {record.seed}, weightkin {record.version}")
    return lines


def _listed(found: Sequence[Descendant], alpha: float, width: int, *, is_full: bool) -> list[str]:
    if is_full:
        return [f"  {_line(x, alpha)}" for x in found]
    rows = [
        (
            f"#{x.model.id}",
            printable(x.model.name),
            printable(x.path[-1].parent if x.determined else ""),
            printable(x.path[-1].kind) + doubt_words(x, alpha),
            str(len(x.path)),
            probability_words(x.probability) if x.determined else "",
        )
        for x in found
    ]
    head = ("", "model", "made from", "how", "steps", "probability")
    return table(head, rows, right=(0, 4, 5), width=width)


def doubt_words(x: Descendant, alpha: float) -> str:
    """What stands beside a model where nothing relates the two models of a step to it."""
    return "" if all(is_related(step, alpha) for step in x.path) else f", {NO_PROOF[1]}"


def path_words(x: Descendant) -> str:
    """The models from the marked one on, with the kind of every step."""
    if not x.determined:
        return ", ".join(f"{s.parent} {_sign(s.direction)} {s.child} ({s.kind})" for s in x.path)
    return x.path[0].parent + "".join(f" -> {s.child} ({s.kind})" for s in x.path)


def _line(x: Descendant, alpha: float) -> str:
    sure = f"; probability {probability_words(x.probability)}" if x.determined else ""
    steps = counted(len(x.path), "step")
    weakest = max(x.path, key=lambda step: step.log10_pvalue)
    where = f"{steps}: {printable(path_words(x))}"
    return f"{numbered(x.model.name, x.model.id)}, {where}; {related_words(weakest, alpha)}{sure}"


def _sign(direction: str) -> str:
    return "->" if direction == "determined" else "--"

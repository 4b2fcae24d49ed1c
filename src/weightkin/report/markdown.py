"""A check as Markdown, for the summary of a job or a comment: the answer, the worst, what to do.

Texts from outside are escaped: no link, no HTML, no formula, and nobody is mentioned.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from weightkin.records.checking import Check, Checked, Finding
from weightkin.report.priorities import ToDo, plain_words, what_to_do, worst_first
from weightkin.report.terminal import command_text, printable
from weightkin.text import counted, percent

MOST_ROWS = 200  # of a table: a summary of a job has at most 1 MiB
MOST_COMMANDS = 3  # beside one advice
SYNTAX = re.compile(r"([\\`*_\[\]<>&|~])")
LINKED = re.compile(r"(?<!\w)([@#$])(?=\w)")  # people, issues and formulas, as GitHub reads them
ADDRESS = re.compile(r":(?=//)|(?<=\bwww)\.", re.I)


def markdown(record: Check) -> str:
    """The sentence, the worst finding, all findings, each advice once, what was compared.

    Parameters
    ----------
    record : Check
        What was found.

    Returns
    -------
    str
        Markdown as GitHub and GitLab read it: tables, and no HTML from outside.
    """
    found = worst_first(record)
    parts = [f"## weightkin check: {escaped(record.sentence)}", escaped(plain_words(record))]
    if found:
        model, worst = found[0]
        parts.append(f"**Worst finding**, in {escaped(model.name)}: {escaped(worst.sentence)}")
        parts += ["### What to do", *map(_advised, what_to_do(record)), "### Findings"]
        head = ("Level", "Rule", "Model", "Finding")
        parts.append(_table(head, [_row(*pair) for pair in found]))
    parts += ["### Models", _table(("Model", "Findings", "Compared with"), _models(record))]
    return "\n\n".join([*parts, _looked_at(record)]) + "\n"


def escaped(text: str) -> str:
    """Plain text, in a paragraph or a cell."""
    plain = SYNTAX.sub(r"\\\1", printable(text))
    return ADDRESS.sub(r"\\\g<0>", LINKED.sub(r"<span>\1</span>", plain))


def _advised(x: ToDo) -> str:
    lines = [f"- **{', '.join(x.rules)}**: {_with_code(x.text)}"]
    if x.commands:
        given = [f"  {command_text(*words)}" for words in x.commands[:MOST_COMMANDS]]
        lines += ["", "  ```", *given, "  ```"]
    return "\n".join(lines)


def _with_code(text: str) -> str:
    """An advice: it is a text of ours, in which commands stand between backticks."""
    pieces = text.split("`")
    return "".join(f"`{x}`" if i % 2 else escaped(x) for i, x in enumerate(pieces))


def _row(model: Checked, x: Finding) -> tuple[str, ...]:
    level = "not verified" if x.state == "unverifiable" else x.level
    return level, x.rule, escaped(model.name), escaped(x.sentence)


def _models(record: Check) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for model in record.models:
        against = [
            f"{escaped(x.name)}: {escaped(x.sentence)} ({percent(x.tested)} of the parameters"
            " in tests)"
            for x in model.against
        ]
        compared = "; ".join(against) or counted(model.n_compared, "model")
        rows.append((escaped(model.name), str(len(model.findings) or "none"), compared))
    return rows


def _looked_at(record: Check) -> str:
    policy = escaped(record.policy) or "built-in levels"
    registry = "no registry"
    if record.registry:
        registry = f"{counted(record.n_registered, 'model')} in {escaped(record.registry)}"
    left = f"; {counted(len(record.left_out), 'file')} left out" if record.left_out else ""
    return f"Policy: {policy}; registry: {registry}{left}; weightkin {escaped(record.version)}."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows[:MOST_ROWS]]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    if len(rows) <= MOST_ROWS:
        return table
    return f"{table}\n\nand {len(rows) - MOST_ROWS:,} more: the record has all."

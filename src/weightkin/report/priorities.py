"""What a reader of a check wants first: its worst findings, and what to do, each advice once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weightkin.records.checking import RULES, Check, Checked, Finding
from weightkin.report.advice import advice, is_open_parent

MOST_BESIDE = 3  # other candidates that a comparison is given
DECLARING = ("undeclared-parent", "contradicted-parent")  # rules that a model card answers
ORDER = {rule: i for i, rule in enumerate(RULES)}


@dataclass(frozen=True, slots=True)
class ToDo:
    """One advice, the rules that it is for, and the words of commands that help."""

    text: str
    rules: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...] = ()


def worst_first(record: Check) -> list[tuple[Checked, Finding]]:
    """All findings with their models: errors, what could not be verified, warnings."""
    found = [(model, x) for model in record.models for x in model.findings]
    return sorted(found, key=lambda pair: _rank(pair[1]))


def plain_words(record: Check) -> str:
    """What the outcome means for whoever wants to use the models."""
    errors = [x for _, x in worst_first(record) if x.level == "error" and x.state == "hit"]
    rules = ", ".join(dict.fromkeys(x.rule for x in errors))
    n, n_all = sum(any(x in errors for x in m.findings) for m in record.models), len(record.models)
    who = f"{n} of {n_all} models {'breaks' if n == 1 else 'break'}"
    broken = f"{'The model breaks' if n_all == 1 else who} the policy: {rules}."
    if record.outcome == "pass":
        return "Nothing was found that the policy forbids."
    if record.outcome == "incomplete":
        left = "Not all could be checked: the result is not a pass."
        return f"{left} {broken}" if errors else left
    return broken


def what_to_do(record: Check) -> list[ToDo]:
    """Each advice once, that for the worst findings first."""
    found = worst_first(record)
    texts = dict.fromkeys(advice(x) for _, x in found)
    return [_to_do(text, [x for x in found if advice(x[1]) == text], record) for text in texts]


def _to_do(text: str, found: Sequence[tuple[Checked, Finding]], record: Check) -> ToDo:
    where = ("--registry", record.registry) if record.registry else ()
    commands = [words for model, x in found if (words := _command(model, x, where))]
    rules = dict.fromkeys(x.rule for _, x in found)
    return ToDo(text, tuple(rules), tuple(dict.fromkeys(commands)))


def _command(model: Checked, x: Finding, where: tuple[str, ...]) -> tuple[str, ...]:
    """What prints the lines to declare, or else looks at the parents that are possible."""
    if is_open_parent(x) and x.ancestor is not None and x.ancestor.source:
        open_ = [y.ancestor.source for y in model.findings if is_open_parent(y) and y.ancestor]
        others = [y for y in dict.fromkeys(open_) if y and y != x.ancestor.source]
        beside = [word for other in others[:MOST_BESIDE] for word in ("--with", other)]
        return ("compare", x.ancestor.source, model.source, *beside)
    if is_open_parent(x) or x.code == "hidden-parent":
        return ("search", model.source, *where)
    return ("trace", model.source, *where, "--format", "model-card") if x.rule in DECLARING else ()


def _rank(x: Finding) -> tuple[bool, bool, int, float]:
    """Errors before warnings, what is shown before what is open, then the rule and the p-value."""
    p = x.summary.log10_pvalue if x.summary is not None else 0.0
    return x.level == "warning", x.state == "unverifiable", ORDER[x.rule], p

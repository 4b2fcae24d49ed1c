"""What a check found, for people."""

from __future__ import annotations

from collections.abc import Mapping

from weightkin.records.checking import Check, Checked, Finding
from weightkin.report.findings import direction_words
from weightkin.report.line import Line, Style, fact
from weightkin.report.priorities import plain_words, what_to_do, worst_first
from weightkin.report.reasons import why
from weightkin.report.terminal import command_line, printable
from weightkin.text import counted, percent

MOST_NAMED = 5  # files left out that are named
MOST_COMMANDS = 3  # beside one advice
MOST_SKIPPED = 3
TONES: Mapping[str, Style] = {"pass": "found", "hit": "bad", "incomplete": "open"}
LEVELS: Mapping[str, Style] = {"error": "bad", "warning": "open"}


def check_lines(record: Check, *, is_full: bool = False) -> list[str]:
    """The sentence, the same in plain words, the worst finding, those of every model, what to do.

    Parameters
    ----------
    record : Check
        What was found.
    is_full : bool
        Also digests, all that was skipped, and what is needed to run it again.

    Returns
    -------
    list of str
        Each advice once, below all findings.
    """
    lines = [Line.of((record.sentence, TONES[record.outcome])), plain_words(record)]
    lines += _worst(record)
    for model in record.models:
        digest = f"  {model.digest[:20]}" if model.digest and is_full else ""
        lines += ["", f"{printable(model.name)}  {printable(model.source)}{digest}"]
        lines += [_finding(x) for x in model.findings]
        lines += _compared(model)
        for x in model.skipped if is_full else model.skipped[:MOST_SKIPPED]:
            lines.append(f"  skipped  {printable(x.what)}: {printable(why(x))}")
        if not is_full and len(model.skipped) > MOST_SKIPPED:
            lines.append(f"  skipped  {len(model.skipped) - MOST_SKIPPED} more (-v lists them)")
    return [*lines, *_advised(record), "", *_looked_at(record, is_full=is_full)]


def _worst(record: Check) -> list[str]:
    """The worst finding, where it is not the first to be read below."""
    found = worst_first(record)
    if not found or found[0][1] in record.models[0].findings[:1]:
        return []
    model, x = found[0]
    return [fact("worst", f"{printable(model.name)}: {printable(x.sentence)}")]


def _advised(record: Check) -> list[str]:
    """Each advice once, under the rules that it is for, with the command where there is one."""
    found = what_to_do(record)
    lines = ["", Line.of(("what to do", "strong"))] if found else []
    for x in found:
        lines.append(f"  {', '.join(x.rules)}: {x.text}")
        lines += [command_line(*words) for words in x.commands[:MOST_COMMANDS]]
    return lines


def _looked_at(record: Check, *, is_full: bool) -> list[str]:
    """What the models were checked against."""
    lines: list[str] = []
    if record.left_out:
        first = ", ".join(map(printable, record.left_out[:MOST_NAMED]))
        more = ", ..." if len(record.left_out) > MOST_NAMED else ""
        files = counted(len(record.left_out), "file")
        lines.append(f"  left out by the policy: {files} ({first}{more})")
    if off := [rule for rule, level in record.rules.items() if level == "off"]:
        lines.append(f"  rules turned off: {', '.join(off)}")
    if record.secret:
        lines.append(f"  samples drawn by the secret of the policy (commitment {record.secret})")
    registry = "no registry"
    if record.registry:
        registry = f"{counted(record.n_registered, 'model')} in {printable(record.registry)}"
    policy = printable(record.policy) or "no policy given, every rule at its default level"
    lines.append(fact("looked at", f"{policy}; {registry}; {record.seconds:.2f} s"))
    if is_full:
        drawn = "fresh bytes" if record.challenge else f"seed {record.seed}"
        lines.append(f"  alpha {record.alpha:g}; {drawn}; weightkin {record.version}")
    return lines


def _finding(x: Finding) -> str:
    word = "unverifiable" if x.state == "unverifiable" else x.level
    rule = f" {x.rule}" if x.rule != word else ""
    return Line.of("  ", (f"{word}{rule}:", LEVELS[x.level]), f" {printable(x.sentence)}")


def _compared(model: Checked) -> list[str]:
    """What was compared, how much the tests cover, and what was found without being a finding."""
    n = model.n_compared
    lines = []
    for x in model.against:
        if x.summary.verdict in ("no-evidence", "not-testable"):
            said = f"{x.sentence}; the tests cover {percent(x.tested)} of the parameters"
            limits = [f"{y.what}: {why(y)}" if y.what else why(y) for y in x.limits]
            lines.append("  compared  " + "; ".join([f"{printable(x.name)}: {said}", *limits]))
        elif not model.findings:  # an expected or declared parent
            lines.append(f"  found  {printable(x.name)}: {x.sentence}{direction_words(x.summary)}")
    if not model.findings:
        lines.append(f"  no findings ({counted(n, 'model')} compared)")
    return lines

"""What a check found, for people."""

from __future__ import annotations

from weightkin.records.checking import Check, Checked, Finding
from weightkin.report.findings import advice, direction_words
from weightkin.report.reasons import why
from weightkin.report.terminal import command_line, printable
from weightkin.text import counted, percent

MOST_NAMED = 5  # files left out that are named
DECLARING = ("undeclared-parent", "contradicted-parent")  # rules that a model card answers


def check_lines(record: Check) -> list[str]:
    """The sentence, then every finding of every model with what to do about it."""
    lines = [record.sentence]
    for model in record.models:
        digest = f"  {model.digest[:20]}" if model.digest else ""
        lines += ["", f"{printable(model.name)}  {printable(model.source)}{digest}"]
        lines += [line for x in model.findings for line in _finding(x, model, record)]
        lines += _compared(model)
        for x in model.skipped:
            lines.append(f"  skipped  {printable(x.what)}: {printable(why(x))}")
    if record.left_out:
        first = ", ".join(map(printable, record.left_out[:MOST_NAMED]))
        more = ", ..." if len(record.left_out) > MOST_NAMED else ""
        files = counted(len(record.left_out), "file")
        lines += ["", f"  left out by the policy: {files} ({first}{more})"]
    off = [rule for rule, level in record.rules.items() if level == "off"]
    lines += ["", f"  rules turned off: {', '.join(off)}"] if off else [""]
    policy = printable(record.policy) or "built-in levels"
    n = record.n_registered
    held = f"{n} model{'s' * (n != 1)} in {printable(record.registry)}"
    registry = held if record.registry else "no registry"
    if record.secret:
        lines.append(f"  samples drawn by the secret of the policy (commitment {record.secret})")
    drawn = "fresh bytes" if record.challenge else f"seed {record.seed}"
    lines.append(
        f"  {policy}; {registry}; alpha {record.alpha:g}; {record.seconds:.2f} s, {drawn},"
        f" weightkin {record.version}"
    )
    return lines


def _finding(x: Finding, model: Checked, record: Check) -> list[str]:
    word = "unverifiable" if x.state == "unverifiable" else x.level
    rule = f" {x.rule}" if x.rule != word else ""
    lines = [f"  {word}{rule}: {printable(x.sentence)}", f"    {advice(x)}"]
    if x.rule in DECLARING:
        where = ("--registry", record.registry) if record.registry else ()
        lines.append(command_line("trace", model.source, *where, "--format", "model-card"))
    return lines


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

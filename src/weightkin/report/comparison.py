"""A comparison as lines of text: the answer first, then what is shared, how and since when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from weightkin.records import AxisEvidence, Comparison
from weightkin.records.form import pvalue_words
from weightkin.report.accounting import share_words
from weightkin.report.components import component_lines
from weightkin.report.derived import derivation_facts
from weightkin.report.line import Line, Style, fact
from weightkin.report.plain import plain_words
from weightkin.report.reasons import why
from weightkin.report.terminal import (
    AXIS_WORDS,
    PART_WORDS,
    UNCONFIRMED,
    detail_lines,
    file_size,
    is_too_few,
    next_commands,
    not_run,
    printable,
    spectra,
    unusual,
)

MOST_SKIPPED = 3  # reasons, and names beside each
MANY = 1_000_000
TONES: Mapping[str, Style] = {"dependent": "found", "no-evidence": "strong"}  # of a verdict


def comparison_lines(record: Comparison, *, is_full: bool = False) -> list[str]:
    """The verdict, one plain sentence, and a line for each question that follows.

    With ``is_full`` also all that it rests on, and everything that was skipped.
    """
    lines: list[str] = [Line.of((printable(record.sentence), TONES.get(record.verdict, "open")))]
    lines += [plain_words(record), *not_run(record), *spectra(record), ""]
    for name, ref in (("model a", record.a), ("model b", record.b)):
        revision = f" @ {printable(ref.revision)}" if ref.revision else ""
        lines.append(fact(name, f"{printable(ref.source)}{revision}"))
    lines += [fact(label, printable(text)) for label, text in answer_facts(record)]
    lines += next_commands(record)
    lines.append(fact("looked at", looked_at(record)))
    lines += [UNCONFIRMED] if record.basis == "exact-unconfirmed" else []
    lines += unusual(record)
    lines += component_lines(record.components)
    lines += _skipped(record, MANY if is_full else MOST_SKIPPED)
    if is_full:
        return [*lines, "", *detail_lines(record)]
    return [*lines, Line.of(("  -v adds every test with its null hypothesis", "faint"))]


def answer_facts(record: Comparison) -> Iterator[tuple[str, str]]:
    """What is shared, in which parts and blocks, how it was made and which model came first."""
    if shared := _shared(record):
        yield "shared", shared
    elif record.verdict == "aligned-only":
        yield "in order", _in_order(record)
    if any(part.verdict != record.verdict for part in record.parts):
        for part in record.parts:
            yield "part", f"{part.name}: {PART_WORDS.get(part.verdict, part.verdict)}"
    if blocks := _blocks(record):
        yield "blocks", blocks
    yield from derivation_facts(record)


def _shared(record: Comparison) -> str:
    """Which axes show it, and how alike their units are."""
    names, level = _level([x for x in record.axes if x.passes and not is_too_few(record, x)])
    return f"{names}: matched units are alike ({level})" if level else names


def _in_order(record: Comparison) -> str:
    """Which axes are in one order, and how little alike their units are."""
    names, level = _level([x for x in record.axes if 10**x.log10_pvalue <= record.alpha])
    return f"{names} ({level})" if level else names


def _level(found: Sequence[AxisEvidence]) -> tuple[str, str]:
    """The names of axes, and how alike the units are of that which says most."""
    names = ", ".join(AXIS_WORDS.get(x.axis, x.axis) for x in found)
    shown = [(x.log10_pvalue, x.effect) for x in found if x.effect and x.effect.ratio != 0.0]
    if not shown:
        return names, ""
    _, effect = min(shown, key=lambda x: x[0])  # of what passes, and says most
    return names, f"cosine {effect.observed:.2f}, best wrong match {effect.chance:.2f}"


def _blocks(record: Comparison) -> str:
    """Which blocks are not where they were."""
    changed = [x for x in record.layers if x.relation != "kept"]
    words = [f"{x.relation} {x.block_a or x.block_b}" for x in changed if x.relation != "moved"]
    words += [f"{x.block_a} -> {x.block_b}" for x in changed if x.relation == "moved"]
    return ", ".join(words)


def looked_at(record: Comparison) -> str:
    """How much was tested and read, and what that could have shown where it showed nothing."""
    said = []
    if (x := record.accounting) is not None:
        n = x.tested.n + x.compared.n + x.incomparable.n + x.unread.n
        said.append(f"{share_words(x.tested.n, n)} of the parameters of the smaller model tested")
    if record.verdict == "no-evidence":
        said.append(f"{pvalue_words(record.smallest_log10_pvalue)} would have been possible")
    said.append(f"{file_size(record.bytes_read)} read in {record.seconds:.2f} s")
    return "; ".join(said)


def _skipped(record: Comparison, most: int) -> list[str]:
    """What was left out, by reason."""
    reasons: dict[str, list[str]] = {}
    for skip in record.skipped:
        reasons.setdefault(why(skip), []).append(skip.what)
    lines: list[str] = []
    for reason, whats in list(reasons.items())[:most]:
        more = f" and {len(whats) - most} more" if len(whats) > most else ""
        named = printable(", ".join(filter(None, whats[:most])))
        lines.append(fact("skipped", f"{named}{more}{': ' * bool(named)}{printable(reason)}"))
    if n_left := sum(map(len, list(reasons.values())[most:])):
        lines.append(fact("skipped", f"{n_left} more (-v lists them)"))
    return lines

"""The details of a comparison as lines of text: every test, its conditions, what was skipped."""

from __future__ import annotations

import shlex
import unicodedata

from weightkin.records import AxisEvidence, Calibration, Comparison, Effect, Test
from weightkin.records.form import pvalue_words
from weightkin.report.accounting import accounting_lines, table_lines
from weightkin.report.clues import evidence_line
from weightkin.report.derived import token_view_lines
from weightkin.report.draws import challenge_lines, extent_lines
from weightkin.report.reasons import why
from weightkin.report.table import table
from weightkin.report.width import MARK
from weightkin.text import counted, percent

AXIS_WORDS = {
    "units": "hidden units",
    "vo": "V/O dimensions",
    "heads": "heads",
    "residual": "residual width",
    "signs": "signs",
    "token units": "units by tokens",
    "token signs": "signs by tokens",
    "turns": "rotary planes",
    "key signs": "query-key signs",
    "qk": "query-key heads",
}
PART_WORDS = {
    "aligned-only": "aligned only",
    "no-evidence": "no evidence",
    "not-testable": "not testable",
}
UNUSUAL = 1.4  # effect ratio of matched units that no unrelated pair of the results reached
NULL = (
    "  null hypothesis: the two models were initialised independently (no shared seed or formula), "
    "and neither was reordered so that its units match those of the other"
)
UNCONFIRMED = (
    "  unconfirmed: what passes here can be arranged, so it is not excluded that one model was "
    "made to match the other"
)
MAX_SKIPPED = 6
NOTABLE_COSINE = 0.8  # cosine from which a p-value that is not small asks for a word
LOOK_CLOSER = 3.0  # log10 of an e-value by a law of spectra
FEW_UNITS = 8  # units
PLAIN_TESTS = ("coincidences", "agreement")  # of the units themselves
TOO_FEW = "too few to test"
SIGNS = ("signs", "token signs", "turns", "key signs")


def detail_lines(record: Comparison) -> list[str]:
    """All that a comparison rests on: the evidence by axis, its conditions, every test."""
    lines = []
    for name, ref in (("a", record.a), ("b", record.b)):
        revision = f" @ {printable(ref.revision)}" if ref.revision else ""
        lines.append(f"  digest of {name}: {ref.digest}{revision}")
    rows = [
        (
            AXIS_WORDS.get(x.axis, x.axis),
            TOO_FEW if is_too_few(record, x) else _pvalue(x.log10_pvalue),
            str(x.n_blocks),
            effect_words(x.effect),
        )
        for x in record.axes
    ]
    head = ("axis", "p", "blocks", "median cosine (best wrong match)")
    lines += ["", *table(head, rows, right=(1, 2))] if rows else []
    return [*lines, *_by_luck(record), "", *_notes(record), *_tests(record)]


def axis_words(name: str) -> str:
    """An axis in words: of hidden units also what they belong to."""
    is_mlp = name.split(".")[0] == "mlp"
    return f"{AXIS_WORDS['units']} ({name})" if is_mlp else AXIS_WORDS.get(name, name)


def printable(text: str) -> str:
    """Text from a file with everything that could move the cursor or the reading order escaped."""
    if text.isprintable():
        return text
    return "".join(
        c if unicodedata.category(c)[0] not in "CZ" or c == " " else repr(c)[1:-1] for c in text
    )


def not_run(record: Comparison) -> list[str]:
    """Right below a verdict that found nothing: which tests could have, and were not run."""
    if record.verdict == "dependent":
        return []
    whys = [why(x) for x in record.skipped if x.test == "blind"]
    said = "  tests that find permuted or rotated copies were not run: "
    return [said + printable(x) for x in whys]


def spectra(record: Comparison) -> list[str]:
    """What is no test, and may be all there is."""
    e = record.law_log10_evalue
    if e is None or e < LOOK_CLOSER:
        return []
    words = "no test applies; " if record.verdict == "not-testable" else ""
    advice = "" if record.verdict == "dependent" else ": suggests a closer look"
    return [f"  {words}spectra agree (1e{e:.0f}, a law and no test){advice}"]


def is_too_few(record: Comparison, axis: AxisEvidence) -> bool:
    """Whether units are so few that none of them being unlike gives no small p-value."""
    n_units = [t.n_units for t in record.tests if t.axis == axis.axis]
    return _is_alike(axis) and 0 < max(n_units, default=0) <= FEW_UNITS


def is_aligned_only(record: Comparison, axis: AxisEvidence) -> bool:
    """Whether units of an axis match by a test, and are too little alike for it to pass."""
    is_matched = 10**axis.log10_pvalue <= record.alpha and axis.confirmed != "refuted"
    return is_matched and not axis.passes


def is_test_too_small(test: Test) -> bool:
    """The same of one test."""
    return _is_alike(test) and 0 < test.n_units <= FEW_UNITS


def _is_alike(found: AxisEvidence | Test) -> bool:
    """Whether matched units are alike where the p-value is not small."""
    is_alike = found.effect is not None and found.effect.observed >= NOTABLE_COSINE
    name = found.name if isinstance(found, Test) else found.axis
    return is_alike and found.log10_pvalue > -2 and name not in SIGNS


def _by_luck(record: Comparison) -> list[str]:
    """Why a cosine is high where the p-value is not small."""
    found = [x for x in record.axes if _is_alike(x) and not is_too_few(record, x)]
    if not found:
        return []
    names = ", ".join(AXIS_WORDS.get(x.axis, x.axis) for x in found)
    return [f"  {names}: this cosine is that of the few units that match their own index"]


def _notes(record: Comparison) -> list[str]:
    lines = [NULL] if record.axes else []
    lines += challenge_lines(record.challenge)
    lines += _outside(record)
    lines += extent_lines(record.extent)
    lines += token_view_lines(record)
    lines += accounting_lines(record.accounting)
    lines += table_lines(record.equal)
    lines += [f"  direction: {printable(evidence_line(x))}" for x in record.direction.evidence]
    for part in record.parts:
        said = PART_WORDS.get(part.verdict, part.verdict)
        lines.append(f"  part {printable(part.name)}: {said} ({pvalue_words(part.log10_pvalue)})")
    if record.calibration:
        lines += _calibration(record.calibration)
    own_lines = ("coincidences", "order", "signs", "turns", "agreement")
    for t in [t for t in record.tests if t.name not in own_lines and t.block_a == "all"]:
        lines.append(f"  {t.name}: {t.statistic:.6g}, log10 p {t.log10_pvalue:.3f} ({t.null})")
    trusts = {axis.trusts for axis in record.axes} - {"either"}
    for model in sorted(trusts):
        other = "b" if model == "a" else "a"
        lines.append(
            f"  p-values use the unit order of {model} only, since that of {other} is not random"
        )
    lines.append(
        f"  alpha {record.alpha:g}; {record.method}, seed {record.seed}, weightkin {record.version}"
    )
    return lines


def command_text(*words: str) -> str:
    """A command to copy."""
    return printable(shlex.join(["weightkin", *words]))


def command_line(*words: str) -> str:
    """A command to copy, on a line of its own."""
    return f"    {MARK}{command_text(*words)}"


def next_commands(record: Comparison) -> list[str]:
    """What to run where another comparison would answer what this one leaves open."""
    found = next_step(record)
    if found is None:
        return []
    why_, command = found
    return [*([f"  {why_}:"] if why_ else []), f"    {MARK}{command}"]


def next_step(record: Comparison) -> tuple[str, str] | None:
    """What the command to run next is for, empty where the line above it says so; and itself."""
    pair = record.a.source, record.b.source
    is_equal = record.equal is not None and record.equal.share == 1.0
    if record.equal is not None and is_equal and record.equal.basis == "sample":
        return "to compare all values", command_text("compare", *pair, "--full-digest")
    if any(clue.code == "ask-relatives" for clue in record.direction.evidence):
        return "", f"{command_text('compare', *pair, '--with')} RELATIVE"
    if record.verdict != "dependent" and record.parameters.get("effort") == "quick":
        return "for all tests", command_text("compare", *pair)
    return None


def _tests(record: Comparison) -> list[str]:
    """Every test, a line each; what was tested by index comes first, and by tokens after it."""
    seen: set[tuple[str, str, str]] = set()
    rows = []
    for t in record.tests:
        of = "" if t.name in PLAIN_TESTS else f"{t.name} of "
        name = f"{of}{axis_words(t.axis)}{t.view and f', {t.view}'}"
        blocks = t.block_a if t.block_a == t.block_b else f"{t.block_a} {t.block_b}"
        how = ", by tokens" if (t.name, name, blocks) in seen else ""
        seen.add((t.name, name, blocks))
        cells = (
            printable(f"{name}{how}"),
            printable(blocks),
            str(t.n_units),
            f"{t.statistic:.5g}",
            f"{t.log10_pvalue:.2f}",
            t.null,
        )
        rows.append(cells)
    head = ("test", "blocks", "units", "statistic", "log10 p", "null")
    return ["", *table(head, rows, right=(2, 3, 4))] if rows else []


def _outside(record: Comparison) -> list[str]:
    """What units outside the sample show, where they were read."""
    lines = []
    for axis in record.axes:
        words = AXIS_WORDS.get(axis.axis, axis.axis)
        if axis.confirmed in ("second-run", "refuted"):
            said = "" if axis.confirmed == "second-run" else "not "
            lines.append(
                f"  {words}: {said}confirmed on units outside the sample"
                f" ({effect_words(axis.second_effect)})"
            )
        elif axis.confirmed == "sketch" and axis.passes:
            lines.append(f"  {words}: not checked on units outside the sample (sketch)")
    return lines


def _calibration(x: Calibration) -> list[str]:
    """Calibrated evidence with its controls, and the sanity figure beside it."""
    said = f"  calibrated: two matrices match {percent(x.statistic, 1)} of the units alike"
    said += f" (between blocks of different depth: {percent(x.wrong_depth, 1)}"
    if x.n_controls:
        most = percent(x.largest_control, 1)
        said += f"; {counted(x.n_controls, 'unrelated pair')}, {x.model_class}: at most {most}"
    return [f"{said})"]


def unusual(record: Comparison) -> list[str]:
    """A warning beside `no-evidence` when matched units are unusually alike."""
    for axis in record.axes:
        if record.verdict == "no-evidence" and axis.axis in SIGNS and axis.effect is not None:
            effect = axis.effect
            if effect.ratio >= UNUSUAL:
                return [
                    f"  note: matched units are unusually alike (cosine {effect.observed:.2f}, best"
                    f" wrong match {effect.chance:.2f}); exact tests cannot use this, and a"
                    " relation is not ruled out"
                ]
    return []


def effect_words(effect: Effect | None) -> str:
    """How alike matched units are, and in brackets their best wrong match."""
    if effect is None or effect.ratio == 0.0:
        return "-"
    level = effect.chance if abs(effect.chance) >= 0.005 else 0.0
    ratio = f", ratio {effect.ratio:.1f}" if effect.chance >= 0.05 else ""
    return f"{effect.observed:.2f} ({level:.2f}){ratio}"


def _pvalue(log10_p: float) -> str:
    return f"<= 1e-{int(-log10_p)}" if log10_p <= -2 else f"{10**log10_p:.2f}"


def file_size(n_bytes: int) -> str:
    """Bytes in decimal units."""
    size, unit = float(n_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"

"""A comparison as a few lines of text."""

from __future__ import annotations

import shlex
import unicodedata

from weightkin.records import AxisEvidence, Calibration, Comparison, Effect
from weightkin.records.form import pvalue_words
from weightkin.report.accounting import accounting_lines, table_lines
from weightkin.report.components import component_lines
from weightkin.report.derived import derivation_lines, token_view_lines
from weightkin.report.draws import challenge_lines, extent_lines
from weightkin.report.reasons import why
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
MANY = 1_000_000
NOTABLE_COSINE = 0.8  # cosine from which a p-value that is not small asks for a word
LOOK_CLOSER = 3.0  # log10 of an e-value by a law of spectra
FEW_UNITS = 8  # units
TOO_FEW = "too few to test"
SIGNS = ("signs", "token signs", "turns", "key signs")


def comparison_lines(record: Comparison, *, is_full: bool = False) -> list[str]:
    """The verdict first, then who was compared, the evidence by axis, what was skipped.

    With ``is_full`` everything that was skipped is listed, and every test.
    """
    lines = [printable(record.sentence), *_not_run(record), *_spectra(record), ""]
    for name, ref in (("a", record.a), ("b", record.b)):
        revision = f" @ {printable(ref.revision)}" if ref.revision else ""
        lines.append(f"  {name}  {printable(ref.source)}{revision}  {ref.digest[:20]}")
    if record.axes:
        lines += ["", f"  {'axis':<16}{'p':>15}  {'blocks':>6}  median cosine (best wrong match)"]
    for axis in record.axes:
        p = TOO_FEW if is_too_few(record, axis) else _pvalue(axis.log10_pvalue)
        words = AXIS_WORDS.get(axis.axis, axis.axis)
        lines.append(f"  {words:<16}{p:>15}  {axis.n_blocks:>6}  {_effect(axis.effect)}")
    lines += _by_luck(record)
    lines += ["", *_notes(record, is_full=is_full)]
    return lines + (_tests(record) if is_full else [])


def printable(text: str) -> str:
    """Text from a file with everything that could move the cursor or the reading order escaped."""
    if text.isprintable():
        return text
    return "".join(
        c if unicodedata.category(c)[0] not in "CZ" or c == " " else repr(c)[1:-1] for c in text
    )


def _not_run(record: Comparison) -> list[str]:
    """Right below a verdict that found nothing: which tests could have, and were not run."""
    if record.verdict == "dependent":
        return []
    whys = [why(x) for x in record.skipped if x.test == "blind"]
    said = "  tests that find permuted or rotated copies were not run: "
    return [said + printable(x) for x in whys]


def _spectra(record: Comparison) -> list[str]:
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


def _is_alike(axis: AxisEvidence) -> bool:
    """Whether matched units are alike where the p-value is not small."""
    is_alike = axis.effect is not None and axis.effect.observed >= NOTABLE_COSINE
    return is_alike and axis.log10_pvalue > -2 and axis.axis not in SIGNS


def _by_luck(record: Comparison) -> list[str]:
    """Why a cosine is high where the p-value is not small."""
    found = [x for x in record.axes if _is_alike(x) and not is_too_few(record, x)]
    if not found:
        return []
    names = ", ".join(AXIS_WORDS.get(x.axis, x.axis) for x in found)
    return [f"  {names}: this cosine is that of the few units that match their own index"]


def _notes(record: Comparison, *, is_full: bool) -> list[str]:
    most = MANY if is_full else MAX_SKIPPED
    lines = [NULL] if record.axes else []
    lines += challenge_lines(record.challenge)
    lines += _outside(record)
    lines += extent_lines(record.extent)
    lines += token_view_lines(record)
    lines += [UNCONFIRMED] if record.basis == "exact-unconfirmed" else []
    lines += _reach(record)
    lines += accounting_lines(record.accounting)
    lines += table_lines(record.equal)
    lines += _unusual(record)
    lines += [printable(line) for line in derivation_lines(record)]
    lines += _next_commands(record)
    is_mixed = any(part.verdict != record.verdict for part in record.parts)
    lines += component_lines(record.components)
    for part in record.parts if is_mixed or is_full else ():
        said = PART_WORDS.get(part.verdict, part.verdict)
        lines.append(f"  part {printable(part.name)}: {said} ({pvalue_words(part.log10_pvalue)})")
    changed = [x for x in record.layers if x.relation != "kept"]
    if changed:
        words = [f"{x.relation} {x.block_a or x.block_b}" for x in changed if x.relation != "moved"]
        words += [f"{x.block_a} -> {x.block_b}" for x in changed if x.relation == "moved"]
        lines.append(f"  blocks: {printable(', '.join(words))}")
    if record.calibration:
        lines += _calibration(record.calibration)
    own_lines = ("coincidences", "order", "signs", "turns", "agreement")
    others = [t for t in record.tests if t.name not in own_lines]
    for t in [t for t in others if t.block_a == "all"]:
        lines.append(f"  {t.name}: {t.statistic:.6g}, log10 p {t.log10_pvalue:.3f} ({t.null})")
    reasons: dict[str, list[str]] = {}
    for skip in record.skipped:
        reasons.setdefault(why(skip), []).append(skip.what)
    for reason, whats in list(reasons.items())[:most]:
        more = f" and {len(whats) - most} more" if len(whats) > most else ""
        lines.append(f"  skipped  {printable(', '.join(whats[:most]))}{more}: {printable(reason)}")
    if n_left := sum(map(len, list(reasons.values())[most:])):
        lines.append(f"  skipped  {n_left} more (-v lists them)")
    trusts = {axis.trusts for axis in record.axes} - {"either"}
    for model in sorted(trusts):
        other = "b" if model == "a" else "a"
        lines.append(
            f"  p-values use the unit order of {model} only, since that of {other} is not random"
        )
    lines.append(
        f"  alpha {record.alpha:g}; read {file_size(record.bytes_read)} in {record.seconds:.2f} s;"
        f" {record.method}, seed {record.seed}, weightkin {record.version}"
    )
    return lines


def command_line(*words: str) -> str:
    """A command to copy, on a line of its own."""
    return f"    {MARK}{printable(shlex.join(['weightkin', *words]))}"


def _next_commands(record: Comparison) -> list[str]:
    """What to run where another comparison would answer what this one leaves open."""
    pair = record.a.source, record.b.source
    is_equal = record.equal is not None and record.equal.share == 1.0
    if record.equal is not None and is_equal and record.equal.basis == "sample":
        return ["  to compare all values:", command_line("compare", *pair, "--full-digest")]
    if any(clue.code == "ask-relatives" for clue in record.direction.evidence):
        return [f"{command_line('compare', *pair, '--with')} RELATIVE"]
    if record.verdict != "dependent" and record.parameters.get("effort") == "quick":
        return ["  for all tests:", command_line("compare", *pair)]
    return []


def _tests(record: Comparison) -> list[str]:
    """Every test, a line each."""
    if not record.tests:
        return []
    lines = ["", f"  {'test':<18}{'blocks':<26}{'units':>6}{'statistic':>12}{'log10 p':>10}  null"]
    for t in record.tests:
        blocks = t.block_a if t.block_a == t.block_b else f"{t.block_a} {t.block_b}"
        name = f"{t.axis} {t.view}" if t.view else t.axis
        lines.append(
            f"  {printable(name):<17} {printable(blocks):<25} {t.n_units:>6}"
            f"{t.statistic:>12.5g}{t.log10_pvalue:>10.2f}  {t.null}"
        )
    return lines


def _outside(record: Comparison) -> list[str]:
    """What units outside the sample show, where they were read."""
    lines = []
    for axis in record.axes:
        words = AXIS_WORDS.get(axis.axis, axis.axis)
        if axis.confirmed in ("second-run", "refuted"):
            said = "" if axis.confirmed == "second-run" else "not "
            lines.append(
                f"  {words}: {said}confirmed on units outside the sample"
                f" ({_effect(axis.second_effect)})"
            )
        elif axis.confirmed == "sketch" and axis.passes:
            lines.append(f"  {words}: not checked on units outside the sample (sketch)")
    return lines


def _reach(record: Comparison) -> list[str]:
    """What the tests could have shown, where they showed nothing."""
    if record.verdict != "no-evidence":
        return []
    p = pvalue_words(record.smallest_log10_pvalue)
    return [
        f"  the tests cover {percent(record.tested_share)} of the parameters and could have shown"
        f" {p} at best"
    ]


def _calibration(x: Calibration) -> list[str]:
    """Calibrated evidence with its controls, and the sanity figure beside it."""
    said = f"  calibrated: two matrices match {percent(x.statistic, 1)} of the units alike"
    said += f" (between blocks of different depth: {percent(x.wrong_depth, 1)}"
    if x.n_controls:
        most = percent(x.largest_control, 1)
        said += f"; {counted(x.n_controls, 'unrelated pair')}, {x.model_class}: at most {most}"
    return [f"{said})"]


def _unusual(record: Comparison) -> list[str]:
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


def _effect(effect: Effect | None) -> str:
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

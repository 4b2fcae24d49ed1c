"""The page of `compare`."""

from __future__ import annotations

from weightkin.records import AxisEvidence, Calibration, Comparison, Test
from weightkin.records.form import probability_words, pvalue_words
from weightkin.report.clues import evidence_line
from weightkin.report.derived import DETAIL_KEYS, detail_words, value_words
from weightkin.report.html.build import Html, h
from weightkin.report.html.heat import numbered_map
from weightkin.report.html.sections import models_section, opening, section, skipped_section
from weightkin.report.html.tables import facts, table
from weightkin.report.html.words import (
    CALIBRATED_WORDS,
    NULL_WORDS,
    NULLS,
    PROBABILITIES,
    basis_words,
    effect_words,
    limit_words,
    log10_words,
    names,
    verdict_words,
)
from weightkin.report.terminal import AXIS_WORDS, PART_WORDS, TOO_FEW, is_too_few

NOT_SHOWN_BY = (
    "“Not shown” is nothing against shared weights: an axis of few units, such as heads, cannot "
    "reach the level even if all of them agree, and a rewrite may hide what others would show."
)
AXES = {"mlp": "hidden units", "vo": "V/O", "heads": "heads", "residual": "residual"}


def comparison_body(record: Comparison) -> list[Html | None]:
    """All sections but the last."""
    a, b = names(record)
    pair = h("p", "a is ", h("b", a), ", b is ", h("b", b), class_="pair")
    lead = [h("p", x, class_="lead") for x in verdict_words(record)]
    return [
        opening("Comparison of two models", record.sentence, pair, lead, _keys(record)),
        _evidence(record),
        _null(record),
        section("limits", "What this does not show", [h("ul", map(_item, limit_words(record)))]),
        _derivation(record),
        _layers(record),
        _parts(record),
        _tests(record),
        skipped_section(record.skipped, incomplete=record.incomplete),
        models_section((("a", record.a), ("b", record.b))),
    ]


def _item(text: str) -> Html:
    return h("li", text)


def _null(record: Comparison) -> Html:
    """The null hypothesis, and what the tests count."""
    title = "What was tested" if record.tests else "What the tests ask"
    calibrated = h("p", CALIBRATED_WORDS) if record.calibration else None
    return section("null", title, [h("p", x) for x in NULL_WORDS], calibrated, _trusted(record))


def _keys(record: Comparison) -> Html:
    direction, was_run = record.direction, bool(record.tests)
    came_first = "undetermined"
    if direction.parent != "undetermined":
        came_first = (
            f"{direction.parent} is the parent ({probability_words(direction.probability)})"
        )
    return facts(
        [
            ("p-value, all exact tests", pvalue_words(record.log10_pvalue) if was_run else "none"),
            ("Basis", basis_words(record).split(":")[0]),
            ("Kind", ", ".join(record.kind) or "not named"),
            ("Direction", came_first),
        ],
        "keys",
    )


def _evidence(record: Comparison) -> Html | None:
    """By axis, then by block."""
    if not record.axes:
        return _calibrated(record.calibration) if record.calibration else None
    rows = [
        (
            AXIS_WORDS.get(x.axis, x.axis),
            log10_words(x.log10_pvalue),
            x.n_blocks,
            effect_words(x.effect),
            f"{x.effect.ratio:.1f}" if x.effect and x.effect.chance >= 0.05 else "–",
            f"{x.weight:g}",
            _shown(x, record),
        )
        for x in record.axes
    ]
    head = ("Axis", "log10 p", "Blocks", "Likeness (chance)", "Ratio", "Weight",
            "Shared weights")  # fmt: skip
    caption = "Evidence by axis. Likeness: median cosine of matched units, and its level by chance."
    return section(
        "evidence",
        "The evidence",
        h("p", f"Basis: {basis_words(record)}."),
        h("h3", "By block"),
        block_map(record),
        h("h3", "By axis"),
        table(caption, head, rows, numbers=".nnnnn."),
        None if all(x.passes for x in record.axes) else h("p", NOT_SHOWN_BY, class_="note"),
        _calibrated(record.calibration) if record.calibration else None,
    )


def _shown(axis: AxisEvidence, record: Comparison) -> str:
    """Whether an axis shows shared weights, and what keeps one that lines up from doing so."""
    if axis.confirmed == "refuted":
        return "not outside the sample"
    if axis.passes and record.verdict == "aligned-only":
        return "the residual basis only"
    if is_too_few(record, axis):
        return TOO_FEW
    return "shown" if axis.passes else "not shown"


def block_map(record: Comparison) -> Html:
    """Smallest p-value of every pair of blocks on every axis."""
    tests = [t for t in record.tests if t.block_a != "all"]
    columns = list(dict.fromkeys(_axis(t) for t in tests))
    best: dict[tuple[str, str], dict[str, float]] = {}
    for t in tests:
        cells = best.setdefault((t.block_a, t.block_b), {})
        cells[_axis(t)] = min(t.log10_pvalue, cells.get(_axis(t), 0.0))
    rows = [a if a == b else f"{a} → {b}" for a, b in best]
    values = [[cells.get(axis) for axis in columns] for cells in best.values()]
    return numbered_map(rows, columns, values, "Smallest log10 p of each block on each axis")


def _axis(test: Test) -> str:
    kind = test.axis.split(".")[0]
    return "signs" if test.name == "signs" else AXES.get(kind, kind)


def _calibrated(x: Calibration) -> Html:
    return Html(
        h("h3", "Calibrated evidence")
        + facts(
            [
                ("Units on which two views agree", f"{x.statistic:.1%}"),
                ("At wrong depths", f"{x.wrong_depth:.1%} (a sanity figure, no null)"),
                ("Controls", f"{x.n_controls} pairs of class {x.model_class}"),
                ("Largest, median control", f"{x.largest_control:.1%}, {x.median_control:.1%}"),
                ("Rank among controls", f"p = {x.calibrated_pvalue:.3f}"),
                ("Margin above the largest", f"{x.margin:.1f}"),
                ("Controls used", h("span", x.controls, class_="digest")),
                ("Above the rule", "yes" if x.is_above else "no"),
            ]
        )
    )


def _trusted(record: Comparison) -> Html | None:
    trusted = sorted({x.trusts for x in record.axes} - {"either"})
    if not trusted:
        return None
    return h("p", f"Here some tests rely on the unit order of {' and '.join(trusted)} alone.")


def _derivation(record: Comparison) -> Html | None:
    direction, details = record.direction, record.kind_details
    if not record.kind and not direction.evidence and not details:
        return None
    numbers: list[tuple[str, object]] = [("Kind", ", ".join(record.kind))]
    order = [*DETAIL_KEYS, *(key for key in details if key not in DETAIL_KEYS)]
    numbers += [(detail_words(k), value_words(details[k])) for k in order if k in details]
    note = None
    said = "Which of the two came first is undetermined from these two alone."
    if direction.parent != "undetermined":
        child = "b" if direction.parent == "a" else "a"
        said = f"{direction.parent} is the parent, {child} the child"
        note = h("p", PROBABILITIES, class_="note")
        said += f" (probability {probability_words(direction.probability)})."
    evidence = (
        h("ul", [h("li", evidence_line(x)) for x in direction.evidence])
        if direction.evidence
        else None
    )
    words = "How one was made from the other. This describes; the verdict does not rest on it."
    return section(
        "derivation", "Kind and direction", h("p", words), facts(numbers),
        h("h3", "Direction"), h("p", said), evidence, note,
    )  # fmt: skip


def _layers(record: Comparison) -> Html | None:
    if all(x.relation == "kept" for x in record.layers):
        return None
    rows = [
        (x.block_a or "–", x.block_b or "–", x.relation, log10_words(x.log10_pvalue))
        for x in record.layers
    ]
    head = ("Block of a", "Block of b", "Relation", "log10 p")
    return section(
        "blocks", "Blocks", table("What became of each block", head, rows, numbers="...n")
    )


def _parts(record: Comparison) -> Html | None:
    if not record.parts:
        return None
    rows = [
        (x.name, PART_WORDS.get(x.verdict, x.verdict), log10_words(x.log10_pvalue))
        for x in record.parts
    ]
    caption = "The verdict of each part alone, corrected for their number"
    words = (
        "A shared part, such as a frozen vision tower, does not make two whole models relatives."
    )
    return section("parts", "Parts", h("p", words),
                   table(caption, ("Part", "Verdict", "log10 p"), rows, numbers="..n"))  # fmt: skip


def _tests(record: Comparison) -> Html | None:
    if not record.tests:
        return None
    rows = [
        (
            t.name,
            f"{t.axis}, {t.view}" if t.view else t.axis,
            t.block_a if t.block_a == t.block_b else f"{t.block_a} → {t.block_b}",
            t.n_units,
            f"{t.statistic:.6g}",
            log10_words(t.log10_pvalue),
            t.null,
            effect_words(t.effect),
        )
        for t in record.tests
    ]
    head = ("Test", "Axis", "Block", "Units", "Statistic", "log10 p", "Null", "Likeness (chance)")
    used = dict.fromkeys(t.null for t in record.tests)
    meaning = facts([(x, NULLS.get(x, "")) for x in used])
    shown = table(f"{len(rows):,} tests", head, rows, numbers="...nnn.n")
    return section("tests", "Every test", meaning,
                   h("details", h("summary", "Show the table"), shown))  # fmt: skip

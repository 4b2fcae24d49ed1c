"""The page of `locate`."""

from __future__ import annotations

from collections import Counter

from weightkin.records.location import Location, Matrix, UnitMap
from weightkin.report.heatmap import map_words, residual_words
from weightkin.report.html.build import Html, h, short
from weightkin.report.html.heat import pair_map
from weightkin.report.html.sections import models_section, opening, section, skipped_section
from weightkin.report.html.tables import table
from weightkin.report.html.words import NOT_SHOWN, NULL_WORDS, effect_words, log10_words, names
from weightkin.report.terminal import AXIS_WORDS

MOST_PLOTS, MOST_POINTS = 12, 160

LEAD = (
    "Every block of a was held against every block of b. A cell says how improbable it is that the "
    "units of those two blocks line up as they do, had the models been initialised independently.",
    "P-values are corrected (Holm) for everything that was looked at. The maps of blocks, units "
    "and tensors describe: they say where that is to be found which the p-values prove.",
)


def location_body(record: Location) -> list[Html | None]:
    """All sections but the last."""
    a, b = names(record)
    pair = h("p", "a is ", h("b", a), ", b is ", h("b", b), class_="pair")
    lead = [h("p", x, class_="lead") for x in LEAD]
    return [
        opening("Where two models are alike", record.sentence, pair, lead),
        _maps(record),
        _layers(record),
        _units(record),
        _tensors(record),
        section("null", "What was tested", [h("p", x) for x in NULL_WORDS[:2]]),
        section("limits", "What this does not show", h("ul", [h("li", x) for x in NOT_SHOWN])),
        skipped_section(record.skipped, incomplete=record.incomplete),
        models_section((("a", record.a), ("b", record.b))),
    ]


def _maps(record: Location) -> Html | None:
    shown = []
    for matrix in record.matrices:
        shown.append(h("h3", f"{AXIS_WORDS.get(matrix.axis, matrix.axis)}, {matrix.stack}"))
        shown += _matrix(matrix)
    for found in record.residual:
        shown += [h("p", line) for line in residual_words(found, record.alpha)]
    return section("blocks", "Block map", shown) if shown else None


def _matrix(matrix: Matrix) -> list[Html]:
    if not matrix.trusts:
        return [h("p", "Not tested: in both models the order of units follows something. The pairs "
                  "below are descriptive.")]  # fmt: skip
    trust = "" if matrix.trusts == "either" else f" Relies on the unit order of {matrix.trusts}."
    words = f"Blocks of a down, of b across; {matrix.n_tested} pairs tested.{trust}"
    columns = [_number(x) for x in matrix.blocks_b]
    title = f"log10 p of all pairs of blocks, {matrix.stack}"
    return [h("p", words), pair_map(matrix.blocks_a, columns, matrix.log10_pvalues, title)]


def _layers(record: Location) -> Html | None:
    if not record.layers:
        return None
    rows = [
        (x.block_a or "–", x.block_b or "–", x.relation, log10_words(x.log10_pvalue),
         effect_words(x.effect))
        for x in record.layers
    ]  # fmt: skip
    head = ("Block of a", "Block of b", "Relation", "log10 p", "Likeness (chance)")
    said = h("ul", [h("li", line) for line in map_words(record)])
    return section("relations", "What became of each block", said,
                   table(f"{len(rows)} blocks", head, rows, numbers="...nn"))  # fmt: skip


def _units(record: Location) -> Html | None:
    if not record.unit_maps:
        return None
    rows = [
        (
            m.block_a if m.block_a == m.block_b else f"{m.block_a} → {m.block_b}",
            m.name_a if m.name_a == m.name_b else f"{m.name_a} → {m.name_b}",
            f"{len(m.units_a)} of {m.n_looked_a}",
            "in order" if m.in_order else "in another order",
            m.n_flipped or "–",
            ", ".join(f"{view.split('.')[-1]} × {s.median:.3g}" for view, s in m.scale.items()),
            effect_words(m.effect),
        )
        for m in record.unit_maps
    ]
    head = (
        "Block",
        "Axis",
        "Units found in b",
        "Order",
        "Signs turned",
        "Norms",
        "Likeness (chance)",
    )
    words = (
        "Which units of a block of a are which units of the matched block of b. Norms are those of "
        "b over those of a. A dot in a square is one unit: its number in a across, in b up. "
        "Index by index, the maps stand in the record."
    )
    plots = h("div", [_plot(m) for m in record.unit_maps[:MOST_PLOTS]], class_="plots")
    return section("units", "Unit map", h("p", words), plots,
                   table(f"{len(rows)} unit maps", head, rows, numbers="..n.n.n"))  # fmt: skip


def _plot(m: UnitMap) -> Html:
    """Unit numbers of a against those of b: in order is a diagonal line, permuted a cloud."""
    step = -(-len(m.units_a) // MOST_POINTS) or 1
    pairs = list(zip(m.units_a, m.units_b, strict=False))[::step]
    side_a, side_b = (max(n - 1, 1) for n in (m.n_units_a, m.n_units_b))
    points = "".join(
        f"M{6 + 108 * x / side_a:.0f} {114 - 108 * y / side_b:.0f}h0" for x, y in pairs
    )
    where = m.block_a if m.block_a == m.block_b else f"{m.block_a} → {m.block_b}"
    title = f"Unit numbers of a (across) and b (up), {where} {m.name_a}"
    drawn = h(
        "svg", h("title", title), h("rect", x=1, y=1, width=118, height=118, class_="frame"),
        h("path", d=Html(points), class_="points"), width=120, height=120, role="img",
    )  # fmt: skip
    return h("figure", drawn, h("figcaption", f"{short(where, 30)}, {short(m.name_a, 16)}"))


def _tensors(record: Location) -> Html | None:
    if not record.tensors:
        return None
    counts = Counter(t.relation for t in record.tensors)
    said = ", ".join(f"{counts[x]} {x}" for x in ("equal", "close", "other") if counts[x])
    rows = [
        (t.name_a if t.name_a == t.name_b else f"{t.name_a} → {t.name_b}",
         " × ".join(map(str, t.shape_b)), t.relation, f"{t.equal_share:.1%}", f"{t.cosine:.3f}")
        for t in record.tensors
    ]  # fmt: skip
    head = ("Tensor", "Shape in b", "Relation", "Equal values", "Cosine")
    shown = table(f"{len(rows)} pairs of tensors, on sampled values", head, rows, numbers="...nn")
    summary = h("summary", "Show the table")
    return section("tensors", "Tensors", h("p", f"On sampled values: {said}."),
                   h("details", summary, shown))  # fmt: skip


def _number(block: str) -> str:
    return block.rsplit(".", 1)[-1]

"""Pictures of a comparison: which parts of the two models are alike, and by how much, by block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from weightkin.records import Comparison, Test
from weightkin.report.accounting import STATE_WORDS, accounting_facts
from weightkin.report.heatmap import STEPS
from weightkin.report.html.environment import short
from weightkin.report.html.figures import MAX_CELLS, MAX_HEAT_ROWS, MOST_NUMBERS, Grid
from weightkin.report.terminal import AXIS_WORDS, is_test_too_small

TALL, WIDE, SMALL = 24, 40, 13  # of a row, of a cell with a number, of one without
LABEL = 24  # characters of the name of a row
BAR = 260  # pixels of all units of a block
AXES = {"mlp": "units", "qk": "key signs"}  # as tests call them, and as the terminal does
OWN_NAMES = ("signs", "turns")  # tests that are called after what they look at
FEW, NOTHING = "few", "–"

Cells = Mapping[int, Test]  # by the number of the block; -1 is all of a stack


def parts_map(record: Comparison) -> Grid:
    """Each kind of unit in each block of a: how improbable the agreement is, and how alike."""
    rows = _rows(record.tests)
    columns = sorted({n for cells in rows.values() for n in cells if n >= 0})
    group = -(-len(columns) // MAX_CELLS) or 1
    groups = [columns[i : i + group] for i in range(0, len(columns), group)]
    is_wide = len(columns) > MOST_NUMBERS
    wide = SMALL if is_wide else WIDE
    left = 10 + 7 * max((len(short(x, LABEL)) for x in rows), default=0)
    span = max(len(groups) * wide, 2 * WIDE)
    texts = [
        (left + j * wide + wide // 2, 14, "label", "middle", str(x[0]))
        for j, x in enumerate(groups)
        if not is_wide or j % 5 == 0
    ]
    boxes = []
    for i, (name, cells) in enumerate(rows.items()):
        y = 22 + i * TALL
        texts.append((0, y + 16, "label", "start", short(name, LABEL)))
        places = [(left + j * wide, wide, [cells[n] for n in x if n in cells])
                  for j, x in enumerate(groups)]  # fmt: skip
        places += [(left, span, [cells[-1]])] if -1 in cells else []
        for x, width, found in places:
            if not found:
                continue
            best = min(found, key=lambda t: t.log10_pvalue)
            step = sum(best.log10_pvalue <= s for s in STEPS)
            boxes.append((x + 1, y + 1, width - 2, TALL - 2, f"cell-{step}", _said(name, best)))
            if width >= WIDE:
                words = _number(best, step)
                texts.append((x + width // 2, y + 16, f"on-{step}", "middle", words))
    number = "" if is_wide else (
        " The number is their cosine: 1 is the same direction. What the best wrong match reaches is"
        f" in the table below. “{NOTHING}”: nothing found; “{FEW}”: too few to test."
    )  # fmt: skip
    grouped = f" Each cell stands for {group} blocks." if group > 1 else ""
    return {
        "width": left + span,
        "height": 24 + len(rows) * TALL,
        "title": "Which parts are alike, by block",
        "boxes": boxes,
        "texts": texts,
        "caption": "Columns are the blocks of model a. Shaded: matched units agree more than those"
        " of independent models would; the stronger the colour, the less probable."
        f"{number}{grouped}",
    }


def extent_bars(record: Comparison) -> Grid | None:
    """How many hidden units of each block match their own index; None where that was not tested."""
    best: dict[str, Test] = {}
    for t in record.tests:
        if t.name == "coincidences" and t.axis.split(".")[0] == "mlp" and t.n_units > 0:
            name = t.block_a if t.block_a == t.block_b else f"{t.block_a} → {t.block_b}"
            best[name] = max(t, best.get(name, t), key=lambda x: x.statistic / x.n_units)
    shown = list(best.items())[:MAX_HEAT_ROWS]
    if not shown:
        return None
    left = 10 + 7 * max(len(short(name, LABEL)) for name, _ in shown)
    boxes: list[tuple[float | str, ...]] = []
    texts: list[tuple[float | str, ...]] = []
    for i, (name, t) in enumerate(shown):
        y = 4 + i * TALL
        share = min(max(t.statistic / t.n_units, 0.0), 1.0)
        texts.append((0, y + 15, "label", "start", short(name, LABEL)))
        boxes.append((left, y + 3, BAR, TALL - 8, "cell-0", ""))
        boxes.append((left, y + 3, round(BAR * share, 1), TALL - 8, "cell-3", ""))
        words = f"{t.statistic:.0f} of {t.n_units}"
        texts.append((left + BAR + 8, y + 15, "label", "start", words))
    more = f" The first {len(shown)} of {len(best)} blocks." if len(best) > len(shown) else ""
    return {
        "width": left + BAR + 100,
        "height": 8 + len(shown) * TALL,
        "title": "Hidden units of each block that match their own index",
        "boxes": boxes,
        "texts": texts,
        "caption": "Hidden units that match the unit of the same index in the other model, of all"
        f" that were sampled. Of independent models it is about one in a block, by chance.{more}",
    }


def accounting_bar(record: Comparison) -> Grid | None:
    """How many parameters of the smaller model were tested; None where that is not known."""
    if record.accounting is None:
        return None
    facts = accounting_facts(record.accounting)
    sizes = [getattr(record.accounting, state).n for state in STATE_WORDS]
    n, tested = max(1, sum(sizes)), sizes[0]
    texts = [(0, 48 + 18 * i, "label", "start", f"{words}: {share}")
             for i, (words, share, _) in enumerate(facts)]  # fmt: skip
    boxes = [
        (0, 4, BAR, TALL, "cell-0", ""),
        (0, 4, round(BAR * tested / n, 1), TALL, "cell-3", ""),
    ]
    return {
        "width": BAR + 40,
        "height": 40 + 18 * len(texts),
        "title": "How many parameters of the smaller model were tested",
        "boxes": boxes,
        "texts": texts,
        "caption": "Dark: tested. Parameters of the smaller of the two models.",
    }


def _rows(tests: Iterable[Test]) -> dict[str, dict[int, Test]]:
    """The strongest test of each kind of unit in each block."""
    named = [(t, *_place(t.block_a)) for t in tests if t.block_a != "all"]
    is_one = len({stack for _, stack, _ in named}) < 2
    rows: dict[str, dict[int, Test]] = {}
    for t, stack, number in named:
        row = rows.setdefault(_axis(t) if is_one else f"{_axis(t)}, {stack}", {})
        if number not in row or t.log10_pvalue < row[number].log10_pvalue:
            row[number] = t
    return dict(list(rows.items())[:MAX_HEAT_ROWS])


def _place(block: str) -> tuple[str, int]:
    """The stack of a block and its number in it."""
    stack, _, number = block.rpartition(".")
    return (stack, int(number)) if number.isdecimal() and stack and len(number) < 7 else (block, -1)


def _axis(test: Test) -> str:
    kind = test.name if test.name in OWN_NAMES else test.axis.split(".")[0]
    kind = AXES.get(kind, kind)
    return AXIS_WORDS.get(kind, kind)


def _number(test: Test, step: int) -> str:
    """How alike matched units are, where they agree; else why not."""
    if is_test_too_small(test):
        return FEW
    if not step:
        return NOTHING
    effect = test.effect
    return f"{effect.observed:.2f}" if effect is not None and effect.ratio != 0.0 else "yes"


def _said(name: str, test: Test) -> str:
    return f"{name}, {test.block_a}: log10 p {test.log10_pvalue:.1f}"

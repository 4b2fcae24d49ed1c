"""Where two models are alike: a heat map of block pairs in characters, and the maps in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from weightkin.records import BlockRelation
from weightkin.records.form import pvalue_words
from weightkin.records.location import Location, Matrix, ResidualMap, UnitMap
from weightkin.report.line import Line, fact
from weightkin.report.reasons import why
from weightkin.report.terminal import (
    AXIS_WORDS,
    MAX_SKIPPED,
    axis_words,
    file_size,
    printable,
)
from weightkin.text import counted

SHADES, ASCII_SHADES = "·░▒▓█", ".:+%#"
STEPS = (-6.0, -20.0, -50.0, -100.0)  # log10 p at which the next character begins
MAX_HEATMAP_SIDE = 64  # rows and columns; longer stacks are grouped
MAX_LINES = 12  # of unit maps
LINK = {"equal": "equal to", "close": "close to"}


def location_lines(
    record: Location, *, is_unicode: bool = True, is_full: bool = False
) -> list[str]:
    """The sentence, the heat maps, the maps in words, what was skipped.

    Parameters
    ----------
    record : Location
        What was found.
    is_unicode : bool
        Draw with Unicode characters, not with ASCII.
    is_full : bool
        Every unit map, all that was skipped, and what is needed to run it again.

    Returns
    -------
    list of str
        Lines without their ends.
    """
    lines: list[str] = [Line.of((record.sentence, "found" if record.matched else "strong")), ""]
    for name, ref in (("model a", record.a), ("model b", record.b)):
        revision = f" @ {printable(ref.revision)}" if ref.revision else ""
        lines.append(fact(name, f"{printable(ref.source)}{revision}"))
    shades = SHADES if is_unicode else ASCII_SHADES
    shown = [
        m for m in record.matrices if any(p <= STEPS[0] for row in m.log10_pvalues for p in row)
    ]
    for matrix in shown:
        lines += ["", *heat_lines(matrix, shades)]
    lines += ["", f"  {_legend(shades)}"] if shown else [""]
    for matrix in record.matrices:
        if matrix.trusts and matrix not in shown:
            axis = f"{AXIS_WORDS.get(matrix.axis, matrix.axis)}, {printable(matrix.stack)}"
            lines.append(f"  {axis}: nothing found in {matrix.n_tested} pairs of blocks")
    words = [f"  {line}" for line in map_words(record)]
    lines += ["", *words] if words else []
    lines += _unit_lines(record.unit_maps, is_full=is_full)
    lines += [f"  {line}" for r in record.residual for line in residual_words(r, record.alpha)]
    lines += [f"  {line}" for line in _tensor_words(record)]
    most = len(record.skipped) if is_full else MAX_SKIPPED
    for skip in record.skipped[:most]:
        lines.append(fact("skipped", f"{printable(skip.what)}: {printable(why(skip))}"))
    if len(record.skipped) > most:
        lines.append(fact("skipped", f"{len(record.skipped) - most} more (-v lists them)"))
    looked = f"{file_size(record.bytes_read)} read in {record.seconds:.2f} s"
    lines.append(fact("looked at", looked))
    if is_full:
        lines += [f"  digest of a: {record.a.digest}", f"  digest of b: {record.b.digest}"]
        made = f"{record.method}, seed {record.seed}, weightkin {record.version}"
        lines.append(f"  alpha {record.alpha:g}; {made}")
    return lines


def heat_lines(matrix: Matrix, shades: str = SHADES) -> list[str]:
    """One character a pair of blocks: rows are blocks of a, columns blocks of b."""
    step_a, step_b = (-(-len(x) // MAX_HEATMAP_SIDE) for x in (matrix.blocks_a, matrix.blocks_b))
    words = AXIS_WORDS.get(matrix.axis, matrix.axis)
    trusts = f", uses the unit order of {matrix.trusts} only" if matrix.trusts in "ab" else ""
    n_columns = -(-len(matrix.blocks_b) // step_b)
    ruler = "".join(f"{j * step_b:<10}" for j in range(0, n_columns, 10)).rstrip()
    grouped = f", {step_a} x {step_b} pairs per character" if max(step_a, step_b) > 1 else ""
    head = f"{words}, {printable(matrix.stack)} (rows: blocks of a; columns: blocks of b)"
    lines = [f"  {head}{grouped}{trusts}"]
    lines.append(f"  {'':>4} {ruler}")
    for i in range(0, len(matrix.blocks_a), step_a):
        rows = matrix.log10_pvalues[i : i + step_a]
        cells = [
            min(p for row in rows for p in row[j : j + step_b])
            for j in range(0, len(matrix.blocks_b), step_b)
        ]
        lines.append(f"  {i:>4} {''.join(_shade(p, shades) for p in cells)}")
    return lines


def map_words(record: Location) -> list[str]:
    """The block map in words, a line for each pair of stacks."""
    lines = []
    by_stack: dict[str, list[BlockRelation]] = {}
    paired = {_stack(x.block_a): _stack(x.block_b) for x in reversed(record.matched)}
    back = {_stack(x.block_b): _stack(x.block_a) for x in reversed(record.matched)}
    for x in record.layers:
        a, b = _stack(x.block_a), _stack(x.block_b)
        a, b = a or back.get(b, b), b or paired.get(a, a)
        by_stack.setdefault(a if a == b else f"{a} (in b: {b})", []).append(x)
    for stack, layers in by_stack.items():
        pairs = [(x.relation, _number(x.block_a), _number(x.block_b)) for x in layers]
        matched = [p for p in pairs if p[1] >= 0 and p[2] >= 0]
        lost = [i for _, i, j in pairs if j < 0]
        new = [j for _, i, j in pairs if i < 0]
        kept = [i for relation, i, _ in matched if relation == "kept"]
        words = [f"{_spans(kept)} kept"] if kept else []
        words += [_run_words(run) for run in _runs(p for p in matched if p[0] != "kept")]
        words += [f"{_spans(lost)} dropped"] if lost else []
        words += [f"{_spans(new)} of b inserted"] if new else []
        lines.append(f"blocks of {printable(stack)}: {', '.join(words)}")
    if record.layers and not record.is_monotone:
        lines.append("the blocks of b are in another order than those of a")
    described = [x for x in record.matched if x.log10_pvalue == 0.0]
    if described:
        lines.append(f"matched without a p-value (descriptive): {len(described)} pairs of blocks")
    return lines


def _stack(block: str) -> str:
    return block.rpartition(".")[0]


def _unit_lines(maps: Sequence[UnitMap], *, is_full: bool) -> list[str]:
    """Where every unit is in its place as a number, the other maps a line each."""
    plain = Counter(m.axis for m in maps if _is_plain(m))
    n_all = Counter(m.axis for m in maps)
    lines = [
        f"  {AXIS_WORDS.get(axis, axis)}: every unit found, in order, in {n} of"
        f" {counted(n_all[axis], 'pair')} of blocks"
        for axis, n in plain.items()
    ]
    others = list(maps) if is_full else [m for m in maps if not _is_plain(m)]
    most = len(others) if is_full else MAX_LINES
    lines += [f"  {_unit_words(m)}" for m in others[:most]]
    if len(others) > most:
        lines.append(f"  {len(others) - most} more unit maps (-v lists them)")
    return ["", *lines] if lines else []


def _is_plain(m: UnitMap) -> bool:
    """Whether all units were found where they are in the other model, and as they are there."""
    is_all = len(m.units_a) == m.n_looked_a and m.in_order and m.name_a == m.name_b
    return is_all and not m.n_flipped and not _is_scaled(m)


def _is_scaled(m: UnitMap) -> bool:
    return any(abs(s.median - 1) > 0.1 or s.spread > 0.2 for s in m.scale.values())


def _unit_words(m: UnitMap) -> str:
    """``decoder.0 -> decoder.0, V/O dimensions: 48 of 48 units of a found ...``."""
    a, b = axis_words(m.name_a), axis_words(m.name_b)
    where = f"{m.block_a} -> {m.block_b}, {a if a == b else f'{a} -> {b}'}"
    order = "in order" if m.in_order else "in another order"
    what = f"{len(m.units_a)} of {m.n_looked_a} units of a found among {m.n_looked_b} of b, {order}"
    flips = f", {m.n_flipped} signs flipped" if m.n_flipped else ""
    scales = [f"{view.split('.')[-1]} x {s.median:.3g}" for view, s in m.scale.items()]
    scale = f", norms {', '.join(scales)}" if _is_scaled(m) else ""
    return printable(f"{where}: {what}{flips}{scale}")


def residual_words(r: ResidualMap, alpha: float) -> list[str]:
    """How many dimensions of the residual width were kept; nothing where none were found."""
    if not r.trusts or 10**r.log10_pvalue > alpha:
        if not r.kept_a:
            return []
        label = "descriptive: "
    else:
        label = ""
    order = "in order" if r.in_order else "in another order"
    p = f" ({pvalue_words(r.log10_pvalue)})" if not label else ""
    n = f"{len(r.kept_a)} of {r.n_a} dimensions of a found among {r.n_b} of b"
    return [f"residual width of {printable(r.stack)}: {label}{n}, {order}{p}"]


def _tensor_words(record: Location) -> list[str]:
    """How many tensors of b are tensors of a, under their own name or another."""
    best: dict[str, tuple[int, bool]] = {}
    rank = {"equal": 0, "close": 1}
    for t in record.tensors:
        if t.relation in rank:
            found = (rank[t.relation], t.name_a != t.name_b)
            best[t.name_b] = min(best.get(t.name_b, (2, True)), found)
    if not best:
        return []
    counts = Counter(best.values())
    words = [
        f"{counts[n, other]} {f'{LINK[kind]} a tensor with another name' if other else kind}"
        for kind, n in rank.items()
        for other in (False, True)
        if counts[n, other]
    ]
    n_others = record.n_tensors_b - sum(counts.values())
    words += [f"{n_others} not found in a"] if n_others else []
    return [f"{record.n_tensors_b} tensors of b, sampled: {', '.join(words)}"]


def _runs(pairs: Iterable[tuple[str, int, int]]) -> list[list[tuple[str, int, int]]]:
    """Neighbouring blocks with one relation and one offset."""
    runs: list[list[tuple[str, int, int]]] = []
    for pair in sorted(pairs, key=lambda p: (p[2] - p[1], p[1])):
        last = runs[-1][-1] if runs else None
        if last and (last[0], last[1] + 1, last[2] + 1) == pair:
            runs[-1].append(pair)
        else:
            runs.append([pair])
    return sorted(runs, key=lambda run: (run[0][1], run[0][2]))


def _run_words(run: Sequence[tuple[str, int, int]]) -> str:
    relation, first_a, first_b = run[0]
    _, last_a, last_b = run[-1]
    target = f"{_span(first_a, last_a)} -> {_span(first_b, last_b)}"
    return f"{target} (repeated)" if relation == "repeated" else target


def _spans(numbers: Sequence[int]) -> str:
    runs = _runs([("", n, n) for n in numbers])
    return " ".join(_span(run[0][1], run[-1][1]) for run in runs)


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _number(block: str) -> int:
    number = block.rsplit(".", 1)[-1]
    return int(number) if number.isdecimal() else -1


def _shade(log10_p: float, shades: str) -> str:
    return shades[sum(log10_p <= step for step in STEPS)]


def _legend(shades: str) -> str:
    steps = ", ".join(f"{c} p <= 1e{int(s)}" for c, s in zip(shades[1:], STEPS, strict=True))
    return f"{shades[0]} none, {steps} (corrected for all tests)"

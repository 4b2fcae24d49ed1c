"""What the registry says, for people: searches and paths."""

from __future__ import annotations

from collections.abc import Mapping

from weightkin.records.form import pvalue_words
from weightkin.records.registry import Relation, Relative, Search, Step, Trace
from weightkin.report.clues import declared_words, evidence_line
from weightkin.report.parent_words import parent_words
from weightkin.report.reasons import why
from weightkin.report.terminal import command_line, printable

MAX_LINES = 20
RELATIONS: Mapping[Relation, str] = {
    "": "",
    "identical": "identical",
    "parent": "parent",
    "merged-into": "merged into it",
    "child": "child",
    "sibling": "sibling",
    "ancestor": "ancestor",
    "descendant": "descendant",
    "relative": "shares an ancestor with it",
    "unknown": "direction open",
}
DIRECTIONS = {"ancestor": "up", "descendant": "down"}
NEAREST = "compared only with its nearest relatives, so no parent is determined; for all models:"


def search_lines(record: Search, registry: str = "FILE") -> list[str]:
    """The sentence, the relatives nearest first, and the lineage."""
    lines = [printable(record.sentence), *_own(record), *_fits(record)]
    for x in record.relatives[:MAX_LINES]:
        lines.append(f"  {_relative(x)}")
    if len(record.relatives) > MAX_LINES:
        lines.append(f"  {len(record.relatives) - MAX_LINES} more (--json lists them)")
    for x in record.untested[:MAX_LINES]:
        lines.append(f"  not testable with {_relative(x)}")
    if record.first_registered:
        of_all = " (itself)" if _is_first(record) else ""
        lines.append(f"  registered first: {printable(record.first_registered)}{of_all}")
    for step in record.parents:
        word = "parent" if step.direction == "determined" else "possible parent"
        lines.append(f"  {word}: {_step(step)}")
    lines += path_lines(record)
    lines += _end(record, registry)
    return lines


def _fits(record: Search) -> list[str]:
    """Models that an adapter fits, and what that does not say."""
    lines = [f"  fits #{x.id} {printable(x.name)}" for x in record.fits[:MAX_LINES]]
    if len(record.fits) > MAX_LINES:
        lines.append(f"  {len(record.fits) - MAX_LINES} more (--json lists them)")
    if record.fits:
        lines.append("  names and shapes do not show which model it was trained on")
    return lines


def relative_lines(record: Search) -> list[str]:
    """The sentence and the relatives, nearest first, without details."""
    return [printable(record.sentence), *(f"  {_relative(x)}" for x in record.relatives)]


def trace_lines(record: Trace, registry: str = "FILE") -> list[str]:
    """The path to the root with the evidence for every edge, and the declared parents."""
    search = record.search
    lines = [printable(search.sentence), *_own(search), *path_lines(search)]
    for step in search.path:
        child = numbered(step.child, step.child_id)
        lines.append(f"  {child} {'<-' if step.direction == 'determined' else '--'} {_step(step)}")
        if step.parent_digest:
            lines.append(f"    digest {printable(step.parent_digest)}")
        lines += [f"    {printable(evidence_line(y))}" for y in step.evidence]
    if not search.path:
        lines.append("  no parent found among the registered models")
    for x in record.declared:
        words = printable(declared_words(x))
        if x.state == "undeclared":
            lines.append(f"  not declared  {printable(x.name)}: {words}")
        else:
            lines.append(f"  declared  {printable(x.name)}: {x.state} ({words})")
    if record.licence:
        lines.append(f"  licence declared: {printable(record.licence)}")
    return [*lines, *_end(search, registry)]


def path_lines(record: Search) -> list[str]:
    """Names from the root down to the model, on one line."""
    if not record.path:
        return []
    names = [record.path[-1].parent, *(s.child for s in reversed(record.path))]
    signs = [" -> " if s.direction == "determined" else " -- " for s in reversed(record.path)]
    text = names[0] + "".join(sign + name for sign, name in zip(signs, names[1:], strict=True))
    return [f"  path: {printable(text)}"]


def _own(record: Search) -> list[str]:
    own = record.registered
    return [] if own is None else [f"  registered as #{own.id} on {printable(own.added)}"]


def _is_first(record: Search) -> bool:
    """Whether the model itself was registered before its relatives."""
    own = record.registered
    return own is not None and all(
        (own.added, own.id) < (x.model.added, x.model.id) for x in record.relatives
    )


def _end(record: Search, registry: str) -> list[str]:
    lines = []
    if record.placed_among == "nearest":
        lines += [f"  {NEAREST}", command_line("tree", "--registry", registry)]
    lines += [f"  skipped  {printable(x.what)}: {printable(why(x))}" for x in record.skipped]
    lines.append(
        f"  {record.n_scanned} scanned, {record.n_compared} compared; alpha {record.alpha:g},"
        f" for each comparison {record.paid_alpha:.1e}; {record.seconds:.2f} s,"
        f" seed {record.seed}, weightkin {record.version}"
    )
    return lines


def relation_words(x: Relative) -> str:
    """What a relative is to the model; "" where its sentence says that, or nothing was found."""
    words = RELATIONS[x.relation]
    if x.summary.is_same or not words:
        return ""
    return f"{words}, {x.steps} steps {DIRECTIONS[x.relation]}" if x.steps > 1 else words


def looked_words(x: Relative) -> str:
    """What was compared, and whether the weights show it on a fresh sample."""
    run = x.summary.fresh
    if run is None or x.looked_at == "weights":
        return x.looked_at
    if run.why_not is not None:
        return f"{x.looked_at}; not confirmed on the weights: {why(run.why_not)}"
    return f"{x.looked_at}; confirmed on the weights ({pvalue_words(run.log10_pvalue)})"


def _relative(x: Relative) -> str:
    kinds = f" {', '.join(x.kind)}" if x.kind else ""
    said = f"{relation_words(x)}; " if relation_words(x) else ""
    looked = f"; {printable(looked_words(x))}" if x.summary.fresh is not None else ""
    return f"#{x.model.id} {printable(x.model.name)}{kinds}: {said}{printable(x.sentence)}{looked}"


def _step(step: Step) -> str:
    weight = f", weight {step.weight:.2f}" if step.weight != 1.0 else ""
    parent = numbered(step.parent, step.parent_id)
    return f"{parent} ({printable(step.kind)}{weight}; {parent_words(step)})"


def numbered(name: str, number: int) -> str:
    """A model by its number in the registry and its name; number 0: it has none."""
    return f"#{number} {printable(name)}" if number else printable(name)

"""What the registry says, for people: searches and paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weightkin.records.family import is_unconfirmed
from weightkin.records.form import pvalue_words
from weightkin.records.registry import Relation, Relative, Search, Step, Trace
from weightkin.report.clues import declared_words, evidence_line
from weightkin.report.line import Line, Style, fact
from weightkin.report.nodes import parent_name, unshown_words
from weightkin.report.parent_words import parent_words
from weightkin.report.reasons import why
from weightkin.report.sentences import brief_words, scanned_words
from weightkin.report.table import table
from weightkin.report.terminal import command_line, printable
from weightkin.report.width import WIDE

MAX_LINES = 20
MOST_NOTES = 3  # of one model: others with the same contents
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
    "unknown": "undetermined",
}
DIRECTIONS = {"ancestor": "up", "descendant": "down"}
NEAREST = "compared only with its nearest relatives, so no parent is determined; for all models:"


def search_lines(
    record: Search, registry: str = "FILE", *, is_full: bool = False, width: int = WIDE
) -> list[str]:
    """The sentence, the same in plain words, the lineage, and a table of relatives.

    Parameters
    ----------
    record : Search
        What was found.
    registry : str
        Its file, for the command to run next.
    is_full : bool
        The whole verdict about each relative, and every relative.
    width : int
        Columns of the table.

    Returns
    -------
    list of str
        The relatives nearest first.
    """
    lines = [*_answer(record), *_lineage(record)]
    for step in record.parents:
        word = "parent" if step.direction == "determined" else "parent?"
        lines.append(fact(word, _step(step, record.alpha)))
    lines += _fits(record)
    most = len(record.relatives) + len(record.untested) if is_full else MAX_LINES
    lines += [""] if record.relatives else []
    if is_full:
        lines += [f"  {_relative(x)}" for x in record.relatives]
    else:
        lines += _table(record.relatives[:most], width)
        lines += [
            f"  #{x.model.id} {printable(x.model.name)}: {printable(note.sentence)}"
            for x in record.relatives[:most]
            for note in x.model.notes[:MOST_NOTES]
        ]
    if len(record.relatives) > most:
        lines.append(f"  {len(record.relatives) - most} more (-v lists them)")
    lines += [f"  not testable with {_relative(x)}" for x in record.untested[:most]]
    return [*lines, *_end(record, registry, is_full=is_full)]


def _answer(record: Search) -> list[str]:
    """The sentence, and what it comes to."""
    style: Style = "found" if record.relatives else "strong" if record.is_tested else "open"
    return [Line.of((printable(record.sentence), style)), printable(plain_words(record)), ""]


def plain_words(record: Search) -> str:
    """What a search found, as one sentence without figures that names the model."""
    name = record.name
    if record.fits:
        return "An adapter alone cannot be tested; it fits the models below by names and shapes."
    if not record.relatives:
        if not record.is_tested:
            return f"{name} could not be tested here, so nothing can be said about its relatives."
        if not record.n_compared:
            return f"No model here was near enough to {name} to be compared with it."
        return f"No sign of weights shared with {name} was found in any model that was compared."
    if any(x.summary.is_same for x in record.relatives):
        return "The same model is registered here."
    sure = [x for x in record.parents if not is_unconfirmed(x)]
    parents = [x.parent for x in sure if x.direction == "determined" and x.parent_id]
    if parents:
        return f"{name} was probably made from {' and '.join(parents)}."
    related = [x for x in record.relatives if x.verdict == "dependent"]
    if not related:
        return f"Units of {name} line up with those of other models: this alone shows no relation."
    if all(x.summary.basis == "exact-unconfirmed" for x in related):
        return (
            f"{name} is related to registered models, or one of them was made to match the other."
        )
    return f"{name} is related to registered models; whether it was made from one of them is open."


def _lineage(record: Search) -> list[str]:
    lines = path_lines(record)
    if record.registered is not None:
        lines.append(
            fact("registered", f"as #{record.registered.id} on {record.registered.added[:10]}")
        )
    if record.first_registered:
        of_all = " (itself)" if _is_first(record) else " (registered first of its relatives)"
        lines.append(fact("first here", f"{printable(record.first_registered)}{of_all}"))
    return lines


def _table(relatives: Sequence[Relative], width: int) -> list[str]:
    rows = [
        (
            f"#{x.model.id}",
            printable(x.model.name),
            _relation(x),
            ", ".join(x.kind),
            printable(brief_words(x.summary)),
        )
        for x in relatives
    ]
    head = ("", "model", "relation", "difference", "evidence")
    return table(head, rows, right=(0,), width=width)


def _fits(record: Search) -> list[str]:
    """Models that an adapter fits, and what that does not say."""
    lines: list[str] = [
        fact("fits", f"#{x.id} {printable(x.name)}") for x in record.fits[:MAX_LINES]
    ]
    if len(record.fits) > MAX_LINES:
        lines.append(f"  {len(record.fits) - MAX_LINES} more (--json lists them)")
    if record.fits:
        lines.append("  names and shapes do not show which model it was trained on")
    return lines


def trace_lines(record: Trace, registry: str = "FILE", *, is_full: bool = False) -> list[str]:
    """The path to the root, and the declared parents.

    Parameters
    ----------
    record : Trace
        What was found.
    registry : str
        Its file, for the command to run next.
    is_full : bool
        The evidence for every step, and digests.

    Returns
    -------
    list of str
        The step to the model's own parent first.
    """
    search = record.search
    lines = [*_answer(search), *_lineage(search)]
    for step in search.path:
        child = numbered(step.child, step.child_id)
        sign = "<-" if step.direction == "determined" else "--"
        lines.append(fact("step", f"{child} {sign} {_step(step, search.alpha)}"))
        if is_full and step.parent_digest:
            lines.append(f"    digest {printable(step.parent_digest)}")
        lines += [f"    {printable(evidence_line(y))}" for y in step.evidence] if is_full else []
    if not search.path:
        lines.append(fact("step", "no parent found among the registered models"))
    licences = licences_of(search)
    for x in record.declared:
        words = printable(declared_words(x))
        said = f"{x.state} ({words})" if x.is_declared else words
        licence = licences.get(x.id, "")
        said += f"; licence {printable(licence)}" if licence else ""
        label = "declared" if x.is_declared else "undeclared" if x.is_undeclared else "possible"
        lines.append(fact(label, f"{printable(x.name)}: {said}"))
    if record.licence:
        lines.append(fact("licence", f"{printable(record.licence)} (declared)"))
    return [*lines, *_end(search, registry, is_full=is_full)]


def licences_of(record: Search) -> Mapping[int, str]:
    """Declared licences of the models that were compared, by their numbers."""
    return {x.model.id: x.model.licence for x in (*record.others, *record.relatives)}


def path_lines(record: Search) -> list[str]:
    """Names from the root down to the model, on one line."""
    if not record.path:
        return []
    names = [parent_name(record.path[-1]), *(s.child for s in reversed(record.path))]
    signs = [" -> " if s.direction == "determined" else " -- " for s in reversed(record.path)]
    text = names[0] + "".join(sign + name for sign, name in zip(signs, names[1:], strict=True))
    return [fact("path", printable(text))]


def _is_first(record: Search) -> bool:
    """Whether the model itself was registered before its relatives."""
    own = record.registered
    return own is not None and all(
        (own.added, own.id) < (x.model.added, x.model.id) for x in record.relatives
    )


def _end(record: Search, registry: str, *, is_full: bool) -> list[str]:
    lines: list[str] = []
    if record.placed_among == "nearest":
        lines += [f"  {NEAREST}", command_line("tree", "--registry", registry)]
    lines += [fact("skipped", f"{printable(x.what)}: {printable(why(x))}") for x in record.skipped]
    lines.append(fact("looked at", f"{scanned_words(record)} in {record.seconds:.2f} s"))
    if is_full:
        levels = f"alpha {record.alpha:g}, for each comparison {record.paid_alpha:.1e}"
        lines.append(f"  {levels}; seed {record.seed}, weightkin {record.version}")
    return lines


def _relation(x: Relative) -> str:
    return "identical" if x.summary.is_same else relation_words(x)


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


def _step(step: Step, alpha: float) -> str:
    weight = f", weight {step.weight:.2f}" if step.weight != 1.0 else ""
    parent = numbered(parent_name(step), step.parent_id)
    unshown = unshown_words(step, alpha)
    return f"{parent} ({printable(step.kind)}{weight}{unshown}; {parent_words(step)})"


def numbered(name: str, number: int) -> str:
    """A model by its number in the registry and its name; number 0: it has none."""
    return f"#{number} {printable(name)}" if number else printable(name)

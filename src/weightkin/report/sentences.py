"""Every record as one line that can be quoted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from weightkin.records import Clue, Comparison, Note, Skipped
from weightkin.records.checking import Against, Check, Finding
from weightkin.records.comparison import Summary
from weightkin.records.descendants import Descendants
from weightkin.records.estimating import Estimate
from weightkin.records.family import FamilyGraph
from weightkin.records.form import pvalue_words
from weightkin.records.kinds import equal_kinds
from weightkin.records.listing import Adding, Listing
from weightkin.records.location import Location
from weightkin.records.registry import DeclaredParent, Relative, Search, Trace
from weightkin.records.sketching import Sketching
from weightkin.report.clues import declared_words, evidence_line
from weightkin.report.components import components_words
from weightkin.report.findings import finding_line, note_line
from weightkin.report.reasons import why
from weightkin.text import counted, percent, shown

NEARLY_ALL = 0.95  # share of tested parameters from which a verdict does not give it
MOST_PARTS = 3  # that a headline names
NOTHING = "nothing the two models have in common"
ALIGNED = {
    "not-confirmed": "not confirmed on units outside the sample",
    "losses-copy": "only the residual width, which training on hidden states aligns too",
    "too-weak": "units are too little alike to exclude that one model was reordered to match",
}
OUTCOMES = {"pass": "passed", "hit": "policy hit", "incomplete": "not all could be checked"}


@singledispatch
def one_line(record: object) -> str:
    """What a record says, as one line."""
    raise TypeError(f"{type(record).__name__} has no one-line form")


@one_line.register
def _(record: Comparison) -> str:
    return one_line(record.summary)


@one_line.register
def _(x: Summary) -> str:
    if x.verdict == "not-testable":
        return f"not testable: {why(x.reason) if x.reason else NOTHING}{_equal(x)}"
    p = pvalue_words(x.log10_pvalue)
    blocks = f", {counted(x.n_blocks, 'block')}" if x.n_blocks else ""
    tested = _tested(x)
    if x.verdict == "aligned-only":
        return f"aligned only ({p}{blocks}{tested}){f': {ALIGNED[x.aligned]}' if x.aligned else ''}"
    if x.verdict == "no-evidence":
        return f"no evidence of shared weights ({p}{blocks}{tested})"
    where = f"; in {parts_words(x.parts)}" if x.parts else ""
    where = components_words(x.components) or where
    if x.basis == "equal":
        is_rounded = "cast" in x.kind and "part" not in x.kind
        how = "; equal after rounding" if is_rounded else _equal(x)
        return f"dependent ({', '.join(x.kind) or 'equal values'}{where}{how})"
    if same := equal_kinds(x.kind):
        test = f"; {p}, {x.basis}{blocks}{tested}" if x.n_blocks else _equal(x)
        return f"dependent ({same[0]}{test})"
    if x.basis == "calibrated":
        return f"dependent (calibrated{_calibrated(x)}{tested})"
    return f"dependent ({p}, {x.basis}{blocks}{where}{tested})"


def brief_words(x: Summary) -> str:
    """What a finding rests on, for a cell of a table."""
    if x.verdict != "dependent":
        return one_line(x)
    found = {"equal": "equal values", "calibrated": "calibrated"}.get(x.basis, "")
    found = found or pvalue_words(x.log10_pvalue)
    found += ", unconfirmed" if x.basis == "exact-unconfirmed" else ""
    where = components_words(x.components) or (f"; in {parts_words(x.parts)}" if x.parts else "")
    return f"{found}{where}"


def _tested(x: Summary) -> str:
    """The tested share where it is not nearly all, rounded down."""
    if x.tested_share is None or x.tested_share >= NEARLY_ALL:
        return ""
    return f"; {percent(x.tested_share)} of parameters tested"


def parts_words(parts: Sequence[str]) -> str:
    """That two models share these parts, and that no other was found to be shared."""
    return f"{parts_list(parts)} only"


def parts_list(parts: Sequence[str]) -> str:
    """The parts that two models share, the first of many."""
    more = (
        f" and {counted(len(parts) - MOST_PARTS, 'part')} more" if len(parts) > MOST_PARTS else ""
    )
    return f"{', '.join(map(shown, parts[:MOST_PARTS]))}{more}"


def _calibrated(x: Summary) -> str:
    if x.n_controls is None or x.calibrated_pvalue is None or x.margin is None:
        return ""
    above = f"above all {x.n_controls} controls, p = {x.calibrated_pvalue:.3f}"
    return f": {above}, margin {x.margin:.1f}"


def _equal(x: Summary) -> str:
    """How much is equal, rounded down; nothing in a record without that number."""
    if x.equal_share is None:
        return ""
    seen = "sampled parameters" if x.equal_basis == "sample" else "parameters"
    seen = f"the {seen} that could be read" if x.incomplete else seen
    return f"; {percent(x.equal_share)} of {seen} are equal"


@one_line.register
def _(x: Relative) -> str:
    return one_line(x.summary)


@one_line.register
def _(x: Against) -> str:
    return one_line(x.summary)


@one_line.register
def _(x: Finding) -> str:
    return finding_line(x)


@one_line.register
def _(x: Note) -> str:
    return note_line(x)


@one_line.register
def _(x: Skipped) -> str:
    return why(x)


@one_line.register
def _(x: Clue) -> str:
    return evidence_line(x)


@one_line.register
def _(x: DeclaredParent) -> str:
    return declared_words(x)


@one_line.register
def _(record: Location) -> str:
    n_a = len({name for m in record.matrices for name in m.blocks_a})
    if not record.n_hypotheses and not record.matched:
        return f"not testable: {why(record.skipped[0]) if record.skipped else NOTHING}"
    smallest = pvalue_words(record.log10_pvalue)
    paid = f"({smallest}, corrected for {record.n_hypotheses} tests)"
    if not record.matched:
        where = ", but the residual width was" if record.residual_is_found else ""
        cells = [p for m in record.matrices for row in m.log10_pvalues for p in row]
        if not where and any(10**p <= record.alpha for p in cells):
            words = "unit order agrees, but units are no more alike than by chance"
            return f"no block of a was found in b: {words} {paid}"
        return f"no block of a was found in b{where} {paid}"
    n_found = len({x.block_a for x in record.matched})
    order = "in order" if record.is_monotone else "not in order"
    return f"{n_found} of {n_a} blocks of a found in b, {order} {paid}"


@one_line.register
def _(graph: FamilyGraph) -> str:
    models = {x.id: 1 + len(x.duplicates) for x in graph.nodes if x.observed}
    n_models, n_same = sum(models.values()), sum(models.values()) - len(models)
    n_hidden = len(graph.nodes) - len(models)
    n_untested = sum(models[x] for x in graph.untested)
    n_within = sum(models.get(x, 0) for family in graph.families for x in family)
    n_alone = n_models - n_within - n_untested
    families = counted(len(graph.families), "family") if graph.families else "no family"
    parts = [f"{n_within} in {families}" if 0 < n_within < n_models else families]
    parts += [f"{n_alone} without relatives"] if n_alone else []
    parts += [f"{n_untested} not testable"] if n_untested else []
    parts += [counted(n_hidden, "unobserved ancestor")] if n_hidden else []
    if graph.edges:
        n_open = sum(edge.direction == "undetermined" for edge in graph.edges)
        open_ = f" ({n_open} with an undetermined parent)" if n_open else ""
        parts.append(f"{counted(len(graph.edges), 'edge')}{open_}")
    same = f" ({counted(n_same, 'duplicate')})" if n_same else ""
    return f"{counted(n_models, 'model')}{same}: {', '.join(parts)}"


@one_line.register
def _(record: Search) -> str:
    left = ", not all could be compared" if record.incomplete else ""
    n, n_open = others_words(record), n_left(record)
    if record.not_testable is not None and record.not_testable.code == "adapter-alone":
        fits = f"an adapter, which fits {len(record.fits)} of {n} by names and shapes"
        return f"{record.name}: {fits}{left}"
    if not record.relatives and not record.is_tested:
        reason = record.not_testable or record.untested[0].summary.reason
        said = why(reason) if reason else NOTHING
        return f"{record.name}: not testable: {said} (none of {n} has the same values){left}"
    if not record.relatives:
        n_tested = record.n_compared - len(record.untested)
        found = [f"no evidence of shared weights with {n_tested}"] if n_tested else []
        found += [f"{len(record.untested)} not testable"] if record.untested else []
        found += [f"{n_open:,} not compared"] if found and n_open else []
        said = ", ".join(found) or "no candidate to compare"
        return f"{record.name}: no relatives found among {n} ({said}){left}"
    n_aligned = sum(x.verdict == "aligned-only" for x in record.relatives)
    n_related = len(record.relatives) - n_aligned
    found = [counted(n_related, "relative")] if n_related else []
    found += [f"{n_aligned} aligned only"] if n_aligned else []
    said = " and ".join(found)
    if n_open:
        return f"{record.name}: at least {said} among {n} ({n_open:,} not compared){left}"
    return f"{record.name}: {said} among {n}{left}"


def others_words(record: Search | Descendants) -> str:
    """The models that one could be compared with: ``14 other models``."""
    other = "model" if record.registered is None else "other model"
    return counted(_n_others(record), other)


def scanned_words(record: Search) -> str:
    """How many models it could be compared with, and how many of them were."""
    return f"{others_words(record)} scanned, {record.n_compared:,} of them compared"


def n_left(record: Search) -> int:
    """Registered models that were not compared."""
    return _n_others(record) - record.n_compared


def _n_others(record: Search | Descendants) -> int:
    """Contents that it could be compared with: its own are one where a copy is registered."""
    own = record.registered
    if isinstance(record, Descendants):
        return record.n_scanned - (own is not None and not record.identical)
    met = (*record.relatives, *record.others)
    is_alone = own is not None and all(x.model.digest != own.digest for x in met)
    return max(record.n_compared, record.n_scanned - is_alone)


@one_line.register
def _(record: Descendants) -> str:
    n, n_open = len(record.descendants), len(record.may_descend)
    line = f"{record.name}: {counted(n, 'descendant')} among {others_words(record)}"
    return f"{line}; {n_open} more may descend from it (parent undetermined)" if n_open else line


@one_line.register
def _(record: Check) -> str:
    errors = [x for x in record.findings if x.level == "error"]
    n_open = sum(x.state == "unverifiable" for x in errors)
    n_hits = sum(x.state == "hit" for x in errors)
    n_warnings = sum(x.level == "warning" for x in record.findings)
    parts = [counted(n_hits, "finding")] if n_hits else []
    parts += [f"{counted(n_open, 'item')} could not be verified"] if n_open else []
    parts += [counted(n_warnings, "warning")] if n_warnings else []
    found = ", ".join(parts) or "no findings"
    return f"{OUTCOMES[record.outcome]}: {found} ({counted(len(record.models), 'model')})"


@one_line.register
def _(record: Trace) -> str:
    return one_line(record.search)


@one_line.register
def _(record: Adding) -> str:
    said = f"{len(record.added)} added, {len(record.known)} already registered"
    return f"{said}, {len(record.skipped)} could not be read" if record.skipped else said


@one_line.register
def _(record: Listing) -> str:
    n_families = len({x.family for x in record.described if x.family})
    n, n_within = len(record.models), sum(bool(x.family) for x in record.described)
    families = f": {f'{n_within} in ' if n_within < n else ''}{counted(n_families, 'family')}"
    return f"{counted(n, 'model')}{families if n_families else ''}"


@one_line.register
def _(record: Sketching) -> str:
    said = f"{counted(len(record.sketches), 'file')} written"
    return f"{said}, {len(record.skipped)} could not be made" if record.skipped else said


@one_line.register
def _(record: Estimate) -> str:
    n_bytes = sum(x.n_bytes for x in record.models)
    return f"about {n_bytes:,} bytes of {counted(len(record.models), 'model')} would be read"

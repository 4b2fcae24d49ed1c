"""The pages of `search` and `trace`."""

from __future__ import annotations

from collections.abc import Sequence

from weightkin.records import Note
from weightkin.records.form import probability_words
from weightkin.records.registry import Relative, Search, Step, Trace
from weightkin.report.clues import declared_words, evidence_line
from weightkin.report.html.build import Html, h, join
from weightkin.report.html.graph import graph_view, static_view
from weightkin.report.html.graph_model import trace_drawing
from weightkin.report.html.sections import opening, section, skipped_section
from weightkin.report.html.tables import facts, more, table
from weightkin.report.html.words import (
    NO_EVIDENCE,
    NOT_SHOWN,
    NULL_WORDS,
    PROBABILITIES,
    SAMPLED,
    log10_words,
)
from weightkin.report.registry import NEAREST, numbered

LEAD = (
    "Vectors made from weights proposed candidates among all registered models; each of these was "
    "then compared. Only those comparisons say that models are related."
)
STATES = {
    "confirmed": "declared and found: the two share weights",
    "contradicted": "declared, but weights say otherwise",
    "unverifiable": "declared, and cannot be tested here",
}


def search_body(record: Search) -> list[Html | None]:
    """All sections but the last."""
    first = record.first_registered
    noted = h("p", "Registered first among them: ", h("b", first)) if first else None
    return [
        opening("Search of a registry", record.sentence, h("p", LEAD, class_="lead"), noted),
        _relatives("relatives", "Relatives", record.relatives),
        _place(Trace(search=record)),
        _steps("Parents", record.parents, record),
        _steps("Children", record.children, record),
        _relatives("untested", "Not testable", record.untested),
        _relatives("others", "Compared, without evidence of shared weights", record.unrelated),
        *_end(record),
    ]


def trace_body(record: Trace) -> list[Html | None]:
    """All sections but the last."""
    search = record.search
    return [
        opening("The way of a model to its root", search.sentence, h("p", LEAD, class_="lead")),
        _place(record) or section("path", "The way to the root", h("p", "No parent of it was found "
                                  "among the registered models.")),
        _declared(record),
        _steps("Every step", record.path, search),
        _relatives("relatives", "Relatives", search.relatives),
        *_end(search),
    ]  # fmt: skip


def _declared(record: Trace) -> Html | None:
    """What the model says of itself, held against its weights; then what it does not say."""
    declared = [
        (numbered(x.name, x.id), x.state, STATES.get(x.state, ""), declared_words(x))
        for x in record.declared
        if x.state != "undeclared"
    ]
    found = [
        (numbered(x.name, x.id), declared_words(x))
        for x in record.declared
        if x.state == "undeclared"
    ]
    said = "Declared parents, held against the weights"
    unsaid = "Inferred parents that it does not declare"
    parts = [
        table(said, ("Parent", "State", "Meaning", "Why"), declared) if declared else None,
        table(unsaid, ("Parent", "Why"), found) if found else None,
        facts([("Licence declared", record.licence)]) if record.licence else None,
    ]
    title = "What the model declares" if declared or record.licence else "What it does not declare"
    return section("declared", title, parts) if any(parts) else None


def _place(record: Trace) -> Html | None:
    drawn = trace_drawing(record)
    if not drawn.edges:
        return None
    pictures = [graph_view(drawn, name="Path"), static_view(drawn, name="Path")]
    if record.search.placed_among == "nearest":
        pictures.append(h("p", f"{NEAREST[0].upper()}{NEAREST[1:]}.", class_="note"))
    return section("path", "Where it belongs", *pictures)


def _relatives(name: str, title: str, found: Sequence[Relative]) -> Html | None:
    if not found:
        return None
    rows = [
        (
            _named(x.model.name, x.model.id, x.model.notes),
            x.sentence,
            ", ".join(x.kind) or "–",
            log10_words(x.log10_pvalue),
            x.looked_at,
            x.model.added[:10],
            h("span", x.model.digest[:20], class_="digest"),
        )
        for x in found
    ]
    head = ("Model", "Verdict", "Kind", "log10 p", "Compared", "Registered", "Digest")
    return section(name, title, table(f"{len(rows)} models, nearest first", head, rows,
                                      numbers="...n"))  # fmt: skip


def _steps(title: str, steps: Sequence[Step], search: Search) -> Html | None:
    if not steps:
        return None
    notes = {x.model.id: x.model.notes for x in search.relatives}
    rows = [
        (
            _named(x.child, x.child_id, notes.get(x.child_id, ())),
            _named(x.parent, x.parent_id, notes.get(x.parent_id, ())),
            x.kind,
            log10_words(x.log10_pvalue),
            f"{x.direction}, {probability_words(x.direction_probability)}",
            f"{x.support:.2f}",
            more([evidence_line(y) for y in x.evidence]),
        )
        for x in steps
    ]
    head = ("Child", "Parent", "Kind", "log10 p", "Direction", "Support", "Evidence")
    name = title.lower().replace(" ", "-")
    return section(
        name,
        title,
        table("Each step with what it rests on", head, rows, numbers="...n.n"),
        h("p", PROBABILITIES, class_="note"),
    )


def _named(name: str, number: int, notes: Sequence[Note]) -> Html:
    """A model by number and name, and what else the registry knows about its contents."""
    said = h("p", "; ".join(x.sentence for x in notes), class_="note") if notes else None
    return join((numbered(name, number), said))


def _end(record: Search) -> list[Html | None]:
    level = (
        f"{record.n_scanned:,} models were scanned and {record.n_compared:,} compared. The level "
        f"of one pair is {record.paid_alpha:.1e}: {record.alpha:g} over all that were scanned."
    )
    limits = h("ul", [h("li", x) for x in (NO_EVIDENCE, *NOT_SHOWN)])
    return [
        section("null", "What was tested", h("p", level), [h("p", x) for x in NULL_WORDS[:2]]),
        section("limits", "What this does not show", limits),
        skipped_section(record.skipped, incomplete=record.incomplete),
        section("models", "The model", facts([
            ("Name", record.name),
            ("Source", h("code", record.source) if record.source else None),
            ("Digest", h("span", record.digest, class_="digest")),
        ]), h("p", SAMPLED, class_="note")),
    ]  # fmt: skip

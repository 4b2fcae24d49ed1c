"""The pages of `search` and `trace`."""

from __future__ import annotations

from collections.abc import Sequence

from weightkin.records.registry import Relative, Search, Step, Trace
from weightkin.report.html.build import Html, h
from weightkin.report.html.drawn import trace_drawing
from weightkin.report.html.graph import graph_view, static_view
from weightkin.report.html.sections import opening, section, skipped_section
from weightkin.report.html.tables import facts, more, table
from weightkin.report.html.words import NO_EVIDENCE, NOT_SHOWN, NULL_WORDS, SAMPLED, log10_words

LEAD = (
    "Vectors made from weights proposed candidates among all registered models; each of these was "
    "then compared. Only those comparisons say that models are related."
)
STATES = {
    "confirmed": "declared and found: the two share weights",
    "contradicted": "declared, but weights say otherwise",
    "undeclared": "found by weights, but not declared",
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
        _steps("Parents", record.parents),
        _steps("Children", record.children),
        _relatives("others", "Compared, without evidence of shared weights", record.others),
        *_end(record),
    ]


def trace_body(record: Trace) -> list[Html | None]:
    """All sections but the last."""
    declared = [(x.name, x.state, STATES.get(x.state, ""), x.why) for x in record.declared]
    head = ("Parent", "State", "Meaning", "Why")
    shown = (
        table("Declared parents, held against the weights", head, declared) if declared else None
    )
    licence = facts([("Licence declared", record.licence)]) if record.licence else None
    search = record.search
    return [
        opening("The way of a model to its root", search.sentence, h("p", LEAD, class_="lead")),
        _place(record) or section("path", "The way to the root", h("p", "No parent of it was found "
                                  "among the registered models.")),
        section("declared", "What the model declares", shown, licence)
        if declared or licence
        else None,
        _steps("Every step", record.path),
        _relatives("relatives", "Relatives", search.relatives),
        *_end(search),
    ]  # fmt: skip


def _place(record: Trace) -> Html | None:
    drawn = trace_drawing(record)
    if not drawn.edges:
        return None
    pictures = (graph_view(drawn, name="Path"), static_view(drawn, name="Path"))
    return section("path", "Where it belongs", *pictures)


def _relatives(name: str, title: str, found: Sequence[Relative]) -> Html | None:
    if not found:
        return None
    rows = [
        (
            x.model.name,
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


def _steps(title: str, steps: Sequence[Step]) -> Html | None:
    if not steps:
        return None
    rows = [
        (
            x.child,
            x.parent,
            x.kind,
            log10_words(x.log10_pvalue),
            f"{x.direction}, {x.direction_probability:.2f}",
            f"{x.support:.2f}",
            more(x.evidence),
        )
        for x in steps
    ]
    head = ("Child", "Parent", "Kind", "log10 p", "Direction", "Support", "Evidence")
    name = title.lower().replace(" ", "-")
    return section(
        name, title, table("Each step with what it rests on", head, rows, numbers="...n.n")
    )


def _end(record: Search) -> list[Html | None]:
    level = (
        f"{record.n_scanned:,} models were scanned and {record.n_compared:,} compared. The level "
        f"of one pair is {record.paid_alpha:.1e}: {record.alpha:g} over all that were scanned."
    )
    limits = h("ul", [h("li", x) for x in (NO_EVIDENCE, *NOT_SHOWN)])
    return [
        section("null", "What was tested", h("p", level), [h("p", x) for x in NULL_WORDS[:2]]),
        section("limits", "What this does not show", limits),
        skipped_section(record.skipped, record.incomplete),
        section("models", "The model", facts([
            ("Name", record.name),
            ("Source", h("code", record.source) if record.source else None),
            ("Digest", h("span", record.digest, class_="digest")),
        ]), h("p", SAMPLED, class_="note")),
    ]  # fmt: skip

"""What sections on verdicts found: p-values, pairs, files, classes, and wrong input."""

from __future__ import annotations

import re
from collections import Counter

from benchmarks.lib.framed import RELATIVES
from benchmarks.lib.result_text import (
    Row,
    SectionText,
    number,
    numbers,
    only,
    total,
    total_of,
    where,
)

MAX_OFF_WEIGHT = 0.05  # weights of a mixture that differ by less are called the same


def null_pairs(text: SectionText) -> str:
    """How many statistics have valid p-values on unrelated pairs."""
    rows = text.rows("null pairs", "p-value of", "<= 0.01", "valid")
    kinds = len({row["null pairs"] for row in rows})
    most = 100 * max(number(row["<= 0.01"]) for row in rows)
    return (
        f"{len(where(rows, valid='yes'))} of {len(rows)} statistics, on {kinds} kinds of unrelated"
        f" pairs, have valid p-values; at level 0.01 none rejects more than {most:.2f} %."
    )


def laws(text: SectionText) -> str:
    """Whether more views are rejected than chance allows."""
    count, most = "rejections of 1/K!", "allowed by chance (99.9 %)"
    rows = text.rows("alpha", count, most)
    over = sum(number(row[count]) > number(row[most]) for row in rows)
    worst = max(rows, key=lambda row: number(row[count]) / number(row[most]))
    return (
        f"Levels at which more views are rejected than chance allows: {over} of {len(rows)}"
        f" (at {worst['alpha']}: {worst[count]}, allowed {worst[most]})."
    )


def trained_pairs(text: SectionText) -> str:
    """Unrelated trained models that were called related, and statistics that are valid on them."""
    nets = text.rows("architecture", "models", "pairs", "dependent", "aligned-only")
    found = total(nets, "dependent") + total(nets, "aligned-only")
    rows = text.rows("p-value of", "number", "valid")
    return (
        f"{found} of {total(nets, 'pairs'):,} unrelated pairs of {total(nets, 'models')} trained"
        f" models of {len(nets)} architectures are called dependent or aligned only;"
        f" {len(where(rows, valid='yes'))} of {len(rows)} statistics have valid p-values."
    )


def trained_axes(text: SectionText) -> str:
    """Children and unrelated pairs that were found."""
    rows = text.rows("children found", "unrelated pairs found")
    (child, children), (pair, pairs) = (
        total_of(rows, column) for column in ("children found", "unrelated pairs found")
    )
    return f"{child} of {children} children are found, and {pair} of {pairs} unrelated pairs."


def hiding(text: SectionText) -> str:
    """Hidden relatives that were found, and framed models that were accused."""
    rows = text.rows("rewrite", "child", "verdict")
    framed = [row for row in rows if row["rewrite"].startswith("framed")]
    hidden = Counter(row["verdict"] for row in rows if row not in framed)
    tested = hidden.total() - hidden["does not apply"]
    verdicts = Counter(row["verdict"] for row in framed)
    return (
        f"{hidden['dependent']} of {tested} hidden relatives are found (in"
        f" {hidden['does not apply']} more the rewrite does not apply); of {len(framed)} framed"
        f" unrelated models {verdicts['dependent']} are called dependent,"
        f" {verdicts['aligned-only']} aligned only."
    )


def innocents(text: SectionText) -> str:
    """Unrelated pairs that are called related after a rewrite."""
    rows = text.rows("pairs", "dependent", "aligned-only", "least log10 p")
    found = total(rows, "dependent") + total(rows, "aligned-only")
    least = min((row["least log10 p"] for row in rows), key=number)
    return (
        f"After a rewrite of one of them {found} of {total(rows, 'pairs')} unrelated pairs are"
        f" called related (smallest log10 p {least})."
    )


def framing(text: SectionText) -> str:
    """Framed models and relatives of the same shapes."""
    exact = "by exact or calibrated evidence"
    rows = text.rows("made", "pairs", "dependent", exact)
    relatives = [row for row in rows if row["made"] in RELATIVES]
    framed = [row for row in rows if row["made"] not in RELATIVES]
    return (
        f"{total(framed, exact)} of {total(framed, 'pairs')} framed unrelated models are called"
        f" dependent {exact}; {total(relatives, 'dependent')} of {total(relatives, 'pairs')}"
        " relatives are found."
    )


def framing_orders(text: SectionText) -> str:
    """Unrelated models in the order of another, and relatives."""
    rows = text.rows("made", "pairs", "dependent", "aligned-only")
    framed = [row for row in rows if not row["made"].startswith(("relatives", "unrelated"))]
    kin = only(where(rows, made="relatives"))
    return (
        f"{total(framed, 'dependent')} of {total(framed, 'pairs')} unrelated models in the order of"
        f" another are called dependent, {total(framed, 'aligned-only')} aligned only;"
        f" {kin['dependent']} of {kin['pairs']} pairs of relatives are found."
    )


def zoo_pairs(text: SectionText) -> str:
    """Related and unrelated pairs, those that could not be tested apart."""
    rows = text.rows("truth", "dependent", "aligned-only", "no-evidence", "not-testable", "pairs")
    related, unrelated = (only(where(rows, truth=x)) for x in ("related", "independent"))
    found = total([unrelated], "dependent") + total([unrelated], "aligned-only")
    return (
        f"In-sample: {related['dependent']} of {related['pairs']} related pairs are found"
        f" ({related['aligned-only']} aligned only, {related['no-evidence']} without evidence); of"
        f" {total([unrelated], 'pairs'):,} unrelated pairs {found} are found"
        f" ({total([unrelated], 'no-evidence'):,} tested and without evidence,"
        f" {unrelated['not-testable']} not testable)."
    )


def kinds(text: SectionText) -> str:
    """Edges of one parent whose kind is named, and stated directions."""
    rows = [row for row in text.rows("true kind", "whole models") if row["true kind"] != "merged"]
    answers = [
        {kind: int(n) for kind, n in re.findall(r"([\w-]+) (\d+)", row["whole models"])}
        for row in rows
    ]
    n_named = sum(x.get(row["true kind"], 0) for row, x in zip(rows, answers, strict=True))
    n_made = sum(sum(x.values()) for x in answers)
    stated = [row for row in text.rows("stated", "right", "wrong") if row["stated"][0].isdigit()]
    right, wrong = total(stated, "right"), total(stated, "wrong")
    return (
        f"{n_named} of {n_made} edges with one parent get the kind by which they were made;"
        f" {right} of {right + wrong} stated directions are right."
    )


def merges(text: SectionText) -> str:
    """Mixtures whose parents and weights are right, by whole tensors and by sketches."""
    whole, sketches = text.all_tables("model", "truth", "found", "closure")
    right = [sum(_same_mixture(row) for row in rows) for rows in (whole, sketches)]
    return (
        f"Parents and weights (within {MAX_OFF_WEIGHT}) are right for {right[0]} of {len(whole)}"
        f" mixtures by whole tensors, and for {right[1]} of {len(sketches)} by sketches."
    )


def _same_mixture(row: Row) -> bool:
    true, found = (
        {name: float(weight) for weight, name in re.findall(r"([\d.]+) ([\w-]+)", row[column])}
        for column in ("truth", "found")
    )
    return true.keys() == found.keys() and all(
        abs(weight - found[name]) <= MAX_OFF_WEIGHT for name, weight in true.items()
    )


def paper(text: SectionText) -> str:
    """Pairs that `compare` finds, beside the statistics of the paper."""
    found, false = "related found at 0.01", "independent at 0.01"
    rows = text.rows("statistic", found, false)
    ours = [row for row in rows if row["statistic"].startswith("`compare`")]
    theirs = [numbers(row[found])[0] for row in rows if row not in ours]
    false_theirs = max(numbers(row[false])[0] for row in rows if row not in ours)
    return (
        f"At level 0.01 `compare` finds {only(ours)[found]} related pairs and {only(ours)[false]}"
        f" unrelated ones; the paper's statistics find {min(theirs):.0f} to {max(theirs):.0f} and"
        f" up to {false_theirs:.0f}."
    )


def registry_files(text: SectionText) -> str:
    """Files that are read whole."""
    rows = text.rows("file", "parameters", "whole")
    return (
        f"{len(where(rows, whole='yes'))} of {len(rows)} files are read whole;"
        f" they have {total(rows, 'parameters'):,} parameters."
    )


def minilm(text: SectionText) -> str:
    """Relatives of a pretrained model, and unrelated models."""
    rows = text.rows("MiniLM against", "truth", "verdict")
    related, unrelated = where(rows, truth="related"), where(rows, truth="independent")
    found = [len(where(x, verdict="dependent")) for x in (related, unrelated)]
    n_tested = len(where(unrelated, verdict="no-evidence"))
    return (
        f"{found[0]} of {len(related)} relatives of MiniLM are found, and {found[1]} of"
        f" {len(unrelated)} unrelated models ({n_tested} tested and without evidence)."
    )


def census(text: SectionText) -> str:
    """Classes of other libraries of which a child is found."""
    row = only(where(text.rows("library", "classes", "built", "child found"), library="all"))
    bases = where(text.rows("basis", "passed", "classes"), basis="exact-unconfirmed")
    return (
        f"{row['child found']} of {row['built']} classes: the child is found"
        f" ({total(bases, 'classes')} unconfirmed, {row['not testable']} not testable);"
        f" {row['unrelated found']} unrelated pairs are"
        f" found. {total([row], 'classes') - total([row], 'built')} more could not be built."
    )


def cases(text: SectionText) -> str:
    """Inputs with a right answer, and those that are planned."""
    rows = text.rows("case", "expected", "0.1.0 said", "now")
    right = len(where(rows, **{"": "right"}))
    return f"{right} of {len(rows)} inputs get the right answer; {len(rows) - right} do not yet."


def own_words(text: SectionText) -> str:
    """The sentence that the claim wrote first."""
    return f"{text.sentence()}."


def own_clause(text: SectionText) -> str:
    """The sentence that the claim wrote first, up to its first semicolon."""
    return f"{text.sentence('; ')}."

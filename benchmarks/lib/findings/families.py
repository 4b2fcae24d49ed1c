"""What sections on family graphs found: edges that are right, wrong or open."""

from __future__ import annotations

from benchmarks.lib.result_text import SectionText, number, numbers, only, total, total_of, where


def family(text: SectionText) -> str:
    """Edges of the family graph of the zoo."""
    found = text.values("family graph of the zoo", "")
    return (
        f"In-sample: {found['directed edges right'].partition(' (')[0]} edges are right with their"
        f" direction, {found['wrong parent or direction']} are wrong;"
        f" {found['components exact']} families are exact."
    )


def genealogies(text: SectionText) -> str:
    """Edges of random families, beside those of 0.1.0."""
    right, claimed = "claimed edges that are right", "true edges claimed"
    rows = text.rows("method", right, claimed)
    now, before = (only(where(rows, method=x)) for x in ("now", "0.1.0"))
    return (
        f"Stated edges that are right: {now[right]}, with 0.1.0 {before[right]}; true edges that"
        f" are stated: {now[claimed]}."
    )


def left_out(text: SectionText) -> str:
    """How often `trace` and `tree` name the same parents."""
    found = text.values("parents named by `trace` and by `tree`", "models")
    counts = {name: round(number(cell)) for name, cell in found.items()}
    n_open = counts["one undetermined"] + counts["both undetermined"]
    return (
        f"`trace` and `tree` name the same parents for {counts['same']} of {sum(counts.values())}"
        f" models, others for {counts['different']}; {n_open} are left open by one of them."
    )


def mixed(text: SectionText) -> str:
    """Families in one folder that are kept apart."""
    found = text.values("", "2")
    return (
        f"{found['models']} models of {found['random families']} families in one folder:"
        f" {found['edges between families']} edges between families;"
        f" {found['models apart from most of their family'].partition(' (')[0]} models are apart"
        " from their family."
    )


def larger(text: SectionText) -> str:
    """Edges of trees in the second paper's layout, beside its own method; U-Nets apart."""
    trees, nets = text.all_tables("method", "right", "wrong (reversed)")
    ours, theirs = (
        [row for row in trees if row["method"].startswith(x)] for x in ("weightkin", "mother, t")
    )
    right, edges = total_of(ours, "right")
    net_right, net_edges = total_of(where(nets, method="weightkin"), "right")
    return (
        f"{right:,} of {edges:,} edges are right with their direction,"
        f" {total(ours, 'wrong (reversed)')} wrong (MoTHer, told the trees:"
        f" {total_of(theirs, 'right')[0]} right); of U-Nets {net_right} of {net_edges}."
    )


def minilm_families(text: SectionText) -> str:
    """Edges of all families of MiniLM together, beside MoTHer's best."""
    rows = where(text.rows("family", "method", "right", "wrong (reversed)"), family="all")
    ours = only(where(rows, method="weightkin"))
    theirs = max((x for x in rows if x is not ours), key=lambda row: number(row["right"]))
    edges = round(numbers(ours["right"])[1])
    stated = []
    for row in (ours, theirs):
        right, wrong = (round(number(row[x])) for x in ("right", "wrong (reversed)"))
        stated.append(f"{right} right, {wrong} wrong, {edges - right - wrong} not stated")
    return f"Of {edges} edges: {stated[0]} (MoTHer, at its best: {stated[1]})."


def diffusion(text: SectionText) -> str:
    """Members of families of diffusion models with the right parent."""
    other = "dependent on the other root"
    rows = text.rows("family", "members right", "wrong", other)
    (right, members), (found, unrelated) = (total_of(rows, x) for x in ("members right", other))
    return (
        f"{right} of {members} members get their parent, {total(rows, 'wrong')} a wrong one;"
        f" {found} of {unrelated} unrelated pairs are found."
    )

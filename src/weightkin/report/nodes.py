"""How models and edges of a family are called in lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weightkin.records.family import (
    FamilyEdge,
    FamilyNode,
    is_calibrated,
    is_unconfirmed,
    rests_on_values,
)
from weightkin.records.form import pvalue_words
from weightkin.records.registry import Step
from weightkin.report.terminal import printable

LONGEST_NODE_NAME = 60  # characters of a name
UNOBSERVED = "(unobserved ancestor)"
NO_PROOF = ("calibrated evidence", "not shown to be related")  # in place of a p-value
UNCONFIRMED = "unconfirmed"
MAIN_NUMBER = {  # of a kind, in words
    "bits": "{} bits",
    "rank": "rank {}",
    "dtype": "{}",
    "share": "share {}",
    "n_units": "{} units",
    "kept_layers": "{} blocks",
    "n_rows": "{} rows",
    "n_experts": "{} experts",
    "method": "{}",
}


@dataclass(frozen=True, slots=True)
class Signs:
    """Characters to draw with."""

    branch: str
    last: str
    pass_by: str
    solid: tuple[str, str]  # determined, undetermined
    cut: str
    is_unicode: bool

    def text(self, line: str) -> str:
        """Spell out what cannot be drawn."""
        return line if self.is_unicode else line.encode("ascii", "backslashreplace").decode("ascii")


UNICODE = Signs("├", "└", "│", ("─▶ ", "── "), "…", True)
ASCII_SIGNS = Signs("|", "`", "|", ("-> ", "-- "), "...", False)


def signs(*, is_unicode: bool) -> Signs:
    """The characters that a terminal knows."""
    return UNICODE if is_unicode else ASCII_SIGNS


def kind_words(edge: FamilyEdge) -> str:
    """How the child was made, with its main number: ``quantised (4 bits)``."""
    number = _main_number(edge.kind_details)
    number = "" if number == edge.kind else number  # a merge by the method of that name
    also = edge.kind_details.get("also")
    others = [printable(x) for x in also if isinstance(x, str)] if isinstance(also, list) else []
    return " and ".join([printable(edge.kind), *others]) + (f" ({number})" if number else "")


def is_shown(edge: FamilyEdge | Step, alpha: float) -> bool:
    """Whether an exact test or equal values show that the two are related."""
    return 10**edge.log10_pvalue <= alpha or rests_on_values(edge, alpha)


def related_words(edge: FamilyEdge | Step, alpha: float) -> str:
    """The p-value of an edge, or its other evidence where no exact test reached alpha."""
    if 10**edge.log10_pvalue <= alpha:
        return pvalue_words(edge.log10_pvalue)
    if rests_on_values(edge, alpha):
        return "equal values"
    return NO_PROOF[not is_calibrated(edge)]


def unshown_words(edge: FamilyEdge | Step, alpha: float) -> str:
    """What stands beside an edge whose two models no exact test or equal values relate.

    Or only on sketches, to whose rows one of them may have been fitted.
    """
    if not is_shown(edge, alpha):
        return f", {related_words(edge, alpha)}"
    return f", {UNCONFIRMED}" if is_unconfirmed(edge) else ""


def parent_name(step: Step) -> str:
    """The parent of a step; an ancestor that was inferred has no name."""
    return step.parent if step.parent_id or step.parent_digest else UNOBSERVED


def titled(node: FamilyNode, drawn: Signs) -> str:
    """A model, and those with the same contents."""
    same = ", ".join(shortened(printable(x), LONGEST_NODE_NAME, drawn) for x in node.duplicates)
    return called(node, drawn) + (f" = {same}" if same else "")


def called(node: FamilyNode, drawn: Signs) -> str:
    """A model by its name in the graph."""
    return shortened(printable(node.id), LONGEST_NODE_NAME, drawn) if node.observed else UNOBSERVED


def _main_number(details: Mapping[str, Any]) -> str:
    for key, words in MAIN_NUMBER.items():
        value = details.get(key)
        if isinstance(value, float):
            return words.format(number_words(value))
        if isinstance(value, int | str) and not isinstance(value, bool):
            return words.format(printable(str(value))[:LONGEST_NODE_NAME])
        if isinstance(value, list | tuple):
            return words.format(len(value))
    return ""


def number_words(value: float) -> str:
    """A number as long as people read it."""
    return f"{value:.3g}"


def shortened(text: str, length: int, drawn: Signs) -> str:
    """A text of at most this length, with a mark where it is cut."""
    return text if len(text) <= length else text[: max(0, length - len(drawn.cut))] + drawn.cut

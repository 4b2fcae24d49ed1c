"""Findings about what could not be read: of a model, of what it declares, of a source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from weightkin.formats import Model
from weightkin.formats.declared import Declared
from weightkin.records.checking import (
    ALWAYS,
    NO_REGISTRY,
    RULES,
    Ancestor,
    Checked,
    Finding,
    fingerprint,
)

MOST_LOST = 5  # tensors and files of a model that are named in one finding


def unread(model: Model, said: Declared) -> Iterator[tuple[str, str]]:
    """What of a model, and of what it declares, was not read, as far as readers say so."""
    for problem in said.unread:
        yield problem.what, f"what the model declares could not be read: {problem.why}"
    lost = [problem for problem in model.problems if problem.loses_tensors]
    if lost:
        named = "; ".join(f"{x.what}: {x.why}" for x in lost[:MOST_LOST])
        more = f"; and {len(lost) - MOST_LOST} more" if len(lost) > MOST_LOST else ""
        yield "model", f"not all of the model could be read: {named}{more}"
    if model.sketched is not None:
        yield "sketch", "a sketch, which holds a sample of a model: its weights were not read"


def unreadable_model(source: str, why: str) -> Checked:
    """A source of which nothing could be read, with that as its finding."""
    finding = open_finding(source, "model", why)
    return Checked(name=Path(source).name or source, source=source, findings=(finding,))


def open_finding(own: str, what: str, why: str) -> Finding:
    """What is neither pass nor hit, of a model by its digest or of a source.

    Parameters
    ----------
    own : str
        Digest of the model, its source, or ``together`` for several.
    what : str
        What was not read or found.
    why : str
        The reason, in one line.

    Returns
    -------
    Finding
        ``unverifiable``; its fingerprint is of ``own`` and ``what``.
    """
    return Finding(
        rule=ALWAYS,
        level="error",
        state="unverifiable",
        reason=why,
        advice=NO_REGISTRY if what == "registry" else RULES[ALWAYS].help,
        fingerprint=fingerprint(ALWAYS, own, what),
        ancestor=Ancestor(name=what) if what == "registry" else None,
    )

"""Findings about what could not be read: of a model, of what it declares, of a source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from weightkin.formats import Model
from weightkin.formats.declared import Declared
from weightkin.records import Because, Skipped, because
from weightkin.records.accounting import Ledger
from weightkin.records.checking import ALWAYS, Ancestor, Checked, Finding, fingerprint

MOST_LOST = 5  # tensors and files of a model that are named in one finding


def unread(model: Model, ledger: Ledger, said: Declared) -> Iterator[tuple[str, Because]]:
    """What of a model, of its files, and of what it declares, was not read."""
    for problem in said.unread:
        yield problem.what, because("declaration-unread", error=problem.why)
    lost = [problem for problem in model.problems if problem.loses_tensors]
    if lost:
        named = {x.what: x.why for x in lost[:MOST_LOST]}
        n_more = max(0, len(lost) - MOST_LOST)
        yield "model", because("model-unread", tensors=named, n_more=n_more)
    hidden = [file for file in ledger.files if not file.is_read]
    if hidden and not lost:  # else that which is missing is named already
        files = {file.file: file.unread for file in hidden[:MOST_LOST]}
        reason = {"code": hidden[0].codes[-1], **hidden[0].data}
        n_more = max(0, len(hidden) - MOST_LOST)
        yield "bytes", because("bytes-unread", files=files, reason=reason, n_more=n_more)
    if model.sketched is not None:
        yield "sketch", because("sketch-only")


def unreadable_model(source: str, why: str) -> Checked:
    """A source of which nothing could be read, with that as its finding."""
    finding = open_finding(source, "model", because("source-unread", error=why))
    return Checked(name=Path(source).name or source, source=source, findings=(finding,))


def why_unknown(name: str, why: Skipped) -> Because:
    """Why a name means nothing that can be looked at; an error says itself what it is about."""
    if why.code == "error":
        return because("named-unread", error=why.data["error"])
    return because("named-unknown", name=name, reason=why.nested)


def open_finding(own: str, what: str, why: Because) -> Finding:
    """What is neither pass nor hit, of a model by its digest or of a source.

    Parameters
    ----------
    own : str
        Digest of the model, its source, or ``together`` for several.
    what : str
        What was not read or found.
    why : Because
        The reason.

    Returns
    -------
    Finding
        ``unverifiable``; its fingerprint is of ``own`` and ``what``.
    """
    return Finding(
        rule=ALWAYS,
        level="error",
        state="unverifiable",
        code=why.code,
        data=why.data,
        fingerprint=fingerprint(ALWAYS, own, what),
        ancestor=Ancestor(name=what) if what == "registry" else None,
    )

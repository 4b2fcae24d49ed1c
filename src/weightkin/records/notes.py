"""What a record notes beside its numbers: a code with its data, and no sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from weightkin.notebooks import InOneLine, InShort
from weightkin.records.codes import EvidenceCode, FindingCode, NoteCode, Reason, TestGroup


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Skipped(InOneLine):
    """Something that was not tested or read, and why: a reason with its numbers and names.

    ``test`` says which tests were left out, where that is one group of them.
    """

    what: str
    code: Reason
    data: dict[str, Any] = field(default_factory=dict)
    test: TestGroup = ""

    def __hash__(self) -> int:
        return hash((self.what, self.code, self.test))

    @property
    def nested(self) -> dict[str, Any]:
        """The reason alone, as it stands in the data of another code."""
        return {"code": self.code, **self.data}


def left_out(what: str, code: str, test: TestGroup = "", /, **data: Any) -> Skipped:
    """Note that something was left out, with the data that its reason asks for.

    Parameters
    ----------
    what : str
        What was left out.
    code : str
        The reason, from the table of codes.
    test : str
        Group of tests it belongs to, if any.
    **data : object
        What the words of the reason need.

    Returns
    -------
    Skipped
        The note.
    """
    return Skipped(what=what, code=code, data=data, test=test)


def unread(what: str, error: object) -> Skipped:
    """Note what could not be read, and the error that says so."""
    return left_out(what, "unread", error=str(error))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Clue(InOneLine):
    """One piece of evidence of a kind, a parent or a direction, with its numbers and names.

    ``step`` is the step of a path that it belongs to, where there are several.
    """

    code: EvidenceCode
    data: dict[str, Any] = field(default_factory=dict)
    step: str = ""


def clue(code: str, /, **data: Any) -> Clue:
    """Note a piece of evidence."""
    return Clue(code=code, data=data)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Because(InShort):
    """Why a rule was touched, without the model that it was touched by."""

    code: FindingCode
    data: dict[str, Any] = field(default_factory=dict)


def because(code: str, /, **data: Any) -> Because:
    """Note why a rule was touched."""
    return Because(code=code, data=data)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Note(InOneLine):
    """What else a registry knows of a model."""

    code: NoteCode
    data: dict[str, Any] = field(default_factory=dict)


def note(code: str, /, **data: Any) -> Note:
    """Note something about a registered model."""
    return Note(code=code, data=data)

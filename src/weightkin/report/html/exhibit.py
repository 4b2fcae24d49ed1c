"""What whoever shows a report writes on it: title, case reference, author. No result holds that."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

MOST_IN_HEAD = 80  # characters of one text in the head of a printed page
HEAD = """@page {{
  @top-left {{ content: "{left}"; }}
  @top-right {{ content: "Page " counter(page) " of " counter(pages); }}
}}"""


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """The fields of one report, each empty where nobody gave it, and the day it was written."""

    title: str = ""
    reference: str = ""
    author: str = ""
    date: str = field(default_factory=_today)

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """Label and text of each that is given."""
        named = ("Case reference", self.reference), ("Author", self.author)
        return (*(x for x in named if x[1]), ("Date of this report", self.date))


def head_style(exhibit: Exhibit, title: str) -> str:
    """The rule that prints title, reference, author and page number at the head of every page."""
    given = (exhibit.title or title, exhibit.reference, exhibit.author, exhibit.date)
    return HEAD.format(left=" · ".join(_css_text(x[:MOST_IN_HEAD]) for x in given if x))


def _css_text(text: str) -> str:
    """Text in a CSS string, in which nothing acts: all but letters, digits and blanks escaped."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return re.sub(r"[^A-Za-z0-9 ]", lambda c: rf"\{ord(c[0]):06x}", plain)

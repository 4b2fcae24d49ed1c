"""Templates filled with values, everything escaped; and the files that pages need."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any

import jinja2
from starlette.responses import HTMLResponse, Response

from weightkin._version import __version__
from weightkin.records.form import probability_words, pvalue_words
from weightkin.report.html.words import PROBABILITIES
from weightkin.report.terminal import file_size
from weightkin.web.job_service import short

MEDIA_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
         "svg": "image/svg+xml"}  # fmt: skip
REPORT_FILES = ("style.css", "page.js", "graph.js", "cytoscape.min.js")  # of reports
PAGE_FILES = ("pages.css", "pages.js", "mark.svg")
LONGEST_TEXT = 160  # characters of a foreign text on a page


@dataclass(frozen=True)
class Templates:
    """The look of all pages."""

    has_token: bool = False
    files: dict[str, tuple[bytes, str]] = field(default_factory=lambda: _static())
    environment: jinja2.Environment = field(default_factory=lambda: _environment())

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """One template as an answer."""
        text = self.environment.get_template(template).render(
            **values, status=status, static=self.address, has_token=self.has_token
        )
        return HTMLResponse(text, status_code=status)

    def address(self, name: str) -> str:
        """Where a file of the pages lies; another address for other contents."""
        data, _ = self.files[name]
        return f"/static/{hashlib.sha256(data).hexdigest()[:16]}/{name}"

    def file(self, name: str) -> Response | None:
        """One file, to be kept by the browser for good."""
        if name not in self.files:
            return None
        data, kind = self.files[name]
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(data, media_type=kind, headers=headers)


def _static() -> dict[str, tuple[bytes, str]]:
    homes = [
        (files("weightkin.report") / "static", REPORT_FILES),
        (files("weightkin.web") / "static", PAGE_FILES),
    ]
    return {
        name: ((home / name).read_bytes(), MEDIA_TYPES[name.rsplit(".", 1)[-1]])
        for home, names in homes
        for name in names
    }


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("weightkin.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"version": __version__, "probabilities": PROBABILITIES}
    made.filters |= {
        "plain": lambda text, most=LONGEST_TEXT: short(str(text), most),
        "size": file_size,
        "pvalue": pvalue_words,
        "probability": probability_words,
        "when": _when,
        "count": lambda n: f"{n:,}",
        "counted": _counted,
    }
    return made


def _when(text: str) -> str:
    """A time for people; what is none stays as it is."""
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return short(text, 40)


def _counted(n: int, word: str, words: str = "") -> str:
    return f"{n:,} {word if n == 1 else words or word + 's'}"

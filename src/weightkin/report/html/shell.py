"""The page around a record: styles, scripts by their hashes, no way out to a network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from weightkin.report.html.build import Html, data_script, h, raw_script, short

SCRIPTS = ("page.js",)
GRAPH_SCRIPTS = ("page.js", "cytoscape.min.js", "graph.js")


@cache
def static_text(name: str) -> str:
    """A style sheet or script of ours."""
    return (files("weightkin.report") / "static" / name).read_text(encoding="utf-8")


def whole_page(title: str, body: Html, record_json: str, names: Sequence[str] = SCRIPTS) -> str:
    """One page that needs nothing else.

    The browser runs only scripts whose hashes the page names and makes no request; what a name in
    a record says cannot be run even if it were written unescaped.

    Parameters
    ----------
    title : str
        Cut to 120 characters.
    body : Html
        What the page shows.
    record_json : str
        The record, which the page lets a reader save.
    names : sequence of str
        Its scripts; without any the record is left out.

    Returns
    -------
    str
        HTML.
    """
    scripts = [static_text(name) for name in names]
    hashes = " ".join(f"'sha256-{_hash(text)}'" for text in scripts) or "'none'"
    policy = f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
    policy += "img-src data: blob:; base-uri 'none'; form-action 'none'"
    head = h(
        "head",
        h("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        h("meta", name="viewport", content="width=device-width, initial-scale=1"),
        h("meta", name="color-scheme", content="light dark"),
        h("meta", name="generator", content="weightkin"),
        h("title", short(title, 120)),
        Html(f"<style>{static_text('style.css')}</style>"),
        [raw_script(text) for text in scripts],
    )
    top = h(
        "div",
        h("span", "weightkin", h("span", "report"), class_="mark"),
        h("button", "Dark", type="button", class_="theme", aria_label="Light or dark"),
        h("button", "Print", type="button", class_="print"),
        h("button", "Record", type="button", class_="save", data_name="record.json",
          aria_label="Save the record as JSON"),
        class_="bar",
    )  # fmt: skip
    made = h("footer", "Made by weightkin from the record inside this page, which any reader can "
             "save and recompute. The page asks no network.", class_="foot")  # fmt: skip
    skip = h("a", "Skip to the verdict", href="#main", class_="skip")
    rest = h("body", skip, h("header", top), h("main", body, id="main"), made,
             data_script(record_json, id="record") if names else None)  # fmt: skip
    return f"<!doctype html>\n{h('html', head, rest, lang='en')}\n"


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

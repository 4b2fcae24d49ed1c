"""The templates of reports and of the server's pages: everything is escaped, and nothing acts.

Text from files is spelled out first as on a terminal: control characters, line ends and marks that
turn the reading order cannot act. Long texts are cut; the record at the end of a report is whole.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial
from importlib.resources import files
from pathlib import PurePath
from typing import Any

import jinja2
from markupsafe import Markup, escape

from weightkin._version import __version__
from weightkin.records import Effect
from weightkin.records.form import probability_words, pvalue_words
from weightkin.records.kinds import equal_kinds
from weightkin.report.accounting import accounting_facts
from weightkin.report.components import STATE_WORDS, component_name, shared_components
from weightkin.report.derived import detail_words, identical_words, value_words
from weightkin.report.descendants import doubt_words, path_words
from weightkin.report.draws import drawn_by, extent_words
from weightkin.report.glossary import anchor_of, meaning_of, term_of
from weightkin.report.kind_groups import glyph_path
from weightkin.report.lists import count_words
from weightkin.report.nodes import kind_words, related_words, unshown_words
from weightkin.report.parent_words import parent_words, rival_words, support_number
from weightkin.report.registry import looked_words, numbered, relation_words
from weightkin.report.sentences import brief_words, n_left, scanned_words
from weightkin.report.terminal import (
    PART_WORDS,
    axis_words,
    command_text,
    file_size,
    is_test_too_small,
    printable,
)
from weightkin.text import counted, percent

GRAPH_SCRIPTS = ("tree.js", "draw.js", "save.js", "hands.js", "panel.js", "graph.js")
LONGEST_TEXT, LONGEST_COMMAND = 400, 8000  # characters of one text
TERMS_IN_TEXT = (
    "hidden units",
    "V/O dimensions",
    "residual width",
    "rotary planes",
    "query-key signs",
    "signs by tokens",
    "units by tokens",
    "best wrong match",
    "cosine",
    "median distance",
)
IN_TEXT = re.compile(f"({'|'.join(map(re.escape, TERMS_IN_TEXT))})")
PVALUE = re.compile(r"p (?:=|&lt;=) [-\d.e]+\d")  # not to be broken into lines


@cache
def environment(*, is_served: bool = False) -> jinja2.Environment:
    """All templates; on a server, the names of registered models are links."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("weightkin.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    made.globals |= {"is_served": is_served, "version": __version__, "numbered": numbered}
    made.globals["graph_scripts"] = GRAPH_SCRIPTS
    made.filters |= {
        "glyph": lambda group: glyph_path(group, 0, 0),
        "inline": lambda name: Markup(static_text(name)),
        "hash": _hash,
        "command": lambda text: escape(cut(text, LONGEST_COMMAND)),
        "short": short,
        "unbroken": _unbroken,
        "brief": brief_words,
        "code": _code,
        "accounting": accounting_facts,
        "drawn_by": drawn_by,
        "explained": partial(_explained, is_served=is_served),
        "extent": extent_words,
        "marked": _marked,
        "number": format,
        "percent": percent,
        "component": component_name,
        "shared_components": shared_components,
        "component_state": lambda x: STATE_WORDS[x.state],
        "counted": counted,
        "count": count_words,
        "size": file_size,
        "when": _when,
        "dtypes": _dtypes,
        "stacks": lambda stacks: ", ".join(f"{name} {n}" for name, n in stacks.items()),
        "term": partial(_term, is_served=is_served),
        "too_small": is_test_too_small,
        "pvalue": pvalue_words,
        "log10": log10_words,
        "power": _power,
        "probability": probability_words,
        "figures": parent_words,
        "rivals": lambda edge, labels: rival_words(edge, labels.__getitem__),
        "effect": effect_words,
        "command_text": lambda words: command_text(*words),
        "axis": axis_words,
        "verdict": lambda verdict: PART_WORDS.get(verdict, verdict),
        "kinds": kind_words,
        "kind": lambda kind: "kind unknown" if kind == "unknown" else kind,
        "looked": looked_words,
        "related": related_words,
        "unshown": unshown_words,
        "relation": relation_words,
        "support": support_number,
        "scanned": scanned_words,
        "left": n_left,
        "path": path_words,
        "doubt": doubt_words,
        "equal_kinds": equal_kinds,
        "identical": identical_words,
        "detail": detail_words,
        "value": value_words,
        "source_name": source_name,
    }
    return made


@cache
def static_text(name: str) -> str:
    """A style sheet or script of ours."""
    return static_bytes(name).decode()


def static_bytes(name: str) -> bytes:
    """A file that pages need."""
    return (files("weightkin.report") / "static" / name).read_bytes()


def cut(text: str, longest: int = LONGEST_TEXT) -> str:
    """Text as it may be shown: nothing in it acts, and it has an end."""
    if len(text) > longest:
        return f"{printable(text[:longest])}… ({len(text):,} characters)"
    return printable(text)


def short(text: object, longest: int) -> str:
    """Text for a narrow place, its middle left out where it is too long."""
    text = str(text)
    whole = printable(text) if len(text) <= 4 * longest else f"{text[:longest]}{text[-longest:]}"
    whole = printable(whole)
    tail = longest // 3
    return whole if len(whole) <= longest else f"{whole[: longest - tail - 1]}…{whole[-tail:]}"


def effect_words(effect: Effect | None) -> str:
    """Median cosine of matched units, and that of the best wrong match."""
    if effect is None or effect.ratio == 0.0:
        return "–"
    return f"{effect.observed:.2f} ({max(effect.chance, 0.0):.2f})"


def log10_words(log10_p: float) -> str:
    """A log10 p-value with a real minus sign."""
    return "0" if log10_p > -0.05 else f"{log10_p:.1f}".replace("-", "−")


def source_name(source: str) -> str:
    """Name of the folder or file, which is short."""
    return PurePath(source.rstrip("/")).name or source


def _term(label: str, *, is_served: bool) -> Markup:
    """A label with its explanation, if it is a term: linked to the glossary of a report."""
    words, term = escape(cut(label)), term_of(label)
    if not term:
        return words
    tag, link = ("abbr", "") if is_served else ("a", Markup(' href="#{}"').format(anchor_of(term)))
    said = Markup('<{} class="term"{} data-term="{}" title="{}">{}</{}>')
    return said.format(tag, link, term, meaning_of(term), words, tag)


def _explained(text: str, *, is_served: bool) -> Markup:
    """A text in which the terms that not everybody knows are explained."""
    parts = IN_TEXT.split(cut(text))
    return Markup("").join(
        _term(x, is_served=is_served) if i % 2 else escape(x) for i, x in enumerate(parts)
    )


def _dtypes(dtypes: Mapping[str, int]) -> str:
    """The number type of a model, with shares where it has several."""
    total = sum(dtypes.values())
    if len(dtypes) < 2:
        return "".join(dtypes)
    return ", ".join(f"{name} ({percent(n / max(1, total))})" for name, n in dtypes.items())


def _code(text: str) -> Markup:
    """A text with what stands between backticks as code."""
    parts = str(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(x) if i % 2 and i + 1 < len(parts) else x
        for i, x in enumerate(parts)
    )


def _hash(name: str) -> str:
    """SHA-256 of a script, as a content security policy names it."""
    return base64.b64encode(hashlib.sha256(static_bytes(name)).digest()).decode()


def _power(log10_p: float) -> str:
    if log10_p > -4:
        return f"{10**log10_p:.2g}"
    return f"1 in 10 to the power of {int(-log10_p):,}"


def _shown(value: Any) -> Any:
    """What a template prints of a value: nothing for None, text only as it may be shown."""
    if value is None:
        return ""
    return value if isinstance(value, Markup | int | float) else cut(str(value))


def _unbroken(sentence: str) -> Markup:
    """A sentence in which no line ends within a p-value."""
    return Markup(PVALUE.sub(r'<span class="whole">\g<0></span>', str(escape(cut(sentence)))))


def _when(text: str) -> str:
    """A time for people; what is none stays as it is."""
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return short(text, 40)


def _marked(text: str) -> Markup:
    """Advice, with what stands between backticks as code."""
    pieces = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(x) if i % 2 else escape(x) for i, x in enumerate(pieces)
    )

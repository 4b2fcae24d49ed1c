"""Elements of HTML as values. Whatever is not an element is text, and escaped.

Text from files is spelled out first as on a terminal: control characters, line ends and marks that
turn the reading order cannot act. Long texts are cut; the record at the end of a page is whole.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Any

from weightkin.report.terminal import printable

LONGEST_CELL = 400  # characters of one text
VOID = frozenset({"br", "hr", "input", "link", "meta"})
DRAWN = frozenset({"path", "rect", "line", "circle"})  # of SVG: empty unless they have a title


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def h(tag: str, *children: object, **attributes: object) -> Html:
    """One element. ``class_`` and ``for_`` lose the underscore, others turn into hyphens.

    Children are elements, texts, numbers, iterables of these, or None (left out). An attribute
    that is None or False is left out, True stands bare; one that is `Html` is not cut.
    """
    given = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in VOID:
        return Html(f"<{tag}{given}>")
    if tag in DRAWN and not children:
        return Html(f"<{tag}{given}/>")
    return Html(f"<{tag}{given}>{join(children)}</{tag}>")


def join(children: object) -> Html:
    """Children one after the other, escaped where they are text."""
    if children is None or children is False:
        return Html()
    if isinstance(children, Html):
        return children
    if isinstance(children, str):
        return Html(html.escape(shown(children)))
    if isinstance(children, Iterable):
        return Html("".join(join(child) for child in children))
    return Html(html.escape(str(children)))


def shown(text: str, longest: int = LONGEST_CELL) -> str:
    """Text as it may be shown: nothing in it acts, and it has an end."""
    if len(text) > longest:
        return f"{printable(text[:longest])}… ({len(text):,} characters)"
    return printable(text)


def short(text: str, longest: int) -> str:
    """Text for a narrow place, its middle left out where it is too long."""
    whole = printable(text) if len(text) <= 4 * longest else f"{text[:longest]}{text[-longest:]}"
    whole = printable(whole)
    tail = longest // 3
    return whole if len(whole) <= longest else f"{whole[: longest - tail - 1]}…{whole[-tail:]}"


def raw_script(text: str) -> Html:
    """A script of ours, as it is."""
    if re.search(r"</script|<!--", text, re.IGNORECASE):
        raise ValueError("a script that would end itself")
    return Html(f"<script>{text}</script>")


def data_script(data: str | Any, **attributes: object) -> Html:
    """JSON in a script element that nothing inside can leave and no browser runs."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    given = "".join(_attribute(name, value) for name, value in attributes.items())
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Html(f'<script type="application/json"{given}>{text}</script>')


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = value if isinstance(value, Html) else shown(str(value))
    return f' {name}="{html.escape(text)}"'

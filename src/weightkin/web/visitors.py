"""What visitors see of paths: the last part. Where models lie is known to who runs the server.

Whoever needs a token, or comes by a name given with ``--name``, is a visitor; on the loopback
address alone it is the owner who looks.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from weightkin.records.registry import Registered

FOLDERS = re.compile(r"(?<![\w/.:+-])(?:~[\w.-]*|[A-Za-z]:)?[/\\](?:[^\s/\\]+[/\\])+")
FIRST = re.compile(r"(?:~|[A-Za-z]:)?[/\\][^:\n]*[/\\]|~[^:\n]*[/\\]")  # a path, then what is wrong
JOINED = "+"  # between a base and its adapters
ABSOLUTE = re.compile(r"~|[/\\]|[A-Za-z]:[/\\]")


def shown_source(source: str) -> str:
    """A source without the folders on this machine that lead to it."""
    return JOINED.join(_last(part) for part in source.split(JOINED))


def shown_text(text: str) -> str:
    """A sentence without folders on this machine."""
    first = FIRST.match(text)
    return FOLDERS.sub("", text[first.end() :] if first else text)


def shown_model(model: Registered) -> Registered:
    """A registered model as a visitor sees it."""
    return replace(
        model,
        name=shown_text(model.name),
        source=shown_source(model.source),
        declared_parents=tuple(map(shown_text, model.declared_parents)),
    )


def shown_record(text: str) -> str:
    """A record without folders on this machine."""
    return json.dumps(_shown(json.loads(text)))


def _shown(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {shown_text(k): _shown(x, k) for k, x in value.items()}
    if isinstance(value, list):
        return [_shown(x, key) for x in value]
    if isinstance(value, str):
        return shown_source(value) if key == "source" else shown_text(value)
    return value


def _last(part: str) -> str:
    if not ABSOLUTE.match(part):
        return part
    return re.split(r"[/\\]", part.rstrip("/\\"))[-1]

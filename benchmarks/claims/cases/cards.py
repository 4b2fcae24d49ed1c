"""Model cards that 0.1.0 read wrongly, or not at all."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.claims.cases import Answer, Case
from benchmarks.claims.cases.reading import GOOD, save
from weightkin.formats import open_model
from weightkin.formats.declared import declared

TITLE = "What a model card declares"
_LICENCE = "\nlicense: mit\n---\n"
_PLAIN = "---\nbase_model: org/llama-a" + _LICENCE
CARDS = {  # the text, and what 0.1.0 read
    "plain": (_PLAIN, "read"),
    "a list": ("---\nbase_model:\n- org/llama-a\nlicense: [mit]\n---\n", "read"),
    "an address": (_PLAIN.replace("org/", "https://huggingface.co/org/"), "the whole address"),
    "slashes": (_PLAIN.replace("org/llama-a", "./llama-a/"), "./llama-a/"),
    "a path of Windows": (_PLAIN.replace("org/", "C:\\models\\"), "the whole path"),
    "a snapshot": (
        _PLAIN.replace("org/llama-a", "/hub/models--org--llama-a/snapshots/0123"),
        "a parent called 0123",
    ),
    "CRLF": (_PLAIN.replace("\n", "\r\n"), "read"),
    "a byte order mark": ("\ufeff" + _PLAIN, "nothing declared"),
    "blank lines first": ("\n\n" + _PLAIN, "nothing declared"),
    "a licence by name": (
        _PLAIN.replace("mit", "other\nlicense_name: mit"),
        "licence other",
    ),
}


def _card(text: str, folder: Path) -> Answer:
    path = save(folder / "m", GOOD)
    (path / "README.md").write_bytes(text.encode())
    said = declared(open_model(path))
    last = [parent.rpartition("/")[2] for parent in said.parents]
    return Answer(last == ["llama-a"] and said.licence == "mit", f"{said.parents} {said.licence}")


def _broken_card(folder: Path) -> Answer:
    path = save(folder / "m", GOOD)
    (path / "README.md").write_text("---\nbase_model:\t- org/llama-a\n\tx: [\n---\n")
    said = declared(open_model(path))
    unread = getattr(said, "unread", ())
    return Answer(bool(unread), unread[0].why if unread else f"{said.parents}")


def _no_base(folder: Path) -> Answer:
    path = save(folder / "m", GOOD)
    (path / "README.md").write_text("---\nbase_model: null\nlicense: mit\n---\n")
    said = declared(open_model(path))
    return Answer(not said.parents, f"{said.parents}")


CASES = (
    *(
        Case(f"a card with {name}", "llama-a, mit", before, partial(_card, text))
        for name, (text, before) in CARDS.items()
    ),
    Case("a card that is no YAML", "said to be unread", "nothing declared", _broken_card),
    Case("a card whose base is null", "no parent", "a parent called null", _no_base),
)  # fmt: skip

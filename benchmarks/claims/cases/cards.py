"""Model cards that 0.1.0 read wrongly, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.claims.cases import Answer, Case
from benchmarks.claims.cases.identity import write
from benchmarks.claims.cases.publishers import llama
from benchmarks.claims.cases.reading import GOOD, save
from weightkin import Registry, check
from weightkin.formats import open_model
from weightkin.formats.declared import declared
from weightkin.report.rendering import written

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


def _child(folder: Path) -> tuple[Registry, Path]:
    """A registry of two models with licences, and a fine-tuned copy of the first."""
    rng, registry = np.random.default_rng(3), Registry(folder / "r.sqlite")
    for seed, (name, licence) in enumerate((("llama-a", "llama3.1"), ("llama-b", "mit"))):
        path = write(folder / name, llama(seed))
        (path / "README.md").write_text(f"---\nlicense: {licence}\n---\n")
        registry.add([path])
    moved = {n: (x + 0.05 * x.std() * rng.standard_normal(x.shape)).astype("f4")
             for n, x in llama(0).items()}  # fmt: skip
    return registry, write(folder / "Mod\u00e8le (v1) & <b>", moved)


def _gate(rule: str, cards: Mapping[str, str], folder: Path) -> Answer:
    registry, child = _child(folder)
    said: dict[str, str] = {}
    for name, text in cards.items():
        (child / "README.md").write_bytes(text.encode())
        found = check(child, registry=registry).models[0].findings
        said[name] = ", ".join(sorted({x.rule for x in found if x.level == "error"})) or "passed"
    others = [
        f"{name}: {rules}"
        for name, rules in said.items()
        if rule not in rules or (rule == "unverifiable" and rules != rule)
    ]
    return Answer(not others, "; ".join(others) or f"{rule}, all {len(said)}")


def _bill(folder: Path) -> Answer:
    """The bill of materials of a model in a folder with an odd name, against the schema."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    registry, child = _child(folder)
    (child / "README.md").write_text(GATE["passed"]["plain"])
    text = written(registry.trace(child), "cyclonedx")
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return Answer(wrong is None, "valid" if wrong is None else str(wrong)[:100])


def _front(*lines: str) -> str:
    return "\n".join(["---", *lines, "---", ""])


def _parent(name: str, licence: str = "license: llama3.1") -> str:
    return _front(f"base_model: {name}", licence)


_CHILD = _parent("org/llama-a")
_CACHE = (
    "/home/user/.cache/huggingface/hub/models--org--llama-a/snapshots/" + "0123456789abcdef" * 2
)
GATE: dict[str, dict[str, str]] = {
    "passed": {
        "plain": _CHILD, "path": _parent("/workspace/models/llama-a"),
        "slash": _parent("./llama-a/"), "address": _parent("https://huggingface.co/org/llama-a"),
        "path of Windows": _parent("C:\\models\\llama-a"), "snapshot": _parent(_CACHE),
        "CRLF": _CHILD.replace("\n", "\r\n"), "byte order mark": "\ufeff" + _CHILD,
        "blank lines": "\n\n" + _CHILD, "capitals": _parent("Org/Llama-A", "license: Llama3.1"),
        "licence by name": _parent("org/llama-a", "license: other\nlicense_name: llama3.1"),
    },
    "contradicted-parent": {
        "list": _front("base_model:", "- org/llama-a", "- org/llama-b", "license: llama3.1"),
        "wrong": _parent("org/llama-b", "license: llama3.1"),
    },
    "undeclared-parent": {
        "null": _front("base_model: null", "license: llama3.1"),
        "no parent": _front("license: llama3.1"), "no front matter": "# nothing\n",
    },
    "looser-licence": {"quotes and a list": _parent('"org/llama-a"', "license: [mit]")},
    "unverifiable": {"no YAML": "---\nbase_model:\t- org/llama-a\n\tx: [\n---\n"},
}  # fmt: skip
CASES = (
    *(
        Case(f"check: a fine-tuned copy, its card with {', '.join(cards)}", rule, "",
             partial(_gate, rule, cards))
        for rule, cards in GATE.items()
    ),
    Case("the bill of materials of a folder with an odd name", "valid CycloneDX 1.6", "", _bill),
    *(
        Case(f"a card with {name}", "llama-a, mit", before, partial(_card, text))
        for name, (text, before) in CARDS.items()
    ),
    Case("a card that is no YAML", "said to be unread", "nothing declared", _broken_card),
    Case("a card whose base is null", "no parent", "a parent called null", _no_base),
)  # fmt: skip

"""The front matter of a model card: one strict reading of YAML, of which nothing is dropped."""

from __future__ import annotations

import re

import yaml  # type: ignore[import-untyped]

from weightkin.text import shown, unreadable

CARD = "README.md"
MAX_BYTES = 1 << 20  # of a card
KEYS = ("base_model", "base_model_relation", "license", "license_name")  # what counts here
DEEPEST = 64  # collections inside each other
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
TYPES = frozenset(f"tag:yaml.org,2002:{x}" for x in ("str", "int", "float", "bool", "timestamp"))
NULL, MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"
_LINE = re.compile(r"^---[ \t]*$", re.MULTILINE)
_SAID = re.compile(rf"^\W*({'|'.join(KEYS)})\b", re.MULTILINE)


def said_in(raw: bytes) -> dict[str, list[str]]:
    """Texts under each key that counts, of the bytes of a card.

    Raises
    ------
    UnreadableModel
        No YAML, or such that readers may differ: a key twice, merged keys, two blocks.
    """
    found: dict[str, list[str]] = {key: [] for key in KEYS}
    try:
        node = _composed(_front_matter(raw))
        if node is not None and node.tag != NULL and not isinstance(node, yaml.MappingNode):
            raise unreadable(CARD, "the front matter is not a list of keys and values")
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if key.tag == MERGE:
                raise unreadable(CARD, "merge keys (<<) in the front matter are not supported")
            if name in KEYS:
                if found[name]:
                    raise unreadable(CARD, f"key {name} is repeated in the front matter")
                found[name] = _texts(name, value)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or type(error).__name__
        said = f"the front matter is not valid YAML ({shown(str(problem))})"
        raise unreadable(CARD, said) from None
    return found


def _front_matter(raw: bytes) -> str:
    """Lines between the first two ``---``, if the text begins with one, as a hub reads them."""
    text = raw.decode("utf-16" if raw[:2] in UTF_16 else "utf-8-sig", errors="replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip()
    first, _, rest = text.partition("\n")
    if first.rstrip() != "---":
        return ""
    front, *behind = _LINE.split(rest, maxsplit=3)
    if first != "---" or not behind:
        is_cut = len(raw) >= MAX_BYTES and not behind
        if not is_cut and not _SAID.search(rest):
            return ""  # a line drawn across a text
        what = "begin" if first != "---" else "end"
        within = f" within {MAX_BYTES:,} bytes" if is_cut else ""
        raise unreadable(CARD, f"the front matter does not {what} with a line ---{within}")
    is_empty = not front.strip()
    more = behind[:1] if is_empty else behind[1:2] if behind and not behind[0].strip() else []
    if any(_SAID.search(block) for block in more):
        raise unreadable(CARD, "two blocks of front matter; which one counts is not clear")
    return front


def _composed(front: str) -> yaml.Node | None:
    """The nodes of a text, after its depth was looked at: aliases stay what they point at."""
    depth = 0
    for event in yaml.parse(front, LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise unreadable(CARD, f"the front matter is nested deeper than {DEEPEST} levels")
    return yaml.compose(front, LOADER)


def _texts(key: str, value: yaml.Node) -> list[str]:
    """A text, or a list of texts; numbers and the like as they are written."""
    found = []
    for node in value.value if isinstance(value, yaml.SequenceNode) else [value]:
        if not isinstance(node, yaml.ScalarNode) or node.tag not in {*TYPES, NULL}:
            raise unreadable(CARD, f"{key} is not a name or a list of names")
        if node.tag != NULL and node.value.strip():
            found.append(node.value.strip())
    return found

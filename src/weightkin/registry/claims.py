"""What a source says of itself and the registry would keep: its texts, and the digest it claims.

The digest of a model is computed from its weights. A sketch states that of the model it was taken
from: where it holds all values that is computed again, elsewhere it is a claim.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from weightkin.lineage.relatives import cut
from weightkin.registry.sealed import SealedStore
from weightkin.sketch import Sketch
from weightkin.sketch.stand_in import whole_model
from weightkin.text import shown, unreadable

LONGEST_CLAIM = 4096  # characters of a text
MOST_TEXTS = 256
RESERVED = ("#", "wk1-", "wkfull1-", "hf:")  # no name that a policy may use begins so
MOST_NAMESAKES = 16  # models of one digest that are looked at


def is_text(name: str) -> bool:
    """Whether a name can be kept: names of files may hold any bytes."""
    return name.encode(errors="replace").decode() == name


def check_texts(*texts: str) -> None:
    """Refuse texts that no database keeps, or nobody reads."""
    if len(texts) > MOST_TEXTS:
        what = f"too many texts about it ({len(texts)}, at most {MOST_TEXTS})"
        raise unreadable(shown(texts[0]), what)
    for text in texts:
        if not is_text(text) or "\0" in text:
            raise unreadable(shown(text), "has characters that are not text")
        if len(text) > LONGEST_CLAIM:
            what = f"too long ({len(text):,} characters, at most {LONGEST_CLAIM:,})"
            raise unreadable(f"{shown(text[:80])}…", what)


def check_name(name: str) -> None:
    """Refuse a name that stands for something else: a number, a digest, a path, a hub's name.

    A name from elsewhere has no control characters either, and is one part of a path.
    """
    if name.startswith(RESERVED) or set(name) & {"/", "\\"} or name in ("", ".", ".."):
        what = f"not allowed as a name (it is a path, or begins with {', '.join(RESERVED)})"
        raise unreadable(shown(name), what)
    if not name.isprintable():
        raise unreadable(shown(name), "not allowed as a name (it has control characters)")


def is_claimed(sketch: Sketch) -> bool:
    """Whether the digest of a sketch is a mere claim.

    Raises
    ------
    UnreadableModel
        It holds all values, and they have another digest.
    """
    from weightkin.formats import digest, full_digest

    model = whole_model(sketch)
    if model.sketched is not None:
        return True
    full = sketch.full_digest
    found = digest(model), full and full_digest(model)
    if found != (sketch.digest, full):
        stated = full if found[0] == sketch.digest else sketch.digest
        said = f"its sketch states the digest {stated}, but its values have another"
        raise unreadable(shown(sketch.name), said)
    return False


def check_claim(store: SealedStore, connection: sqlite3.Connection, sketch: Sketch) -> None:
    """Refuse a claimed digest that a registered model has whose values are others.

    Parameters
    ----------
    store, connection : SealedStore, sqlite3.Connection
        An open registry.
    sketch : Sketch
        The one that claims its digest.

    Raises
    ------
    UnreadableModel
        A registered model has this digest and other values.
    """
    rows = connection.execute(
        "SELECT DISTINCT models.slot, contents.sketch FROM models JOIN contents"
        " ON contents.slot = models.slot WHERE digest = ? ORDER BY models.slot LIMIT ?",
        (sketch.digest, MOST_NAMESAKES),
    ).fetchall()
    for slot, file in rows:
        if _differ(cut(store.sketch(slot, file)), cut(sketch)):
            number, name = connection.execute(
                "SELECT id, name FROM models WHERE slot = ? AND digest = ? ORDER BY id",
                (slot, sketch.digest),
            ).fetchone()
            said = f"its sketch claims the digest of #{number} {shown(name)}, but not its values"
            raise unreadable(shown(sketch.name), said)


def _differ(x: Sketch, y: Sketch) -> bool:
    """Whether two samples of one scheme cannot be of one model."""
    if x.scheme != y.scheme:
        return False
    shared = x.tensors.keys() & y.tensors.keys()
    return not shared or any(x.tensors[k].digest != y.tensors[k].digest for k in shared)


def is_path(source: str) -> bool:
    """Whether a source is a path with something at it, and no number of the registry."""
    is_number = source.startswith("#") and source[1:].isdecimal()
    return not is_number and "\0" not in source and Path(source).exists()

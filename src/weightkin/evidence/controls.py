"""Controls: pairs of models known to be independent, kept as small numbers.

A set is shipped with the package (`controls.json`, written by `benchmarks/generate/controls.py`)
and a user's own set may stand beside it. A model appears in one pair only, so that pairs are
independent.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from weightkin.errors import UnreadableModel, UsageError
from weightkin.evidence.calibrated import CONTROL_CLASSES, Alike, RowPairing
from weightkin.records import Skipped
from weightkin.records.built import built
from weightkin.records.form import from_text, to_text
from weightkin.sources.local import read_whole
from weightkin.stats.calibrated import Rank, rank_among

CONTROLS_SCHEMA = "weightkin/controls/1"
STATISTIC = "agreement/2"  # changes when the statistic does: old numbers are then refused
MOST_BYTES = 1 << 24  # of a file of controls; ten thousand pairs
SIZE_FACTOR = 3  # controls of other sizes say nothing
CONTROL_TOKENS = 448  # that controls are seen through: an eighth fewer than any pair is


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One pair of independent models: what they were, how alike, and how their origin is known."""

    model_class: str
    digest_a: str
    digest_b: str
    statistic: float
    n_units: int
    width: int
    n_rows: int
    n_blocks: int
    documented: str
    statistic_name: str = STATISTIC
    source_a: str = ""  # as it was named, where a list named it
    source_b: str = ""
    rows: RowPairing = "given"


@dataclass(frozen=True, slots=True)
class Ranked:
    """A pair among the controls of its class and size; no rank where there are none."""

    n_controls: int
    digest: str  # of the controls used
    rank: Rank | None


def user_file() -> Path:
    """Where a user's own controls are kept unless another file is named."""
    home = Path.home()
    if sys.platform == "win32":
        folder = Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        folder = home / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return folder / "weightkin" / "controls.json"


def load_controls(own: Path | None = None) -> tuple[Control, ...]:
    """Shipped controls, then those of the user's file (or of ``own``, which must exist)."""
    found = list(_shipped())
    found += read_own(own if own is not None else user_file(), must_exist=own is not None)
    return tuple(found)


@cache
def _shipped() -> tuple[Control, ...]:
    shipped = resources.files("weightkin.evidence").joinpath("controls.json")
    return _read(shipped.read_text(encoding="utf-8"), "shipped controls")


def read_own(path: Path, *, must_exist: bool = False) -> tuple[Control, ...]:
    """Controls of one file; none if it is not there."""
    if not path.exists() and not must_exist:
        return ()
    try:
        text = read_whole(path, MOST_BYTES).decode()
    except UnicodeDecodeError as error:
        raise UnreadableModel(f"{path}: cannot be read as controls ({error})") from None
    return _read(text, str(path))


def controls_text(controls: Sequence[Control], skipped: Sequence[Skipped] = ()) -> str:
    """Controls as JSON: what a file of them contains, and what the commands print."""
    fields = {"controls": [asdict(c) for c in controls]}
    if skipped:
        fields["skipped"] = [asdict(x) for x in skipped]
    return to_text(CONTROLS_SCHEMA, fields, 1)


def write_controls(path: Path, controls: Sequence[Control]) -> None:
    """Write a file of controls, in one step."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(controls_text(controls) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error})") from None


def as_control(alike: Alike, digest_a: str, digest_b: str, documented: str) -> Control:
    """Return what is kept of a pair that is known to be independent.

    Parameters
    ----------
    alike : Alike
        How alike the pair is.
    digest_a, digest_b : str
        Digests of the two models.
    documented : str
        How it is known that they are independent.

    Returns
    -------
    Control
        The statistic to six decimals, and what it may be compared with.
    """
    return Control(
        model_class=alike.model_class,
        digest_a=digest_a,
        digest_b=digest_b,
        statistic=round(alike.statistic, 6),
        n_units=alike.n_units,
        width=alike.width,
        n_rows=alike.n_rows,
        n_blocks=len(alike.matches),
        documented=documented,
        rows=alike.rows,
    )


def rank(alike: Alike, digests: Iterable[str], controls: Sequence[Control]) -> Ranked:
    """Rank a pair among the controls of its class and size that share no model with it.

    Units seen through few tokens agree more often, so controls have as many tokens as the pair or
    up to an eighth fewer: never more. Where its tokens are paired by content, so are theirs.

    Null hypothesis: the pair is exchangeable with those controls.

    Parameters
    ----------
    alike : Alike
        How alike the pair is.
    digests : iterable of str
        Digests of its two models.
    controls : sequence of Control
        Pairs of independent models.

    Returns
    -------
    Ranked
        Number and digest of the controls used, and the rank where there are any.
    """
    own = set(digests)
    used = [
        c
        for c in controls
        if c.model_class == alike.model_class
        and c.rows == alike.rows
        and not own & {c.digest_a, c.digest_b}
        and is_near(c.n_units, alike.n_units)
        and is_near(c.width, alike.width)
        and c.n_rows <= alike.n_rows <= c.n_rows + c.n_rows // 7
    ]
    ranked = rank_among(alike.statistic, [c.statistic for c in used]) if used else None
    return Ranked(len(used), set_digest(used), ranked)


def set_digest(controls: Sequence[Control]) -> str:
    """Identity of a set of controls, whatever their order."""
    lines = sorted(f"{c.digest_a} {c.digest_b} {c.statistic:.6f}" for c in controls)
    return f"wkc1-{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"


def is_near(x: int, y: int) -> bool:
    """Whether two sizes are close enough for one model to say something about the other."""
    return max(x, y) <= SIZE_FACTOR * min(x, y)


def _read(text: str, where: str) -> tuple[Control, ...]:
    def build(data: dict[str, Any]) -> tuple[Control, ...]:
        found = tuple(built(Control, entry) for entry in data["controls"])
        for c in found:
            if c.statistic_name != STATISTIC:
                raise ValueError(f"measured as {c.statistic_name!r} by another version: add again")
            if c.model_class not in CONTROL_CLASSES or not 0 <= c.statistic <= 1:
                raise ValueError(f"{c.model_class!r}, {c.statistic!r}")
        digests = [(c.rows, d) for c in found for d in (c.digest_a, c.digest_b)]
        if len(set(digests)) < len(digests):
            raise ValueError("a digest that is in two pairs")
        return found

    return from_text(text, where, CONTROLS_SCHEMA, build)

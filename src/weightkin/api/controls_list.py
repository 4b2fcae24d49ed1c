"""Make controls of the models that a list names, each of an initialisation of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from weightkin.api.arguments import check_count
from weightkin.api.controls import measured, own_file, write_new
from weightkin.compute import Progress
from weightkin.errors import UnreadableModel, UsageError
from weightkin.evidence.calibrated import Form, bytes_of_views, form_of
from weightkin.evidence.controls import Control, is_near, load_controls
from weightkin.formats.write_guard import refuse_inside
from weightkin.records import Skipped, left_out, unread
from weightkin.sketch.source import open_side
from weightkin.sources.local import read_whole
from weightkin.text import quoted

MOST_LIST_BYTES = 1 << 20
MOST_MODELS = 10_000
MOST_BYTES = 600_000_000  # of the matrices of one model: those of 7B


@dataclass(frozen=True, slots=True)
class ControlsBuilt:
    """Controls of a list that a file holds now, and what was left out."""

    controls: tuple[Control, ...]
    skipped: tuple[Skipped, ...]

    @property
    def incomplete(self) -> bool:
        """Whether a model could not be read or measured; one without a partner is none of these."""
        return any(x.code != "no-partner" for x in self.skipped)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model of a list that can be measured."""

    source: str
    form: Form


Pair = tuple[Candidate, Candidate]


def build_controls(
    listed: Path | None = None,
    *,
    own: Path | None = None,
    most_bytes: int = MOST_BYTES,
    progress: Progress | None = None,
) -> ControlsBuilt:
    """Measure pairs of the models of a list, and add them to the user's controls one by one.

    Pairs are made inside a class, neighbours in width and units, and every model is in one pair.
    A run that was stopped goes on: models that are in a control by the name that the list gives
    them are not opened again. Models of one list must be known to be unrelated; a pair in which
    `compare` finds a relation is refused.

    Parameters
    ----------
    listed : Path, optional
        A file with one source a line; the list that comes with the package without it.
    own : Path, optional
        The file of controls to add to; made if it is not there.
    most_bytes : int
        Models whose matrices take more are left out.
    progress : callable, optional
        Called before each model is opened, and before each pair is measured.

    Returns
    -------
    ControlsBuilt
        Controls of the list that are in the file now, and what was left out.

    Raises
    ------
    UsageError
        An argument has a value that it cannot have, or the list names a model twice.
    UnreadableModel
        The list cannot be read, or none of its models.
    OutOfReach
        The hub cannot be reached for any of them.
    """
    check_count("most_bytes", most_bytes)
    path = own_file(own)
    sources = read_list(listed)
    refuse_inside(path, sources)
    used = {x for c in _known(path) for x in (c.source_a, c.source_b)}
    todo = [x for x in sources if x not in used]
    candidates, skipped, first_error = _candidates(todo, most_bytes, progress)
    if first_error is not None and len(todo) == len(sources) and not candidates:
        raise first_error
    pairs, alone = paired(candidates)
    skipped += [left_out(x.source, "no-partner", model_class=x.form.model_class) for x in alone]
    n_bytes = 0
    for k, (a, b) in enumerate(pairs):
        if progress is not None:
            progress(f"{a.source} and {b.source}", k, len(pairs), n_bytes)
        try:
            n_bytes += _add(a.source, b.source, path)
        except (UnreadableModel, UsageError) as error:
            skipped.append(unread(f"{a.source} and {b.source}", error))
    built = [c for c in _known(path) if c.source_a in sources and c.source_b in sources]
    return ControlsBuilt(tuple(built), tuple(skipped))


def read_list(listed: Path | None) -> list[str]:
    """Sources of a list, one a line, in its order; of the shipped list where none is named."""
    if listed is None:
        shipped = resources.files("weightkin.evidence").joinpath("independent.txt")
        return shipped.read_text(encoding="utf-8").split()
    try:
        text = read_whole(listed, MOST_LIST_BYTES).decode()
    except UnicodeDecodeError as error:
        raise UnreadableModel(f"{listed}: cannot be read as a list ({error})") from None
    sources = [line.strip() for line in text.splitlines() if line.strip()]
    if not 1 < len(sources) <= MOST_MODELS:
        n = f"{len(sources):,} models; a list names from 2 to {MOST_MODELS:,}, one a line"
        raise UsageError(f"{listed}: {n}")
    twice = [x for x in dict.fromkeys(sources) if sources.count(x) > 1]
    if twice:
        raise UsageError(f"{listed}: {quoted(twice[0])} is named twice")
    return sources


def paired(candidates: Sequence[Candidate]) -> tuple[list[Pair], list[Candidate]]:
    """Pair models of one class that are near in width and units, and say which stay alone.

    Parameters
    ----------
    candidates : sequence of Candidate
        Models in the order of a list.

    Returns
    -------
    pairs, alone : list, list
        Neighbours in class, width and units, then in the order given; every model once.
    """

    def place(x: Candidate) -> tuple[str, int, int]:
        return x.form.model_class, x.form.width, x.form.n_units

    pairs: list[Pair] = []
    alone: list[Candidate] = []
    waiting: Candidate | None = None
    for x in sorted(candidates, key=place):
        if waiting is None:
            waiting = x
        elif _can_pair(waiting.form, x.form):
            pairs.append((waiting, x))
            waiting = None
        else:
            alone.append(waiting)
            waiting = x
    return pairs, alone if waiting is None else [*alone, waiting]


def _can_pair(x: Form, y: Form) -> bool:
    is_size = is_near(x.width, y.width) and is_near(x.n_units, y.n_units)
    return x.model_class == y.model_class and is_size


def _candidates(
    sources: Sequence[str], most_bytes: int, progress: Progress | None
) -> tuple[list[Candidate], list[Skipped], UnreadableModel | None]:
    """Open each model, headers only; the first error is kept for where all of them fail."""
    found: list[Candidate] = []
    skipped: list[Skipped] = []
    first_error: UnreadableModel | None = None
    for k, source in enumerate(sources):
        if progress is not None:
            progress(source, k, len(sources), 0)
        try:
            side = open_side(source)
        except UnreadableModel as error:
            first_error = first_error or error
            skipped.append(unread(source, error))
            continue
        form, n_bytes = form_of(side), bytes_of_views(side)
        if form is None:
            skipped.append(left_out(source, "no-class"))
        elif n_bytes > most_bytes:
            skipped.append(left_out(source, "costs-more", n_bytes=n_bytes, most=most_bytes))
        else:
            found.append(Candidate(source, form))
    return found, skipped, first_error


def _add(a: str, b: str, path: Path) -> int:
    """Measure a pair and write it; returns the bytes that were read."""
    side_a, side_b = open_side(a), open_side(b)
    names = [f"{s.model.source} ({s.model.revision or 'local'})" for s in (side_a, side_b)]
    control = measured(side_a, side_b, f"listed as unrelated: {' and '.join(names)}")
    write_new(replace(control, source_a=a, source_b=b), side_a.model, side_b.model, path)
    return side_a.model.bytes_read + side_b.model.bytes_read


def _known(path: Path) -> tuple[Control, ...]:
    return load_controls(path if path.exists() else None)

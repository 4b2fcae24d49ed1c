"""What a job does, in a process of its own: a verb of the registry, which leaves a record."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from weightkin.api.compare import compare
from weightkin.errors import UnreadableModel, UsageError
from weightkin.formats import Model
from weightkin.processes import Say
from weightkin.records import Skipped, left_out
from weightkin.records.registry import Registered
from weightkin.registry import Registry, browsing
from weightkin.registry.prepared import held_whole, source_of, weights_of
from weightkin.report.terminal import file_size
from weightkin.sketch import as_model, read_sketch, write_sketch
from weightkin.web.jobs import JobKind
from weightkin.web.uploads import clean_of

MOST_MEMORY = 4 << 30  # bytes that a job on a visitor's file may use
BETWEEN = 0.5  # seconds from one word on the progress to the next


def work(kind: str, asked: dict[str, Any], say: Say) -> str:
    """Do one job about the registry ``asked["registry"]``.

    Parameters
    ----------
    kind : str
        ``compare``, ``trace``, ``descendants``, ``search`` or ``family``.
    asked : dict
        The registry, with the numbers of models or the uploaded file.
    say : callable
        Given a line on the progress.

    Returns
    -------
    str
        The record as JSON.

    Raises
    ------
    UsageError
        There is no such kind, or no such model any more.
    """
    path = Path(asked["registry"])
    if kind == "compare":
        return _compare(path, int(asked["a"]), int(asked["b"]), say)
    if kind == "trace":
        say(f"looking for relatives among {_all(path)}")
        return Registry(path).trace(f"#{int(asked['model'])}").to_json(None)
    if kind == "descendants":
        say(f"looking for descendants among {_all(path)}")
        return Registry(path).descendants(f"#{int(asked['model'])}").to_json(None)
    if kind == "search":
        upload = Path(asked["upload"])
        clean = clean_of(upload, int(asked["job"]))
        return _search(path, upload, clean, str(asked["name"]), say)
    if kind == "family":
        say(f"laying out {_all(path)}")
        return Registry(path).family(progress=_steps(say)).to_json(None)
    kinds = ", ".join(get_args(JobKind))
    raise UsageError(f"{kind}: not a kind of job ({kinds} are)")


def _compare(path: Path, a: int, b: int, say: Say) -> str:
    """Compare two registered models: their weights where they are at hand, else their sketches."""
    models, missed = [], []
    for number in (a, b):
        known = browsing.one(path, number)
        if known is None:
            raise UsageError(f"#{number}: no longer registered")
        say(f"opening {known.name[:80]}")
        model, lost = _held(path, known)
        models.append(model)
        missed += [lost] if lost else []
    with _saying_bytes(models, say):
        record = compare(models[0], models[1])
    return replace(record, skipped=(*record.skipped, *missed)).to_json(None)


def _held(path: Path, known: Registered) -> tuple[Model, Skipped | None]:
    """A model to compare, and why it is not the weights themselves."""
    sketch = browsing.sketch_of(path, known)
    if sketch is None:
        raise UsageError(f"#{known.id}: no longer registered")
    sketch = replace(sketch, name=known.name, source=known.source, digest=known.digest)
    if (whole := held_whole(sketch)) is not None:
        return whole, None  # nothing is opened for what is all there
    found = weights_of(replace(sketch, revision=known.revision or None), source_of([known]))
    if isinstance(found, Model):
        return replace(found, name=known.name), None
    reason = {"code": found.code, **found.data}
    return as_model(sketch), left_out(known.name, "compared-by-sketch", reason=reason)


def _search(path: Path, upload: Path, clean: Path, name: str, say: Say) -> str:
    """Search for an uploaded sketch, under its visitor's name for it.

    The place that the sketch says it was taken from is struck out first, in a copy for this job
    alone, so that nothing there is ever opened.
    """
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    least = MOST_MEMORY if most == resource.RLIM_INFINITY else min(MOST_MEMORY, most)
    resource.setrlimit(resource.RLIMIT_DATA, (least, most))
    say("reading the sketch")
    try:
        sketch = read_sketch(upload)
    except UnreadableModel as error:
        raise UnreadableModel(str(error).replace(str(upload), name)) from None
    clean.parent.mkdir(exist_ok=True)
    try:
        write_sketch(replace(sketch, source=str(clean), revision=None), clean, overwrite=True)
        say(f"searching among {_all(path)}")
        record = Registry(path).search(clean)
    finally:
        clean.unlink(missing_ok=True)
    return replace(record, source="an uploaded sketch").to_json(None)


def _all(path: Path) -> str:
    n = browsing.browse(path, most=0).n_found
    return f"{n:,} registered model{'' if n == 1 else 's'}"


def _steps(say: Say) -> Callable[[str, int, int, int], None]:
    """Progress as a word, not more often than a page asks for it; the ends of a phase always."""
    last = 0.0

    def tell(what: str, n_done: int, n_total: int, _n_bytes: int) -> None:
        nonlocal last
        if time.monotonic() - last > BETWEEN or n_done in (0, n_total):
            last = time.monotonic()
            say(f"{what[:80]} {n_done:,} of {n_total:,}")

    return tell


@contextmanager
def _saying_bytes(models: Sequence[Model], say: Say) -> Iterator[None]:
    """Say how much has been read, as long as the work lasts."""
    is_over = threading.Event()

    def tell() -> None:
        while True:
            say(f"comparing, {file_size(sum(m.bytes_read for m in models))} read")
            if is_over.wait(BETWEEN):
                return

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        is_over.set()
        teller.join()

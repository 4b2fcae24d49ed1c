"""The folder of uploads: what a search that is not over needs, and nothing else."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import BinaryIO

from weightkin.errors import UnreadableModel, UnusableRegistry
from weightkin.formats.model import SKETCH_KEY, SKETCH_SUFFIX
from weightkin.web.jobs import Job, Jobs

UPLOAD_CHUNK = 1 << 20
MOST_HEADER = 32 << 20  # bytes of the header of an uploaded sketch


def place_of(uploads: Path, file: BinaryIO) -> Path:
    """Where an upload goes: named after its contents, so that the same is one question."""
    known = hashlib.sha256()
    while data := file.read(UPLOAD_CHUNK):
        known.update(data)
    file.seek(0)
    return uploads / f"{known.hexdigest()}{SKETCH_SUFFIX}"


def clean_of(upload: Path, job: int) -> Path:
    """Where a job puts an upload without its source: a place of its own."""
    return upload.parent / "clean" / f"{job}{SKETCH_SUFFIX}"


def upload_of(job: Job) -> Path:
    """The upload that a job names, wherever that is."""
    return Path(str(job.asked.get("upload", "")))


def is_about(registry: Path, uploads: Path, job: Job) -> bool:
    """Whether a job asks for this registry and an upload to it: a file of jobs may be another's."""
    is_here = job.kind != "search" or upload_of(job) == uploads / upload_of(job).name
    return is_here and job.asked.get("registry") == str(registry)


def keep(file: BinaryIO, target: Path) -> None:
    """Write an upload to its place.

    Raises
    ------
    UnusableRegistry
        It cannot be written; nothing of it is left.
    """
    try:
        with target.open("wb") as out:
            shutil.copyfileobj(file, out, UPLOAD_CHUNK)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise UnusableRegistry(f"the upload cannot be stored ({error.strerror})") from None


def tidy(uploads: Path, jobs: Jobs) -> None:
    """Remove every file that no job needs which waits or runs."""
    with jobs.changed:  # no upload comes between its file and its job
        asked = [(upload_of(j), j.id) for j in jobs.unfinished() if j.kind == "search"]
        needed = {path.name for path, _ in asked}
        clean = {clean_of(path, number).name for path, number in asked}
        for path in uploads.rglob("*"):
            if path.name not in (clean if path.parent != uploads else needed) and path.is_file():
                path.unlink(missing_ok=True)


def check_head(file: BinaryIO, name: str) -> None:
    """Refuse at once what is no sketch: the length of a header, and in it the mark of one."""
    n = int.from_bytes(file.read(8), "little")
    head = file.read(min(n, MOST_HEADER))
    file.seek(0)
    if n > MOST_HEADER or len(head) < n or not head.startswith(b"{"):
        raise UnreadableModel(f"{name}: not a file that `weightkin sketch` wrote")
    if f'"{SKETCH_KEY}"'.encode() not in head:
        raise UnreadableModel(f"{name}: a model, not a sketch that `weightkin sketch` wrote")

"""A sketch file as a `Model`: the runs under the names of the tensors they were taken from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from weightkin.formats.json_text import parse_object
from weightkin.formats.model import SKETCH_KEY, Model, Problem, Sketched
from weightkin.formats.storage import Contents, FileStorage
from weightkin.sources.files import File
from weightkin.text import quoted, shown, unreadable

RUN = "run/"
PARTS = (RUN, "scattered/", "tail/")
MAX_NAME = 1000  # characters of a model's name
DIGESTS = {
    "digest": re.compile(r"wk1-[0-9a-f]{64}(-partial)?", re.ASCII),
    "full_digest": re.compile(r"(wkfull1-[0-9a-f]{64}(-partial)?)?", re.ASCII),
}


def is_sketch(contents: Contents) -> bool:
    """Whether a file is a sketch: it says so, and holds the parts of one and nothing else."""
    is_stated = SKETCH_KEY in contents.metadata
    return is_stated and all(name.startswith(PARTS) for name in contents.tensors)


def sketched_model(source: str, path: PurePath, contents: Contents, files: Sequence[File]) -> Model:
    """Make the model of a sketch's runs. Its anatomy and scheme are checked where they are used."""
    metadata = contents.metadata
    if metadata[SKETCH_KEY] != "1":
        raise unreadable(path, f"a sketch of version {quoted(metadata[SKETCH_KEY])}", "version 1")
    for key, pattern in DIGESTS.items():
        if not pattern.fullmatch(metadata.get(key, "none")):
            raise unreadable(path, f"{quoted(metadata.get(key))} as {key}", "a digest")
    name = metadata.get("name", "")
    if not 0 < len(name) <= MAX_NAME:
        raise unreadable(path, f"a name of {len(name)} characters", f"1 to {MAX_NAME}")
    facts, config = _parsed(path, metadata.get("facts", "")), _parsed(path, metadata.get("config"))
    runs = sorted(key for key in contents.tensors if key.startswith(RUN))
    infos = {key.removeprefix(RUN): contents.tensors[key] for key in runs}
    return Model(
        source=source,
        name=name,
        tensors={
            key: type(info)(key, info.dtype, info.shape, info.n_bytes)
            for key, info in infos.items()
        },
        config=config,
        storage=FileStorage({key.removeprefix(RUN): contents.places[key] for key in runs}, files),
        problems=(*contents.problems, *_problems(path, facts)),
        headers=contents.headers,
        sketched=Sketched(
            digest=metadata["digest"],
            full_digest=metadata["full_digest"] or None,
            scheme=metadata.get("scheme", ""),
            anatomy=metadata.get("anatomy", ""),
        ),
    )


def _problems(path: PurePath, facts: dict[str, Any]) -> list[Problem]:
    """What of the model could not be read when it was sketched."""
    problems, is_partial = facts.get("problems"), facts.get("is_partial")
    if not isinstance(problems, list) or not isinstance(is_partial, bool):
        raise unreadable(path, "malformed facts", "those of a sketch")
    found = []
    for problem in problems:
        match problem:
            case [str(what), str(why)]:
                found.append(Problem(shown(what), why, loses_tensors=is_partial))
            case _:
                raise unreadable(path, "malformed problems", "pairs of texts")
    return found


def _parsed(path: PurePath, text: str | None) -> dict[str, Any]:
    raw = (text or "").encode("utf-8", "replace")
    return parse_object(raw, path, "metadata", is_hint=True)

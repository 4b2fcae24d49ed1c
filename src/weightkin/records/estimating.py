"""The record of ``--estimate``: what a command would read, by what it is read for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from weightkin.notebooks import InNotebooks, InShort
from weightkin.records.built import built
from weightkin.records.form import from_text
from weightkin.records.frames import frame_of
from weightkin.records.notes import Skipped
from weightkin.text import counted

SCHEMA = "weightkin/estimate/2"
COLUMNS = (
    "source", "revision", "n_bytes_model", "n_bytes", "headers", "digest", "tests", "kind",
    "n_requests",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Cost(InShort):
    """What one model costs in bytes. Ranges that serve two purposes count for the first."""

    source: str
    revision: str
    n_bytes_model: int
    headers: int  # read already, to know the rest
    digest: int
    tests: int  # the aligned tests; what they leave open may cost more
    kind: int  # the sketch; of `compare` only where the two turn out dependent
    n_requests: int  # to a server, beyond those for the headers

    @property
    def n_bytes(self) -> int:
        """All of them."""
        return self.headers + self.digest + self.tests + self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate(InNotebooks):
    """What `show`, `compare`, `sketch` or `tree` would read."""

    models: tuple[Cost, ...]
    skipped: tuple[Skipped, ...] = ()
    version: str

    def __repr__(self) -> str:
        n_bytes = sum(model.n_bytes for model in self.models)
        return f"<Estimate {n_bytes:,} bytes of {counted(len(self.models), 'model')}>"

    def to_pandas(self) -> Any:
        """Return the models as a `pandas.DataFrame`, a row each, with what is read of it in bytes.

        Columns: ``source``, ``revision``, ``n_bytes_model``, ``n_bytes`` (of all that is read),
        ``headers``, ``digest``, ``tests``, ``kind``, ``n_requests``.
        """
        return frame_of(self.models, COLUMNS)

    @property
    def incomplete(self) -> bool:
        """Whether a source could not be read."""
        return bool(self.skipped)

    def to_json(self) -> str:
        """Return the record as JSON."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> Estimate:
        """Read a record back; one line says what is wrong with a text that is none."""
        return from_text(text, where, SCHEMA, partial(built, Estimate))

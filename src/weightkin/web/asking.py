"""What addresses of pages may hold, and the job behind a question that is not answered yet."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from weightkin.web.api import seen
from weightkin.web.job_service import JobService
from weightkin.web.jobs import JobKind

Number = Annotated[int, Path(ge=1, le=1 << 53)]
JobOrKept = Annotated[int, Path(ge=0, le=1 << 53)]  # 0: the family graph in the registry
PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
Text = Annotated[str, Query(max_length=1000)]


def unanswered(service: JobService, kind: JobKind, **asked: int) -> object:
    """The newest job of a question, unless it has been answered."""
    job = service.latest(kind, **asked)
    return None if job is None or job.state == "done" else seen(service, job)

"""One command in this process, and what must hold of it whatever its input was."""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.fuzz.cases import SECRET, Mutant

SECONDS, MEGABYTES = 10, 512
PATIENCE = 120  # seconds by the clock, for what waits and costs nothing
LONGEST = 4000  # characters of the last line on standard error
BUGS = ("Traceback", "this is a bug", "out of memory", "nested too deeply to be read", "Warning:")
CONTROL = re.compile(r"[^\n\x20-\x7e\x80-\U0010ffff]|[\u202a-\u202e\u2066-\u2069\x80-\x9f]")
FORBIDDEN = (
    *("subprocess.Popen", "os.exec", "os.system", "os.posix_spawn", "os.fork", "socket.connect"),
    *("socket.getaddrinfo", "pickle.find_class"),
)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class TooLong(BaseException):
    """A command that did not end; no handler of the command takes it for its own."""


@dataclass(slots=True)
class Run:
    """What one command did."""

    code: int = -1
    out: str = ""
    err: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """What it said, without what differs from file to file."""
        last = (self.err.strip().splitlines() or [""])[-1] if self.code else self.out[-2000:]
        return f"{self.code} " + re.sub(r"'[^']*'|\"[^\"]*\"|/\S+|\d+(\.\d+)?", "_", last)[:200]


class Watch:
    """What this process opens and starts, while a mutant is looked at.

    Audit hooks cannot be taken away, so one is put in for good and asks whether it is on.
    """

    def __init__(self) -> None:
        self.root: Path | None = None
        self.is_link = False  # the source itself, which may lead anywhere
        self.faults: list[str] = []
        sys.addaudithook(self._hook)

    @contextlib.contextmanager
    def on(self, folder: Path, source: Path) -> Iterator[list[str]]:
        """Note what is done beside the folder of a mutant."""
        self.faults, self.root = [], Path(os.path.realpath(folder))
        self.is_link = source.is_symlink()
        try:
            yield self.faults
        finally:
            self.root = None

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.root is None:
            return
        if event in FORBIDDEN:
            self.faults.append(f"{event} {str(args)[:100]}")
        elif event == "open" and isinstance(args[0], str | bytes):
            self._opened(os.fsdecode(args[0]), args[2] if isinstance(args[2], int) else 0)

    def _opened(self, path: str, flags: int) -> None:
        root, self.root = self.root, None  # what is asked here is not to be noted
        real = Path(os.path.realpath(path))
        assert root is not None
        if real.is_relative_to(root / SECRET):
            if not self.is_link:
                self.faults.append(f"opened what lies outside: {path[-100:]}")
        elif str(real) in ("/dev/zero", "/etc/passwd"):
            self.faults.append(f"opened {real}")
        elif flags & WRITES and real.is_relative_to(root / "in"):
            self.faults.append(f"wrote into the folder of the source: {path[-100:]}")
        self.root = root


def run(mutant: Mutant, folder: Path, watch: Watch) -> Run:
    """Run the command of a mutant under a clock, and judge it."""
    found = Run()
    before, started = _peak(), time.process_time()
    with watch.on(folder, mutant.source) as faults, _clock(found), warnings.catch_warnings():
        warnings.simplefilter("always")
        found.code, found.out, found.err = _command(mutant.command)
    found.faults += faults
    found.seconds, found.megabytes = time.process_time() - started, _peak() - before
    found.faults += _judged(found)
    if mutant.target == "models" and mutant.command[0] in ("show", "check") and not found.code:
        found.faults += _whole(mutant)
    return found


def _judged(run: Run) -> Iterator[str]:
    """What is wrong with what a command left."""
    if run.code not in (0, 1, 2, 3, 4):
        yield f"exit code {run.code}"
    for word in BUGS:
        if word in run.err:
            yield f"said {word}: {run.err.strip().splitlines()[-1][:200]}"
    for name, text in (("output", run.out), ("errors", run.err)):
        if bad := CONTROL.search(text):
            yield f"control character {bad[0]!r} among the {name}"
    lines = run.err.strip().splitlines()
    if run.code > 2 and (len(lines) != 1 or not lines[0].startswith("weightkin: ")):
        yield f"{len(lines)} lines of errors: {lines[:3]}"
    if lines and len(lines[-1]) > LONGEST:
        yield f"a line of {len(lines[-1])} characters"
    if run.seconds > SECONDS:
        yield f"took {run.seconds:.1f} s"
    if run.megabytes > MEGABYTES:
        yield f"took {run.megabytes:.0f} MB"


def _whole(mutant: Mutant) -> Iterator[str]:
    """What exit code 0 means of a model: nothing is left out or unread, and nothing was cut off."""
    from weightkin.errors import WeightkinError
    from weightkin.formats import digest
    from weightkin.formats.ledger import own_ledger
    from weightkin.sketch.source import open_model

    try:
        model = open_model(mutant.source)
        if model.problems:
            yield f"exit code 0, though {model.problems[0].what} is not read"
        if left := [x.file for x in own_ledger(model).files if not x.is_read]:
            yield f"exit code 0, though bytes of {left[0]} are unread"
        if mutant.cut is not None and digest(model) != digest(open_model(mutant.cut)):
            yield "exit code 0, though a file was cut"
    except WeightkinError as error:
        if mutant.command[0] == "show":
            yield f"exit code 0, though it cannot be opened: {error}"


def _command(words: tuple[str, ...]) -> tuple[int, str, str]:
    """Exit code and the two streams of a command in this process."""
    from weightkin.cli.main import _run

    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True)
               for _ in range(2)]  # fmt: skip
    before = sys.argv, sys.stdout, sys.stderr
    sys.argv, sys.stdout, sys.stderr = ["weightkin", *words], *streams
    try:
        code = _run()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else -2
    finally:
        sys.argv, sys.stdout, sys.stderr = before
    out, err = (x.buffer.getvalue().decode("utf-8", "replace") for x in streams)  # type: ignore[attr-defined]
    return code, out, err


@contextlib.contextmanager
def _clock(found: Run) -> Iterator[None]:
    def ring(_number: int, frame: FrameType | None) -> None:
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""
        raise TooLong(where)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    except TooLong as error:
        found.faults.append(f"did not end within {PATIENCE} s, {error}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _peak() -> float:
    """Megabytes that this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

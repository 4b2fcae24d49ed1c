"""A process beside this one: it answers one request after another, and can be killed at any time.

The workers of `compute.run` and the jobs of the server are such processes.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weightkin.errors import WeightkinError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

LEAVE_SECONDS = 5  # how long a process may take to end by itself
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Lost:
    """Why a request has no answer."""

    why: str


@dataclass(frozen=True, slots=True)
class Said:
    """A line on the progress of a request."""

    text: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a request: the value of the function, or `Lost`."""

    value: Any


@dataclass(frozen=True, slots=True)
class Ended:
    """The process is gone; ``code`` is less than 0 where a signal killed it."""

    code: int

    def __str__(self) -> str:
        """How it ended."""
        if self.code < 0:
            return f"was killed ({signal.Signals(-self.code).name})"
        return f"failed ({self.code})"


class Process:
    """A process that calls a function for each request; it ends when this process does.

    Parameters
    ----------
    function : callable
        A function of a module. Called with the values of a request and a function that takes
        lines on the progress; values and results can be pickled.

    Raises
    ------
    OSError, EOFError
        No process can be started.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        import multiprocessing  # much to load

        context = multiprocessing.get_context("forkserver")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, pickle.dumps(function)), daemon=True
        )
        with theirs:
            self._process.start()
        self.signals: tuple[Connection[Any, Any], int] = (self._connection, self._process.sentinel)

    def ask(self, *values: object) -> None:
        """Send a request, to be answered after those sent before."""
        with suppress(OSError):  # it is gone, which `listen` tells
            self._connection.send(values)

    def hear(self) -> Said | Answered | Ended | None:
        """The next message, if there is one."""
        if self._connection.poll():
            with suppress(EOFError, OSError):  # gone, perhaps in the middle of a message
                message: Said | Answered = self._connection.recv()
                return message
        elif self._process.is_alive():
            return None
        return Ended(self.end())

    def stop(self) -> None:
        """Ask the process to end; what it writes is cleaned up."""
        self._process.terminate()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def end(self) -> int:
        """Wait until the process has ended, kill it if it does not, and return its exit code."""
        self._connection.close()
        self._process.join(LEAVE_SECONDS)
        self._process.kill()
        self._process.join()
        return self._process.exitcode or 0


def listen(
    processes: Iterable[Process], seconds: float | None = None
) -> Iterator[tuple[Process, Said | Answered | Ended]]:
    """Wait until a process has a message, at most so many seconds, and give one of each."""
    from multiprocessing.connection import wait

    processes = list(processes)
    wait([signal for process in processes for signal in process.signals], seconds)
    for process in processes:
        message = process.hear()
        if message is not None:
            yield process, message


def _serve(connection: Connection[Any, Any], pickled: bytes) -> None:
    """Answered requests. Nothing heavy is imported before interrupts are left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore", RuntimeWarning)  # as in the command that started it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # half-written files are cleaned up
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lock = threading.Lock()

    def send(message: Said | Answered) -> None:
        with lock, suppress(BrokenPipeError):
            connection.send(message)

    function = pickle.loads(pickled)  # noqa: S301 (from the process that started this one)
    while True:
        try:
            values = connection.recv()
        except (EOFError, OSError):  # the parent wants no more
            return
        send(Answered(_answer(function, values, lambda text: send(Said(text)))))


def _answer(function: Callable[..., Any], values: tuple[Any, ...], say: Say) -> Any:
    """The value of a function. Other exceptions are bugs: a traceback, and the process ends."""
    try:
        return function(*values, say)
    except WeightkinError as error:
        return Lost(str(error))
    except OSError as error:
        return Lost(f"{error.filename or 'a file'}: cannot be read ({error.strerror})")
    except MemoryError:
        return Lost("not enough memory")
    except RecursionError:
        return Lost("nested too deeply to be read")


def _end_with_parent() -> None:
    """End as soon as the parent is gone, however it went."""
    import multiprocessing
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LEAVE_SECONDS)
        os._exit(1)

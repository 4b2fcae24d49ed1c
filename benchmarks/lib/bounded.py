"""One function over many items, in a process of its own: bounded time and memory for each."""

from __future__ import annotations

import multiprocessing
import resource
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

Item = TypeVar("Item")
RENEW_AFTER = 40  # items: libraries leave memory behind


def each(
    function: Callable[[Item], Any], items: Iterable[Item], *, seconds: float, gigabytes: float
) -> Iterator[tuple[Item, Any, str]]:
    """Call a function on every item; yield the item, its result, and why there is none.

    Parameters
    ----------
    function : callable
        At the top of a module: it is imported by the process that runs it.
    items : iterable
        Items that can be sent to a process.
    seconds : float
        Of one item; one that takes longer is given up, and its process ended.
    gigabytes : float
        Of address space of the process.

    Yields
    ------
    (item, result, str)
        The result is None where the reason is not empty.
    """
    worker: tuple[BaseProcess, Connection] | None = None
    n_done = 0
    try:
        for item in items:
            worker = worker or _started(function, gigabytes)
            process, pipe = worker
            pipe.send(item)
            result, why = None, f"took more than {seconds:g} s"
            try:
                if pipe.poll(seconds if n_done else seconds + 60):  # the first imports libraries
                    result, why = pipe.recv()
            except (EOFError, ConnectionResetError):
                process.join(5)
                why = f"process ended with code {process.exitcode}"
            yield item, result, why
            n_done += 1
            if n_done == RENEW_AFTER or not process.is_alive() or why.startswith("took"):
                _end(process, pipe)
                worker, n_done = None, 0
    finally:
        if worker is not None:
            _end(*worker)


def _started(function: Callable[[Any], Any], gigabytes: float) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    own, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, function, gigabytes), daemon=True)
    process.start()
    theirs.close()
    return process, own


def _end(process: BaseProcess, pipe: Connection) -> None:
    pipe.close()
    process.kill()
    process.join()


def _serve(pipe: Connection, function: Callable[[Any], Any], gigabytes: float) -> None:
    """Answer item after item, until the other end is closed."""
    size = int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        try:
            answer = (function(item), "")
        except Exception as error:  # a library may raise anything; what it said is the result
            answer = (None, _told(error))
        pipe.send(answer)


def _told(error: BaseException) -> str:
    """An error in one line, with where it was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{last.filename.rsplit('/', 1)[-1]}:{last.lineno}"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]} ({where})"

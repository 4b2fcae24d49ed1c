"""Where work runs: in this process, in processes beside it, or on the workers of a dask cluster.

`run` gives what a function makes of each item, in their order, wherever that is. A worker that dies
costs nothing but the item it was at: that is tried again elsewhere, a few times, and then `Lost`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from weightkin._version import __version__
from weightkin.errors import OutOfReach, UsageError
from weightkin.processes import Answered, Ended, Lost, Process, Say, listen

if TYPE_CHECKING:
    from distributed import Client, Future

AHEAD = 8  # items for each worker that may be begun, or done and waiting, before one is asked for
AT_HAND = 2  # items that a process holds, so that it need not wait for the next
CONNECT_SECONDS = 10  # how long a scheduler may take to answer
LOOK_SECONDS = 5  # how often a cluster that is silent is looked at
MOST_LOOKS = 12  # looks that find no worker at all before the rest is given up
T = TypeVar("T")
R = TypeVar("R")


Progress = Callable[[str, int, int, int], None]  # what, number done, number in all, bytes read
PAIRS, COPIES, PARENTS = "comparing pairs", "looking for disguised copies", "finding parents"


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Where many models are read, and a function that is called with the progress.

    ``workers`` is a number of processes, 1 for this one; ``cluster`` the address of a dask
    scheduler whose workers read instead. Results do not depend on either.
    """

    workers: int = 1
    cluster: str | None = None
    progress: Progress | None = None


HERE = Execution()


def run(
    function: Callable[[T], R], items: Sequence[T], *, workers: int = 1, cluster: str | None = None
) -> Generator[R | Lost]:
    """Give ``function(item)`` for each item, in order; few results wait in memory.

    Parameters
    ----------
    function, items : callable, sequence
        A function of a module; it, items and results can be pickled.
    workers : int
        Processes beside this one; 1 is none: the work is done here.
    cluster : str, optional
        Address of a dask scheduler, whose workers do it instead.

    Returns
    -------
    generator
        Results, or `Lost`; close it to stop what is still at work. In this process an exception
        of ``function`` passes through; elsewhere it costs its item alone.

    Raises
    ------
    UsageError
        Settings that cannot be meant, or the extra that is missing.
    OutOfReach
        The scheduler does not answer, or has no worker any more.
    """
    if workers < 1:
        raise UsageError(f"workers must be at least 1, not {workers}")
    if cluster is not None:
        if workers > 1:
            raise UsageError("workers and cluster exclude each other")
        return _on_cluster(function, items, cluster, _client(cluster))
    if workers == 1 or len(items) < 2:
        return (function(item) for item in items)
    return _in_processes(function, items, min(workers, len(items)))


def _in_processes(function: Callable[[T], R], items: Sequence[T], n: int) -> Generator[R | Lost]:
    waiting = deque(range(len(items)))
    tried: set[int] = set()  # a process was killed over them once
    done: dict[int, R | Lost] = {}
    crew: dict[Process, deque[int]] = {}  # what each has to do, first what it is at
    try:
        for k in range(len(items)):
            while k not in done:
                while len(crew) < n and waiting:
                    crew[Process(partial(_silent, function))] = deque()
                for process, own in crew.items():
                    while waiting and waiting[0] < k + AHEAD * n and len(own) < AT_HAND:
                        own.append(waiting.popleft())
                        process.ask(items[own[-1]])
                for process, message in listen([process for process, own in crew.items() if own]):
                    item = crew[process].popleft()
                    if isinstance(message, Answered):
                        done[item] = message.value
                    elif isinstance(message, Ended):
                        left = crew.pop(process)
                        if message.code >= 0:
                            done[item] = Lost(f"the process that read it {message}")
                        elif item in tried:
                            done[item] = Lost(f"the process that read it {message}, twice")
                        else:
                            tried.add(item)
                            left.appendleft(item)  # once more, in another process
                        waiting.extendleft(reversed(left))
            yield done.pop(k)
    finally:
        for process in crew:
            process.stop()
        for process in crew:
            process.end()


def _silent(function: Callable[[T], R], item: T, _say: Say) -> R:
    return function(item)


def _on_cluster(
    function: Callable[[T], R], items: Sequence[T], address: str, client: Client
) -> Generator[R | Lost]:
    from asyncio import CancelledError  # much to load

    def begun(item: T) -> Future[R]:
        return client.submit(_there, function, item, __version__, pure=False)

    futures: deque[tuple[T, Future[R]]] = deque()
    left = iter(items)
    room = 0
    try:
        while True:
            if len(futures) <= room // 2:
                room = AHEAD * max(1, sum(client.ncores().values()))
                futures.extend((x, begun(x)) for x in islice(left, room - len(futures)))
            if not futures:
                return
            item, future = futures.popleft()
            result = _result(client, future, address)
            if isinstance(result, _Suspect):  # dask suspects what waited at a dead worker, too
                for _, other in futures:
                    _outcome(client, other, address)
                result = _result(client, begun(item), address)  # with nothing else around
            if isinstance(result, _Suspect):
                result = Lost(f"killed {result.n} workers, with nothing else at work")
            yield result
    except (OSError, CancelledError):
        raise OutOfReach(f"{address}: the connection to the scheduler was lost") from None
    finally:
        with suppress(OSError, CancelledError, TimeoutError):
            client.cancel([future for _, future in futures], force=True)
            client.close()


@dataclass(frozen=True, slots=True)
class _Suspect:
    """An item in whose time so many workers died."""

    n: int


def _there(function: Callable[[T], R], item: T, version: str) -> R:
    """What a worker does: never with other rules than those of who asked."""
    if __version__ != version:
        raise UsageError(f"a worker runs weightkin {__version__}, not {version} as here")
    return function(item)


def _result(client: Client, future: Future[R], address: str) -> R | Lost | _Suspect:
    """Wait for one result as long as there is anybody to give it."""
    from distributed import KilledWorker

    error = _outcome(client, future, address)
    if error is None:
        result: R = future.result()
        return result
    if isinstance(error, KilledWorker):
        return _Suspect(error.allowed_failures + 1)
    said = str(error).partition("\n")[0]
    if "deserialization" in said:  # dask does not say of what
        return Lost(f"failed on its worker: no weightkin {__version__} there")
    return Lost(f"failed on its worker: {type(error).__name__}: {said}")


def _outcome(client: Client, future: Future[R], address: str) -> BaseException | None:
    """The exception of a task that is done, or None."""
    from asyncio import CancelledError

    n_empty = 0
    while n_empty < MOST_LOOKS:
        try:
            error: BaseException | None = future.exception(timeout=LOOK_SECONDS)
        except TimeoutError:
            n_empty = 0 if client.status == "running" and client.ncores() else n_empty + 1
            continue
        if future.status == "cancelled":
            raise CancelledError
        return error
    raise OutOfReach(f"{address}: the cluster has no workers")


def _client(address: str) -> Client:
    """Connect, after a look at what would otherwise fail late and at length."""
    import socket

    try:
        from distributed import Client, Security
        from distributed.comm import get_address_host_port
    except ImportError:
        raise UsageError("a cluster needs dask: pip install 'weightkin[cluster]'") from None
    try:
        host, port = get_address_host_port(address, strict=True)
    except ValueError as error:
        raise UsageError(f"{address}: not the address of a scheduler ({error})") from None
    if address.startswith("tls:") and not Security().get_connection_args("client")["ssl_context"]:
        raise UsageError(f"{address}: no certificates; set distributed.comm.tls in dask's config")
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except OSError as error:
        said = str(error).partition("\n")[0]
        raise OutOfReach(f"{address}: no scheduler answers ({said})") from None

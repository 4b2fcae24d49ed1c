"""Open the socket, start the work, answer until told to stop."""

from __future__ import annotations

import ipaddress
import os
import secrets
import signal
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from weightkin.api.arguments import MOST_WORKERS, check_count, check_kind, check_path, check_paths
from weightkin.errors import UsageError, unwritable
from weightkin.registry import browsing
from weightkin.registry.store import folder_of
from weightkin.web.app import make_app
from weightkin.web.connections import HEAD_SECONDS, MAX_CONNECTIONS, Connection
from weightkin.web.guard import MOST_HEAD, RequestGuard
from weightkin.web.job_service import JobService
from weightkin.web.jobs import Jobs
from weightkin.web.running import Runner, Work
from weightkin.web.uploads import is_about, tidy
from weightkin.web.work import work

MOST_PORT = 65535


def serve(
    registry: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8321,
    names: Sequence[str] = (),
    workers: int = 1,
    work: Work = work,
) -> None:
    """Serve the pages and the API of a registry until stopped by SIGINT or SIGTERM.

    The address is printed, and the token if there is one.

    Parameters
    ----------
    registry : str or Path
        Its file; must be there.
    host, port : str, int
        Where to listen; port 0 takes a free one. Elsewhere than on the loopback address a random
        token is made, printed once, and asked of every visitor.
    names : sequence of str
        Host names that visitors may use, beside ``host``, ``localhost`` and addresses.
    workers : int
        Jobs that run at once.
    work : callable
        What does a job, in a process of its own.

    Raises
    ------
    UnusableRegistry
        No registry, or another server has it.
    UsageError
        An argument has a value that it cannot have, or the address cannot be listened at.
    """
    registry = check_path("registry", registry)
    check_kind("host", host, str, "an address")
    check_count("port", port, MOST_PORT)
    check_paths("names", names)
    check_count("workers", workers, MOST_WORKERS, least=1)
    browsing.stamp(registry)
    with ExitStack() as stack:
        listener = stack.enter_context(_listener(host, port))
        service = stack.enter_context(open_desk(registry, work=work, workers=workers))
        token = "" if is_loopback(host) else secrets.token_urlsafe(32)
        known = frozenset(x.lower() for x in (*names, host, "localhost"))
        app = make_app(service, names=known, token=token, has_visitors=bool(names))
        config = configured(app)
        shown = f"[{host}]" if ":" in host else host
        print(f"http://{shown}:{listener.getsockname()[1]}/", flush=True)
        if token:
            print(f"token, needed by every visitor and not shown again: {token}", flush=True)
        for number in (signal.SIGINT, signal.SIGTERM):  # the server has them, then gives them back
            signal.signal(number, _stopped)
        server = uvicorn.Server(config)
        server.run(sockets=[listener])
        if not server.started:
            raise RuntimeError("the server did not start")


def configured(app: RequestGuard) -> uvicorn.Config:
    """How the server treats connections: none for ever, none too large, few at once."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=Connection,
        limit_concurrency=2 * MAX_CONNECTIONS,  # with those that make room and are not gone yet
        h11_max_incomplete_event_size=MOST_HEAD,
        timeout_keep_alive=int(HEAD_SECONDS),
        timeout_graceful_shutdown=3,
        ws="none",
    )


@contextmanager
def open_desk(registry: Path, *, work: Work = work, workers: int = 1) -> Iterator[JobService]:
    """The jobs beside a registry and who does them; in a passing folder where none can be kept.

    Parameters
    ----------
    registry : Path
        Its file.
    work : callable
        What does a job, in a process of its own.
    workers : int
        Jobs that run at once.

    Yields
    ------
    JobService
        Closed afterwards, with the jobs that run.
    """
    with ExitStack() as stack:
        home = folder_of(registry)
        folder = home / "web"
        if not os.access(home, os.W_OK):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        uploads = folder / "uploads"
        try:
            uploads.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(uploads, error) from None
        jobs = Jobs(folder / "jobs.sqlite")
        stack.callback(jobs.close)
        tidying = partial(tidy, uploads, jobs)
        tidying()  # what was left by a server that was killed
        is_ours = partial(is_about, registry.resolve(), uploads)
        runner = Runner(jobs, work, workers, after=tidying, is_ours=is_ours)
        stack.callback(runner.close)
        yield JobService(registry.resolve(), jobs, runner, uploads)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _stopped(number: int, frame: FrameType | None) -> None:
    """Being told to stop is how a server ends; work that is under way is closed behind it."""


@contextmanager
def _listener(host: str, port: int) -> Iterator[socket.socket]:
    try:
        kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=kind)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)
        is_system = isinstance(error, OSError) and not isinstance(error, socket.gaierror)
        why = os.strerror(number) if is_system and number else error
        raise UsageError(f"{host}:{port}: cannot listen on this address ({why})") from None
    with listener:
        yield listener

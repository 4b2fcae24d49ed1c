"""Requests that cost a visitor little and the server much, over real sockets on this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import weightkin
from benchmarks.claims.cases import Answer, Case
from benchmarks.claims.cases.registry import models

TITLE = "Visitors of `serve`"
SERVER = """
import socket, sys
from pathlib import Path
import uvicorn
from weightkin.web import serving
from weightkin.web.app import make_app
try:
    from weightkin.web import connections
    connections.HEAD_SECONDS = connections.PAUSE_SECONDS = 1.0  # instead of ten: nobody waits here
except ImportError:
    pass
make = getattr(serving, "configured", None) or (lambda app: uvicorn.Config(app, log_level="error"))
with serving.open_desk(Path(sys.argv[1])) as desk:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(make(make_app(desk, token=sys.argv[2]))).run(sockets=[listener])
"""
MOST_SECONDS = 0.5  # of processor time
PATIENCE = 6.0  # seconds after which a silent connection must be closed


@contextmanager
def served(folder: Path, token: str = "") -> Iterator[tuple[int, int]]:
    """Port and process of a server on a small registry."""
    models(folder)
    path = folder / "r.sqlite"
    weightkin.Registry(path).add([folder / "root"])
    own = str(Path(weightkin.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(path), token],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={"PYTHONPATH": own},
    ) as process:  # fmt: skip
        try:
            port = int(process.stdout.readline())  # type: ignore[union-attr]
            request(port)
            yield port, process.pid
        finally:
            process.kill()


def request(port: int, path: str = "/api/models?size=1", *headers: str) -> str:
    """The status of one answer."""
    head = [f"GET {path} HTTP/1.1", "host: 127.0.0.1", "connection: close", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall("\r\n".join(head).encode())
        answer = connection.makefile("rb").readline()
    return answer.split()[1].decode() if answer else "closed"


def spent(process: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def costs(path: str, headers: tuple[str, ...], folder: Path) -> Answer:
    """What one request costs."""
    with served(folder, "t" * 43) as (port, process):
        before = spent(process)
        status = request(port, path, *headers)
        seconds = spent(process) - before
    return Answer(seconds < MOST_SECONDS, f"{status}, {seconds:.2f} s")


def silent(said: bytes, folder: Path) -> Answer:
    """How long a connection is kept that says no more."""
    with served(folder) as (port, _), socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(said)
        started = time.monotonic()
        connection.settimeout(PATIENCE)
        try:
            while connection.recv(1 << 16):
                pass
        except OSError as error:
            if isinstance(error, TimeoutError):
                return Answer(False, f"open after {PATIENCE:.0f} s")
        return Answer(True, f"closed after {time.monotonic() - started:.0f} s")


def case(name: str, before: str, run: Callable[[Path], Answer], expected: str = "") -> Case:
    """A case of what a request costs."""
    return Case(name, expected or f"under {MOST_SECONDS} s", before, run)


SLASHES = ('cookie: weightkin="' + "\\" * 60_000 + '"',)
HEAD = b"GET / HTTP/1.1\r\n"
CASES = (
    case("a cookie of 60 kB", "4.5 s", partial(costs, "/api/models", SLASHES)),
    case("a connection that says nothing", "open", partial(silent, b""), "closed in time"),
    case("a head that never ends", "open", partial(silent, HEAD), "closed in time"),
)

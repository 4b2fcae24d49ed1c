"""A small real server on loopback that speaks a hub's protocol, with the faults that hubs have.

It lists repositories (``/api/models/NAME/revision/REV``), redirects their files to a store on
another port (another origin, as hubs do) and serves ranges there. What goes wrong is set in
``hub.fault`` and happens at the store, ``hub.n_faults`` times.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OLDER = "fedcba9876543210fedcba9876543210fedcba98"


def _stored(path: Path, start: int, n: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(n)


@dataclass
class Hub:
    """What the server serves, how it misbehaves, and what it was asked."""

    repositories: dict[str, Path] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    private: dict[str, str] = field(default_factory=dict)  # repository: token it asks for
    gated: set[str] = field(default_factory=set)
    fault: str = ""
    n_faults: int = 10**9
    elsewhere: str = ""  # where redirects lead instead
    siblings: list[str] | None = None
    commit: str | None = None
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # place, path, range
    tokens: list[tuple[str, str]] = field(default_factory=list)  # place, token
    sent: int = 0  # bytes of files
    content: Callable[[Path, int, int], bytes] = lambda path, start, n: _stored(path, start, n)
    address: str = ""
    store: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def failing(self, fault: str) -> bool:
        """Whether this fault happens now."""
        with self.lock:
            if self.fault != fault or self.n_faults <= 0:
                return False
            self.n_faults -= 1
            return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub
    place: str

    def log_message(self, *_):
        """Nothing on stderr."""

    def do_GET(self):  # noqa: N802 (the name that http.server wants)
        hub = self.hub
        with hub.lock:
            hub.requests.append((self.place, self.path, self.headers.get("Range", "")))
            if token := self.headers.get("Authorization"):
                hub.tokens.append((self.place, token))
        if self.place == "store":
            return self._file(unquote(self.path))
        if match := re.fullmatch(r"/api/models/(.+)/revision/([^/]+)", self.path):
            return self._listing(match[1], unquote(match[2]))
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([0-9a-f]{40})/(.+)", self.path):
            if not self._may_read(match[1]):
                return None
            target = f"{hub.elsewhere or hub.store}/{match[1]}/{match[3]}"
            return self._send(302, b"", Location=target)
        return self._send(404, b"")

    def _may_read(self, name: str) -> bool:
        hub = self.hub
        wanted = hub.private.get(name)
        if wanted and self.headers.get("Authorization") != f"Bearer {wanted}":
            self._send(401, b"{}", **{"X-Error-Message": "Invalid credentials\u001b[31m"})
            return False
        if name in hub.gated:
            self._send(403, b"{}", **{"X-Error-Code": "GatedRepo"})
            return False
        return True

    def _listing(self, name: str, revision: str):
        hub = self.hub
        if hub.failing("busy listing"):
            return self._send(429, b"", **{"Retry-After": "0"})
        if not self._may_read(name):
            return None
        commit = hub.commits.get(revision, revision if revision in hub.commits.values() else None)
        if name not in hub.repositories or commit is None:
            return self._send(404, b"{}", **{"X-Error-Code": "RevisionNotFound"})
        folder = hub.repositories[name]
        files = (x for x in folder.rglob("*") if x.is_file())
        names = hub.siblings or sorted(x.relative_to(folder).as_posix() for x in files)
        listing = {"sha": hub.commit or commit, "siblings": [{"rfilename": x} for x in names]}
        return self._send(200, json.dumps(listing).encode())

    def _file(self, path: str):
        hub = self.hub
        _, org, name, file = path.split("/", 3)
        target = hub.repositories[f"{org}/{name}"] / file
        if not target.is_file():
            return self._send(404, b"")
        if hub.failing("busy"):
            return self._send(429, b"slow down", **{"Retry-After": "0"})
        if hub.failing("long wait"):
            return self._send(429, b"", **{"Retry-After": "99999"})
        if hub.failing("broken"):
            return self._send(503, b"")
        if hub.failing("expired"):
            return self._send(403, b"expired")
        if hub.failing("hangs up"):
            self.close_connection = True
            return None
        if hub.failing("huge answer header"):
            return self._send(206, b"", **{"X-Long": "x" * 100_000})
        size = target.stat().st_size
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not match or hub.failing("no ranges"):
            return self._stream(target, 0, size, 200, {})
        start, stop = int(match[1]), min(int(match[2]) + 1, size)
        if start >= size:
            return self._send(416, b"", **{"Content-Range": f"bytes */{size}"})
        said = f"bytes {start}-{stop - 1}/{size}"
        if start and hub.failing("lies about place"):
            said = f"bytes {start + 8}-{stop + 7}/{size}"
        if start and hub.failing("lies about size"):
            said = f"bytes {start}-{stop - 1}/{size + 10}"
        return self._stream(target, start, stop, 206, {"Content-Range": said})

    def _stream(self, target: Path, start: int, stop: int, status: int, headers: dict[str, str]):
        hub = self.hub
        if hub.failing("slow"):
            time.sleep(1.5)
        n_sent = stop - start
        if start and hub.failing("cut"):
            n_sent //= 2
            self.close_connection = True
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        while n_sent:
            part = hub.content(target, start, min(n_sent, 1 << 20))
            with hub.lock:  # before it leaves: the reader may look at once
                hub.sent += len(part)
            try:
                self.wfile.write(part)
            except OSError:  # the reader has seen enough
                self.close_connection = True
                return
            start, n_sent = start + len(part), n_sent - len(part)

    def _send(self, status: int, body: bytes, **headers: str):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value.encode("utf-8", "replace").decode("latin-1"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Readers hang up in the middle: part of the tests."""


@contextmanager
def serving():
    """Serve until the end of the block."""
    hub = Hub()
    servers = []
    for place in ("hub", "store"):
        handler = type("Handler", (_Handler,), {"hub": hub, "place": place})
        server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
    hub.address, hub.store = (f"http://127.0.0.1:{s.server_address[1]}" for s in servers)
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
